/**
 * Method: people are enrolled and erased without a pause while one backup after the other is taken, restored and compared with itself. What erasures overwrite must
 * never be something that a snapshot reads, whenever it was taken. Found by the test of backups: a snapshot that was taken between
 * the look for open ones and the scan lost pages, and answered with too little.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { openIdentityIndex } from '../../src/index/identity-index.js';
import { restoreDatabase } from '../../src/index/restore.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder } from '../index/folders.js';

describe('regression: bytes that are overwritten under a reader', function () {
  this.timeout(60_000);

  it('are not those of a snapshot', async () => {
    await inTemporaryFolder(async (folder) => {
      const faces = makeFaces(randomFrom(71));
      const index = await openIdentityIndex({ path: join(folder, 'data') });
      await index.createGallery(galleryDraft('lobby', faces.dimensions, { duplicates: 'ignore' }));
      const vectors = Array.from({ length: 6 }, (_, i) => faces.face(i));
      const erasing: Promise<unknown>[] = [];
      let enrolled = 0;
      let stop = false;
      const writing = (async () => {
        for (; !stop; enrolled++) {
          await index.enroll(enrollDraft('lobby', `p${enrolled}`, vectors, { groups: ['all'] }));
          if (enrolled % 3 === 0) erasing.push(index.eraseIdentity('lobby', `p${enrolled}`));
        }
      })();
      for (let round = 1; round <= 8; round++) {
        while (enrolled < 60 * round) await index.settle();
        const path = join(folder, `restored-${round}`);
        const { records } = await restoreDatabase({ path, from: index.backup({ product: 'test' }) });
        assert.equal(records['identities'], records['owners']);
        assert.equal(records['memberships'], records['owners']);
        assert.equal(records['templates'], 6 * (records['owners'] ?? 0));
        assert.ok((records['owners'] ?? 0) > 0);
      }
      stop = true;
      await writing;
      await Promise.all(erasing);
      await index.close();
    });
  });
});
