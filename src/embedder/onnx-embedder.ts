/**
 * The embedder that runs ONNX models: the main thread's side.
 *
 * Promises: nothing here decodes or computes; images go to one worker thread (`embed-worker.ts`) and faces come back, so the
 * caller's event loop stays free. Every call settles: with faces, with the worker's error, with the abort's reason at the
 * moment of the abort, or with INTERNAL when the thread dies. After `close` everything is refused with CLOSED.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { abortError, asHarmonidError, assertInvariant, HarmonidError, throwIfAborted } from '../errors.js';
import { thawError } from '../threads/frozen-error.js';
import type {
  CropAlignment,
  EmbedCropOptions,
  EmbeddedImage,
  Embedder,
  EmbedderInfo,
  EmbedderStats,
  EmbedOptions,
  ExecutionProvider,
} from './embedder.js';
import type { WorkerReply, WorkerRequest, WorkerSettings } from './embed-messages.js';
import { defaultImageLimits, type ImageLimits } from './image.js';
import { spaceName } from './model-pack.js';
import type { ChosenProvider } from './onnx-session.js';
import { ModelStore } from './packs/model-store.js';
import { defaultQualityLimits, type QualityLimits } from './quality.js';

/** Options of the built-in embedder. */
export interface OnnxEmbedderOptions {
  /** Folder of model packs; the default pack is built into it at the first start (a second or two, 50 MB). */
  readonly modelsPath: string;
  /** Id of a pack in that folder. Default: the default pack. */
  readonly pack?: string | undefined;
  /** Default `auto`: the best that starts and is faster than the CPU; `info.providerReason` tells. */
  readonly provider?: ExecutionProvider | undefined;
  /** CPU threads of one graph, 0 to 256; more than the physical cores slows down. Default 0: as many as those. */
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
 * Opens the pack, starts the embedding thread, and waits until its sessions are ready.
 * @throws MODEL_NOT_FOUND, MODEL_INVALID, PROVIDER_UNAVAILABLE, INVALID_ARGUMENT, DATA_READ_ONLY, DISK_FULL
 */
export async function openOnnxEmbedder(options: OnnxEmbedderOptions): Promise<Embedder> {
  const pack = await new ModelStore(options.modelsPath).open(options.pack);
  const settings: WorkerSettings = {
    pack,
    provider: options.provider ?? 'auto',
    threads: parseWhole('threads', options.threads ?? 0, 0, 256),
    detector: options.detector ?? pack.detection.default,
    mirrorAveraging: options.mirrorAveraging ?? pack.embedding.mirrorAveraging,
    batchMax: parseWhole('batchMax', options.batchMax ?? 16, 1, 256),
    qualityLimits: { ...defaultQualityLimits, ...options.qualityLimits },
    imageLimits: { ...defaultImageLimits, ...options.imageLimits },
  };
  const inFlightMax = parseWhole('inFlightMax', options.inFlightMax ?? 512, 1, 65_536);
  const worker = new Worker(new URL('./embed-worker.js', import.meta.url), { workerData: settings });
  const { provider, reason } = await opened(worker);
  const info: EmbedderInfo = {
    pack: pack.manifest.id,
    space: spaceName(pack.manifest, settings.mirrorAveraging),
    dimensions: pack.embedding.dimensions,
    threshold: pack.manifest.threshold.value,
    thresholdSource: pack.manifest.threshold.source,
    margin: pack.manifest.margin,
    provider,
    providerReason: reason,
    detector: settings.detector,
    mirrorAveraging: settings.mirrorAveraging,
    licence: pack.manifest.licence.spdx,
  };
  return new OnnxEmbedder(worker, info, inFlightMax);
}

function parseWhole(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new HarmonidError('INVALID_ARGUMENT', `${name} is ${value}, a whole number from ${least} to ${most} is wanted`);
}

/** The provider once the thread's sessions are ready, or what kept them from it. */
async function opened(worker: Worker): Promise<ChosenProvider> {
  const abort = new AbortController();
  // What ends first counts; the other two are let go of.
  const message = once(worker, 'message', { signal: abort.signal }).then(([reply]) => reply as WorkerReply);
  const exit = once(worker, 'exit', { signal: abort.signal }).then(([code]) => {
    throw new HarmonidError(
      'INTERNAL',
      `the embedding thread ended with exit code ${String(code)} before it was ready`,
    );
  });
  let first: WorkerReply;
  try {
    // `once` rejects by itself when the thread throws.
    first = await Promise.race([message, exit]);
  } catch (error) {
    throw asHarmonidError(error);
  } finally {
    abort.abort();
    await Promise.allSettled([message, exit]);
  }
  if (first.kind === 'opened') return first.chosen;
  assertInvariant(first.kind === 'not-opened', 'the embedding thread first says whether it opened');
  throw thawError(first.error);
}

interface Pending {
  readonly resolve: (image: EmbeddedImage) => void;
  readonly reject: (error: HarmonidError) => void;
}

/** Speaks to one embedding thread. Made by `openOnnxEmbedder`. */
export class OnnxEmbedder implements Embedder {
  readonly info: EmbedderInfo;
  readonly #worker: Worker;
  readonly #inFlightMax: number;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #nextId = 1;
  #counts = { images: 0, faces: 0, batches: 0, batchedFaces: 0 };
  /** Why calls are refused from now on; null while open. */
  #refusal: HarmonidError | null = null;

