/**
 * Method: a gallery is deleted by a process that may not write any page. After DISK_FULL the gallery must be there as before, and be deleted when there is
 * room again. Found by the simulation.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { makeFaces, randomFrom } from '../index/faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder } from '../index/folders.js';
import { call, type Call, type Outcome } from '../simulation/calls.js';
import { Host } from '../simulation/host.js';
import { everyWriteFails } from '../simulation/starvation.js';

describe('regression: a gallery deleted on a full disk', function () {
  this.timeout(30_000);

  it('is there after DISK_FULL', async function () {
    await inTemporaryFolder(async (path) => {
      const host = new Host();
      const ask = async (each: Call): Promise<Outcome> => (await host.calls(0, [each]))[0] as Outcome;
      const code = (outcome: Outcome): string => ('code' in outcome ? outcome.code : 'done');
      try {
        const faces = makeFaces(randomFrom(63));
        assert.equal(code(await host.open(0, { path })), 'done');
        const draft = galleryDraft('lobby', faces.dimensions);
        assert.equal(code(await ask(call('createGallery', draft))), 'done');
        assert.equal(code(await ask(call('enroll', enrollDraft('lobby', 'alice', [faces.face(1)])))), 'done');
        const before = await ask(call('getGallery', 'lobby'));
        if (!(await host.limitFiles(everyWriteFails))) {
          console.log('      skipped: there is no prlimit');
          this.skip();
        }
        assert.equal(code(await ask(call('deleteGallery', 'lobby'))), 'DISK_FULL');
        assert.deepEqual(await ask(call('getGallery', 'lobby')), before);
        assert.equal(code(await ask(call('getIdentity', 'lobby', 'alice'))), 'done');
        await host.limitFiles(null);
        assert.equal(code(await ask(call('enroll', enrollDraft('lobby', 'bob', [faces.face(2)])))), 'done');
        assert.deepEqual(await ask(call('deleteGallery', 'lobby')), { value: true });
      } finally {
        await host.kill();
      }
    });
  });
});
