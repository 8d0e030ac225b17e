/**
 * Arrivals that wait for nobody: calls begin at a seeded Poisson rate, whatever became of those before.
 *
 * A closed loop slows down with its server and so never overloads it; people at doors do not. Times count from the moment at which a call was sent: how late this
 * process was with it says something of the machine, is kept beside, and is nothing that a server could make up for. What became of each call is judged
 * when the load is over.
 */
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../src/random.js';

export const outcomes = ['answered', 'refused', 'expired', 'failed'] as const;
export type Outcome = (typeof outcomes)[number];

export interface Told {
  readonly outcome: Outcome;
  /** Of a call that was answered. */
  readonly answer: Buffer | null;
}

/** One call, milliseconds since the load began. */
export interface Arrival extends Told {
  readonly position: number;
  readonly dueMs: number;
  readonly sentMs: number;
  readonly endedMs: number;
}

export interface OpenLoop {
  readonly perSecond: number;
  readonly seconds: number;
  readonly random: Random;
  /** Never rejects. */
  readonly send: (position: number) => Promise<Told>;
}

/** So many calls that are overdue are sent in one turn; then answers are read. */
const sentAtOnce = 16;

export async function runOpenLoop({ perSecond, seconds, random, send }: OpenLoop): Promise<readonly Arrival[]> {
  const due = drawArrivals(random, perSecond, seconds);
  const startedMs = performance.now();
  const sinceStart = (): number => performance.now() - startedMs;
  const arrivals: Promise<Arrival>[] = [];
  for (const [position, dueMs] of due.entries()) {
    const earlyMs = dueMs - sinceStart();
    if (earlyMs > 1) await pause(earlyMs);
    else if (position % sentAtOnce === 0) await nextTurn();
    const sentMs = sinceStart();
    arrivals.push(send(position).then((told) => ({ ...told, position, dueMs, sentMs, endedMs: sinceStart() })));
  }
  return Promise.all(arrivals);
}

/** Moments of arrival, milliseconds, ascending: exponential times between them. */
export function drawArrivals(random: Random, perSecond: number, seconds: number): readonly number[] {
  const due: number[] = [];
  for (let atMs = 0; ;) {
    atMs += (-Math.log(1 - random.uniform()) / perSecond) * 1000;
    if (atMs >= seconds * 1000) return due;
    due.push(atMs);
  }
}
