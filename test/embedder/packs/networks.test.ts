/**
 * The networks of the default pack, run by ONNX Runtime, against what others computed on the same pixels: dlib's descriptors of
 * 32 crops (in ../shared) and face-api's own outputs on its sample photos (face-api-outputs.ts says how they were obtained).
 * Candidates are matched by value, because their order is no promise.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import sharp from 'sharp';
import { readPackFile, type ModelPack, type PackFile } from '../../../src/embedder/model-pack.js';
import { openSession, type OnnxSession, type Tensor } from '../../../src/embedder/onnx-session.js';
import { ModelStore } from '../../../src/embedder/packs/model-store.js';
import { modelsPath } from '../../support/database.js';
import { samplePhotoPath, sharedPath } from '../../support/paths.js';
import * as faceApi from './face-api-outputs.js';

/** One rounding in the fifth digit, and as much again for another order of sums. */
const tolerance = 2e-5;

/** RGB pixels, a row of colour triples after another, as a batch of planes. */
function planes(images: readonly ArrayLike<number>[], side: number): Tensor {
  const area = side * side;
  const data = new Float32Array(images.length * 3 * area);
  images.forEach((pixels, image) => {
    for (let i = 0; i < area; i++) {
      for (let colour = 0; colour < 3; colour++)
        data[(image * 3 + colour) * area + i] = pixels[i * 3 + colour] as number;
    }
  });
  return { data, dims: [images.length, 3, side, side] };
}

async function cropOf({ photo, left, top, side, shrink }: faceApi.Crop): Promise<Tensor> {
  const width = side * shrink;
  const number = Number(photo.match(/\d/)?.[0]) as 1;
  const pixels = await sharp(samplePhotoPath(number))
    .extract({ left, top, width, height: width })
    .removeAlpha()
    .raw()
    .toBuffer();
  const means = new Float32Array(side * side * 3);
  for (let i = 0; i < pixels.length; i++) {
    const spot = Math.floor(i / 3);
    const [x, y] = [Math.floor((spot % width) / shrink), Math.floor(spot / width / shrink)];
    const at = (y * side + x) * 3 + (i % 3);
    means[at] = (means[at] as number) + (pixels[i] as number) / (shrink * shrink);
  }
  return planes([means], side);
}

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / Math.sqrt(aa * bb);
}

/** The largest difference to the most similar of our candidates. */
function distanceToNearest(expected: readonly number[], boxes: Float32Array, scores: Float32Array): number {
  let nearest = Infinity;
  for (let candidate = 0; candidate < scores.length; candidate++) {
    const values = [...boxes.subarray(candidate * 4, candidate * 4 + 4), scores[candidate] as number];
    nearest = Math.min(nearest, Math.max(...values.map((value, i) => Math.abs(value - (expected[i] as number)))));
  }
  return nearest;
}

async function outputs(
  session: OnnxSession,
  image: Tensor,
  names: readonly string[],
): Promise<readonly Float32Array[]> {
  const all = await session.run({ image });
  return names.map((name) => all[name]?.data ?? assert.fail(`no output ${name}`));
}

