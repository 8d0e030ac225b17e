/**
 * Method: real photos through a real socket, real networks behind it. The expected answers are the library's own, and who is on the
 * photos, which was seen by eye.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import sharp from 'sharp';
import type { Frame, FrameAnswer } from '../../src/client/remote-database.js';
import type { Embedder } from '../../src/embedder/embedder.js';
import { connectDatabase } from '../../src/client/remote-database.js';
import { keptOpen, openTestEmbedder } from '../support/database.js';
import { emptyScene, groupPhoto, portrait } from '../support/photos.js';
import { withServer } from './served.js';

describe('images over the wire', function () {
  this.timeout(60_000);
  let embedder: Embedder;
  before(async () => {
    embedder = await openTestEmbedder();
  });
  after(() => embedder.close());

  it('Enroll, Identify and Verify people from photos, as the library does', () =>
    withServer({ embedder: keptOpen(embedder) }, async ({ database, remote }) => {
      const [blonde, bow] = await Promise.all([portrait('blonde'), portrait('bow')]);
      const enrolled = await remote.enroll({ identity: 'blonde', images: [blonde], faces: 'largest' });
      assert.equal(enrolled.faces.length, 1);
      assert.equal(enrolled.faces[0]?.landmarks.length, 68);
      assert.equal(enrolled.templates[0]?.imageDigest?.length, 64);
      await remote.enroll({ identity: 'bow', images: [bow], faces: 'largest' });

      const probe = await sharp(blonde).jpeg({ quality: 60 }).toBuffer();
      const { timings, ...answer } = await remote.identify({ image: probe, faces: 'largest' });
      const { timings: _clock, ...expected } = await database.identify({ image: probe, faces: 'largest' });
      assert.deepEqual(answer, expected);
      assert.equal(answer.candidates[0]?.identity, 'blonde');
      assert.equal(answer.decision, 'match');
      assert.ok(timings.detectMs > 0 && timings.embedMs > 0 && timings.totalMs > 0, JSON.stringify(timings));

      const verified = await remote.verify({ identity: 'bow', image: probe, faces: 'largest' });
      assert.equal(verified.decision, 'no-match');
    }));

  it('Identify ALL answers for every face, and with nothing where nobody is', () =>
    withServer({ embedder: keptOpen(embedder) }, async ({ remote }) => {
      await remote.enroll({ identity: 'bow', images: [await portrait('bow')], faces: 'largest' });
      const photo = groupPhoto(1);
      const faces = await remote.identifyFaces({ image: photo });
      const { faces: embedded } = await remote.embed({ image: photo });
      assert.ok(faces.length > 1);
      assert.deepEqual(
        faces.map(({ face }) => face),
        embedded.map(({ face }) => face),
      );
      assert.deepEqual(
        faces.filter(({ decision }) => decision === 'match').map(({ candidates }) => candidates[0]?.identity),
        ['bow'],
      );
      assert.deepEqual(await remote.identifyFaces({ image: await emptyScene() }), []);
    }));

  it('Embed gives vectors that Enroll and Identify take back', () =>
    withServer({ embedder: keptOpen(embedder) }, async ({ database, remote }) => {
      const image = await portrait('green');
      const answer = await remote.embed({ image });
      const expected = await database.embed({ image });
      assert.deepEqual([answer.width, answer.height, answer.faces], [expected.width, expected.height, expected.faces]);
      const embedding = answer.faces[0]?.embedding;
      assert.ok(embedding);
      await remote.enroll({ identity: 'green', images: [image], faces: 'largest' });
      const { candidates } = await remote.identify({ embedding });
      assert.equal(candidates[0]?.identity, 'green');
      assert.ok(candidates[0].distance < 1e-6, `${candidates[0].distance}`);
      const { embedder: info } = await remote.info();
      assert.equal(info?.space, embedding.space);
    }));

  it('a deadline of a millisecond on a large photo', () =>
    withServer({ embedder: keptOpen(embedder) }, async ({ server, remote }) => {
      await remote.enroll({ identity: 'bow', images: [await portrait('bow')], faces: 'largest' });
      const hurried = connectDatabase({ address: server.address, deadlineMs: 1 });
      try {
        await assert.rejects(hurried.identify({ image: groupPhoto(1), faces: 'largest' }), {
          code: 'DEADLINE_EXCEEDED',
        });
      } finally {
        await hurried.close();
      }
      assert.equal((await remote.identifyFaces({ image: groupPhoto(1) })).length > 0, true);
    }));

  it('IdentifyStream under load drops stale frames, counts them, and answers the last', () =>
    withServer({ embedder: keptOpen(embedder) }, async ({ remote }) => {
      const bow = await portrait('bow');
      await remote.enroll({ identity: 'bow', images: [bow], faces: 'largest' });
      const frameCount = 60;
      const frames = Array.from({ length: frameCount }, (_, i): Frame => ({
        sequence: i + 1,
        capturedAt: new Date(1_700_000_000_000 + i),
        image: bow,
        faces: 'all',
      }));
      const answers: FrameAnswer[] = [];
      for await (const answer of remote.identifyStream(frames)) answers.push(answer);
      const last = answers.at(-1);
      assert.equal(last?.sequence, frameCount);
      assert.equal(last.dropped + answers.length, frameCount);
      assert.ok(last.dropped > 0, 'nothing was dropped');
      for (const [i, { sequence, capturedAt, identifications }] of answers.entries()) {
        assert.ok(i === 0 || sequence > (answers[i - 1]?.sequence ?? 0), 'answers are in order');
        assert.equal(capturedAt?.getTime(), 1_700_000_000_000 + sequence - 1);
        assert.equal(identifications?.[0]?.candidates[0]?.identity, 'bow');
      }
    }));
});
