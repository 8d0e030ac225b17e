/**
 * The pipeline: encoded image -> pixels -> boxes -> landmarks -> aligned chips -> unit vectors, with the quality of each
 * face on the way.
 *
 * Promises: concurrent images share batches stage by stage; an image that fails, or whose caller left, does not disturb the
 * others; what waits for memory is refused when `refuseNew` was called, what has begun is finished. `run` of the sessions
 * keeps the calling thread busy, so this belongs into a thread of its own (`embed-worker.ts`).
 */
import { throwIfAborted, HarmonidError } from '../errors.js';
import type { SharedTurn } from '../threads/shared-turn.js';
import { parseVector, type UnitVector } from '../vector.js';
import { arcface112, centredFace, chipToCrop, chipToImage, templateEyeDistance, templatePoints } from './align.js';
import { Batcher } from './batcher.js';
import { drawViews, layOutViews, readDetections, spreadLevels, suppressOverlaps, type Detection } from './detect.js';
import type { CropAlignment, EmbeddedFace, EmbeddedImage, EmbedTimings } from './embedder.js';
import type { Face, Point, QualityMeasures } from './face.js';
import { drawMirrored, InputMemory, normalise } from './graph-input.js';
import { decodeImage, inspectImage, type ImageLimits, type RgbImage } from './image.js';
import { averageWithMirror, boxFrame, landmarkCount, landmarkFrame, readLandmarks } from './landmarks.js';
import {
  readPackFile,
  type DetectorModel,
  type ModelPack,
  type PackFile,
  type PresentationModel,
} from './model-pack.js';
import { openSession, type OnnxSession, type RunningProvider, type Tensor } from './onnx-session.js';
import { PixelBudget } from './pixel-budget.js';
import { presentationFrame, readPresentation } from './presentation.js';
import { innerFace, judgeQuality, measureLight, measurePose, type ChipArea, type QualityLimits } from './quality.js';
import { insideShare, warp, warpInto, type PlanarImage, type Similarity } from './resample.js';

/** Everything a pipeline needs, complete. Plain data: it crosses threads. */
export interface PipelineOptions {
  readonly pack: ModelPack;
  readonly provider: RunningProvider;
  /** Threads of one graph on the CPU; 0 takes one a physical core. */
  readonly threads: number;
  /** One of the pack's detector variants. */
  readonly detector: string;
  readonly mirrorAveraging: boolean;
  /** Most faces in one recognition batch. */
  readonly batchMax: number;
  readonly qualityLimits: QualityLimits;
  readonly imageLimits: ImageLimits;
  /** Pixels in work beyond which images wait; a larger one is alone. */
  readonly pixelsInWorkMax: number;
}

/** Totals since start. */
export interface EmbedCounts {
  readonly images: number;
  readonly faces: number;
  /** Recognition batches, and the faces in them. */
  readonly batches: number;
  readonly batchedFaces: number;
}

interface CallSettings {
  readonly signal?: AbortSignal | undefined;
  readonly largestOnly?: boolean | undefined;
}

interface Sessions {
  readonly detector: OnnxSession;
  readonly landmarks: OnnxSession;
  readonly embedding: OnnxSession;
  /** Null when the pack has none. */
  readonly presentation: OnnxSession | null;
}

/** A frame of the landmark or presentation network in an image. */
interface FramedFace {
  readonly image: RgbImage;
  readonly frame: Similarity;
}