describe('the networks of the default pack', function () {
  this.timeout(60_000);
  let pack: ModelPack;
  const sessions: OnnxSession[] = [];

  async function open(file: { readonly packFile: PackFile }): Promise<OnnxSession> {
    const session = await openSession(await readPackFile(file.packFile), { provider: 'cpu', threads: 0 });
    sessions.push(session);
    return session;
  }

  function detector(name: string): ModelPack['detection']['variants'][string] {
    return pack.detection.variants[name] ?? assert.fail(`no detector ${name}`);
  }

  before(async () => {
    pack = await new ModelStore(modelsPath).open();
  });

  after(async () => {
    for (const session of sessions) await session.close();
  });

  it('describe 32 reference crops as dlib does, in one batch', async function () {
    const folder = join(sharedPath, 'reference', 'dlib-resnet');
    if (!existsSync(folder)) {
      console.log('      skipped: ../shared/reference/dlib-resnet is not there');
      this.skip();
    }
    const reference = JSON.parse(readFileSync(join(folder, 'descriptors.json'), 'utf8')) as {
      faces: { file: string; descriptor: number[] }[];
    };
    assert.equal(reference.faces.length, 32);
    const crops = await Promise.all(
      reference.faces.map(({ file }) => sharp(join(folder, file)).removeAlpha().raw().toBuffer()),
    );
    const session = await open(pack.embedding);
    const [descriptors = new Float32Array()] = await outputs(session, planes(crops, 150), [pack.embedding.output]);
    reference.faces.forEach(({ file, descriptor }, face) => {
      const ours = descriptors.subarray(face * 128, (face + 1) * 128);
      const value = cosine(ours, descriptor);
      assert.ok(value > 0.9999999, `${file}: cosine ${value}`);
      // Raw descriptors, not only directions: the reference has six digits.
      ours.forEach((own, i) => assert.ok(Math.abs(own - (descriptor[i] as number)) < tolerance, `${file}: value ${i}`));
    });
  });

  it('describe a face as face-api does', async () => {
    const session = await open(pack.embedding);
    const [descriptor = new Float32Array()] = await outputs(session, await cropOf(faceApi.recognition.crop), [
      pack.embedding.output,
    ]);
    assert.equal(descriptor.length, 128);
    const value = cosine(descriptor, faceApi.recognition.descriptor);
    assert.ok(value > 0.99999, `cosine ${value}`);
  });

  it('find landmarks where face-api finds them', async () => {
    const session = await open(pack.landmarks);
    const [points = new Float32Array()] = await outputs(session, await cropOf(faceApi.landmarks.crop), [
      pack.landmarks.output,
    ]);
    assert.equal(points.length, 136);
    faceApi.landmarks.points.forEach((expected, i) => {
      assert.ok(
        Math.abs((points[i] as number) - expected) < tolerance,
        `value ${i}: ${points[i]}, expected ${expected}`,
      );
    });
  });

  it('propose the boxes and scores of face-api: SSD', async () => {
    const ssd = detector('ssd');
    const session = await open(ssd);
    const [boxes = new Float32Array(), scores = new Float32Array()] = await outputs(
      session,
      await cropOf(faceApi.ssd.crop),
      [ssd.boxes, ssd.scores],
    );
    assert.equal(scores.length, 5118);
    for (const candidate of faceApi.ssd.candidates) {
      const distance = distanceToNearest(candidate, boxes, scores);
      assert.ok(distance < tolerance, `nothing nearer than ${distance} to ${candidate.join(' ')}`);
    }
  });

  for (const { crop, candidates } of faceApi.tiny) {
    it(`propose the boxes and scores of face-api: tiny detector at ${crop.side}`, async () => {
      const tiny = detector('tiny');
      const session = await open(tiny);
      const [boxes = new Float32Array(), scores = new Float32Array()] = await outputs(session, await cropOf(crop), [
        tiny.boxes,
        tiny.scores,
      ]);
      assert.equal(scores.length, (crop.side / 32) ** 2 * 5);
      for (const candidate of candidates) {
        const distance = distanceToNearest(candidate, boxes, scores);
        assert.ok(distance < tolerance, `nothing nearer than ${distance} to ${candidate.join(' ')}`);
      }
    });
  }

  it('take width and height apart in the tiny detector: the same picture beside black', async () => {
    // A wide input whose left square is the crop: boxes there keep their pixels, away from the seam, as the network is local.
    const crop = faceApi.tiny[0]?.crop ?? assert.fail();
    const tiny = detector('tiny');
    const session = await open(tiny);
    const square = await cropOf(crop);
    const { side } = crop;
    const wide = new Float32Array(3 * side * side * 2);
    for (let row = 0; row < 3 * side; row++) {
      wide.set(square.data.subarray(row * side, (row + 1) * side), row * side * 2);
    }
    const best = async (image: Tensor): Promise<number[]> => {
      const [boxes = new Float32Array(), scores = new Float32Array()] = await outputs(session, image, [
        tiny.boxes,
        tiny.scores,
      ]);
      const index = scores.indexOf(Math.max(...scores));
      const [, , height = 0, width = 0] = image.dims;
      return [...boxes.subarray(index * 4, index * 4 + 4)].map((edge, i) => edge * (i % 2 === 0 ? width : height));
    };
    const alone = await best(square);
    const beside = await best({ data: wide, dims: [1, 3, side, side * 2] });
    alone.forEach((edge, i) =>
      assert.ok(Math.abs(edge - (beside[i] as number)) < 1, `${alone.join()} and ${beside.join()}`),
    );
  });
});
