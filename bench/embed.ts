/**
 * Embedding: whole photos, and the recognition network alone, beside what it could be.
 *
 * Whole photos go through the embedder as users call it: encoded bytes in, faces with vectors out, 16 in flight or one after the
 * other. face-api is given the same photos, decoded by the same decoder, with the same networks and the same detector. The
 * recognition stage of ours (normalisation, inference, unit vectors) runs beside a bare onnxruntime-node loop over the same
 * chips on this thread; and once more through the embedder, as aligned crops in uncompressed TIFF.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import type { Embedder } from '../src/embedder/embedder.js';
import type { Face } from '../src/embedder/face.js';
import { InputMemory, normalise } from '../src/embedder/graph-input.js';
import { readPackFile, type ModelPack } from '../src/embedder/model-pack.js';
import { openOnnxEmbedder } from '../src/embedder/onnx-embedder.js';
import { openSession } from '../src/embedder/onnx-session.js';
import { ModelStore } from '../src/embedder/packs/model-store.js';
import { embedChips } from '../src/embedder/pipeline.js';
import type { PlanarImage } from '../src/embedder/resample.js';
import { squaredDistance } from '../src/vector.js';
import { interleave, percentile, ratioSpread, runLoad, spread, spreadText } from './measure.js';
import type { BenchOptions } from './options.js';
import { openFaceApi, type FaceApi } from './peers.js';
import { cutPortraits, decodeRgb, modelsPath, readLfwPhotos, readSamplePhotos } from './photos.js';
import type { Progress } from './progress.js';
import { rounded, type Row, type Workload } from './report.js';

const batchSizes = [1, 4, 16] as const;
/** Where a batch costs little more than a single item. */
const batchSizesBesideCpu = [...batchSizes, 64, 256] as const;

interface PhotoSet {
  readonly name: string;
  readonly photos: readonly Buffer[];
  /** Photos a measurement; they come round again. */
  readonly calls: number;
}

export async function benchEmbed(options: BenchOptions, progress: Progress): Promise<Workload> {
  const { calls, rounds, provider: asked, workers, threads } = options;
  const embedder = await openOnnxEmbedder({ modelsPath, provider: asked, workers, threads, mirrorAveraging: false });
  const faceApi = await openFaceApi();
  try {
    const { pack, detector, provider, providerReason } = embedder.info;
    const samples = await readSamplePhotos();
    const portraits = await cutPortraits(embedder, samples);
    const lfw = await readLfwPhotos(200);
    const sets: PhotoSet[] = [
      { name: '1920 px, group', photos: samples, calls: Math.max(samples.length, Math.round(calls / 40)) },
      { name: '250x250, portrait', photos: portraits, calls: Math.max(1, Math.round(calls / 10)) },
    ];
    if (lfw) sets.push({ name: '250x250, LFW', photos: lfw, calls: Math.max(1, Math.round(calls / 10)) });
    const whole: Row[] = [];
    for (const set of sets) {
      progress(`whole photos: ${set.name}`);
      whole.push(...(await benchPhotos(set, embedder, faceApi, rounds)));
    }
    progress('recognition alone');
    const alone = await benchRecognition(embedder, portraits, Math.max(64, calls), rounds);
    const besideCpu = `what ${provider} computes, beside the CPU`;
    if (provider !== 'cpu') progress(besideCpu);
    return {
      dataset: `${samples.length} sample photos of face-api, ${portraits.length} portraits cut from them${lfw ? `, ${lfw.length} photos of LFW` : ''}; ${rounds} rounds`,
      tables: {
        'detect + align + embed': whole,
        'embed alone, 150x150 chips': alone,
        ...(provider === 'cpu' ? {} : { [besideCpu]: await benchLikeness(embedder, sets) }),
      },
      notes: [
        `pack ${pack}, ${detector} detector, ${provider} (${providerReason}), workers: ${embedder.workers}, threads of each: ${threads ?? 'by cores'}, without mirror averaging`,
        faceApi
          ? `face-api ${faceApi.version} on its WASM back end, threads: ${faceApi.threads}`
          : 'face-api on WASM: not installed; `npm run bench -- peers install` adds it',
        'ratio: images a second over face-api, chips over the first line of the batch, in the same round, median (min-max)',
      ],
    };
  } finally {
    await embedder.close();
  }
}

