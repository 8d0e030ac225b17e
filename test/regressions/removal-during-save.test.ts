/**
 * Method: templates are removed while the graph is written to a file. The number of entries that `save` tells must be the one in the file's header (a u64
 * at byte 16), or the checkpoint is thrown away as incomplete. Found by the simulation.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { openHnswGraph } from '../../src/index/hnsw-graph.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { inTemporaryFolder } from '../index/folders.js';

describe('regression: templates removed while a graph is saved', () => {
  it('are still counted among the entries of its file', async () => {
    await inTemporaryFolder(async (path) => {
      const count = 300;
      const faces = makeFaces(randomFrom(66));
      const graph = openHnswGraph({ dimensions: faces.dimensions, exactMax: 10 });
      const vectors = new Float32Array(count * faces.dimensions);
      for (let i = 0; i < count; i++) vectors.set(faces.face(i), i * faces.dimensions);
      const labels = Uint32Array.from({ length: count }, (_, i) => i);
      graph.addNow({ labels, owners: labels, vectors });
      await graph.settle();
      const file = join(path, 'graph');
      const saving = graph.save(file);
      graph.removeNow(Uint32Array.of(1, 2, 3));
      assert.equal(await saving, count);
      assert.equal(Number(readFileSync(file).readBigUInt64LE(16)), count);
      assert.equal(graph.countsNow().removedCount, 3);
      await graph.close();
    });
  });
});
