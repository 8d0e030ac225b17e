/**
 * Method: an index whose graph is saved, then opened again with its graph file whole, damaged, cut, missing or exchanged. Whatever
 * happened to the file, the answers must be those of a brute-force map; `openedFrom` and the warnings say which way was taken.
 */
import assert from 'node:assert/strict';
import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { ranges } from '../../src/index/codec.js';
import { openIdentityIndex, type IdentityIndex } from '../../src/index/identity-index.js';
import { openLmdbStore } from '../../src/index/lmdb-store.js';
import { makeFaces, randomFrom } from './faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder, testSpace } from './folders.js';
import { assertSame, nearestIn, type Model } from './model.js';

const gallery = 'lobby';
const faces = makeFaces(randomFrom(51));
const exactMax = 50;

interface Opening {
  readonly engine: 'harmonid' | 'hnswlib';
  readonly checkpointEvery?: number;
}

interface Opened {
  readonly index: IdentityIndex;
  readonly warnings: string[];
}

async function open(path: string, { checkpointEvery = 1_000_000, engine }: Opening): Promise<Opened> {
  const warnings: string[] = [];
  const index = await openIdentityIndex({
    path,
    engine,
    exactMax,
    checkpointEvery,
    durability: 'committed',
    onWarning: (message, facts) => warnings.push(`${message} ${JSON.stringify(facts)}`),
  });
  return { index, warnings };
}

async function enroll(index: IdentityIndex, model: Model, from: number, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const identity = `p${from + i}`;
      const vectors = [faces.face(from + i), faces.face(from + i)];
      const { templates } = await index.enroll(enrollDraft(gallery, identity, vectors, { duplicates: 'ignore' }));
      const stored = new Map(templates.map(({ template }, j) => [template, vectors[j] ?? faces.face(0)]));
      model.set(identity, { label: '', groups: [], attributes: {}, version: 1, templates: stored });
    }),
  );
}

async function assertFinds(index: IdentityIndex, model: Model): Promise<void> {
  assertSame(index, gallery, model);
  let found = 0;
  for (let person = 0; person < 100; person += 5) {
    const probe = faces.face(person);
    const answer = await index.search({ gallery, space: testSpace, probe, k: 3, exact: false, ef: 128 });
    const truth = nearestIn(model, probe, 3);
    assert.equal(answer.candidates.length, 3);
    if (answer.candidates[0]?.identity === truth[0]?.identity) found++;
  }
  assert.ok(found >= 19, `${found} of 20`);
}

const openedFrom = async (index: IdentityIndex): Promise<string | undefined> =>
  (await index.stats())[0]?.graph.openedFrom;
const graphFiles = (path: string): Promise<string[]> => readdir(join(path, 'graphs'));

/** A closed directory with 150 people, 20 of them erased, and one graph file. */
async function prepare(path: string, engine: Opening['engine']): Promise<Model> {
  const model: Model = new Map();
  const { index } = await open(path, { engine });
  await index.createGallery(galleryDraft(gallery, faces.dimensions));
  await enroll(index, model, 0, 150);
  await index.settle();
  for (let person = 100; person < 120; person++) {
    await index.eraseIdentity(gallery, `p${person}`);
    model.delete(`p${person}`);
  }
  await index.close();
  assert.equal((await graphFiles(path)).length, 1);
  return model;
}

