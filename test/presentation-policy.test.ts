// Method: the policy in the four calls that take a probe, each through the library and through a real server. The network is the small one of
// presentation-packs.ts: a dark photo, which has little red, is its attack, and the score that a refusal tells is computed here from the pixels.
import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import sharp from 'sharp';
import type { Database, Sample } from '../src/api.js';
import { openDatabase } from '../src/database.js';
import type { Box } from '../src/embedder/face.js';
import { openOnnxEmbedder } from '../src/embedder/onnx-embedder.js';
import type { Embedder } from '../src/embedder/embedder.js';
import { isHarmonidError, type ErrorCode, type HarmonidError } from '../src/errors.js';
import { withServer } from './server/served.js';
import { keptOpen, temporaryFolder } from './support/database.js';
import { groupPhoto, portrait } from './support/photos.js';
import { rednessOf, removePresentation, writeRednessPacks } from './support/presentation-packs.js';

const gallery = 'door';
const threshold = 0.5;
/** The portraits show little around a face: what lies outside is black, and counts. */
const boxScale = 1;

async function refusal(work: Promise<unknown>, code: ErrorCode): Promise<HarmonidError> {
  const error: unknown = await work.then(
    () => assert.fail(`${code} is wanted`),
    (refused: unknown) => refused,
  );
  assert.ok(isHarmonidError(error), String(error));
  assert.equal(error.code, code, error.message);
  return error;
}

/** What takes a probe; `identifyFaces` takes photos alone. */
const probing: Readonly<Record<string, (database: Database, sample: Sample) => Promise<unknown>>> = {
  enroll: (database, { image, alignedCrop, embedding }) =>
    database.enroll({
      gallery,
      identity: 'stranger',
      ...(image && { images: [image] }),
      ...(alignedCrop && { alignedCrops: [alignedCrop] }),
      ...(embedding && { embeddings: [embedding] }),
      // No request overrides the policy.
      refuseReasons: [],
      duplicates: 'ignore',
    }),
  identify: (database, sample) => database.identify({ gallery, ...sample }),
  verify: (database, sample) => database.verify({ gallery, identity: 'blonde', ...sample }),
};
const identifyFaces = (database: Database, image: Uint8Array) => database.identifyFaces({ gallery, image });

