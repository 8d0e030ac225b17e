/** One load of calls on a server: what is sent, and what of it was right and in time. */
import process from 'node:process';
import type { ClientHttp2Session } from 'node:http2';
import { status } from '@grpc/grpc-js';
import type { Database, EnrollRequest } from '../src/api.js';
import { HarmonidError } from '../src/errors.js';
import type { Random } from '../src/random.js';
import { IdentifyResponse, IdentityServiceService } from '../src/wire/harmonid/v1/identity.js';
import { percentile } from './measure.js';
import { runOpenLoop, type Arrival, type Outcome, type Told } from './open-loop.js';
import { rounded, type Row } from './report.js';
import type { ServerProcess } from './server-child.js';
import { callUnary, type WireAnswer } from './wire-client.js';

/** One kind of call, with everything that is known of it before. */
export interface Kind {
  readonly name: string;
  /** What a door would wait. */
  readonly deadlineMs: number;
  /** Framed. */
  readonly requests: readonly Buffer[];
  /** Who is the nearest, by position of the request. */
  readonly expected: readonly string[];
  /** An enrolment of an import beside. */
  readonly nextBulkItem: () => EnrollRequest;
}

export interface LoadPlan {
  /** Times the capacity. */
  readonly times: number;
  readonly isBesideImport: boolean;
}

export interface Target {
  readonly server: ServerProcess;
  readonly database: Database;
  readonly sessions: readonly ClientHttp2Session[];
}

export interface LoadOptions {
  /** Calls a second of a closed loop; asked before the load and after it. */
  readonly measureCapacity: () => Promise<number>;
  readonly seconds: number;
  readonly random: Random;
}

export interface LoadFigures {
  readonly plan: LoadPlan;
  /** Right answers in time a second, and as a share of the capacity. */
  readonly goodput: number;
  readonly ofCapacity: number;
  readonly residentMaxMiB: number;
  readonly row: Row;
}

const identifyPath = IdentityServiceService.identify.path;

export function identifyOnce(
  { sessions }: Target,
  { requests }: Kind,
  position: number,
  deadlineMs: number | null = null,
): Promise<WireAnswer> {
  const session = sessions[position % sessions.length];
  const request = requests[position % requests.length];
  if (!session || !request) throw new HarmonidError('INTERNAL', 'there are no connections or no requests');
  return callUnary(session, identifyPath, request, deadlineMs);
}

export async function runOverload(
  target: Target,
  kind: Kind,
  plan: LoadPlan,
  { measureCapacity, seconds, random }: LoadOptions,
): Promise<LoadFigures> {
  const { server, database } = target;
  const capacity = await measureCapacity();
  const perSecond = plan.times * capacity;
  await server.watch();
  const cpuBefore = process.cpuUsage();
  let isOver = false;
  const send = (position: number): Promise<Told> => tell(target, kind, position);
  const importing = plan.isBesideImport ? importUntil(() => isOver, database, kind.nextBulkItem) : null;
  const arrivals = await runOpenLoop({ perSecond, seconds, random, send }).finally(() => (isOver = true));
  const cpu = process.cpuUsage(cpuBefore);
  const report = await server.report();
  const imported = await importing;
  const elapsedSeconds = Math.max(...arrivals.map(({ endedMs }) => endedMs), seconds * 1000) / 1000;

  // On a shared machine the capacity of a minute ago is another one.
  const meanCapacity = (capacity + (await measureCapacity())) / 2;

  const right = arrivals.filter((arrival) => arrival.outcome === 'answered' && isRight(kind, arrival));
  // From the time at which the server has as much to do as it will have, to the last arrival.
  const fromMs = Math.min(kind.deadlineMs, (seconds * 1000) / 4);
  const inWindow = right.filter(({ endedMs }) => endedMs >= fromMs && endedMs < seconds * 1000);
  const goodput = inWindow.length / (seconds - fromMs / 1000);
  const tookMs = (outcome: Outcome): number[] =>
    arrivals.filter((arrival) => arrival.outcome === outcome).map(({ sentMs, endedMs }) => endedMs - sentMs);
  const share = (outcome: Outcome): number => rounded(tookMs(outcome).length / arrivals.length, 3);
  return {
    plan,
    goodput,
    ofCapacity: goodput / meanCapacity,
    residentMaxMiB: report.residentMaxMiB,
    row: {
      load: `${plan.times} x${plan.isBesideImport ? ', an import beside' : ''}`,
      capacityPerSecond: rounded(meanCapacity),
      sentPerSecond: rounded(arrivals.length / elapsedSeconds),
      goodputPerSecond: rounded(goodput),
      ofCapacity: rounded(goodput / meanCapacity, 2),
      p50Ms: figure(tookMs('answered'), 0.5),
      p99Ms: figure(tookMs('answered'), 0.99),
      refused: share('refused'),
      refusedP50Ms: figure(tookMs('refused'), 0.5),
      refusedP99Ms: figure(tookMs('refused'), 0.99),
      expired: share('expired'),
      failed: share('failed'),
      wrong: tookMs('answered').length - right.length,
      importedPerSecond: imported === null ? null : rounded(imported / elapsedSeconds),
      serverMiB: report.residentMaxMiB,
      serverCores: rounded(report.cpuSeconds / elapsedSeconds, 2),
      clientCores: rounded((cpu.user + cpu.system) / 1e6 / elapsedSeconds, 2),
      sentLateP99Ms: figure(
        arrivals.map(({ dueMs, sentMs }) => sentMs - dueMs),
        0.99,
      ),
    },
  };
}

async function tell(target: Target, kind: Kind, position: number): Promise<Told> {
  const { code, message } = await identifyOnce(target, kind, position, kind.deadlineMs);
  return { outcome: outcomeOf(code), answer: message };
}

function outcomeOf(code: status): Outcome {
  if (code === status.OK) return 'answered';
  if (code === status.RESOURCE_EXHAUSTED) return 'refused';
  if (code === status.DEADLINE_EXCEEDED) return 'expired';
  return 'failed';
}

function isRight({ expected }: Kind, { position, answer }: Arrival): boolean {
  const [first] = IdentifyResponse.decode(answer ?? Buffer.alloc(0)).identifications;
  return first?.candidates[0]?.identity === expected[position % expected.length];
}

/** Enrolls until it is told to end. @returns how many were enrolled before */
async function importUntil(
  isOver: () => boolean,
  database: Database,
  nextBulkItem: Kind['nextBulkItem'],
): Promise<number> {
  function* items(): Iterable<EnrollRequest> {
    while (!isOver()) yield nextBulkItem();
  }
  let imported = 0;
  for await (const { answer } of database.importAll(items())) if (answer && !isOver()) imported++;
  return imported;
}

function figure(ms: readonly number[], quantile: number): number | null {
  return ms.length === 0 ? null : rounded(percentile(ms, quantile), 1);
}