async function benchPhotos(
  { name, photos, calls }: PhotoSet,
  embedder: Embedder,
  faceApi: FaceApi | undefined,
  rounds: number,
): Promise<readonly Row[]> {
  const at = (position: number): Buffer => photos[position % photos.length] ?? Buffer.alloc(0);
  let faces = 0;
  const ours = (concurrency: number) => () =>
    runLoad(calls, concurrency, async (position) => {
      const found = await embedder.embedImage(at(position));
      faces += found.faces.length;
    });
  // The peer is slow: one turn over fewer photos is enough, and every photo of a set is about as much work.
  const peerCalls = Math.min(calls, photos.length, 8);
  let peerFaces = 0;
  const theirs = () =>
    runLoad(peerCalls, 1, async (position) => {
      const found = await faceApi?.describeFaces(await decodeRgb(at(position)));
      peerFaces += found ?? 0;
    });
  await ours(16)();
  if (faceApi) await theirs();
  [faces, peerFaces] = [0, 0];
  const [single = [], crowd = [], peer = []] = await interleave(rounds, [
    ours(1),
    ours(16),
    ...(faceApi ? [theirs] : []),
  ]);

  const rates = (loads: typeof single): number[] => loads.map(({ perSecond }) => perSecond);
  const row = (engine: string, loads: typeof single, facesPerImage: number): Row => ({
    photos: name,
    engine,
    imagesPerSecond: rounded(spread(rates(loads)).median, 2),
    p50Ms: rounded(
      percentile(
        loads.flatMap(({ callMs }) => callMs),
        0.5,
      ),
    ),
    facesPerImage: rounded(facesPerImage, 2),
    ratio: faceApi && loads !== peer ? spreadText(ratioSpread(rates(loads), rates(peer))) : null,
  });
  const facesPerImage = faces / (2 * rounds * calls);
  const rows = [row('harmonid, 1 at once', single, facesPerImage), row('harmonid, 16 at once', crowd, facesPerImage)];
  return faceApi ? [row('face-api WASM', peer, peerFaces / (rounds * peerCalls)), ...rows] : rows;
}

/** Another provider rounds otherwise: how far that moves faces and vectors. */
async function benchLikeness(embedder: Embedder, sets: readonly PhotoSet[]): Promise<readonly Row[]> {
  const onCpu = await openOnnxEmbedder({ modelsPath, provider: 'cpu', mirrorAveraging: false });
  try {
    const rows: Row[] = [];
    for (const { name, photos } of sets) {
      let [faces, facesOnCpu, shiftPx, distance] = [0, 0, 0, 0];
      for (const photo of photos) {
        const [ours, theirs] = await Promise.all([embedder.embedImage(photo), onCpu.embedImage(photo)]);
        faces += ours.faces.length;
        facesOnCpu += theirs.faces.length;
        for (const { face, vector } of ours.faces) {
          const shifts = theirs.faces.map((other) => boxShiftPx(face, other.face));
          const nearest = theirs.faces[shifts.indexOf(Math.min(...shifts))];
          if (!nearest) continue;
          shiftPx = Math.max(shiftPx, boxShiftPx(face, nearest.face));
          distance = Math.max(distance, squaredDistance(vector, nearest.vector));
        }
      }
      rows.push({
        photos: name,
        faces,
        facesOnCpu,
        greatestShiftPx: rounded(shiftPx, 3),
        greatestSquaredDistance: rounded(distance, 9),
      });
    }
    return rows;
  } finally {
    await onCpu.close();
  }
}

