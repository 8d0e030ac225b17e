/**
 * Method: an index is closed while its process may not write any page, and opened again by the same process when it may. Whatever closing says, a closed
 * index must not hold its directory. Found by the simulation: closing hung, and left its record behind.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { makeFaces, randomFrom } from '../index/faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder } from '../index/folders.js';
import { call, type Call, type Outcome } from '../simulation/calls.js';
import { Host } from '../simulation/host.js';
import { everyWriteFails } from '../simulation/starvation.js';

describe('regression: an index closed on a full disk', function () {
  this.timeout(30_000);

  it('holds its directory no longer', async function () {
    await inTemporaryFolder(async (path) => {
      const host = new Host();
      const ask = async (each: Call): Promise<Outcome> => (await host.calls(0, [each]))[0] as Outcome;
      const code = (outcome: Outcome): string => ('code' in outcome ? outcome.code : 'done');
      try {
        const faces = makeFaces(randomFrom(64));
        assert.equal(code(await host.open(0, { path })), 'done');
        assert.equal(code(await ask(call('createGallery', galleryDraft('lobby', faces.dimensions)))), 'done');
        assert.equal(code(await ask(call('enroll', enrollDraft('lobby', 'alice', [faces.face(1)])))), 'done');
        if (!(await host.limitFiles(everyWriteFails))) {
          console.log('      skipped: there is no prlimit');
          this.skip();
        }
        const closed = code(await host.close(0));
        assert.ok(closed === 'done' || closed === 'DISK_FULL', closed);
        await host.limitFiles(null);
        const again = await host.open(0, { path });
        assert.equal(code(again), 'done', JSON.stringify(again));
        assert.equal(code(await ask(call('getIdentity', 'lobby', 'alice'))), 'done');
      } finally {
        await host.kill();
      }
    });
  });
});
