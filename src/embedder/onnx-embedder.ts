/**
 * The embedder that runs ONNX models: the main thread's side.
 *
 * Promises: nothing here decodes or computes; images go to worker threads (`embed-thread.ts`), each to the one with the least work, and
 * faces come back, so the caller's event loop stays free. Every call settles: with faces, with its worker's error, with the abort's reason
 * at the moment of the abort, or with INTERNAL when its worker dies. A dead worker is not replaced: the others go on and take what comes
 * later, and when none is left everything is refused with INTERNAL. After `close`, which finishes what has begun, everything is refused
 * with CLOSED.
 *
 * An image's faces are the same whichever worker embeds it. Which images share a batch is left to chance, as it is with one worker;
 * that moves vectors by rounding alone.
 */
import { availableParallelism } from 'node:os';
import { HarmonidError, throwIfAborted } from '../errors.js';
import { startEmbedThread, type EmbedCall, type EmbedThread } from './embed-thread.js';
import type {
  EmbedCropOptions,
  EmbeddedImage,
  Embedder,
  EmbedderInfo,
  EmbedderStats,
  EmbedOptions,
  ExecutionProvider,
} from './embedder.js';
import { defaultImageLimits, type ImageLimits } from './image.js';
import { spaceName } from './model-pack.js';
import { ModelStore } from './packs/model-store.js';
import { defaultQualityLimits, type QualityLimits } from './quality.js';
import { planWorkers } from './worker-plan.js';

/** Options of the built-in embedder. */
export interface OnnxEmbedderOptions {
  /** Folder of model packs; the default pack is built into it at the first start (a second or two, 50 MB). */
  readonly modelsPath: string;
  /** Id of a pack in that folder. Default: the default pack. */
  readonly pack?: string | undefined;
  /** Default `auto`: the best that starts and is faster than the CPU; `info.providerReason` tells. The same for all workers. */
  readonly provider?: ExecutionProvider | undefined;
  /**
   * Threads that decode, draw, cut and run the networks, each with networks of its own, 1 to 64. More embed more images at the same time.
   * Each costs 170 MB of memory when it is opened and up to 800 MB once its batches were full, and one image alone takes longer, because
   * its graphs have a share of the cores. Default: by cores and provider (`worker-plan.ts`), 1 to 4.
   */
  readonly workers?: number | undefined;
  /**
   * CPU threads of one graph, 0 to 256, where 0 stands for one a physical core; `workers` times that many beyond the cores slow down.
   * Default: the cores shared out among the workers.
   */
  readonly threads?: number | undefined;
  /** Name of one of the pack's detectors; in the default pack `ssd` (finds more) or `tiny` (faster). Default: the pack's. */
  readonly detector?: string | undefined;
  /**
   * Whether to add the embedding of each face's mirror image: fewer errors, twice the recognition cost. It names another
   * space, so galleries of either kind do not mix. Default: the pack's.
   */
  readonly mirrorAveraging?: boolean | undefined;
  /** Most faces in a batch, 1 to 256. Larger suits GPUs; on CPUs 16 is past the gain. Default 16. */
  readonly batchMax?: number | undefined;
  /**
   * Images waiting or in work beyond which more are refused with OVERLOADED, 1 to 65,536. Larger queues more, holds their bytes,
   * and answers later. Default 512.
   */
  readonly inFlightMax?: number | undefined;
  readonly qualityLimits?: Partial<QualityLimits> | undefined;
  readonly imageLimits?: Partial<ImageLimits> | undefined;
}

/**
 * Opens the pack, starts the workers, and waits until their sessions are ready.
 * @throws MODEL_NOT_FOUND, MODEL_INVALID, PROVIDER_UNAVAILABLE, INVALID_ARGUMENT, DATA_READ_ONLY, DISK_FULL
 */
