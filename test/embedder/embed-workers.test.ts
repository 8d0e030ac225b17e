// Method: the default pack on the CPU, real threads, the six group photos and noise. What several workers answer is compared bit for bit
// with what one answers, one photo at a time, so that the batches are the same. How many people the photos show was counted by eye.
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { after, before, describe, it } from 'mocha';
import sharp from 'sharp';
import { EmbedThread } from '../../src/embedder/embed-thread.js';
import type { EmbeddedImage } from '../../src/embedder/embedder.js';
import type { WorkerStart } from '../../src/embedder/embed-messages.js';
import { defaultImageLimits } from '../../src/embedder/image.js';
import { OnnxEmbedder, openOnnxEmbedder } from '../../src/embedder/onnx-embedder.js';
import { ModelStore } from '../../src/embedder/packs/model-store.js';
import { defaultQualityLimits } from '../../src/embedder/quality.js';
import { HarmonidError, isHarmonidError, type ErrorCode } from '../../src/errors.js';
import { newTurn } from '../../src/threads/shared-turn.js';
import { modelsPath } from '../support/database.js';
import { samplePhotoPath } from '../support/paths.js';

const code = (wanted: ErrorCode) => (error: unknown) => {
  assert.ok(isHarmonidError(error), String(error));
  assert.equal(error.code, wanted, error.message);
  return true;
};

/** Bytes that the scheduler takes for a large image, which no face is found in. */
async function noise(): Promise<Buffer> {
  const pixels = randomFillSync(Buffer.alloc(3 * 700 * 700));
  return sharp(pixels, { raw: { width: 700, height: 700, channels: 3 } })
    .png()
    .toBuffer();
}

/** Everything but the time it took. */
function seenIn({ width, height, faces }: EmbeddedImage): unknown {
  return { width, height, faces };
}

