// Method: the default pack, real ONNX Runtime, the six group photos of the face-api package. How many people they show, and that one
// woman is in photos 1 and 3, was seen by eye; people in one photo are different people. Altered photos are made with sharp.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { after, before, describe, it } from 'mocha';
import sharp from 'sharp';
import { EmbedThread } from '../../src/embedder/embed-thread.js';
import type { EmbeddedFace, EmbeddedImage, Embedder } from '../../src/embedder/embedder.js';
import type { QualityReason } from '../../src/embedder/face.js';
import { OnnxEmbedder, openOnnxEmbedder } from '../../src/embedder/onnx-embedder.js';
import { HarmonidError, isHarmonidError, type ErrorCode } from '../../src/errors.js';
import { squaredDistance } from '../../src/vector.js';
import { samplePhotoPath, sharedPath } from '../support/paths.js';

/** People in sample1.jpg to sample6.jpg, counted by eye. */
const peopleCounts = { 1: 3, 2: 3, 3: 3, 4: 4, 5: 5, 6: 4 } as const;
const photoNumbers = [1, 2, 3, 4, 5, 6] as const;

const code = (wanted: ErrorCode) => (error: unknown) => {
  assert.ok(isHarmonidError(error), String(error));
  assert.equal(error.code, wanted, error.message);
  return true;
};

/** The only face of an image. */
function onlyFace({ faces }: EmbeddedImage): EmbeddedFace {
  assert.equal(faces.length, 1, `${faces.length} faces`);
  return faces[0] as EmbeddedFace;
}