/** A detector's batch is smaller: its inputs are large, and a CPU gains little. */
const detectionBatchMax = 4;

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #sessions: Sessions;
  readonly #budget: PixelBudget;
  readonly #detect: Batcher<RgbImage, readonly Detection[]>;
  readonly #locate: Batcher<FramedFace, readonly Point[]>;
  readonly #embed: Batcher<PlanarImage, UnitVector>;
  readonly #score: Batcher<FramedFace, number> | null;
  readonly #innerFace: ChipArea;
  #images = 0;
  #faces = 0;

  /** @throws PROVIDER_UNAVAILABLE, MODEL_NOT_FOUND, MODEL_INVALID, INVALID_ARGUMENT */
  static async open(options: PipelineOptions, deviceTurn: SharedTurn): Promise<Pipeline> {
    const { pack, provider, threads } = options;
    const detector = pack.detection.variants[options.detector];
    if (!detector) {
      const names = Object.keys(pack.detection.variants).join(', ');
      throw new HarmonidError('INVALID_ARGUMENT', `there is no detector "${options.detector}"; the pack has ${names}`);
    }
    const open = async ({ packFile }: { packFile: PackFile }): Promise<OnnxSession> =>
      openSession(await readPackFile(packFile), { provider, threads, deviceTurn });
    const sessions: Sessions = {
      detector: await open(detector),
      landmarks: await open(pack.landmarks),
      embedding: await open(pack.embedding),
      presentation: pack.presentation && (await open(pack.presentation)),
    };
    return new Pipeline(options, detector, sessions);
  }

  private constructor(options: PipelineOptions, detector: DetectorModel, sessions: Sessions) {
    const { pack, batchMax } = options;
    this.#options = options;
    this.#sessions = sessions;
    this.#budget = new PixelBudget(options.pixelsInWorkMax);
    const { input } = pack.embedding;
    // A batcher runs one batch at a time, so each stage has one memory.
    const memories = {
      detector: new InputMemory(detector.input),
      landmarks: new InputMemory(pack.landmarks.input),
      embedding: new InputMemory(input),
    };
    this.#detect = new Batcher(Math.min(batchMax, detectionBatchMax), (images) =>
      detectFaces(sessions.detector, detector, memories.detector, images),
    );
    this.#locate = new Batcher(batchMax, (faces) =>
      locateLandmarks(sessions.landmarks, pack, memories.landmarks, faces),
    );
    this.#embed = new Batcher(batchMax, (chips) =>
      embedChips(sessions.embedding, pack, memories.embedding, chips, options.mirrorAveraging),
    );
    this.#score = presentationBatcher(sessions.presentation, pack, batchMax);
    this.#innerFace = innerFace(templatePoints(pack.manifest.alignment), input.width, input.height);
  }

  get counts(): EmbedCounts {
    const { batches, items } = this.#embed.counts;
    return { images: this.#images, faces: this.#faces, batches, batchedFaces: items };
  }

  /** Every face of an image, largest first. */
  async embedImage(bytes: Uint8Array, { signal, largestOnly }: CallSettings = {}): Promise<EmbeddedImage> {
    return this.#withPixels(bytes, signal, async (image, decodeMs) => {
      const started = performance.now();
      const detections = bySize(await this.#detect.submit(image, signal));
      this.#faces += detections.length;
      const detected = performance.now();
      const wanted = largestOnly ? detections.slice(0, 1) : detections;
      const aligned = await Promise.all(wanted.map((detection) => this.#align(image, detection, signal)));
      const alignedAt = performance.now();
      const faces = await Promise.all(
        aligned.map(async ({ face, chip }) => ({ face, vector: await this.#embed.submit(chip, signal) })),
      );
      return finished(image, faces, {
        decodeMs,
        detectMs: detected - started,
        alignMs: alignedAt - detected,
        embedMs: performance.now() - alignedAt,
      });
    });
  }

  /** An image that is already aligned. */
  async embedAlignedCrop(
    bytes: Uint8Array,
    alignment: CropAlignment = 'chip',
    { signal }: CallSettings = {},
  ): Promise<EmbeddedImage> {
    const { pack } = this.#options;
    return this.#withPixels(bytes, signal, async (image, decodeMs) => {
      const { input } = pack.embedding;
      const toCrop = cropFrame(pack, image, alignment);
      const started = performance.now();
      const chip = warp(image, toCrop, input.width, input.height);
      // What only a detector or landmarks could tell takes the value of a face that is as it should be.
      const face = this.#describe(
        chip,
        [],
        {
          eyeDistancePx: templateEyeDistance(pack.manifest.alignment),
          yawDegrees: 0,
          rollDegrees: 0,
          detectionScore: 1,
          insideShare: insideShare(image, toCrop, input.width, input.height),
          // What is around the face, by which a network tells, was cut off.
          presentationScore: null,
        },
        { left: 0, top: 0, width: input.width, height: input.height },
      );
      const alignedAt = performance.now();
      this.#faces++;
      const vector = await this.#embed.submit(chip, signal);
      return finished(image, [{ face, vector }], {
        decodeMs,
        detectMs: 0,
        alignMs: alignedAt - started,
        embedMs: performance.now() - alignedAt,
      });
    });
  }

  /** From now on, what waits for memory or comes anew is refused with CLOSED. */
  refuseNew(): void {
    this.#budget.close();
  }

  /** Frees the sessions; nothing may be in work any more. */
  async close(): Promise<void> {
    this.refuseNew();
    const { detector, landmarks, embedding, presentation } = this.#sessions;
    await Promise.all(
      [detector, landmarks, embedding, ...(presentation ? [presentation] : [])].map((session) => session.close()),
    );
  }

  /** Decodes within the budget of pixels, and gives them back however `work` ends. */
  async #withPixels(
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
    work: (image: RgbImage, decodeMs: number) => Promise<EmbeddedImage>,
  ): Promise<EmbeddedImage> {
    const started = performance.now();
    const inspected = await inspectImage(bytes, this.#options.imageLimits);
    const pixels = inspected.storedWidth * inspected.storedHeight;
    await this.#budget.acquire(pixels, signal);
    try {
      const image = await decodeImage(inspected);
      throwIfAborted(signal);
      this.#images++;
      return await work(image, performance.now() - started);
    } finally {
      this.#budget.release(pixels);
    }
  }

  async #align(
    image: RgbImage,
    { box, score }: Detection,
    signal?: AbortSignal,
  ): Promise<{ face: Face; chip: PlanarImage }> {
    const { landmarks: model, manifest, embedding, presentation } = this.#options.pack;
    const firstLook = await this.#locate.submit({ image, frame: boxFrame(box, model.input) }, signal);
    const landmarks = await this.#locate.submit({ image, frame: landmarkFrame(firstLook, model.input) }, signal);
    const toImage = chipToImage(manifest.alignment, landmarks);
    const { width, height } = embedding.input;
    const chip = warp(image, toImage, width, height);
    const measures = {
      ...measurePose(landmarks),
      detectionScore: score,
      insideShare: insideShare(image, toImage, width, height),
      presentationScore:
        presentation && this.#score
          ? await this.#score.submit({ image, frame: presentationFrame(box, presentation) }, signal)
          : null,
    };
    return { face: this.#describe(chip, landmarks, measures, box), chip };
  }

  #describe(
    chip: PlanarImage,
    landmarks: readonly Point[],
    measures: Omit<QualityMeasures, 'sharpness' | 'brightness' | 'contrast'>,
    box: Face['box'],
  ): Face {
    const all = { ...measures, ...measureLight(chip, this.#innerFace) };
    const { pack, qualityLimits } = this.#options;
    return { box, landmarks, quality: judgeQuality(all, qualityLimits, pack.presentation?.threshold.value ?? null) };
  }
}

async function detectFaces(
  session: OnnxSession,
  model: DetectorModel,
  memory: InputMemory,
  images: readonly RgbImage[],
): Promise<(readonly Detection[])[]> {
  const batch = memory.blackBatch(images.length);
  const layouts = images.map((image, i) => {
    const canvas = batch.images[i] as PlanarImage;
    const views = layOutViews(image, canvas);
    drawViews(canvas, image, views);
    spreadLevels(canvas, views);
    normalise(canvas, model.input);
    return views;
  });
  const outputs = await session.run({ [model.input.name]: batch.tensor });
  const boxes = rowsOf(outputs, model.boxes, images.length);
  const scores = rowsOf(outputs, model.scores, images.length);
  return layouts.map((views, i) =>
    suppressOverlaps(
      readDetections(boxes[i] as Float32Array, scores[i] as Float32Array, views, model.input, model.scoreThreshold),
      model.iouThreshold,
    ),
  );
}

async function locateLandmarks(
  session: OnnxSession,
  { landmarks: model }: ModelPack,
  memory: InputMemory,
  faces: readonly FramedFace[],
): Promise<(readonly Point[])[]> {
  const { input } = model;
  const batch = memory.blackBatch(2 * faces.length);
  faces.forEach(({ image, frame }, i) => {
    const planes = batch.images[i] as PlanarImage;
    warpInto(planes, image, frame, { left: 0, top: 0, width: input.width, height: input.height });
    drawMirrored(batch.images[faces.length + i] as PlanarImage, planes);
  });
  for (const image of batch.images) normalise(image, input);
  const outputs = await session.run({ [input.name]: batch.tensor });
  const rows = rowsOf(outputs, model.output, batch.images.length, 2 * landmarkCount);
  return faces.map(({ frame }, i) =>
    readLandmarks(averageWithMirror(rows[i] as Float32Array, rows[faces.length + i] as Float32Array), frame, input),
  );
}

function presentationBatcher(
  session: OnnxSession | null,
  { presentation: model }: ModelPack,
  batchMax: number,
): Batcher<FramedFace, number> | null {
  if (!session || !model) return null;
  const memory = new InputMemory(model.input);
  return new Batcher(batchMax, (faces) => scorePresentations(session, model, memory, faces));
}

async function scorePresentations(
  session: OnnxSession,
  model: PresentationModel,
  memory: InputMemory,
  faces: readonly FramedFace[],
): Promise<number[]> {
  const { input } = model;
  const batch = memory.blackBatch(faces.length);
  faces.forEach(({ image, frame }, i) => {
    const planes = batch.images[i] as PlanarImage;
    warpInto(planes, image, frame, { left: 0, top: 0, width: input.width, height: input.height });
    normalise(planes, input);
  });
  const outputs = await session.run({ [input.name]: batch.tensor });
  return rowsOf(outputs, model.output, faces.length).map((classes) => readPresentation(classes, model));
}

/** Unit vectors of chips; with mirror averaging, of the sum of a chip's embedding and that of its mirror image. */
export async function embedChips(
  session: OnnxSession,
  { embedding: model }: ModelPack,
  memory: InputMemory,
  chips: readonly PlanarImage[],
  mirrorAveraging: boolean,
): Promise<UnitVector[]> {
  const { input, dimensions } = model;
  const batch = memory.blackBatch(mirrorAveraging ? 2 * chips.length : chips.length);
  chips.forEach((chip, i) => {
    (batch.images[i] as PlanarImage).data.set(chip.data);
    if (mirrorAveraging) drawMirrored(batch.images[chips.length + i] as PlanarImage, chip);
  });
  for (const image of batch.images) normalise(image, input);
  const outputs = await session.run({ [input.name]: batch.tensor });
  const rows = rowsOf(outputs, model.output, batch.images.length, dimensions);
  return chips.map((_, i) => {
    const row = rows[i] as Float32Array;
    const mirrored = mirrorAveraging ? (rows[chips.length + i] as Float32Array) : null;
    const sum = mirrored ? row.map((value, k) => value + (mirrored[k] as number)) : row;
    return parseVector(sum, dimensions, 'the model pack');
  });
}

/** An output as one row per item. @throws MODEL_INVALID when the graph does not keep the manifest's promise */
function rowsOf(
  outputs: Readonly<Record<string, Tensor>>,
  name: string,
  count: number,
  length?: number,
): Float32Array[] {
  const tensor = outputs[name];
  const rowLength = tensor ? tensor.data.length / count : 0;
  if (!tensor || tensor.dims[0] !== count || (length !== undefined && rowLength !== length)) {
    throw new HarmonidError(
      'MODEL_INVALID',
      `output "${name}" of the graph has shape [${tensor?.dims.join(', ') ?? 'absent'}], ${count} x ${length ?? 'any'} is wanted`,
    );
  }
  return Array.from({ length: count }, (_, i) => tensor.data.subarray(i * rowLength, (i + 1) * rowLength));
}

/**
 * The pack's chip in a crop.
 * @throws IMAGE_WRONG_SIZE
 */
function cropFrame({ manifest, embedding }: ModelPack, image: RgbImage, alignment: CropAlignment): Similarity {
  if (alignment === 'centre') return chipToCrop(manifest.alignment, centredFace(image.width, image.height));
  const [wanted, owner] =
    alignment === 'chip' ? [embedding.input, `model pack "${manifest.id}"`] : [arcface112, `alignment ${alignment}`];
  if (image.width !== wanted.width || image.height !== wanted.height) {
    throw new HarmonidError(
      'IMAGE_WRONG_SIZE',
      `the aligned crop is ${image.width}x${image.height}, ${owner} expects ${wanted.width}x${wanted.height}`,
      { details: { width: image.width, height: image.height, packWidth: wanted.width, packHeight: wanted.height } },
    );
  }
  return alignment === 'chip' ? { a: 1, b: 0, tx: 0, ty: 0 } : chipToCrop(manifest.alignment, arcface112);
}

function bySize(detections: readonly Detection[]): Detection[] {
  const area = ({ box }: Detection): number => box.width * box.height;
  return detections.toSorted((one, other) => area(other) - area(one));
}

function finished(image: RgbImage, faces: readonly EmbeddedFace[], timings: EmbedTimings): EmbeddedImage {
  return { width: image.width, height: image.height, faces, timings };
}
