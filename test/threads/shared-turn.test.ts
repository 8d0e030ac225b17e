// Method: real threads count in shared memory without atomic operations, reading and writing in different turns of their event loops:
// counts get lost as soon as two of them are at it together.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, it } from 'mocha';
import { newTurn, passOver, SharedTurn } from '../../src/threads/shared-turn.js';
import type { TurnTask } from './turn-thread.js';

const startThread = (task: TurnTask): Worker =>
  new Worker(new URL('./turn-thread.js', import.meta.url), { workerData: task });

describe('shared turn', function () {
  this.timeout(60_000);

  it('is one thread’s at a time', async () => {
    const [turn, counter] = [newTurn(), new SharedArrayBuffer(4)];
    const rounds = 2000;
    const threads = [1, 2, 3].map(() => startThread({ turn, counter, rounds }));
    const exited = threads.map((thread) => once(thread, 'exit'));
    await Promise.all(threads.map((thread) => once(thread, 'message')));
    for (const thread of threads) thread.postMessage('begin');
    const exits = await Promise.all(exited);
    assert.deepEqual(exits, [[0], [0], [0]]);
    assert.equal(new Int32Array(counter)[0], 3 * rounds);
  });

  it('goes on after work that failed', async () => {
    const turn = new SharedTurn(newTurn(), 0);
    await assert.rejects(
      turn.take(() => Promise.reject(new Error('no luck'))),
      /no luck/,
    );
    assert.equal(await turn.take(async () => 'next'), 'next');
  });

  it('of a thread that died in it is over once it is passed over, and not before', async () => {
    const [turn, counter] = [newTurn(), new SharedArrayBuffer(4)];
    const holder = startThread({ turn, counter, rounds: null });
    const { threadId } = holder;
    await once(holder, 'message');
    let isOurs = false;
    const ours = new SharedTurn(turn, 0).take(async () => {
      isOurs = true;
    });
    await holder.terminate();
    // Another thread's death is not the holder's.
    passOver(turn, threadId + 1);
    await new Promise(setImmediate);
    assert.equal(isOurs, false);
    passOver(turn, threadId);
    await ours;
    assert.equal(isOurs, true);
  });
});