describe('onnx embedder', function () {
  this.timeout(60_000);
  let modelsPath: string;
  let embedder: Embedder;
  let photos: Buffer[];
  let embedded: EmbeddedImage[];
  /** The woman with the tied-up fair hair in photo 3, and what is around her. */
  let portrait: Buffer;
  let portraitFace: EmbeddedFace;

  before(async () => {
    modelsPath = await mkdtemp(join(tmpdir(), 'harmonid-embedder-'));
    embedder = await openOnnxEmbedder({ modelsPath, provider: 'cpu' });
    photos = await Promise.all(photoNumbers.map((number) => readFile(samplePhotoPath(number))));
    embedded = await Promise.all(photos.map((photo) => embedder.embedImage(photo)));
    portrait = await sharp(photos[2]).extract({ left: 1010, top: 120, width: 360, height: 480 }).png().toBuffer();
    portraitFace = onlyFace(await embedder.embedImage(portrait));
  });

  after(async () => {
    await embedder.close();
    await rm(modelsPath, { recursive: true, force: true });
  });

  it('finds every face in the group photos, largest first, with landmarks inside it', () => {
    for (const number of photoNumbers) {
      const image = embedded[number - 1] as EmbeddedImage;
      assert.equal(image.faces.length, peopleCounts[number], `photo ${number}`);
      assert.equal(image.width, 1920);
      const areas = image.faces.map(({ face: { box } }) => box.width * box.height);
      assert.deepEqual(
        areas,
        areas.toSorted((one, other) => other - one),
      );
      for (const { face, vector } of image.faces) {
        assert.equal(face.landmarks.length, 68);
        const nose = face.landmarks[30];
        assert.ok(nose && nose.x > face.box.left && nose.x < face.box.left + face.box.width);
        assert.ok(nose.y > face.box.top && nose.y < face.box.top + face.box.height);
        assert.equal(vector.length, embedder.info.dimensions);
        assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-5);
      }
    }
  });

  it('calls all but the profile in the group photos good enough', () => {
    const refused = embedded.flatMap(({ faces }, i) =>
      faces.filter(({ face }) => face.quality.reasons.length > 0).map(({ face }) => [i + 1, face.quality.reasons]),
    );
    assert.deepEqual(
      refused.filter(([photo]) => photo !== 2),
      [],
    );
    // Photo 2 has a woman in full profile.
    assert.ok(refused.length <= 1);
  });

  it('puts one person in two photos nearer than any two people in one photo', () => {
    const [first, third] = [embedded[0], embedded[2]];
    assert.ok(first && third);
    const laughing = first.faces.find(({ face }) => face.box.left > 1300);
    const tiedUp = third.faces.find(({ face }) => face.box.left > 1000 && face.box.left < 1300);
    assert.ok(laughing && tiedUp);
    const same = squaredDistance(laughing.vector, tiedUp.vector);
    assert.ok(same < embedder.info.threshold, `distance ${same}`);
    for (const { faces } of embedded) {
      for (const one of faces) {
        for (const other of faces) {
          if (one !== other) assert.ok(squaredDistance(one.vector, other.vector) > same);
        }
      }
    }
  });

  it('gives the same vector however the photo is stored', async () => {
    const upright = sharp(portrait);
    const stored: Record<string, Buffer> = {
      jpeg: await upright.clone().jpeg({ quality: 95 }).toBuffer(),
      webp: await upright.clone().webp({ quality: 95 }).toBuffer(),
      avif: await upright.clone().avif({ quality: 80, effort: 0 }).toBuffer(),
      tiff: await upright.clone().tiff().toBuffer(),
      'png, 16 bits': await upright.clone().toColourspace('rgb16').png().toBuffer(),
      'png with alpha': await upright.clone().ensureAlpha(1).png().toBuffer(),
      'EXIF orientation 3': await upright
        .clone()
        .rotate(180)
        .withMetadata({ orientation: 3 })
        .jpeg({ quality: 95 })
        .toBuffer(),
      'EXIF orientation 6': await upright
        .clone()
        .rotate(270)
        .withMetadata({ orientation: 6 })
        .jpeg({ quality: 95 })
        .toBuffer(),
      'EXIF orientation 8': await upright
        .clone()
        .rotate(90)
        .withMetadata({ orientation: 8 })
        .jpeg({ quality: 95 })
        .toBuffer(),
      'twice the size': await upright.clone().resize(720).jpeg({ quality: 95 }).toBuffer(),
    };
    for (const [name, bytes] of Object.entries(stored)) {
      const distance = squaredDistance(onlyFace(await embedder.embedImage(bytes)).vector, portraitFace.vector);
      // Squared distance 0.02 is cosine 0.99.
      assert.ok(distance < 0.02, `${name}: ${distance}`);
    }
  });

  it('still recognises a person when the photo is grey, dark, small, coarse or cropped', async () => {
    const altered: Record<string, Buffer> = {
      grey: await sharp(portrait).greyscale().jpeg().toBuffer(),
      dark: await sharp(portrait).linear(0.4, 0).jpeg().toBuffer(),
      'JPEG quality 20': await sharp(portrait).jpeg({ quality: 20 }).toBuffer(),
      'half the size': await sharp(portrait).resize(180).jpeg().toBuffer(),
      'the face alone': await sharp(portrait).extract({ left: 60, top: 80, width: 240, height: 330 }).jpeg().toBuffer(),
    };
    // Everybody in the photos where she is not.
    const others = [1, 3, 4, 5].flatMap((photo) => embedded[photo]?.faces ?? []);
    for (const [name, bytes] of Object.entries(altered)) {
      const { vector } = onlyFace(await embedder.embedImage(bytes));
      const own = squaredDistance(vector, portraitFace.vector);
      assert.ok(own < embedder.info.threshold / 2, `${name}: ${own}`);
      for (const other of others) assert.ok(squaredDistance(vector, other.vector) > own, name);
    }
  });

  it('finds faces that fill the frame and faces that are far away', async () => {
    const tight = await sharp(portrait).extract({ left: 57, top: 104, width: 217, height: 287 }).jpeg().toBuffer();
    onlyFace(await embedder.embedImage(tight));
    const far = await sharp(portrait)
      .resize(180)
      .extend({ top: 400, bottom: 400, left: 600, right: 600, background: '#888' })
      .jpeg()
      .toBuffer();
    onlyFace(await embedder.embedImage(far));
  });

  it('says for which reason a face is a poor sample', async () => {
    const spoiled: readonly (readonly [QualityReason, Buffer])[] = [
      ['TOO_BLURRY', await sharp(portrait).blur(4).png().toBuffer()],
      ['TOO_DARK', await sharp(portrait).linear(0.15, 0).png().toBuffer()],
      ['TOO_BRIGHT', await sharp(portrait).linear(0.35, 200).png().toBuffer()],
      ['LOW_CONTRAST', await sharp(portrait).linear(0.2, 100).png().toBuffer()],
      [
        'TOO_SMALL',
        await sharp(portrait).resize(60).extend({ left: 60, right: 60, top: 30, bottom: 30 }).png().toBuffer(),
      ],
      ['CUT_OFF', await sharp(portrait).extract({ left: 0, top: 200, width: 360, height: 280 }).png().toBuffer()],
    ];
    assert.deepEqual(portraitFace.face.quality.reasons, []);
    for (const [reason, bytes] of spoiled) {
      const { quality } = onlyFace(await embedder.embedImage(bytes)).face;
      assert.ok(
        quality.reasons.includes(reason),
        `${reason}: got ${quality.reasons.join()} ${JSON.stringify(quality.measures)}`,
      );
      assert.ok(quality.score < portraitFace.face.quality.score);
    }
  });

  it('finds nobody where nobody is', async () => {
    const wall = await sharp({ create: { width: 300, height: 200, channels: 3, background: '#a0522d' } })
      .jpeg()
      .toBuffer();
    assert.deepEqual((await embedder.embedImage(wall)).faces, []);
    const dot = await sharp({ create: { width: 1, height: 1, channels: 3, background: 'white' } })
      .png()
      .toBuffer();
    assert.deepEqual((await embedder.embedImage(dot)).faces, []);
  });

  it('embeds only the largest face when asked', async () => {
    const { faces } = await embedder.embedImage(photos[4] as Buffer, { largestOnly: true });
    assert.deepEqual(
      faces.map(({ face }) => face.box),
      embedded[4]?.faces.slice(0, 1).map(({ face }) => face.box),
    );
  });

  it('answers concurrent calls like single ones, each with its own result or error', async () => {
    const before = embedder.stats();
    const calls = [
      photos[0],
      Buffer.from('nonsense'),
      photos[1],
      new Uint8Array(0),
      photos[2],
      photos[0],
    ] as Uint8Array[];
    const settled = await Promise.allSettled(calls.map((bytes) => embedder.embedImage(bytes)));
    const wanted = [0, 'IMAGE_UNREADABLE', 1, 'IMAGE_EMPTY', 2, 0] as const;
    settled.forEach((outcome, i) => {
      const want = wanted[i];
      if (typeof want === 'string') {
        assert.ok(outcome.status === 'rejected' && code(want)(outcome.reason));
        return;
      }
      assert.ok(outcome.status === 'fulfilled');
      const alone = embedded[want as number]?.faces ?? [];
      assert.equal(outcome.value.faces.length, alone.length);
      outcome.value.faces.forEach(({ vector }, k) => {
        assert.ok(squaredDistance(vector, alone[k]?.vector ?? new Float32Array(vector.length)) < 1e-6);
      });
    });
    const now = embedder.stats();
    assert.equal(now.faces - before.faces, 12);
    assert.equal(now.images - before.images, 4);
    assert.ok(now.batches - before.batches < 12, 'faces shared batches');
    assert.equal(now.inFlight, 0);
  });

  it('leaves the event loop free while it works', async () => {
    let turns = 0;
    let working = true;
    const count = (): void => {
      turns++;
      if (working) setImmediate(count);
    };
    setImmediate(count);
    await embedder.embedImage(photos[5] as Buffer);
    working = false;
    assert.ok(turns > 200, `the loop turned ${turns} times`);
  });

  it('rejects an aborted call at once and goes on', async () => {
    await assert.rejects(embedder.embedImage(portrait, { signal: AbortSignal.abort() }), code('CANCELLED'));
    const abort = new AbortController();
    const calls = [1, 2, 3].map(() => embedder.embedImage(photos[3] as Buffer, { signal: abort.signal }));
    abort.abort(new HarmonidError('DEADLINE_EXCEEDED', 'too late'));
    for (const call of calls) await assert.rejects(call, code('DEADLINE_EXCEEDED'));
    const { vector } = onlyFace(await embedder.embedImage(portrait));
    assert.ok(squaredDistance(vector, portraitFace.vector) < 1e-6);
  });

  it('takes aligned crops of the right size only', async () => {
    const crop = await sharp(portrait).resize(150, 150).png().toBuffer();
    const { width, height, faces, timings } = await embedder.embedAlignedCrop(crop);
    assert.deepEqual([width, height, faces.length, timings.detectMs], [150, 150, 1, 0]);
    assert.deepEqual(faces[0]?.face.landmarks, []);
    await assert.rejects(embedder.embedAlignedCrop(portrait), (error) => {
      assert.ok(code('IMAGE_WRONG_SIZE')(error) && error instanceof Error);
      assert.match(error.message, /360x480.*150x150/);
      return true;
    });
    await assert.rejects(embedder.embedAlignedCrop(new Uint8Array(0)), code('IMAGE_EMPTY'));
  });

  it('agrees with the reference descriptors on aligned crops', async function () {
    const reference = join(sharedPath, 'reference', 'dlib-resnet');
    if (!existsSync(reference)) {
      console.log(`      skipped: ${reference} is absent`);
      this.skip();
    }
    const { faces } = JSON.parse(await readFile(join(reference, 'descriptors.json'), 'utf8')) as {
      faces: { file: string; descriptor: number[] }[];
    };
    assert.equal(faces.length, 32);
    // The references are of the crop alone.
    const plain = await openOnnxEmbedder({ modelsPath, provider: 'cpu', mirrorAveraging: false });
    try {
      assert.notEqual(plain.info.space, embedder.info.space, 'mirror averaging makes another space');
      for (const { file, descriptor: raw } of faces) {
        const { vector } = onlyFace(await plain.embedAlignedCrop(await readFile(join(reference, file))));
        const cosine = raw.reduce((sum, value, i) => sum + value * (vector[i] ?? 0), 0) / Math.hypot(...raw);
        assert.ok(cosine > 0.9999, `${file}: ${cosine}`);
      }
    } finally {
      await plain.close();
    }
  });

  it('holds images to the limits that were set, and keeps what an error knows across the thread', async () => {
    const strict = await openOnnxEmbedder({ modelsPath, provider: 'cpu', imageLimits: { pixelsMax: 1000 } });
    try {
      await assert.rejects(strict.embedImage(portrait), (error) => {
        assert.ok(code('IMAGE_TOO_LARGE')(error) && isHarmonidError(error));
        assert.deepEqual(error.details, { width: 360, height: 480, pixels: 360 * 480, pixelsMax: 1000 });
        return true;
      });
    } finally {
      await strict.close();
    }
    assert.ok(portrait.length > 0, 'the bytes stay the caller’s');
  });

  it('refuses at once what is more than may wait, and takes more when there is room again', async () => {
    const narrow = await openOnnxEmbedder({ modelsPath, provider: 'cpu', inFlightMax: 2 });
    try {
      const taken = [narrow.embedImage(portrait), narrow.embedImage(portrait)];
      await assert.rejects(narrow.embedImage(portrait), code('OVERLOADED'));
      await Promise.all(taken);
      onlyFace(await narrow.embedImage(portrait));
    } finally {
      await narrow.close();
    }
  });

  it('finishes what has begun when it is closed, refuses what comes later, and closes twice', async () => {
    const brief = await openOnnxEmbedder({ modelsPath, provider: 'cpu', detector: 'tiny', threads: 1 });
    assert.equal(brief.info.detector, 'tiny');
    const busy = [photos[3], photos[5]].map((photo) => brief.embedImage(photo as Buffer));
    // Whoever has not begun when the word arrives is refused; nobody is left waiting.
    const [settled] = await Promise.all([Promise.allSettled(busy), brief.close(), brief.close()]);
    for (const outcome of settled) {
      assert.ok(outcome.status === 'fulfilled' ? outcome.value.faces.length > 0 : code('CLOSED')(outcome.reason));
    }
    await assert.rejects(brief.embedImage(portrait), code('CLOSED'));
    await brief.close();
  });

  it('refuses options that make no sense, also those that only the thread can judge', async () => {
    await assert.rejects(
      openOnnxEmbedder({ modelsPath, provider: 'cpu', detector: 'radar' }),
      code('INVALID_ARGUMENT'),
    );
    await assert.rejects(openOnnxEmbedder({ modelsPath, provider: 'cpu', batchMax: 0 }), code('INVALID_ARGUMENT'));
    await assert.rejects(openOnnxEmbedder({ modelsPath, provider: 'cpu', threads: 1.5 }), code('INVALID_ARGUMENT'));
    await assert.rejects(openOnnxEmbedder({ modelsPath, provider: 'cpu', pack: 'nobodys' }), code('MODEL_NOT_FOUND'));
  });

  it('rejects everything that waits when its thread dies', async () => {
    const dying = new Worker(
      `require('node:worker_threads').parentPort.once('message', () => { throw new Error('struck by lightning'); })`,
      { eval: true },
    );
    const orphan = new OnnxEmbedder([new EmbedThread(dying)], embedder.info, 8);
    const calls = [orphan.embedImage(portrait), orphan.embedImage(portrait), orphan.embedAlignedCrop(portrait)];
    for (const call of calls) await assert.rejects(call, code('INTERNAL'));
    await assert.rejects(orphan.embedImage(portrait), code('INTERNAL'));
    await orphan.close();
  });
});