describe('embedder with several workers', function () {
  this.timeout(120_000);
  let single: OnnxEmbedder;
  let photos: Buffer[];
  let alone: EmbeddedImage[];
  let small: Buffer;

  /** An embedder whose threads the test can look into and end. */
  async function openWorkers(
    count: number,
  ): Promise<{ embedder: OnnxEmbedder; threads: EmbedThread[]; workers: Worker[] }> {
    const pack = await new ModelStore(modelsPath).open();
    const start: WorkerStart = { deviceTurn: newTurn() };
    const file = new URL('../../src/embedder/embed-worker.js', import.meta.url);
    const workers = Array.from({ length: count }, () => new Worker(file, { workerData: start }));
    const threads = workers.map((worker) => new EmbedThread(worker));
    const options = {
      pack,
      provider: 'cpu',
      threads: 1,
      detector: pack.detection.default,
      mirrorAveraging: pack.embedding.mirrorAveraging,
      batchMax: 16,
      qualityLimits: defaultQualityLimits,
      imageLimits: defaultImageLimits,
      pixelsInWorkMax: defaultImageLimits.pixelsMax,
    } as const;
    await Promise.all(threads.map((thread) => thread.open(options)));
    return { embedder: new OnnxEmbedder(threads, single.info, 64), threads, workers };
  }

  before(async () => {
    single = await openOnnxEmbedder({ modelsPath, provider: 'cpu', workers: 1, threads: 1 });
    photos = await Promise.all(([1, 2, 3, 4, 5, 6] as const).map((number) => readFile(samplePhotoPath(number))));
    alone = [];
    for (const photo of photos) alone.push(await single.embedImage(photo));
    small = await sharp(photos[2])
      .extract({ left: 1010, top: 120, width: 360, height: 480 })
      .resize(90)
      .jpeg()
      .toBuffer();
  });

  after(async () => {
    await single.close();
  });

  for (const count of [2, 3]) {
    it(`gives the faces of one worker, bit for bit, with ${count}`, async () => {
      const { embedder, threads } = await openWorkers(count);
      try {
        for (let from = 0; from < photos.length; from += count) {
          const found = await Promise.all(photos.slice(from, from + count).map((photo) => embedder.embedImage(photo)));
          assert.deepEqual(found.map(seenIn), alone.slice(from, from + count).map(seenIn));
        }
        // A photo each, at a time.
        assert.deepEqual(
          threads.map(({ counts }) => counts.images),
          threads.map(() => photos.length / count),
        );
        const { images, faces, inFlight } = embedder.stats();
        assert.deepEqual([images, faces, inFlight], [6, 3 + 3 + 3 + 4 + 5 + 4, 0]);
      } finally {
        await embedder.close();
      }
    });
  }

  it('keeps small images from queueing behind a large one', async () => {
    const { embedder, threads } = await openWorkers(2);
    try {
      const large = embedder.embedImage(await noise());
      await Promise.all([large, ...[1, 2, 3, 4].map(() => embedder.embedImage(small))]);
      assert.deepEqual(
        threads.map(({ counts }) => counts.images),
        [1, 4],
      );
      assert.deepEqual(
        threads.map(({ work }) => Math.abs(work) < 1e-9),
        [true, true],
        'what is answered is no work any more',
      );
    } finally {
      await embedder.close();
    }
  });

  it('gives each call its own answer or error, refuses beyond the total, and drops what is given up', async () => {
    const embedder = await openOnnxEmbedder({ modelsPath, provider: 'cpu', workers: 3, inFlightMax: 4 });
    try {
      assert.equal(embedder.workers, 3);
      const given = new AbortController();
      const calls = [
        embedder.embedImage(small),
        embedder.embedImage(Buffer.from('nonsense')),
        embedder.embedAlignedCrop(small),
        embedder.embedImage(photos[5] as Buffer, { signal: given.signal }),
      ];
      const beyond = embedder.embedImage(small);
      given.abort(new HarmonidError('DEADLINE_EXCEEDED', 'too late'));
      await assert.rejects(beyond, code('OVERLOADED'));
      const [face, unreadable, wrongSize, late] = await Promise.allSettled(calls);
      assert.ok(face?.status === 'fulfilled' && face.value.faces.length === 1);
      assert.ok(unreadable?.status === 'rejected' && code('IMAGE_UNREADABLE')(unreadable.reason));
      assert.ok(wrongSize?.status === 'rejected' && code('IMAGE_WRONG_SIZE')(wrongSize.reason));
      assert.ok(late?.status === 'rejected' && code('DEADLINE_EXCEEDED')(late.reason));
      assert.equal((await embedder.embedImage(small)).faces.length, 1);
    } finally {
      await embedder.close();
    }
  });

  it('finishes what has begun when it is closed, and refuses the rest', async () => {
    const embedder = await openOnnxEmbedder({ modelsPath, provider: 'cpu', workers: 2 });
    const busy = photos.map((photo) => embedder.embedImage(photo));
    const [settled] = await Promise.all([Promise.allSettled(busy), embedder.close()]);
    settled.forEach((outcome, i) => {
      if (outcome.status === 'rejected') code('CLOSED')(outcome.reason);
      else assert.equal(outcome.value.faces.length, alone[i]?.faces.length);
    });
    await assert.rejects(embedder.embedImage(small), code('CLOSED'));
    await embedder.close();
  });

  it('answers INTERNAL for what a worker that dies had, and goes on with the others until none is left', async () => {
    const { embedder, workers } = await openWorkers(2);
    const [first, second] = workers;
    assert.ok(first && second);
    const [lost, kept] = [embedder.embedImage(photos[0] as Buffer), embedder.embedImage(photos[1] as Buffer)];
    const [lostOutcome] = await Promise.allSettled([lost, first.terminate()]);
    assert.ok(lostOutcome.status === 'rejected' && code('INTERNAL')(lostOutcome.reason));
    assert.deepEqual(seenIn(await kept), seenIn(alone[1] as EmbeddedImage));
    assert.equal(embedder.workers, 1);
    for (const i of [2, 3]) {
      assert.deepEqual(seenIn(await embedder.embedImage(photos[i] as Buffer)), seenIn(alone[i] as EmbeddedImage));
    }
    await second.terminate();
    await assert.rejects(embedder.embedImage(small), code('INTERNAL'));
    assert.equal(embedder.stats().inFlight, 0);
    await embedder.close();
    await assert.rejects(embedder.embedImage(small), code('CLOSED'));
  });

  it('refuses numbers of workers that make no sense, and closes all of them when one does not open', async () => {
    for (const workers of [0, 65, 1.5]) {
      await assert.rejects(openOnnxEmbedder({ modelsPath, provider: 'cpu', workers }), code('INVALID_ARGUMENT'));
    }
    await assert.rejects(
      openOnnxEmbedder({ modelsPath, provider: 'cpu', workers: 3, detector: 'radar' }),
      code('INVALID_ARGUMENT'),
    );
  });
});
