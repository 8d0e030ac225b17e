/**
 * Method: one identity with the same vector twice, enrolled so that the later template takes the place in memory of a removed one and is met
 * first by a scan. Search and verification must name the same template. Found by the simulation.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { openIdentityIndex } from '../../src/index/identity-index.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder, testSpace } from '../index/folders.js';

describe('regression: two templates at the same distance', () => {
  it('are told apart by their number, in searches as in verifications', async () => {
    await inTemporaryFolder(async (path) => {
      const faces = makeFaces(randomFrom(62));
      const index = await openIdentityIndex({ path });
      const gallery = 'lobby';
      const probe = faces.face(1);
      await index.createGallery(galleryDraft(gallery, faces.dimensions, { duplicates: 'ignore' }));
      await index.enroll(enrollDraft(gallery, 'removed', [faces.face(2)]));
      const first = await index.enroll(enrollDraft(gallery, 'alice', [probe]));
      await index.eraseIdentity(gallery, 'removed');
      await index.enroll(enrollDraft(gallery, 'alice', [probe]));
      const answer = await index.search({ gallery, space: testSpace, probe, k: 1, exact: true, ef: 64 });
      const verified = index.verify({ gallery, space: testSpace, identity: 'alice', probe });
      assert.equal(answer.candidates[0]?.template, first.templates[0]?.template);
      assert.equal(verified.template, first.templates[0]?.template);
      await index.close();
    });
  });
});
