/**
 * Method: the folder of the graph files is replaced by a file while the index is open, as a broken disk or a hand may do. A gallery with a checkpoint
 * must still be deleted, and be gone after the next opening. Found by the simulation (seed 20261124, step 11041): INTERNAL, ENOTDIR.
 */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { openIdentityIndex } from '../../src/index/identity-index.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder } from '../index/folders.js';

describe('regression: a gallery deleted without the folder of its graph file', () => {
  it('is gone', async () => {
    await inTemporaryFolder(async (path) => {
      const faces = makeFaces(randomFrom(11));
      const warnings: string[] = [];
      const options = { path, exactMax: 4, onWarning: (message: string) => void warnings.push(message) };
      const index = await openIdentityIndex(options);
      await index.createGallery(galleryDraft('lobby', faces.dimensions));
      for (let i = 0; i < 20; i++) await index.enroll(enrollDraft('lobby', `person ${i}`, [faces.face(i)]));
      await index.settle();
      await index.checkpoint('lobby');
      const folder = join(path, 'graphs');
      assert.equal(readdirSync(folder).length, 1);
      rmSync(folder, { recursive: true });
      writeFileSync(folder, '');
      await index.enroll(enrollDraft('lobby', 'one more', [faces.face(20)]));
      await assert.rejects(index.checkpoint('lobby'), { code: 'UNAVAILABLE', message: /something else stands where/ });
      assert.equal(await index.deleteGallery('lobby'), true);
      await index.close();
      rmSync(folder);
      const again = await openIdentityIndex(options);
      assert.deepEqual(again.listGalleries(), []);
      await again.close();
      assert.equal(warnings.length, 1, warnings.join('; '));
      assert.match(warnings[0] ?? '', /deleted gallery could not be removed/);
    });
  });
});
