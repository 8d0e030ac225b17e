/**
 * The embedder that runs ONNX models: the main thread's side.
 *
 * Promises: nothing here decodes or computes; images go to one worker thread (`embed-worker.ts`) and faces come back, so the
 * caller's event loop stays free. Every call settles: with faces, with the worker's error, with the abort's reason at the
 * moment of the abort, or with INTERNAL when the thread dies. After `close` everything is refused with CLOSED.
 */
import { Worker } from 'node:worker_threads';
import { abortError, HarmonidError, throwIfAborted } from '../errors.js';
import type {
  EmbeddedImage,
  Embedder,
  EmbedderInfo,
  EmbedderStats,
  EmbedOptions,
  ExecutionProvider,
} from './embedder.js';
import { thawError, type WorkerReply, type WorkerRequest, type WorkerSettings } from './embed-messages.js';
import { defaultImageLimits, type ImageLimits } from './image.js';
import { defaultQualityLimits, type QualityLimits } from './quality.js';

interface Pending {
  readonly resolve: (image: EmbeddedImage) => void;
  readonly reject: (error: HarmonidError) => void;
}

/** Speaks to one embedding thread. Made by `openOnnxEmbedder`. */
export class OnnxEmbedder implements Embedder {
  readonly info: EmbedderInfo;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #nextId = 1;
  #counts = { images: 0, faces: 0, batches: 0, batchedFaces: 0 };
  /** Why calls are refused from now on; null while open. */
  #refusal: HarmonidError | null = null;

  constructor(worker: Worker, info: EmbedderInfo) {
    this.info = info;
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
    return this.#embed(image, false, options);
  }

  embedAlignedCrop(crop: Uint8Array, options: EmbedOptions = {}): Promise<EmbeddedImage> {
    return this.#embed(crop, true, options);
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

  async #embed(bytes: Uint8Array, aligned: boolean, { signal, largestOnly = false }: EmbedOptions): Promise<EmbeddedImage> {
    if (this.#refusal) throw this.#refusal;
    throwIfAborted(signal);
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
        this.#post({ kind: 'embed', id, bytes, aligned, largestOnly });
      });
    } finally {
      this.#pending.delete(id);
      signal?.removeEventListener('abort', abort);
    }
  }

  #post(request: WorkerRequest): void {
    this.#worker.postMessage(request);
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