/** The greatest move of a side of the box. */
function boxShiftPx({ box: a }: Face, { box: b }: Face): number {
  return Math.max(
    Math.abs(a.left - b.left),
    Math.abs(a.top - b.top),
    Math.abs(a.left + a.width - b.left - b.width),
    Math.abs(a.top + a.height - b.top - b.height),
  );
}

async function benchRecognition(
  embedder: Embedder,
  portraits: readonly Buffer[],
  chipCount: number,
  rounds: number,
): Promise<readonly Row[]> {
  const pack = await new ModelStore(modelsPath).open();
  const { input } = pack.embedding;
  const crops = await Promise.all(
    portraits.map((portrait) =>
      sharp(portrait).resize(input.width, input.height).tiff({ compression: 'none' }).toBuffer(),
    ),
  );
  const chips = await Promise.all(crops.map(readChip));
  const model = await readPackFile(pack.embedding.packFile);
  const { provider } = embedder.info;
  const session = await openSession(model, { provider, threads: 0 });
  const memory = new InputMemory(input);
  const executionProviders = [provider === 'directml' ? 'dml' : provider];
  const bareDefault = await InferenceSession.create(model, { executionProviders });
  // As the embedder's own sessions are set: idle threads that spin would make the peer slower, and the ratio flattering.
  const bare = await InferenceSession.create(model, {
    executionProviders,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  try {
    const rows: Row[] = [];
    for (const batchSize of provider === 'cpu' ? batchSizes : batchSizesBesideCpu) {
      const batches = Math.ceil(chipCount / batchSize);
      const batch = Array.from({ length: batchSize }, (_, i) => chips[i % chips.length]).filter(
        (chip) => chip !== undefined,
      );
      const feeds = { [input.name]: tensorOf(batch, pack) };
      const ways = {
        'bare onnxruntime-node, no spinning': () => runLoad(batches, 1, () => bare.run(feeds)),
        'bare onnxruntime-node, its defaults': () => runLoad(batches, 1, () => bareDefault.run(feeds)),
        'harmonid, recognition stage': () => runLoad(batches, 1, () => embedChips(session, pack, memory, batch, false)),
        'harmonid, aligned crops through the embedder': () =>
          runLoad(batches, 1, () =>
            Promise.all(batch.map((_, i) => embedder.embedAlignedCrop(crops[i % crops.length] ?? Buffer.alloc(0)))),
          ),
      };
      await interleave(1, Object.values(ways));
      const loads = await interleave(rounds, Object.values(ways));
      const rates = loads.map((rounded) => rounded.map(({ perSecond }) => perSecond * batchSize));
      for (const [position, engine] of Object.keys(ways).entries()) {
        const [ours = [], theirs = []] = [rates[position], rates[0]];
        rows.push({
          batch: batchSize,
          engine,
          facesPerSecond: rounded(spread(ours).median, 1),
          msPerFace: rounded(1000 / spread(ours).median, 2),
          ratio: position === 0 ? null : spreadText(ratioSpread(ours, theirs)),
        });
      }
    }
    return rows;
  } finally {
    await session.close();
    await bare.release();
    await bareDefault.release();
  }
}

/** The very values that the recognition stage feeds, so that the peer does the same inference. */
function tensorOf(chips: readonly PlanarImage[], { embedding: { input } }: ModelPack): Tensor {
  const { tensor, images } = new InputMemory(input).blackBatch(chips.length);
  for (const [i, image] of images.entries()) {
    const chip = chips[i];
    if (chip) image.data.set(chip.data);
    normalise(image, input);
  }
  return new Tensor('float32', tensor.data, [...tensor.dims]);
}

/** RGB planes of 0 to 255. */
async function readChip(crop: Buffer): Promise<PlanarImage> {
  const { data, width, height } = await decodeRgb(crop);
  const plane = width * height;
  const planes = Float32Array.from({ length: 3 * plane }, (_, i) => data[(i % plane) * 3 + Math.floor(i / plane)] ?? 0);
  return { width, height, data: planes };
}
