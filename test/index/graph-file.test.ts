/**
 * Method: graph files are read as plain bytes. What was removed is looked for in pieces of 16 bytes, four values, which no other vector has by
 * chance; what is kept must be there, so that the search is known to work. A second name of a file (a hard link) shows what became of
 * its bytes after it was removed.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { link, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { graphsFolder, placeGraphFile, removeStrayGraphFiles } from '../../src/index/checkpoint.js';
import { shredFile } from '../../src/files/durable-files.js';
import { cleanGraphFile } from '../../src/index/graph-file.js';
import { openHnswlibGraph, type HnswlibGraph } from '../../src/index/hnswlib-graph.js';
import { openIdentityIndex } from '../../src/index/identity-index.js';
import type { UnitVector } from '../../src/vector.js';
import { makeFaces, randomFrom } from './faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder } from './folders.js';

const faces = makeFaces(randomFrom(91));
const { dimensions } = faces;
const exactMax = 50;

function bytesOf(vector: Float32Array): Buffer {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
}

/** How many of the vector's pieces of 16 bytes are anywhere in the file. */
function piecesIn(file: Buffer, vector: Float32Array): number {
  const bytes = bytesOf(vector);
  let count = 0;
  for (let start = 0; start < bytes.length; start += 16) if (file.includes(bytes.subarray(start, start + 16))) count++;
  return count;
}

function makeVectors(count: number): readonly UnitVector[] {
  return Array.from({ length: count }, (_, person) => faces.face(person));
}

/** A graph of the vectors; labels from 1. */
async function graphOf(vectors: readonly Float32Array[]): Promise<HnswlibGraph> {
  const graph = openHnswlibGraph({ dimensions, exactMax });
  const flat = new Float32Array(vectors.length * dimensions);
  vectors.forEach((vector, i) => flat.set(vector, i * dimensions));
  const labels = Uint32Array.from(vectors, (_, i) => i + 1);
  graph.addNow({ labels, owners: labels.slice(), vectors: flat });
  await graph.settle();
  return graph;
}

