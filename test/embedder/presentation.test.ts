// Method: numbers by hand for what is pure; for the pipeline a small real network on real photos, whose score is computed here from the pixels
// of the photo, without crops, resampling or tensors. Recognition is the default pack's, so that its vectors must come out bit for bit.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import sharp from 'sharp';
import type { Embedder } from '../../src/embedder/embedder.js';
import type { GraphInput } from '../../src/embedder/model-pack.js';
import { openOnnxEmbedder, type OnnxEmbedder } from '../../src/embedder/onnx-embedder.js';
import { presentationFrame, readPresentation } from '../../src/embedder/presentation.js';
import { applySimilarity } from '../../src/embedder/resample.js';
import { isHarmonidError, type ErrorCode } from '../../src/errors.js';
import { temporaryFolder } from '../support/database.js';
import { groupPhoto, portrait } from '../support/photos.js';
import { rednessOf, writeRednessPacks, type RednessDraft } from '../support/presentation-packs.js';

const code =
  (wanted: ErrorCode, words = /./) =>
  (error: unknown) => {
    assert.ok(isHarmonidError(error), String(error));
    assert.equal(error.code, wanted, error.message);
    assert.match(error.message, words);
    return true;
  };

const input = {
  name: 'crop',
  width: 80,
  height: 80,
  channels: 'rgb',
  normalisation: { mean: [0, 0, 0], scale: 1 },
} satisfies GraphInput;

describe('presentation', () => {
  it('frames a multiple of the box around its middle, by its longer side', () => {
    const box = { left: 100, top: 50, width: 40, height: 60 };
    // The middle is (120, 80); 2 times 60 is a square of 120.
    const frame = presentationFrame(box, { boxScale: 2, input });
    assert.deepEqual(applySimilarity(frame, 0, 0), { x: 60, y: 20 });
    assert.deepEqual(applySimilarity(frame, 80, 80), { x: 180, y: 140 });
    // Twice as wide as high: the height decides, and the sides see more.
    const wide = presentationFrame(box, { boxScale: 1, input: { ...input, width: 160 } });
    assert.deepEqual(applySimilarity(wide, 0, 0), { x: 60, y: 50 });
    assert.deepEqual(applySimilarity(wide, 160, 80), { x: 180, y: 110 });
  });

  it('reads the class that the manifest names, with a softmax or without', () => {
    const say = (values: readonly number[], bonaFide: number, softmax: boolean): number =>
      readPresentation(Float32Array.from(values), { output: 'classes', bonaFide, softmax });
    assert.equal(say([0.25, 0.75], 1, false), 0.75);
    assert.equal(say([0.25, 0.75], 0, false), 0.25);
    // ln 3 to 0 is three quarters.
    assert.ok(Math.abs(say([0, Math.log(3)], 1, true) - 0.75) < 1e-6);
    assert.ok(Math.abs(say([Math.log(2), Math.log(5), Math.log(3)], 2, true) - 0.3) < 1e-6);
    assert.equal(say([1e4, -1e4], 0, true), 1);
    assert.equal(say([1e4, -1e4], 1, true), 0);
    // Rounding of a softmax inside the graph.
    assert.equal(say([1.0000001], 0, false), 1);
  });

  it('takes no number for a score that is none', () => {
    const say = (values: readonly number[], bonaFide: number, softmax: boolean) => () =>
      readPresentation(Float32Array.from(values), { output: 'classes', bonaFide, softmax });
    assert.throws(say([0.5], 1, false), code('MODEL_INVALID', /"classes".*1 classes, number 1/));
    assert.throws(say([1.5], 0, false), code('MODEL_INVALID', /says 1.5/));
    assert.throws(say([-0.5], 0, false), code('MODEL_INVALID', /says -0.5/));
    for (const softmax of [false, true]) {
      assert.throws(say([Number.NaN, 0], 0, softmax), code('MODEL_INVALID', /says NaN/));
      assert.throws(say([Infinity, 0], 0, softmax), code('MODEL_INVALID'));
    }
  });
});

