/**
 * Method: a child process writes through a preloaded library (support/failing-disk.c) that fails calls on order and keeps what a power loss
 * would leave. The model is the list of its acknowledgements: the running store, and a store opened on what was left, hold exactly these.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'mocha';
import { walkPages } from '../../src/index/lmdb-pages.js';
import { dataFile, openLmdbStore } from '../../src/index/lmdb-store.js';
import { buildFailingDisk, canFailDisk } from '../support/failing-disk.js';
import { runSeed } from './faces.js';
import { inTemporaryFolder } from './folders.js';
import { heldIn, type StoreMessage } from './store-child.js';

const child = join(import.meta.dirname, 'store-child.js');

interface Run {
  readonly messages: readonly StoreMessage[];
  /** A data directory with what a power loss would have left. */
  readonly left: string;
}

async function runOn(folder: string, seed: number, orders: string): Promise<Run> {
  const [data, left] = [join(folder, 'data'), join(folder, 'left')];
  const { env, kept } = buildFailingDisk(folder, dataFile(data));
  await mkdir(data);
  await mkdir(left);
  const running = fork(child, ['failing-disk', data, String(seed), orders], {
    // lmdb-js prints every failure.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env,
  });
  const messages: StoreMessage[] = [];
  running.on('message', (message: StoreMessage) => messages.push(message));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    running.once('close', (...ended) => resolve(ended)),
  );
  assert.deepEqual([code, signal], [0, null], 'the child ended by itself');
  await copyFile(kept, dataFile(left));
  return { messages, left };
}

/** Keys that were acknowledged and not removed later, from the messages alone. */
function acknowledged(messages: readonly StoreMessage[]): string[] {
  const done = messages.filter(({ of, code }) => of.startsWith('k') && code === undefined);
  const removed = new Set(done.map((each) => each.removed));
  return done.flatMap(({ of }) => (removed.has(of) ? [] : [of])).toSorted();
}

async function leftIn(path: string): Promise<string[]> {
  assert.deepEqual(walkPages(dataFile(path), { reads: 'leaves', snapshots: 'both' }).findings, []);
  const store = openLmdbStore({ path, readOnly: false });
  const held = heldIn(store).map((each) => each.split(' ')[0] ?? '');
  await store.close();
  return held;
}

describe('a write whose flush fails', () => {
  before(function () {
    if (!canFailDisk()) this.skip();
  });

  for (const [orders, code] of [
    ['sync 5', 'UNAVAILABLE'],
    ['sync 28', 'DISK_FULL'],
    ['write 5', 'UNAVAILABLE'],
    ['write 28', 'DISK_FULL'],
    ['sync 5,sync 28,write 28', undefined],
  ] as const) {
    it(`rejects for every waiter, writes nothing, and later writes work: ${orders}`, async () => {
      const seed = runSeed(orders);
      await inTemporaryFolder(async (folder) => {
        const { messages, left } = await runOn(folder, seed, orders);
        assert.equal(messages.at(-1)?.order, 'closed');
        const writes = messages.filter(({ of }) => of.startsWith('k'));
        const failed = writes.filter(({ order }) => order !== 'none 0');
        assert.ok(failed.length > 10, `only ${failed.length} failures were ordered`);
        for (const each of writes) {
          if (each.order === 'none 0') assert.equal(each.code, undefined, each.message);
          else if (code) assert.equal(each.code, code, each.message);
          else assert.ok(each.code !== undefined, `${each.of} was acknowledged`);
        }
        const wanted = acknowledged(messages);
        const held = messages.find(({ of }) => of === 'held')?.held?.map((each) => each.split(' ')[0]);
        assert.deepEqual(held, wanted, 'the running store');
        assert.deepEqual(await leftIn(left), wanted, 'after a power loss');
      });
    });
  }

  it('at the meta page refuses everything after it, settles everything, and loses nothing', async () => {
    const seed = runSeed('meta 5');
    await inTemporaryFolder(async (folder) => {
      const { messages, left } = await runOn(folder, seed, 'meta 5');
      assert.equal(messages.at(-1)?.order, 'closed', 'the store could be closed');
      const writes = messages.filter(({ of }) => of.startsWith('k'));
      const first = writes.findIndex(({ code }) => code !== undefined);
      assert.equal(writes[first]?.order, 'meta 5');
      for (const each of writes.slice(first)) assert.equal(each.code, 'UNAVAILABLE', each.message);
      assert.equal(messages.find(({ of }) => of === 'held')?.code, 'UNAVAILABLE', 'reading');
      assert.deepEqual(await leftIn(left), acknowledged(messages), 'after a power loss');
    });
  });
});