describe('graph file', function () {
  this.timeout(30_000);

  it('holds nothing of what was removed before it was written, nor of what was removed meanwhile', async () => {
    await inTemporaryFolder(async (path) => {
      const vectors = makeVectors(300);
      const graph = await graphOf(vectors);
      const [before, meanwhile] = [Uint32Array.of(1, 2, 3, 150), Uint32Array.of(4, 77, 300)];
      graph.removeNow(before);
      const facts = await placeGraphFile(
        path,
        'whole.hnsw',
        async (file) => {
          const count = await graph.save(file);
          graph.removeNow(meanwhile);
          return count;
        },
        { isLive: (label) => graph.table.has(label), vectorOf: (label) => graph.table.vectorOf(label) },
        null,
      );
      const bytes = await readFile(join(graphsFolder(path), 'whole.hnsw'));
      assert.equal(facts?.sha256, createHash('sha256').update(bytes).digest('hex'));
      assert.deepEqual([facts?.bytes, facts?.count, facts?.dimensions], [bytes.length, 300, dimensions]);
      const gone = new Set([...before, ...meanwhile]);
      for (const [i, vector] of vectors.entries()) {
        assert.equal(piecesIn(bytes, vector), gone.has(i + 1) ? 0 : dimensions / 4, `label ${i + 1}`);
      }

      const again = openHnswlibGraph({ dimensions, exactMax });
      await again.load(join(graphsFolder(path), 'whole.hnsw'), async () => {
        for (const [i, vector] of vectors.entries()) {
          if (gone.has(i + 1)) continue;
          again.table.add({ labels: Uint32Array.of(i + 1), owners: Uint32Array.of(i + 1), vectors: vector });
        }
      });
      const { indexedCount, pendingCount, removedCount } = again.countsNow();
      assert.deepEqual([indexedCount, pendingCount, removedCount], [293, 0, 7]);
      for (const [i, probes] of vectors.entries()) {
        const [hits = []] = again.searchNow({ probes, k: 1, exact: false, ef: 64 }).hits;
        assert.equal(hits[0]?.label === i + 1, !gone.has(i + 1));
      }
      await again.close();
      await graph.close();
    });
  });

  it('is refused when a link leads nowhere, when its header contradicts itself, and when it ends early', async () => {
    await inTemporaryFolder(async (path) => {
      const graph = await graphOf(makeVectors(100));
      const file = join(path, 'good.hnsw');
      await graph.save(file);
      await graph.close();
      const good = await readFile(file);
      const damages: readonly [RegExp, (bytes: Buffer) => Buffer][] = [
        [/a link of entry 0 leads to 100, there are 100/, (bytes) => (bytes.writeUInt32LE(100, 96 + 4), bytes)],
        [/entry 0 has 33 links, the most is 32/, (bytes) => (bytes.writeUInt16LE(33, 96), bytes)],
        [/the header says/, (bytes) => (bytes.writeBigUInt64LE(1n, 32), bytes)],
        [/its 100 entries need/, (bytes) => bytes.subarray(0, 10_000)],
        [/the file ends within the links of entry 99/, (bytes) => bytes.subarray(0, bytes.length - 1)],
        [/the links end at byte/, (bytes) => Buffer.concat([bytes, Buffer.alloc(8)])],
        [/a header has 96/, (bytes) => bytes.subarray(0, 95)],
      ];
      for (const [message, damage] of damages) {
        await writeFile(file, damage(Buffer.from(good)));
        const handle = await open(file, 'r+');
        await assert.rejects(
          cleanGraphFile(handle, { isLive: () => true, vectorOf: () => new Float32Array(dimensions) }),
          message,
        );
        await handle.close();
      }
    });
  });

  it('is overwritten before it is removed', async () => {
    await inTemporaryFolder(async (path) => {
      const [file, other] = [join(path, 'file'), join(path, 'other')];
      await writeFile(file, Buffer.alloc(2_500_000, 7));
      await link(file, other);
      await shredFile(file);
      assert.deepEqual(await readdir(path), ['other']);
      assert.ok((await readFile(other)).equals(Buffer.alloc(2_500_000)));
      await shredFile(join(path, 'nothing'));
    });
  });

  it('is overwritten when a newer one takes its place, when its gallery is deleted, and when it is litter', async () => {
    await inTemporaryFolder(async (path) => {
      const vectors = makeVectors(120);
      const index = await openIdentityIndex({ path, engine: 'hnswlib', exactMax, durability: 'committed' });
      await index.createGallery(galleryDraft('lobby', dimensions, { duplicates: 'ignore' }));
      for (const [i, vector] of vectors.entries()) await index.enroll(enrollDraft('lobby', `p${i}`, [vector]));
      await index.settle();
      const keepSecondName = async (as: string): Promise<void> => {
        const [name = ''] = await readdir(graphsFolder(path));
        await link(join(graphsFolder(path), name), join(path, as));
      };
      await index.checkpoint();
      await keepSecondName('replaced');
      await index.removeTemplate('lobby', 'p0', 1);
      await index.checkpoint();
      await keepSecondName('deleted');
      const newest = await readFile(join(path, 'deleted'));
      assert.equal(piecesIn(newest, vectors[0] as UnitVector), 0);
      assert.equal(piecesIn(newest, vectors[1] as UnitVector), dimensions / 4);
      await index.deleteGallery('lobby');
      await index.close();
      await writeFile(join(graphsFolder(path), '.part-killed'), bytesOf(vectors[0] as UnitVector));
      await link(join(graphsFolder(path), '.part-killed'), join(path, 'litter'));
      await removeStrayGraphFiles(path, new Set());
      assert.deepEqual(await readdir(graphsFolder(path)), []);
      for (const name of ['replaced', 'deleted', 'litter']) {
        const bytes = await readFile(join(path, name));
        assert.ok(bytes.length > 0 && bytes.every((byte) => byte === 0), name);
      }
    });
  });
});
