/** A thread that takes turns for `shared-turn.test.ts`. */
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { parentPort, threadId, workerData } from 'node:worker_threads';
import { SharedTurn } from '../../src/threads/shared-turn.js';

export interface TurnTask {
  readonly turn: SharedArrayBuffer;
  /** An Int32Array of one number. */
  readonly counter: SharedArrayBuffer;
  /** How often it counts one up, each in a turn of its own; null to keep its only turn for ever. */
  readonly rounds: number | null;
}

const { turn, counter, rounds } = workerData as TurnTask;
const shared = new SharedTurn(turn, threadId);
const numbers = new Int32Array(counter);
// Keeps the thread alive while it waits: a turn that is waited for does not.
parentPort?.on('message', () => undefined);
if (parentPort && rounds !== null) {
  // All threads begin together.
  const begin = once(parentPort, 'message');
  parentPort.postMessage('is ready');
  await begin;
}
if (rounds === null) {
  await shared.take(async () => {
    parentPort?.postMessage('holds');
    await new Promise(() => undefined);
  });
} else {
  for (let round = 0; round < rounds; round++) {
    await shared.take(async () => {
      const seen = numbers[0] as number;
      // Others count meanwhile, unless they wait for their turn.
      await setImmediate();
      numbers[0] = seen + 1;
    });
  }
  parentPort?.close();
}