describe('presentation in the pipeline', function () {
  this.timeout(120_000);
  const drafts: readonly RednessDraft[] = [
    { id: 'wide', kind: 'two-classes', boxScale: 2.7, threshold: 0.5 },
    { id: 'tight', kind: 'one-score', boxScale: 1, threshold: 0.9 },
    { id: 'broken', kind: 'no-score', boxScale: 1, threshold: 0.5 },
  ];
  let models = '';
  const opened: Embedder[] = [];
  const open = async (pack?: string, workers = 1): Promise<OnnxEmbedder> => {
    const embedder = await openOnnxEmbedder({ modelsPath: models, provider: 'cpu', pack, workers });
    opened.push(embedder);
    return embedder;
  };

  before(async () => {
    models = join(temporaryFolder(), 'models');
    await writeRednessPacks(models, drafts);
  });

  after(async () => {
    for (const embedder of opened) await embedder.close();
    rmSync(join(models, '..'), { recursive: true, force: true });
  });

  it('scores each face by the crop around it, and calls an attack what is below the threshold', async () => {
    const photos = [
      groupPhoto(1),
      groupPhoto(6),
      await portrait('middle'),
      // As by a blue lamp: little red.
      await sharp(groupPhoto(3)).linear([0.5, 1, 1], [0, 0, 0]).png().toBuffer(),
    ];
    for (const { id, boxScale, threshold } of drafts.slice(0, 2)) {
      const embedder = await open(id, 2);
      assert.deepEqual(embedder.info.presentation, { threshold, thresholdSource: 'invented by a test' });
      const images = await Promise.all(photos.map((photo) => embedder.embedImage(photo)));
      const verdicts = new Set<boolean>();
      for (const [i, { faces }] of images.entries()) {
        assert.ok(faces.length > 0);
        for (const { face } of faces) {
          const { presentationScore: score } = face.quality.measures;
          const right = await rednessOf(photos[i] as Buffer, face.box, boxScale);
          assert.ok(score !== null && Math.abs(score - right) < 0.01, `${id}, photo ${i}: ${score}, ${right} is right`);
          assert.equal(face.quality.reasons.includes('PRESENTATION_ATTACK'), score < threshold);
          verdicts.add(score < threshold);
        }
      }
      assert.equal(verdicts.size, 2, `${id} calls all faces the same`);
    }
  });

  it('moves no vector, no other measure and no space', async () => {
    const [plain, scored] = [await open(), await open('wide')];
    // Another id is another space; what follows it is the digest.
    assert.equal(scored.info.space.replace(/^wide:/, ''), plain.info.space.replace(/^[^:]*:/, ''));
    assert.equal(plain.info.presentation, null);
    const [one, other] = [await plain.embedImage(groupPhoto(5)), await scored.embedImage(groupPhoto(5))];
    assert.equal(other.faces.length, 5);
    for (const [i, { face, vector }] of other.faces.entries()) {
      const before = one.faces[i] ?? assert.fail();
      assert.deepEqual(vector, before.vector);
      assert.equal(before.face.quality.measures.presentationScore, null);
      assert.equal(face.quality.score, before.face.quality.score);
      assert.deepEqual({ ...face.quality.measures, presentationScore: null }, before.face.quality.measures);
    }
  });

  it('gives an aligned crop no score', async () => {
    const embedder = await open('wide');
    const crop = await sharp(await portrait('bow'))
      .resize(150, 150)
      .png()
      .toBuffer();
    const { faces } = await embedder.embedAlignedCrop(crop);
    assert.equal(faces[0]?.face.quality.measures.presentationScore, null);
    assert.equal(faces[0].face.quality.reasons.includes('PRESENTATION_ATTACK'), false);
  });

  it('refuses the face of which the network says no score', async () => {
    const embedder = await open('broken');
    await assert.rejects(
      embedder.embedImage(await portrait('bow')),
      code('MODEL_INVALID', /says \d+.*0 to 1 is wanted/),
    );
  });
});
