/**
 * Method: a graph is saved, and the file cut before it is looked at, as the native writer leaves it (without an error) under a limit of file sizes or a
 * quota, where the disk itself has room. Found by the simulation (seed 20261124, step 25804): INTERNAL instead of DISK_FULL.
 */
import assert from 'node:assert/strict';
import { readdirSync, statSync, truncateSync } from 'node:fs';
import { describe, it } from 'mocha';
import { isHarmonidError } from '../../src/errors.js';
import { graphsFolder, placeGraphFile } from '../../src/index/checkpoint.js';
import { openHnswlibGraph } from '../../src/index/hnswlib-graph.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { inTemporaryFolder } from '../index/folders.js';

describe('regression: a graph file that the disk cut', () => {
  it('is a full disk, wherever it ends, and leaves nothing', async () => {
    const faces = makeFaces(randomFrom(5));
    const labels = Uint32Array.from({ length: 100 }, (_, i) => i + 1);
    const vectors = new Float32Array(labels.length * faces.dimensions);
    labels.forEach((label, i) => vectors.set(faces.face(label), i * faces.dimensions));
    const graph = openHnswlibGraph({ dimensions: faces.dimensions, exactMax: 10 });
    await graph.add({ labels, owners: labels, vectors });
    await graph.settle();
    const cleaning = { isLive: () => true, vectorOf: (label: number) => graph.table.vectorOf(label) };
    await inTemporaryFolder(async (path) => {
      for (const share of [0, 0.001, 0.5, 0.999]) {
        const write = async (file: string): Promise<number | null> => {
          const count = await graph.save(file);
          truncateSync(file, Math.floor(share * statSync(file).size));
          return count;
        };
        await assert.rejects(
          placeGraphFile(path, '1-1-test.hnsw', write, cleaning, null),
          (error) => isHarmonidError(error) && error.code === 'DISK_FULL',
          `cut to ${share}`,
        );
        assert.deepEqual(readdirSync(graphsFolder(path)), []);
      }
    });
    await graph.close();
  });
});
