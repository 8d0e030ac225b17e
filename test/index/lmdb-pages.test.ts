/**
 * Method: real files with a random history are walked after every few writes and must be without findings; then one thing at a time is made
 * wrong by hand in a copy, and the finding of that kind is expected. What is called dead is overwritten in a copy: the store there holds
 * the same and can be written on. What was removed must lie in dead ranges only.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { deadRanges, type DeadRanges } from '../../src/index/dead-ranges.js';
import { newestFirst, readMetas, type LmdbMeta } from '../../src/index/lmdb-meta.js';
import type { PageFindingKind } from '../../src/index/lmdb-page.js';
import { use, walkPages } from '../../src/index/lmdb-pages.js';
import { dataFile, openLmdbStore, type LmdbStore } from '../../src/index/lmdb-store.js';
import { findAnywhere, findRemains } from '../../src/index/remains.js';
import { tableNames } from '../../src/index/store.js';
import { randomFrom, runSeed, type Random } from './faces.js';
import { inTemporaryFolder } from './folders.js';

const low = Buffer.alloc(1);
const high = Buffer.alloc(4, 0xff);
const all = { reads: 'leaves', snapshots: 'both' } as const;

function dump(store: LmdbStore): string[] {
  return tableNames.flatMap((table) =>
    Array.from(
      store.range(table, low, high),
      ({ key, value }) => `${table} ${key.toString('hex')} ${value.toString('hex')}`,
    ),
  );
}

/** Some puts and removals over several tables: short and long keys, short values, and long ones with pages of their own. */
async function writeSome(store: LmdbStore, random: Random): Promise<void> {
  const { durable } = await store.write((writer) => {
    for (let i = 0; i < 25; i++) {
      const table = tableNames[Math.floor(random() * 5)] ?? 'meta';
      const key = Buffer.alloc(
        8 + Math.floor(random() * (random() < 0.02 ? 1_900 : 30)),
        1 + Math.floor(random() * 200),
      );
      key.writeUInt32BE(1 + Math.floor(random() * 800));
      if (random() < 0.65) {
        const value = Buffer.alloc(Math.floor(random() * (random() < 0.1 ? 30_000 : 900)), i);
        writer.put(table, key, value);
      } else {
        const next = [...writer.keys(table, key, high)].slice(0, 1);
        for (const each of next) writer.remove(table, each);
      }
    }
  });
  await durable;
}

async function withHistory(work: (path: string, store: LmdbStore, random: Random) => Promise<void>): Promise<void> {
  const random = randomFrom(runSeed('pages'));
  await inTemporaryFolder(async (path) => {
    const store = openLmdbStore({ path, readOnly: false });
    try {
      for (let round = 0; round < 60; round++) await writeSome(store, random);
      await work(path, store, random);
    } finally {
      await store.close();
    }
  });
}

async function copyOf(path: string): Promise<string> {
  const copy = join(path, 'copy');
  await mkdir(copy, { recursive: true });
  await copyFile(dataFile(path), dataFile(copy));
  return copy;
}

function newestOf(file: string): LmdbMeta {
  const handle = openSync(file, 'r');
  try {
    const metas = readMetas(handle);
    assert.ok(!('damage' in metas));
    return newestFirst(metas)[0];
  } finally {
    closeSync(handle);
  }
}

function deadRangesIn(file: string): DeadRanges {
  const handle = openSync(file, 'r');
  try {
    const metas = readMetas(handle);
    // Nothing is dead in a file whose beginning is damaged; the walk says what is.
    if ('damage' in metas) {
      return { ranges: [], findings: walkPages(file, all).findings };
    }
    return deadRanges(handle, newestFirst(metas));
  } finally {
    closeSync(handle);
  }
}