export async function openOnnxEmbedder(options: OnnxEmbedderOptions): Promise<OnnxEmbedder> {
  const pack = await new ModelStore(options.modelsPath).open(options.pack);
  const detector = options.detector ?? pack.detection.default;
  const mirrorAveraging = options.mirrorAveraging ?? pack.embedding.mirrorAveraging;
  const batchMax = parseWhole('batchMax', options.batchMax ?? 16, 1, 256);
  const inFlightMax = parseWhole('inFlightMax', options.inFlightMax ?? 512, 1, 65_536);
  const asked = {
    workers: options.workers === undefined ? undefined : parseWhole('workers', options.workers, 1, 64),
    threads: options.threads === undefined ? undefined : parseWhole('threads', options.threads, 0, 256),
  };
  const imageLimits = { ...defaultImageLimits, ...options.imageLimits };
  const first = startEmbedThread();
  const opened: EmbedThread[] = [first];
  try {
    // Asked once: each worker would measure for itself, beside the others, and might find otherwise.
    const { provider, reason } = await first.choose(options.provider ?? 'auto');
    const { workers, threads } = planWorkers(asked, provider, availableParallelism());
    while (opened.length < workers) opened.push(startEmbedThread());
    const openings = opened.map((thread) =>
      thread.open({
        pack,
        provider,
        threads,
        detector,
        mirrorAveraging,
        batchMax,
        qualityLimits: { ...defaultQualityLimits, ...options.qualityLimits },
        imageLimits,
        // Twice the largest image among all, so that one is decoded while another is in work. A worker always takes one image, however
        // large: pixels in work are at most twice the largest image's, or one largest image a worker where there are more than two.
        pixelsInWorkMax: (2 * imageLimits.pixelsMax) / workers,
      }),
    );
    // All of them: a thread is closed when it is not opening any more.
    await Promise.allSettled(openings);
    await Promise.all(openings);
    const info: EmbedderInfo = {
      pack: pack.manifest.id,
      space: spaceName(pack.manifest, mirrorAveraging),
      dimensions: pack.embedding.dimensions,
      threshold: pack.manifest.threshold.value,
      thresholdSource: pack.manifest.threshold.source,
      margin: pack.manifest.margin,
      provider,
      providerReason: reason,
      detector,
      mirrorAveraging,
      licence: pack.manifest.licence.spdx,
      presentation: pack.presentation && {
        threshold: pack.presentation.threshold.value,
        thresholdSource: pack.presentation.threshold.source,
      },
    };
    return new OnnxEmbedder(opened, info, inFlightMax);
  } catch (error) {
    await Promise.all(opened.map((thread) => thread.close()));
    throw error;
  }
}

function parseWhole(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new HarmonidError('INVALID_ARGUMENT', `${name} is ${value}, a whole number from ${least} to ${most} is wanted`);
}

/** Shares images out among embedding threads. Made by `openOnnxEmbedder`. */
export class OnnxEmbedder implements Embedder {
  readonly info: EmbedderInfo;
  readonly #threads: readonly EmbedThread[];
  readonly #inFlightMax: number;
  #inFlight = 0;
  #isClosed = false;

  /** @param threads open; theirs no longer: `close` closes them */
  constructor(threads: readonly EmbedThread[], info: EmbedderInfo, inFlightMax: number) {
    this.info = info;
    this.#threads = threads;
    this.#inFlightMax = inFlightMax;
  }

  /** How many are alive. */
  get workers(): number {
    return this.#alive().length;
  }

  embedImage(image: Uint8Array, { signal, largestOnly = false }: EmbedOptions = {}): Promise<EmbeddedImage> {
    return this.#embed({ bytes: image, alignment: null, largestOnly, signal });
  }

  embedAlignedCrop(crop: Uint8Array, { signal, alignment = 'chip' }: EmbedCropOptions = {}): Promise<EmbeddedImage> {
    return this.#embed({ bytes: crop, alignment, largestOnly: false, signal });
  }

  stats(): EmbedderStats {
    const total = { images: 0, faces: 0, batches: 0, batchedFaces: 0 };
    for (const { counts } of this.#threads) {
      total.images += counts.images;
      total.faces += counts.faces;
      total.batches += counts.batches;
      total.batchedFaces += counts.batchedFaces;
    }
    const { images, faces, batches, batchedFaces } = total;
    return {
      images,
      faces,
      batches,
      batchMean: batches === 0 ? 0 : batchedFaces / batches,
      inFlight: this.#inFlight,
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  async #embed(call: EmbedCall): Promise<EmbeddedImage> {
    if (this.#isClosed) throw new HarmonidError('CLOSED', 'the embedder is closed');
    throwIfAborted(call.signal);
    if (this.#inFlight >= this.#inFlightMax) {
      throw new HarmonidError(
        'OVERLOADED',
        `${this.#inFlight} images are waiting, the limit is ${this.#inFlightMax}; try again later`,
        {
          details: { inFlight: this.#inFlight, inFlightMax: this.#inFlightMax },
        },
      );
    }
    const thread = this.#leastBusy();
    this.#inFlight++;
    try {
      return await thread.embed(call);
    } finally {
      this.#inFlight--;
    }
  }

  /**
   * Work that is spread is done sooner, also where it would have filled a batch: four faces in one batch take about three times as long as
   * one. Small images do not queue behind a large one while another worker has less to do.
   */
  #leastBusy(): EmbedThread {
    const [first, ...others] = this.#alive();
    if (!first) {
      throw new HarmonidError('INTERNAL', 'no embedding thread is left', { cause: this.#threads[0]?.end });
    }
    return others.reduce((least, thread) => (thread.work < least.work ? thread : least), first);
  }

  #alive(): readonly EmbedThread[] {
    return this.#threads.filter(({ end }) => end === null);
  }
}
