/**
 * A server under a steady load for a long time: does it hold on to anything, and does its end lose anything?
 *
 * The load is begun, stopped, and the server looked at at rest; then it goes on for the time that was asked for, and the server is looked at at rest once more. What is more
 * then leaked. At last it is told to stop in the middle of a load, and its directory is checked, opened by another, and compared with what was acknowledged.
 */
import { rmSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { connectDatabase } from '../../src/client/remote-database.js';
import { parseVector, type UnitVector } from '../../src/vector.js';
import { harmonid, serve, type Serving } from '../cli/command-line.js';
import { modelsPath, temporaryFolder } from '../support/database.js';
import { everyPerson, groupPhoto, portrait } from '../support/photos.js';
import { doorGallery, imageGallery, importGallery, space, vectorGallery } from './errands.js';
import { Load } from './load.js';
import type { SoakOptions } from './options.js';
import { readFigures, type ProcessFigures } from './process-figures.js';
import { keyOf, Register } from './register.js';
import { judgedFromSeconds, judgeHandles, judgeMemory, type Rise } from './verdict.js';

export interface SoakReport extends SoakOptions {
  readonly errands: number;
  readonly refused: number;
  readonly turnedAway: number;
  readonly acknowledged: number;
  readonly erased: number;
  readonly atRest: { readonly before: ProcessFigures; readonly after: ProcessFigures };
  /** Null when the time was too short to judge memory. */
  readonly memory: Rise | null;
  readonly drainMs: number;
  /** Calls that had come and were not answered when the drain began. */
  readonly drainedInFlight: number;
  readonly faults: readonly string[];
}

const dimensions = 32;
/** How long a load goes on before the first rest, and before the server is told to stop. */
const prefaceMs = 5_000;
/** How long calls may still be in flight after the last client has gone. */
const restMs = 20_000;
const sampleMs = 1_000;
/** Several times what the image lane works on at a time. */
const mostPhotos = 64;
/** Longer than any call may take. */
const settleMs = 30_000;

export async function runSoak(options: SoakOptions, tell: (line: string) => void): Promise<SoakReport> {
  const { minutes, seed } = options;
  const data = temporaryFolder();
  const register = new Register();
  const args = ['--data', data, '--models', modelsPath, '--provider', 'cpu', '--status', '127.0.0.1:0'];
  const serving = await serve(args);
  try {
    const { address } = serving;
    const photos = new Map<string, Buffer>();
    for (const person of everyPerson) photos.set(person, await portrait(person));
    await prepare(address, photos);
    if (60 * minutes >= judgedFromSeconds) await embedMost(address);
    const load = (name: string, firstLane: number): Load =>
      new Load({ address, seed, name, firstLane, register, photos });

    const preface = load('preface', 0);
    await pause(prefaceMs);
    preface.stop();
    await preface.ended;
    const before = await atRest(serving, () => true);
    tell(lineOf('at rest', before));

    const main = load('main', 100);
    const samples = await watch(serving, minutes * 60, main, tell);
    main.stop();
    await main.ended;
    const after = await atRest(serving, (figures) => judgeHandles(before, figures).length === 0);
    tell(lineOf('at rest', after));

    const last = load('last', 200);
    await pause(prefaceMs);
    const drained = await drainUnder(serving, last);
    tell(`drained ${drained.inFlight} calls in ${drained.drainMs} ms, ${last.counts.turnedAway} lanes turned away`);
    const loads = [preface, main, last];
    const memory = judgeMemory(samples);
    const { there, gone } = register.standings;
    return {
      minutes,
      seed,
      errands: loads.reduce((sum, { counts }) => sum + counts.done, 0),
      refused: loads.reduce((sum, { counts }) => sum + counts.refused, 0),
      turnedAway: last.counts.turnedAway,
      acknowledged: there + gone,
      erased: gone,
      atRest: { before, after },
      memory,
      drainMs: drained.drainMs,
      drainedInFlight: drained.inFlight,
      faults: [
        ...loads.flatMap(({ faults }) => faults),
        ...judgeHandles(before, after),
        ...(memory && memory.riseMiB > memory.allowedMiB ? [`memory rises: ${JSON.stringify(memory)}`] : []),
        ...drained.faults,
        ...(await compareDirectory(data, args, register)),
      ],
    };
  } finally {
    if (serving.process.exitCode === null) await serving.stop();
    rmSync(data, { recursive: true, force: true });
  }
}

/** Galleries without people, and one of people by image whom nobody changes. */
async function prepare(address: string, photos: ReadonlyMap<string, Buffer>): Promise<void> {
  const database = connectDatabase({ address });
  try {
    for (const gallery of [vectorGallery, importGallery]) {
      await database.createGallery({ gallery, space, dimensions, threshold: 0.1, duplicates: 'ignore' });
    }
    for (const gallery of [doorGallery, imageGallery]) {
      await database.createGallery({ gallery, duplicates: 'ignore', refuseReasons: [] });
    }
    for (const [identity, image] of photos) {
      await database.enroll({ gallery: doorGallery, identity, images: [image], faces: 'largest' });
    }
  } finally {
    await database.close();
  }
}

/**
 * The largest batches that there are, with many faces each. ONNX Runtime keeps what its largest batch has taken, and the load makes such a batch once in half an hour: a floor that rises
 * by that is no leak, and would hide one.
 */
async function embedMost(address: string): Promise<void> {
  const database = connectDatabase({ address, deadlineMs: settleMs * 4 });
  try {
    const photos = [1, 3, 6] as const;
    const calls = Array.from({ length: mostPhotos }, (_, i) => groupPhoto(photos[i % photos.length] ?? 1));
    await Promise.all(calls.map((image) => database.identifyFaces({ gallery: doorGallery, image })));
  } finally {
    await database.close();
  }
}

/** Looks once a second, tells once a minute (ten times where that is more). */
async function watch(
  serving: Serving,
  seconds: number,
  load: Load,
  tell: (line: string) => void,
): Promise<readonly ProcessFigures[]> {
  const startedMs = performance.now();
  const elapsed = (): number => (performance.now() - startedMs) / 1000;
  const samples: ProcessFigures[] = [];
  const tellEverySeconds = Math.min(60, seconds / 10);
  let told = 0;
  while (elapsed() < seconds && load.faults.length === 0) {
    await pause(sampleMs);
    const figures = await look(serving, elapsed());
    samples.push(figures);
    if (figures.atSeconds < (told + 1) * tellEverySeconds) continue;
    told = Math.floor(figures.atSeconds / tellEverySeconds);
    tell(lineOf(`${(figures.atSeconds / 60).toFixed(1)} min`, figures, load));
  }
  return samples;
}

/** When nothing is in flight and `isAtRest`, or after the time that everything has for that. */
async function atRest(serving: Serving, isAtRest: (figures: ProcessFigures) => boolean): Promise<ProcessFigures> {
  const untilMs = performance.now() + restMs;
  for (;;) {
    await pause(sampleMs);
    const figures = await look(serving, 0);
    if ((figures.callsInFlight === 0 && isAtRest(figures)) || performance.now() > untilMs) return figures;
  }
}

function look({ process, log }: Serving, atSeconds: number): Promise<ProcessFigures> {
  const status = log.find(({ msg }) => msg === 'tells its status')?.['address'];
  return readFigures(process.pid ?? 0, String(status), atSeconds);
}

interface Drained {
  readonly code: number | null;
  readonly drainMs: number;
  readonly inFlight: number;
  readonly faults: readonly string[];
}

async function drainUnder(serving: Serving, load: Load): Promise<Drained> {
  load.expectDrain();
  const startedMs = performance.now();
  const code = await serving.stop();
  const drainMs = Math.round(performance.now() - startedMs);
  load.stop();
  const isSettled = await Promise.race([load.ended.then(() => true), pause(settleMs, false, { ref: false })]);
  const unexpected = serving.log.filter(({ level }) => Number(level) >= 50);
  return {
    code,
    drainMs,
    inFlight: Number(serving.log.find(({ msg }) => msg === 'draining')?.['inFlight']),
    faults: [
      ...(code === 0 ? [] : [`the server ended with ${code}`]),
      ...(isSettled ? [] : ['a call was neither answered nor refused']),
      ...unexpected.map((record) => `the server logged ${JSON.stringify(record)}`),
    ],
  };
}

/** @returns what the directory lacks, or has too much */
async function compareDirectory(data: string, args: readonly string[], register: Register): Promise<readonly string[]> {
  const check = await harmonid(['check', '--data', data]);
  const again = await serve(args);
  const database = connectDatabase({ address: again.address });
  try {
    const found = new Map<string, readonly UnitVector[]>();
    for (const gallery of [vectorGallery, imageGallery, importGallery]) {
      for await (const { identity, embedding } of database.exportTemplates({ gallery })) {
        const vector = parseVector(embedding.vector, embedding.vector.length, 'an export');
        const key = keyOf(gallery, identity);
        found.set(key, [...(found.get(key) ?? []), vector]);
      }
    }
    return [
      ...(check.code === 0 ? [] : [`harmonid check ended with ${check.code}: ${check.stdout}`]),
      ...register.compare(found),
    ];
  } finally {
    await database.close();
    await again.stop();
  }
}

function lineOf(when: string, figures: ProcessFigures, load?: Load): string {
  const { residentMiB, anonymousMiB, heapMiB, externalMiB, storeMiB, descriptors, sockets, threads } = figures;
  const people = Object.entries(figures.people).map(([gallery, count]) => `${gallery} ${count}`);
  return [
    when.padStart(8),
    `resident ${residentMiB} MiB (anonymous ${anonymousMiB}, heap ${heapMiB}, external ${externalMiB}), store ${storeMiB} MiB`,
    `${descriptors} descriptors, ${sockets} sockets, ${threads} threads, ${figures.callsInFlight} in flight`,
    people.join(', '),
    ...(load ? [`${load.counts.done} errands, ${load.counts.refused} refused`] : []),
  ].join('; ');
}
