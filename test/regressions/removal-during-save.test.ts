/**
 * Method: a template is removed in the turn in which a checkpoint's file begins to be written, as a load does sooner or later. The file must be
 * accepted; its own header says how many entries it has. Found by the crash test (seed 1): "the file holds 95 entries, the graph 94".
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { placeGraphFile } from '../../src/index/checkpoint.js';
import { openHnswlibGraph } from '../../src/index/hnswlib-graph.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { inTemporaryFolder } from '../index/folders.js';

describe('a removal while the graph is saved', () => {
  it('does not make the checkpoint fail', async () => {
    const faces = makeFaces(randomFrom(7));
    const count = 200;
    const labels = Uint32Array.from({ length: count }, (_, i) => i + 1);
    const vectors = new Float32Array(count * faces.dimensions);
    labels.forEach((label, i) => vectors.set(faces.face(label), i * faces.dimensions));
    const graph = openHnswlibGraph({ dimensions: faces.dimensions, exactMax: 10 });
    await graph.add({ labels, owners: labels, vectors });
    await graph.settle();
    await inTemporaryFolder(async (path) => {
      const file = await placeGraphFile(
        path,
        '1-1-test.hnsw',
        (temporary) => {
          const saved = graph.save(temporary);
          graph.removeNow(Uint32Array.of(17));
          return saved;
        },
        { isLive: (label) => graph.table.has(label), vectorOf: (label) => graph.table.vectorOf(label) },
        null,
      );
      assert.equal(file?.count, count);
      assert.equal((await graph.counts()).indexedCount, count - 1);
    });
    await graph.close();
  });
});
