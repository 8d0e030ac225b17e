/**
 * Method: real data files are cut at many places, get flipped bits, or are left as a power loss leaves them; a child process opens each, which
 * must never end by a signal. The expected content is what the file held before; the only other answer allowed is DATA_CORRUPT.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { dataFile, openLmdbStore } from '../../src/index/lmdb-store.js';
import { randomFrom, runSeed, type Random } from './faces.js';
import { inTemporaryFolder } from './folders.js';
import { heldIn, type StoreMessage } from './store-child.js';

const child = join(import.meta.dirname, 'store-child.js');

/** Opens every folder in one process; how it ended and what it told. */
async function openAll(paths: readonly string[]): Promise<{ signal: string | null; told: Map<string, StoreMessage> }> {
  const running = fork(child, ['read', ...paths], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  const told = new Map<string, StoreMessage>();
  running.on('message', (message: StoreMessage) => told.set(message.of, message));
  const signal = await new Promise<string | null>((resolve) => running.once('close', (_, ended) => resolve(ended)));
  return { signal, told };
}

/** A folder for each of the given data files. */
async function folders(parent: string, files: readonly Buffer[]): Promise<readonly string[]> {
  return Promise.all(
    files.map(async (bytes, index) => {
      const path = join(parent, `damaged-${index}`);
      await mkdir(path);
      await writeFile(dataFile(path), bytes);
      return path;
    }),
  );
}

/** A file with a history: short and long values, some replaced, some removed. */
async function makeFile(path: string, random: Random): Promise<{ file: Buffer; held: readonly string[] }> {
  const store = openLmdbStore({ path, readOnly: false });
  for (let round = 0; round < 30; round++) {
    await store.write((writer) => {
      for (let i = 0; i < 12; i++) {
        const key = Buffer.from(`key-${String(Math.floor(random() * 300)).padStart(3, '0')}`);
        if (random() < 0.2) writer.remove('meta', key);
        else writer.put('meta', key, Buffer.alloc(Math.floor(random() * (random() < 0.1 ? 20_000 : 600)), round));
        writer.put('templates', key, Buffer.alloc(300, round));
      }
    });
  }
  const held = heldIn(store);
  await store.close();
  return { file: await readFile(dataFile(path)), held };
}

async function withFile(work: (path: string, file: Buffer, held: readonly string[]) => Promise<void>): Promise<void> {
  const random = randomFrom(runSeed('data file'));
  await inTemporaryFolder(async (path) => {
    const { file, held } = await makeFile(path, random);
    await work(path, file, held);
  });
}

describe('a damaged data file', () => {
  it('that was cut is DATA_CORRUPT with both sizes, or opens with everything, and never ends the process', async () => {
    await withFile(async (path, file, held) => {
      const lengths = Array.from({ length: Math.floor(file.length / 4096) }, (_, page) => page * 4096);
      const cuts = [1, 40, 4095, 4097, 8191, ...lengths.slice(1), ...lengths.slice(2).map((at) => at + 1000)];
      const paths = await folders(
        path,
        [...cuts, file.length].map((length) => file.subarray(0, length)),
      );
      const { signal, told } = await openAll(paths);
      assert.equal(signal, null);
      assert.equal(told.size, paths.length);
      let corrupt = 0;
      for (const [index, length] of cuts.entries()) {
        const answer = told.get(paths[index] ?? '');
        if (answer?.code === undefined) assert.deepEqual(answer?.held, held, `cut to ${length}`);
        else {
          corrupt++;
          assert.equal(answer.code, 'DATA_CORRUPT', answer.message);
          if (length > 8192) assert.match(answer.message ?? '', new RegExp(`${file.length} bytes.* ${length}`));
        }
      }
      assert.ok(corrupt > cuts.length / 2, `only ${corrupt} of ${cuts.length} cuts were refused`);
      assert.deepEqual(told.get(paths.at(-1) ?? '')?.held, held, 'not cut');
    });
  });

  it('without the pages of its last transaction, but with its older meta, opens with the transaction before', async () => {
    await inTemporaryFolder(async (path) => {
      const store = openLmdbStore({ path, readOnly: false });
      const put = (key: string): Promise<unknown> =>
        store.write((writer) => writer.put('meta', Buffer.from(key), Buffer.alloc(9_000, 1)));
      await put('first');
      const held = heldIn(store);
      const before = await readFile(dataFile(path));
      await put('second');
      await store.close();
      const after = await readFile(dataFile(path));
      assert.ok(after.length > before.length);
      // A power loss before the meta page: some pages of the transaction are there, some not.
      const lost = Buffer.concat([before.subarray(0, 8192), after.subarray(8192, after.length - 8192)]);
      const [torn = ''] = await folders(path, [lost]);
      const { signal, told } = await openAll([torn]);
      assert.equal(signal, null);
      assert.deepEqual(told.get(torn)?.held, held, told.get(torn)?.message);
    });
  });

  it('with flipped bits in the head of a branch or in a root is refused or read, and opening never ends the process', async () => {
    await withFile(async (path, file) => {
      const flips = Array.from({ length: file.length / 4096 - 2 }, (_, page) => (page + 2) * 4096).flatMap((page) =>
        // Flags, bounds, first offsets; only pages of branches, whose flags are 1.
        file.readUInt16LE(page + 18) === 1 ? [0, 18, 20, 22, 23, 25, 27].map((at) => page + at) : [],
      );
      assert.ok(flips.length > 0, 'the file has branches');
      const files = flips.map((at) => {
        const copy = Buffer.from(file);
        copy[at] = (copy[at] ?? 0) ^ 0x84;
        return copy;
      });
      const paths = await folders(path, files);
      const { signal, told } = await openAll(paths);
      assert.equal(signal, null);
      assert.equal(told.size, paths.length);
      const codes = new Set([...told.values()].map(({ code }) => code));
      assert.ok(codes.has('DATA_CORRUPT'));
      codes.delete('DATA_CORRUPT');
      // A branch of an older snapshot is nobody's any more.
      codes.delete(undefined);
      assert.deepEqual([...codes], []);
    });
  });

  it('written ahead of its flush, as before format 2, goes back after another boot and is kept within the same', async () => {
    await inTemporaryFolder(async (path) => {
      const store = openLmdbStore({ path, readOnly: false });
      for (const key of ['first', 'second', 'third']) {
        await store.write((writer) => writer.put('meta', Buffer.from(key), Buffer.from(key)));
      }
      const held = heldIn(store);
      await store.close();
      const file = await readFile(dataFile(path));
      const transactionOf = (meta: number): bigint => file.readBigUInt64LE(meta + 24 + 128);
      const [newest, older] = transactionOf(0) > transactionOf(4096) ? [0, 4096] : [4096, 0];
      // As the overlapping kind leaves it: both metas marked, the flushed copy in the middle of page 0 one transaction behind.
      file.copy(file, 2048, older, older + 168);
      for (const meta of [0, 4096]) file.writeUInt16LE(file.readUInt16LE(meta + 24 + 28) | 0x1000, meta + 24 + 28);
      assert.ok(transactionOf(newest) > transactionOf(2048));
      const other = Buffer.from(file);
      for (const meta of [0, 2048, 4096]) other.writeBigUInt64LE(0x1234n, meta + 24 + 136);
      // What only the newest transaction needs may be missing after a power loss.
      const paths = await folders(path, [file, other]);
      const { signal, told } = await openAll(paths);
      assert.equal(signal, null);
      assert.deepEqual(told.get(paths[0] ?? '')?.held, held, 'the same boot');
      assert.deepEqual(
        told.get(paths[1] ?? '')?.held,
        held.filter((each) => !each.startsWith('third')),
        'another boot',
      );
      await rm(paths[0] ?? '', { recursive: true });
    });
  });
});