  constructor(worker: Worker, info: EmbedderInfo, inFlightMax: number) {
    this.info = info;
    this.#inFlightMax = inFlightMax;
    this.#worker = worker;
    let cause: unknown;
    worker.on('message', (reply: WorkerReply) => this.#receive(reply));
    worker.on('messageerror', (error) => (cause = error));
    worker.on('error', (error) => (cause = error));
    this.#exited = new Promise((resolve) => {
      worker.on('exit', (exitCode) => {
        const died = new HarmonidError('INTERNAL', `the embedding thread ended with exit code ${exitCode}`, { cause });
        this.#refusal ??= died;
        for (const { reject } of this.#pending.values()) reject(died);
        this.#pending.clear();
        resolve();
      });
    });
  }

  embedImage(image: Uint8Array, options: EmbedOptions = {}): Promise<EmbeddedImage> {
    return this.#embed(image, null, options);
  }

  embedAlignedCrop(crop: Uint8Array, { signal, alignment = 'chip' }: EmbedCropOptions = {}): Promise<EmbeddedImage> {
    return this.#embed(crop, alignment, { signal });
  }

  stats(): EmbedderStats {
    const { images, faces, batches, batchedFaces } = this.#counts;
    return {
      images,
      faces,
      batches,
      batchMean: batches === 0 ? 0 : batchedFaces / batches,
      inFlight: this.#pending.size,
    };
  }

  async close(): Promise<void> {
    if (this.#refusal === null) {
      this.#refusal = new HarmonidError('CLOSED', 'the embedder is closed');
      this.#post({ kind: 'close' });
    }
    await this.#exited;
  }

  async #embed(
    bytes: Uint8Array,
    alignment: CropAlignment | null,
    { signal, largestOnly = false }: EmbedOptions,
  ): Promise<EmbeddedImage> {
    if (this.#refusal) throw this.#refusal;
    throwIfAborted(signal);
    if (this.#pending.size >= this.#inFlightMax) {
      throw new HarmonidError(
        'OVERLOADED',
        `${this.#pending.size} images are waiting, the limit is ${this.#inFlightMax}; try again later`,
        {
          details: { inFlight: this.#pending.size, inFlightMax: this.#inFlightMax },
        },
      );
    }
    const id = this.#nextId++;
    const abort = (): void => {
      const pending = this.#pending.get(id);
      if (!pending || !signal) return;
      this.#pending.delete(id);
      pending.reject(abortError(signal));
      if (this.#refusal === null) this.#post({ kind: 'abort', id });
    };
    try {
      return await new Promise<EmbeddedImage>((resolve, reject) => {
        this.#pending.set(id, { resolve, reject });
        signal?.addEventListener('abort', abort, { once: true });
        // One copy of just these bytes: the caller keeps its own, and a view would drag its whole buffer along.
        const copy = new Uint8Array(bytes);
        this.#post({ kind: 'embed', id, bytes: copy, alignment, largestOnly }, [copy.buffer]);
      });
    } finally {
      this.#pending.delete(id);
      signal?.removeEventListener('abort', abort);
    }
  }

  #post(request: WorkerRequest, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, transfer);
  }

  #receive(reply: WorkerReply): void {
    if (reply.kind !== 'embedded' && reply.kind !== 'refused') return;
    // Counted by the worker, also for calls that were aborted here.
    this.#counts = reply.counts;
    const pending = this.#pending.get(reply.id);
    if (!pending) return;
    if (reply.kind === 'embedded') pending.resolve(reply.image);
    else pending.reject(thawError(reply.error));
  }
}
