/**
 * Method: graph files that native code dies of, under a checkpoint record with their right digest: one of them while it is loaded, the other at
 * the first search. They are made by hand from a good file. Processes of their own open the directory and really die.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'mocha';
import { checkpointCodec, ranges } from '../../src/index/codec.js';
import { openIdentityIndex } from '../../src/index/identity-index.js';
import { openLmdbStore } from '../../src/index/lmdb-store.js';
import { makeFaces, randomFrom } from './faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder, testSpace } from './folders.js';

const faces = makeFaces(randomFrom(71));
const exactMax = 50;
const peopleCount = 200;
const openChild = fileURLToPath(new URL('./open-child.js', import.meta.url));

/** hnswlib's header: where the sizes lie that the fatal files change or need. */
const header = { bytes: 96, count: 16, entryBytes: 24, linksMax: 56 } as const;

const fatal: Record<string, (bytes: Buffer) => void> = {
  // The size of an upper layer's links becomes 4 * (2^62 - 1) + 4, which is 0 in 64 bits, and is divided by.
  'while it is loaded': (bytes) => bytes.writeBigUInt64LE(2n ** 62n - 1n, header.linksMax),
  // Every link leads far beyond the memory of the graph.
  'at the first search': (bytes) => {
    const count = Number(bytes.readBigUInt64LE(header.count));
    const entryBytes = Number(bytes.readBigUInt64LE(header.entryBytes));
    for (let entry = 0; entry < count; entry++) {
      const start = header.bytes + entry * entryBytes;
      const links = bytes.readUInt16LE(start);
      for (let link = 1; link <= links; link++) bytes.writeUInt32LE(0x7fffffff, start + link * 4);
    }
  },
};

async function prepare(path: string): Promise<void> {
  const index = await openIdentityIndex({ path, engine: 'hnswlib', exactMax, durability: 'committed' });
  await index.createGallery(galleryDraft('lobby', faces.dimensions, { duplicates: 'ignore' }));
  for (let person = 0; person < peopleCount; person++) {
    await index.enroll(enrollDraft('lobby', `p${person}`, [faces.face(person)]));
  }
  await index.settle();
  await index.close();
}

/** Changes the graph file and makes its checkpoint agree. */
async function exchange(path: string, change: (bytes: Buffer) => void): Promise<string> {
  const [name = ''] = await readdir(join(path, 'graphs'));
  const file = join(path, 'graphs', name);
  const bytes = await readFile(file);
  change(bytes);
  await writeFile(file, bytes);
  const store = openLmdbStore({ path, readOnly: false });
  const [entry] = Array.from(store.range('checkpoints', ...ranges.all()));
  assert.ok(entry);
  const record = checkpointCodec.decode(entry.key, entry.value);
  assert.ok(record.file);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const changed = checkpointCodec.encode(entry.key, { ...record, file: { ...record.file, sha256 } });
  store.writeNow((writer) => writer.put('checkpoints', entry.key, changed));
  await store.close();
  return name;
}

/** Where the graph came from, or the signal that ended the process. */
async function openInChild(path: string): Promise<string> {
  const child = fork(openChild, [path, `${exactMax}`], { stdio: 'ignore' });
  let openedFrom = 'nothing said';
  child.on('message', (message) => (openedFrom = typeof message === 'string' ? message : 'something else said'));
  const [, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return signal ?? openedFrom;
}

describe('crash loop', function () {
  this.timeout(60_000);

  for (const [when, change] of Object.entries(fatal)) {
    it(`ends: a file that kills the process ${when} is not tried a third time`, async () => {
      await inTemporaryFolder(async (path) => {
        await prepare(path);
        const name = await exchange(path, change);
        for (const attempt of ['first', 'second']) {
          assert.match(await openInChild(path), /^SIG(SEGV|FPE|BUS|ABRT)$/, attempt);
        }
        assert.deepEqual(await readdir(join(path, 'graphs')), [name, `${name}.loading`]);

        // Native code would take this process with it.
        const warnings: string[] = [];
        const index = await openIdentityIndex({
          path,
          engine: 'hnswlib',
          exactMax,
          onWarning: (message, facts) => warnings.push(`${message} ${JSON.stringify(facts)}`),
        });
        assert.equal((await index.stats())[0]?.graph.openedFrom, 'rebuild');
        assert.equal(warnings.length, 1);
        assert.match(warnings[0] ?? '', /built anew.*died 2 times/);
        assert.ok((await readdir(join(path, 'graphs'))).includes(name), 'it can still be looked at');
        for (let person = 0; person < peopleCount; person += 20) {
          const probe = faces.face(person);
          const answer = await index.search({ gallery: 'lobby', space: testSpace, probe, k: 1, exact: false, ef: 64 });
          assert.equal(answer.candidates[0]?.identity, `p${person}`);
        }
        await index.settle();
        await index.close();
        const [left = '', ...others] = await readdir(join(path, 'graphs'));
        assert.deepEqual(others, [], 'the new checkpoint alone');
        assert.notEqual(left, name);
        assert.equal(await openInChild(path), 'checkpoint');
      });
    });
  }

  it('is not taken for one when a single attempt was killed, and the attempt after it leaves no mark', async () => {
    await inTemporaryFolder(async (path) => {
      await prepare(path);
      const [name = ''] = await readdir(join(path, 'graphs'));
      await writeFile(join(path, 'graphs', `${name}.loading`), '.');
      await writeFile(join(path, 'graphs', '1-1-gone.hnsw.loading'), '.');
      assert.equal(await openInChild(path), 'checkpoint');
      assert.deepEqual(await readdir(join(path, 'graphs')), [name]);
    });
  });
});