describe('the presentation policy', function () {
  this.timeout(120_000);
  let models = '';
  let scoring: Embedder;
  let plain: Embedder;
  let photo: Buffer;
  let attack: Buffer;
  let crop: Buffer;

  before(async () => {
    models = join(temporaryFolder(), 'models');
    await writeRednessPacks(models, [{ id: 'redness', kind: 'two-classes', boxScale, threshold }]);
    scoring = await openOnnxEmbedder({ modelsPath: models, provider: 'cpu', pack: 'redness' });
    plain = await openOnnxEmbedder({ modelsPath: models, provider: 'cpu' });
    photo = await portrait('middle');
    attack = await sharp(photo).linear(0.4, 0).png().toBuffer();
    crop = await sharp(photo).resize(150, 150).png().toBuffer();
  });

  after(async () => {
    await scoring.close();
    await plain.close();
    rmSync(join(models, '..'), { recursive: true, force: true });
  });

  /** The same through the library and through a server. */
  async function onBoth(embedder: Embedder, work: (database: Database) => Promise<void>): Promise<void> {
    await withServer({ embedder: keptOpen(embedder) }, async ({ database, remote }) => {
      await work(database);
      await database.deleteGallery({ gallery });
      await work(remote);
    });
  }

  it('lets through what scores enough, and refuses below the threshold with the score', () =>
    onBoth(scoring, async (database) => {
      const made = await database.createGallery({ gallery, presentation: 'require' });
      assert.equal(made.presentation, 'require');
      assert.equal((await database.getGallery({ gallery })).presentation, 'require');
      const { faces } = await database.enroll({ gallery, identity: 'blonde', images: [photo] });
      assert.ok((faces[0]?.quality.measures.presentationScore ?? 0) >= threshold);
      assert.equal((await database.identify({ gallery, image: photo })).candidates[0]?.identity, 'blonde');
      assert.equal((await database.verify({ gallery, identity: 'blonde', image: photo })).decision, 'match');
      assert.equal((await identifyFaces(database, photo)).length, 1);

      const calls = [
        ...Object.values(probing).map((call) => () => call(database, { image: attack })),
        () => identifyFaces(database, attack),
      ];
      for (const call of calls) {
        const { message, details } = await refusal(call(), 'FACE_REFUSED');
        const { reasons, score, threshold: limit, box } = details;
        assert.deepEqual([reasons, limit], [['PRESENTATION_ATTACK'], threshold]);
        assert.ok(Math.abs((score as number) - (await rednessOf(attack, box as Box, boxScale))) < 0.01);
        assert.match(message, /presentation score is 0\.\d+, gallery "door" requires 0\.5/);
      }
      assert.deepEqual((await database.listIdentities({ gallery })).identities.length, 1);
    }));

  it('refuses what has no score, and says what would give one', () =>
    onBoth(scoring, async (database) => {
      await database.createGallery({ gallery, presentation: 'require' });
      await database.enroll({ gallery, identity: 'blonde', images: [photo] });
      const embedded = (await database.embed({ image: photo })).faces[0] ?? assert.fail();
      for (const [sample, words] of [
        [{ embedding: embedded.embedding }, /a vector was given, which has none: give the photo/],
        [{ alignedCrop: crop }, /an aligned crop was given, which has none: give the photo/],
      ] as const) {
        for (const call of Object.values(probing)) {
          const { message, details } = await refusal(call(database, sample), 'NO_PRESENTATION_SCORE');
          assert.match(message, words);
          assert.deepEqual(details, { gallery, missing: 'photo' });
        }
      }
    }));

  it('refuses an image of several faces for one of them', () =>
    onBoth(scoring, async (database) => {
      await database.createGallery({ gallery, presentation: 'require' });
      const group = groupPhoto(6);
      const whole = await identifyFaces(database, group);
      assert.ok(whole.length > 1);
      const box = whole[1]?.face?.box ?? assert.fail();
      // The second largest face in blue light, and all that its crop shows.
      const side = Math.round(boxScale * Math.max(box.width, box.height));
      const left = Math.max(0, Math.round(box.left + box.width / 2 - side / 2));
      const top = Math.max(0, Math.round(box.top + box.height / 2 - side / 2));
      const { width, height } = await sharp(group).metadata();
      const area = { left, top, width: Math.min(side, width - left), height: Math.min(side, height - top) };
      const blue = await sharp(group).extract(area).linear([0.4, 1, 1], [0, 0, 0]).png().toBuffer();
      const mixed = await sharp(group)
        .composite([{ input: blue, left, top }])
        .png()
        .toBuffer();
      const { details } = await refusal(identifyFaces(database, mixed), 'FACE_REFUSED');
      assert.deepEqual(details['reasons'], ['PRESENTATION_ATTACK']);
    }));

  it('is not there by default: the score and the reason are told, and decide nothing unless refuseReasons says so', () =>
    onBoth(scoring, async (database) => {
      const made = await database.createGallery({ gallery });
      assert.equal(made.presentation, 'ignore');
      assert.equal(made.refuseReasons.includes('PRESENTATION_ATTACK'), false);
      // The same again is the same gallery.
      assert.deepEqual(await database.createGallery({ gallery, presentation: 'ignore' }), made);
      const { faces } = await database.enroll({ gallery, identity: 'blonde', images: [attack] });
      assert.deepEqual(faces[0]?.quality.reasons, ['PRESENTATION_ATTACK']);
      for (const call of Object.values(probing)) await call(database, { image: attack });
      await identifyFaces(database, attack);
      for (const call of Object.values(probing)) await call(database, { alignedCrop: crop });

      await database.updateGallery({ gallery, refuseReasons: ['PRESENTATION_ATTACK'] });
      const enrolment = database.enroll({ gallery, identity: 'blonde', images: [attack] });
      assert.deepEqual((await refusal(enrolment, 'FACE_REFUSED')).details['reasons'], ['PRESENTATION_ATTACK']);
      await database.identify({ gallery, image: attack });
      assert.equal((await database.updateGallery({ gallery, presentation: 'require' })).presentation, 'require');
      await refusal(database.identify({ gallery, image: attack }), 'FACE_REFUSED');
      assert.equal((await database.updateGallery({ gallery, presentation: 'ignore' })).presentation, 'ignore');
      await database.identify({ gallery, image: attack });
    }));

  it('cannot be required of a model that has no network, nor of a space that no model embeds in', () =>
    onBoth(plain, async (database) => {
      const { message, details } = await refusal(
        database.createGallery({ gallery, presentation: 'require' }),
        'NO_PRESENTATION_SCORE',
      );
      assert.match(message, /gallery "door" requires a presentation score; model pack "dlib-resnet-v1" has no network/);
      assert.deepEqual(details, { gallery, missing: 'network' });
      const made = await database.createGallery({ gallery });
      await refusal(database.updateGallery({ gallery, presentation: 'require' }), 'NO_PRESENTATION_SCORE');
      assert.deepEqual(await database.getGallery({ gallery }), made);
      await database.deleteGallery({ gallery });
      const foreign = { gallery, space: 'elsewhere', dimensions: 4, threshold: 0.5, presentation: 'require' } as const;
      assert.match((await refusal(database.createGallery(foreign), 'NO_PRESENTATION_SCORE')).message, /"elsewhere"/);
      await refusal(database.createGallery({ gallery, presentation: 'always' as 'require' }), 'INVALID_ARGUMENT');
    }));

  it('is told by servers: the threshold of the model, and where it comes from', async () => {
    await withServer({ embedder: keptOpen(scoring) }, async ({ remote }) => {
      assert.deepEqual((await remote.stats()).embedder?.info, scoring.info);
    });
    await withServer({ embedder: keptOpen(plain) }, async ({ remote }) => {
      assert.equal((await remote.stats()).embedder?.info.presentation, null);
    });
  });

  it('refuses everybody when the model has lost its network', async () => {
    const ownModels = join(temporaryFolder(), 'models');
    cpSync(models, ownModels, { recursive: true });
    const path = temporaryFolder();
    const onOwn = async (work: (database: Database) => Promise<void>): Promise<void> => {
      const database = await openDatabase({
        path,
        embedder: { modelsPath: ownModels, provider: 'cpu', pack: 'redness' },
      });
      try {
        await work(database);
      } finally {
        await database.close();
      }
    };
    try {
      await onOwn(async (database) => {
        await database.createGallery({ gallery, presentation: 'require' });
        await database.enroll({ gallery, identity: 'blonde', images: [photo] });
      });
      removePresentation(ownModels, 'redness');
      await onOwn(async (database) => {
        for (const call of [...Object.values(probing), (db: Database) => identifyFaces(db, photo)]) {
          const { message, details } = await refusal(call(database, { image: photo }), 'NO_PRESENTATION_SCORE');
          assert.match(message, /model pack "redness" has no network/);
          assert.deepEqual(details, { gallery, missing: 'network' });
        }
        // What an administrator does next.
        await database.updateGallery({ gallery, presentation: 'ignore' });
        assert.equal((await database.identify({ gallery, image: photo })).decision, 'match');
      });
    } finally {
      rmSync(path, { recursive: true, force: true });
      rmSync(join(ownModels, '..'), { recursive: true, force: true });
    }
  });
});
