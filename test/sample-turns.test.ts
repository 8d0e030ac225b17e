/** Method: work that ends when the test says so, so that what is in work at a time is a fact; and a real enrolment behind a gate, as the image lane sees it. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import type { Embedder } from '../src/embedder/embedder.js';
import { HarmonidError, isHarmonidError } from '../src/errors.js';
import { eachSample } from '../src/sample-turns.js';
import { Gate } from './server/served.js';
import { keptOpen, openTestEmbedder, withDatabase } from './support/database.js';
import { portrait } from './support/photos.js';

const refused = (message: string): HarmonidError => new HarmonidError('NO_FACE', message, { details: { seen: 0 } });
const turnOfLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the samples of a call', () => {
  it('are worked on a few at a time, and answered in their order', async () => {
    let inWork = 0;
    let inWorkMax = 0;
    const answers = await eachSample([...'abcdefghijk'], async (letter) => {
      inWorkMax = Math.max(inWorkMax, ++inWork);
      for (let turn = letter.charCodeAt(0) % 3; turn >= 0; turn--) await turnOfLoop();
      inWork--;
      return letter.toUpperCase();
    });
    assert.equal(answers.join(''), 'ABCDEFGHIJK');
    assert.equal(inWorkMax, 4);
    assert.deepEqual(await eachSample([], () => Promise.reject(refused('nothing'))), []);
  });

  it('that are refused: the first in their order is told, what has begun is waited for, nothing more begins', async () => {
    const begun: number[] = [];
    const ended: number[] = [];
    const work = eachSample([...Array(20).keys()], async (sample) => {
      begun.push(sample);
      // The second is refused after the third.
      for (let turns = sample === 1 ? 5 : 1; turns > 0; turns--) await turnOfLoop();
      ended.push(sample);
      if (sample === 1 || sample === 2) throw refused(`no face in ${sample}`);
    });
    await assert.rejects(
      work,
      (error) =>
        isHarmonidError(error) &&
        error.code === 'NO_FACE' &&
        error.message === 'sample 2 of 20: no face in 1' &&
        error.details['sample'] === 1 &&
        error.details['seen'] === 0,
    );
    assert.deepEqual(ended.toSorted(), begun);
    assert.ok(begun.length < 8, `${begun.length} begun`);
  });

  it('of a call with one: its error is told as it is', async () => {
    const error = refused('no face');
    await assert.rejects(
      eachSample(['only'], () => Promise.reject(error)),
      (thrown) => thrown === error,
    );
  });

  describe('in the image lane', () => {
    let embedder: Embedder;
    before(async () => {
      embedder = await openTestEmbedder();
    });
    after(() => embedder.close());

    it('leave room for others, however many they are', async () => {
      const photo = await portrait('green');
      const gate = new Gate();
      const gated: Embedder = {
        ...keptOpen(embedder),
        embedImage: async (image, options) => {
          await gate.pass();
          return embedder.embedImage(image, options);
        },
      };
      await withDatabase({ embedder: gated }, async (database) => {
        await database.createGallery({ gallery: 'default', refuseReasons: [] });
        const enrolment = database.enroll({ identity: 'green', images: Array.from({ length: 12 }, () => photo) });
        await gate.arrivals(4);
        await turnOfLoop();
        const lane = (await database.stats()).lanes.find((each) => each.lane === 'image');
        assert.deepEqual([lane?.running, lane?.waiting], [4, 0]);
        gate.open();
        assert.equal((await enrolment).templates.length, 12);
      });
    });
  });
});