for (const engine of ['harmonid', 'hnswlib'] as const)
  describe(`checkpoint, ${engine}`, function () {
    this.timeout(30_000);

    it('is written at closing and used at opening', async () => {
      await inTemporaryFolder(async (path) => {
        const model = await prepare(path, engine);
        const { index, warnings } = await open(path, { engine });
        assert.equal(await openedFrom(index), 'checkpoint');
        const [stats] = await index.stats();
        assert.deepEqual(
          [stats?.graph.indexedCount, stats?.graph.pendingCount, stats?.graph.checkpointSequence],
          [260, 0, 170],
        );
        await assertFinds(index, model);
        assert.deepEqual(warnings, []);
        const files = await graphFiles(path);
        await index.close();
        assert.deepEqual(await graphFiles(path), files, 'nothing changed, nothing is written');
      });
    });

    it('is caught up with what came after it', async () => {
      await inTemporaryFolder(async (path) => {
        const model = await prepare(path, engine);
        const first = await open(path, { engine });
        const [kept] = await graphFiles(path);
        assert.ok(kept);
        const bytes = await readFile(join(path, 'graphs', kept));
        const store = openLmdbStore({ path, readOnly: true });
        const [checkpoint] = Array.from(store.range('checkpoints', ...ranges.all()));
        await store.close();
        assert.ok(checkpoint);
        await enroll(first.index, model, 200, 30);
        for (const person of [0, 5, 130]) {
          await first.index.eraseIdentity(gallery, `p${person}`);
          model.delete(`p${person}`);
        }
        await first.index.close();
        // Back to the older file and its record, as a process that died before its next checkpoint leaves them.
        for (const name of await graphFiles(path)) await rm(join(path, 'graphs', name));
        await writeFile(join(path, 'graphs', kept), bytes);
        const writable = openLmdbStore({ path, readOnly: false });
        writable.writeNow((writer) => writer.put('checkpoints', checkpoint.key, checkpoint.value));
        await writable.close();
        const { index, warnings } = await open(path, { engine });
        assert.equal(await openedFrom(index), 'checkpoint');
        await assertFinds(index, model);
        await index.settle();
        assert.equal((await index.stats())[0]?.graph.indexedCount, 260 + 60 - 6);
        await assertFinds(index, model);
        assert.deepEqual(warnings, []);
        await index.close();
      });
    });

    const damages: Record<string, (file: string) => Promise<void>> = {
      'one flipped bit': async (file) => {
        const bytes = await readFile(file);
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
        await writeFile(file, bytes);
      },
      'a cut end': async (file) => truncate(file, (await readFile(file)).length - 5),
      'no bytes': async (file) => truncate(file, 0),
      'no file': async (file) => rm(file),
      'other bytes': async (file) => writeFile(file, Buffer.alloc(100_000, 0xff)),
    };
    for (const [name, damage] of Object.entries(damages)) {
      it(`with ${name} is not loaded: the graph is built anew and a warning says so`, async () => {
        await inTemporaryFolder(async (path) => {
          const model = await prepare(path, engine);
          const [file] = await graphFiles(path);
          await damage(join(path, 'graphs', file ?? ''));
          const { index, warnings } = await open(path, { engine });
          assert.equal(await openedFrom(index), 'rebuild');
          assert.equal(warnings.length, 1);
          assert.match(warnings[0] ?? '', /built anew/);
          await assertFinds(index, model);
          await index.settle();
          await assertFinds(index, model);
          await index.close();
          const again = await open(path, { engine });
          assert.equal(await openedFrom(again.index), 'checkpoint');
          assert.deepEqual(again.warnings, []);
          await again.index.close();
        });
      });
    }

    it('is written again when another graph took over, although nothing was written since', async function () {
      // Our own engine takes removed templates out of the graph that is there.
      if (engine === 'harmonid') this.skip();
      await inTemporaryFolder(async (path) => {
        const model = await prepare(path, engine);
        const { index } = await open(path, { engine });
        for (let person = 0; person < 40; person++) {
          await index.eraseIdentity(gallery, `p${person}`);
          model.delete(`p${person}`);
        }
        // Saved while the old graph may still be there; nothing is written after that.
        await index.checkpoint();
        await index.settle();
        const [stats] = await index.stats();
        assert.ok((stats?.graph.rebuiltCount ?? 0) >= 1);
        await index.close();
        const again = await open(path, { engine });
        assert.equal(await openedFrom(again.index), 'checkpoint');
        assert.equal((await again.index.stats())[0]?.graph.removedCount, stats?.graph.removedCount);
        await assertFinds(again.index, model);
        await again.index.close();
      });
    });

    it('comes by itself every so many changes, prunes the change log and leaves one file', async () => {
      await inTemporaryFolder(async (path) => {
        const model: Model = new Map();
        const { index, warnings } = await open(path, { engine, checkpointEvery: 40 });
        await index.createGallery(galleryDraft(gallery, faces.dimensions));
        for (let round = 0; round < 5; round++) {
          await enroll(index, model, round * 40, 40);
          await index.settle();
        }
        await index.checkpoint(gallery);
        const [stats] = await index.stats();
        assert.equal(stats?.graph.checkpointSequence, 200);
        assert.equal((await graphFiles(path)).length, 1);
        const store = openLmdbStore({ path, readOnly: false });
        assert.equal(Array.from(store.range('changes', ...ranges.all())).length, 0);
        await store.close();
        await enroll(index, model, 300, 3);
        assert.deepEqual(warnings, []);
        await index.close();
      });
    });

    it('removes what a killed process left beside it', async () => {
      await inTemporaryFolder(async (path) => {
        const model = await prepare(path, engine);
        const files = await graphFiles(path);
        await writeFile(join(path, 'graphs', '.part-123'), 'half');
        await writeFile(join(path, 'graphs', '1-1-abcdef00.hnsw'), 'old');
        const { index, warnings } = await open(path, { engine });
        assert.deepEqual(await graphFiles(path), files);
        await assertFinds(index, model);
        assert.deepEqual(warnings, []);
        await index.close();
      });
    });

    it('is written while searches and enrolments go on, and loses none of them', async () => {
      await inTemporaryFolder(async (path) => {
        const model = await prepare(path, engine);
        const { index } = await open(path, { engine });
        let saving = true;
        const writing = (async () => {
          for (let from = 1_000; saving; from += 5) await enroll(index, model, from, 5);
        })();
        for (let round = 0; round < 5; round++) {
          await index.eraseIdentity(gallery, `p${round}`);
          model.delete(`p${round}`);
          await index.checkpoint();
        }
        saving = false;
        await writing;
        await assertFinds(index, model);
        await index.close();
        const again = await open(path, { engine });
        assert.equal(await openedFrom(again.index), 'checkpoint');
        await assertFinds(again.index, model);
        await again.index.close();
      });
    });
  });

describe('event loop', function () {
  this.timeout(30_000);

  it('stays free during bulk enrolment and opening', async () => {
    await inTemporaryFolder(async (path) => {
      const wide = makeFaces(randomFrom(52), { dimensions: 128 });
      const vectors = Array.from({ length: 3_000 }, (_, person) => wide.face(person % 500));
      const { index } = await open(path, { engine: 'harmonid' });
      await index.createGallery(galleryDraft(gallery, 128, { duplicates: 'ignore' }));
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      let next = 0;
      await Promise.all(
        Array.from({ length: 16 }, async () => {
          while (next < vectors.length) {
            const i = next++;
            const vector = vectors[i];
            if (vector) await index.enroll(enrollDraft(gallery, `p${i}`, [vector]));
          }
        }),
      );
      await index.close();
      const again = await open(path, { engine: 'harmonid' });
      delay.disable();
      const [p50, p99, max] = [delay.percentile(50), delay.percentile(99), delay.max].map((ns) =>
        (ns / 1e6).toFixed(1),
      );
      console.log(`      event loop delay: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`);
      assert.equal(again.index.getGallery(gallery).templateCount, vectors.length);
      // Twice a shared machine's noise; the figures above are what is looked at.
      assert.ok(delay.percentile(99) / 1e6 < 40, `p99 ${p99} ms`);
      await again.index.close();
    });
  });
});
