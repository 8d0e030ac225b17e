/**
 * Method: an index in a process of its own on a small file system that is full. Refused writes must reach their callers, and nobody else: a rejection that
 * no one handles ends the process. Found by the simulation (lmdb-js's event turn batching made one with every failing commit).
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { makeFaces, randomFrom } from '../index/faces.js';
import { enrollDraft, galleryDraft } from '../index/folders.js';
import { call, type Outcome } from '../simulation/calls.js';
import { Host } from '../simulation/host.js';
import { openPlace } from '../simulation/place.js';

describe('regression: a full disk', function () {
  this.timeout(30_000);

  it('does not end the process', async function () {
    const place = openPlace();
    const host = new Host();
    try {
      if (!place.isSmall) {
        console.log('      skipped: a small file system can only be mounted as root');
        this.skip();
      }
      const faces = makeFaces(randomFrom(61));
      const draft = galleryDraft('lobby', faces.dimensions, { duplicates: 'ignore' });
      const large = (person: number): ReturnType<typeof call<'enroll'>> =>
        call(
          'enroll',
          enrollDraft('lobby', `p${person}`, [faces.face(person)], { attributes: { note: 'x'.repeat(50_000) } }),
        );
      const code = (outcome: Outcome | undefined): string => (outcome && 'code' in outcome ? outcome.code : 'done');
      assert.ok('value' in (await host.open(0, { path: place.path })));
      for (const each of [call('createGallery', draft), large(1)]) {
        assert.deepEqual((await host.calls(0, [each])).map(code), ['done']);
      }
      place.fill(0);
      for (let round = 0; round < 5; round++) {
        const outcomes = await host.calls(0, [large(10 + round), large(20 + round), large(30 + round)]);
        assert.ok(outcomes.map(code).includes('DISK_FULL'), JSON.stringify(outcomes));
      }
      place.empty();
      assert.deepEqual((await host.calls(0, [large(2)])).map(code), ['done']);
    } finally {
      await host.kill();
      place.remove();
    }
  });
});