describe('pages of a data file', () => {
  it('are without findings after every write, and each is in use or listed as free', async () => {
    await withHistory(async (path, store, random) => {
      for (let round = 0; round < 40; round++) {
        await writeSome(store, random);
        const { findings, map, newest } = walkPages(dataFile(path), all);
        assert.deepEqual(findings, []);
        assert.deepEqual(walkPages(dataFile(path), { reads: 'branches', snapshots: 'newest' }).findings, []);
        assert.ok(map && newest);
        const unknown = map.uses
          .subarray(2, newest.lastPage + 1)
          .filter((uses) => (uses & (use.newest | use.listedFree)) === 0);
        assert.equal(unknown.length, 0, 'LMDB says that each page is reachable exactly once');
      }
    });
  });

  it('are without findings in a file that holds nothing yet', async () => {
    await inTemporaryFolder(async (path) => {
      await openLmdbStore({ path, readOnly: false }).close();
      assert.deepEqual(walkPages(dataFile(path), all).findings, []);
      assert.deepEqual(deadRangesIn(dataFile(path)).findings, []);
    });
  });

  it('give a finding for each thing that is made wrong', async () => {
    await withHistory(async (path, store) => {
      await store.close();
      const good = readFileSync(dataFile(path));
      const newest = newestOf(dataFile(path));
      const map = walkPages(dataFile(path), all).map;
      assert.ok(map);
      const pages = [...map.uses.keys()].filter((page) => page >= 2 && ((map.uses[page] ?? 0) & use.newest) !== 0);
      const withFlags = (flags: number): number[] =>
        pages.filter(
          (page) => good.readUInt16LE(page * 4096 + 18) === flags && good.readUInt32LE(page * 4096) === page,
        );
      const leaf =
        withFlags(2).find((page) => page !== newest.main.root && good.readUInt16LE(page * 4096 + 20) >= 6) ?? 0;
      const branch = withFlags(1)[0] ?? 0;
      const overflow = withFlags(4)[0] ?? 0;
      const free = pages.length > 0 ? (newest.free.root ?? 0) : 0;
      assert.ok(leaf && branch && overflow && free, 'the file has pages of every kind');
      const firstNode = (bytes: Buffer, page: number): number =>
        page * 4096 + 24 + bytes.readUInt16LE(page * 4096 + 24);
      const metaAt = newest.from === 0 ? 24 : 4096 + 24;
      const wrong: [PageFindingKind, (bytes: Buffer) => void][] = [
        ['meta', (bytes) => bytes.writeUInt32LE(7, 4096 + 24)],
        ['page-number', (bytes) => bytes.writeUInt32LE(leaf + 1, leaf * 4096)],
        ['page-flags', (bytes) => bytes.writeUInt16LE(1, leaf * 4096 + 18)],
        ['page-flags', (bytes) => bytes.writeUInt16LE(2, branch * 4096 + 18)],
        ['page-newer', (bytes) => bytes.writeUInt32LE(0x7fffffff, leaf * 4096 + 8)],
        ['page-bounds', (bytes) => bytes.writeUInt16LE(4090, leaf * 4096 + 20)],
        ['page-bounds', (bytes) => bytes.writeUInt16LE(2, branch * 4096 + 20)],
        ['node', (bytes) => bytes.writeUInt16LE(4094, leaf * 4096 + 24)],
        ['node', (bytes) => bytes.writeUInt16LE(4000, firstNode(bytes, leaf) + 6)],
        ['node', (bytes) => bytes.copyWithin(leaf * 4096 + 24, leaf * 4096 + 26, leaf * 4096 + 28)],
        ['key-order', (bytes) => bytes.writeUInt32BE(0xffffffff, firstNode(bytes, leaf) + 8)],
        ['outside-file', (bytes) => bytes.writeUInt32LE(0x00ffffff, firstNode(bytes, branch))],
        [
          'reached-twice',
          (bytes) =>
            void bytes.copy(bytes, firstNode(bytes, branch), secondNode(bytes, branch), secondNode(bytes, branch) + 4),
        ],
        [
          'overflow',
          (bytes) => bytes.writeUInt32LE(bytes.readUInt32LE(overflow * 4096 + 20) + 1, overflow * 4096 + 20),
        ],
        ['depth', (bytes) => bytes.writeUInt16LE(77, metaAt + 24 + 48 + 6)],
        ['count', (bytes) => bytes.writeUInt32LE(1234, metaAt + 24 + 48 + 32)],
        ['outside-file', (bytes) => bytes.writeUInt32LE(3, metaAt + 120)],
        ['free-page-in-use', (bytes) => listAsFree(bytes, newest, leaf)],
        ['free-list', (bytes) => listAsFree(bytes, newest, 0x00ffffff)],
      ];
      const copy = await copyOf(path);
      for (const [kind, change] of wrong) {
        const bytes = Buffer.from(good);
        change(bytes);
        assert.notDeepEqual(bytes, good, kind);
        await writeFile(dataFile(copy), bytes);
        const { findings } = walkPages(dataFile(copy), all);
        assert.ok(
          findings.some((finding) => finding.kind === kind),
          `${kind}: ${JSON.stringify(findings.slice(0, 3))}`,
        );
        const dead = deadRangesIn(dataFile(copy));
        assert.deepEqual([[...dead.ranges], dead.findings.length > 0], [[], true], 'nothing is called dead');
      }
    });
  });

  it('never make the walk throw, whatever bytes are in them', async () => {
    await withHistory(async (path, _, random) => {
      const good = readFileSync(dataFile(path));
      const copy = await copyOf(path);
      for (let round = 0; round < 150; round++) {
        const bytes = Buffer.from(good);
        for (let flips = 0; flips < 8; flips++) {
          const page = Math.floor((random() * bytes.length) / 4096) * 4096;
          const at = page + Math.floor(random() * (random() < 0.7 ? 64 : 4096));
          bytes[at] = Math.floor(random() * 256);
        }
        await writeFile(
          dataFile(copy),
          bytes.subarray(0, random() < 0.3 ? Math.floor(random() * bytes.length) : undefined),
        );
        assert.ok(Array.isArray(walkPages(dataFile(copy), all).findings));
      }
    });
  });
});

describe('dead ranges', () => {
  it('can be overwritten without any effect on the store', async () => {
    await withHistory(async (path, store, random) => {
      const before = dump(store);
      const copy = await copyOf(path);
      const { ranges, findings } = deadRangesIn(dataFile(copy));
      assert.deepEqual(findings, []);
      const bytes = readFileSync(dataFile(copy));
      let end = 0;
      let deadBytes = 0;
      for (const range of ranges) {
        assert.ok(
          range.start >= end && range.end > range.start && range.end <= bytes.length,
          'in order, without overlaps',
        );
        randomBytes(range.end - range.start).copy(bytes, range.start);
        end = range.end;
        deadBytes += range.end - range.start;
      }
      assert.ok(deadBytes > 4096);
      await writeFile(dataFile(copy), bytes);
      const other = openLmdbStore({ path: copy, readOnly: false });
      assert.deepEqual(dump(other), before);
      for (let round = 0; round < 20; round++) await writeSome(other, random);
      assert.deepEqual(walkPages(dataFile(copy), all).findings, []);
      await other.close();
    });
  });

  it('hold all that is left of what was removed', async () => {
    await withHistory(async (path, store, random) => {
      const file = dataFile(path);
      const secrets = [600, 600, 600, 9_000, 60_000].map((length) => randomBytes(length));
      const keyOf = (index: number): Buffer => Buffer.from(`secret-${index}`);
      const put = await store.write((writer) => {
        for (const [index, secret] of secrets.entries()) writer.put('templates', keyOf(index), secret);
      });
      await put.durable;
      await writeSome(store, random);
      assert.deepEqual(findRemains(file, deadRangesIn(file).ranges, []), []);
      for (const [index] of secrets.entries()) await store.write((writer) => writer.remove('templates', keyOf(index)));
      // Two more commits, so that neither snapshot holds them; small ones, which use few pages again.
      for (const key of ['one', 'two']) await store.write((writer) => writer.put('meta', Buffer.from(key), low));
      const anywhere = findAnywhere([file], secrets).map(({ start, bytes }) => [start, start + bytes] as const);
      assert.ok(anywhere.length > 0, 'something is left');
      const { ranges, findings } = deadRangesIn(file);
      assert.deepEqual(findings, []);
      const dead = findRemains(file, ranges, secrets);
      const covered = (at: number): boolean => dead.some(({ start, bytes }) => at >= start && at < start + bytes);
      for (const [start, end] of anywhere) assert.ok(covered(start) && covered(end - 1), `bytes ${start} to ${end}`);
    });
  });
});

function secondNode(bytes: Buffer, page: number): number {
  return page * 4096 + 24 + bytes.readUInt16LE(page * 4096 + 26);
}

/** Puts a page's number over the first entry of the first list of free pages. */
function listAsFree(bytes: Buffer, newest: LmdbMeta, page: number): void {
  let at = newest.free.root ?? 0;
  for (let level = 1; level < newest.free.depth; level++)
    at = bytes.readUInt32LE(at * 4096 + 24 + bytes.readUInt16LE(at * 4096 + 24));
  for (let index = 0; index * 2 < bytes.readUInt16LE(at * 4096 + 20); index++) {
    const node = at * 4096 + 24 + bytes.readUInt16LE(at * 4096 + 24 + index * 2);
    const list = bytes.readUInt16LE(node + 4) === 0 ? node + 16 : bytes.readUInt32LE(node + 16) * 4096 + 24;
    if (bytes.readUInt32LE(list) > 0) {
      bytes.writeBigInt64LE(1n, list);
      bytes.writeBigInt64LE(BigInt(page), list + 8);
      return;
    }
  }
  assert.fail('the file lists no free page');
}
