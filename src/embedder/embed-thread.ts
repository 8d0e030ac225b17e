/**
 * One embedding thread, as the main thread sees it.
 *
 * Promises: every call settles: with faces, with the thread's error, with the abort's reason at the moment of the abort, or with
 * INTERNAL when the thread dies. What a caller has given up still counts as the thread's work until the thread has dropped it.
 */
import { Worker } from 'node:worker_threads';
import { abortError, assertInvariant, HarmonidError } from '../errors.js';
import { thawError } from '../threads/frozen-error.js';
import { newTurn, passOver } from '../threads/shared-turn.js';
import type { CropAlignment, EmbeddedImage, ExecutionProvider } from './embedder.js';
import type { WorkerReply, WorkerRequest, WorkerStart } from './embed-messages.js';
import type { ChosenProvider } from './onnx-session.js';
import type { EmbedCounts, PipelineOptions } from './pipeline.js';

/** One image to embed. */
export interface EmbedCall {
  readonly bytes: Uint8Array;
  /** Of an aligned crop; null for a photo. */
  readonly alignment: CropAlignment | null;
  readonly largestOnly: boolean;
  readonly signal: AbortSignal | undefined;
}

interface Pending {
  /** What it adds to `work`. */
  readonly work: number;
  readonly resolve: (image: EmbeddedImage) => void;
  readonly reject: (error: HarmonidError) => void;
}

interface Question {
  readonly resolve: (reply: WorkerReply) => void;
  readonly reject: (error: HarmonidError) => void;
}

/**
 * Encoded bytes that are as much work as whatever an image costs at any size. The detector and what follows see canvases of one size;
 * decoding and shrinking grow with the image: 0.5 MB of JPEG took about three times as long as 12 KB, 1.3 MB seven times.
 */
const bytesOfImageWork = 256 * 1024;

/** Of all threads of this process: they share its device, whichever embedder they belong to. */
const deviceTurn = newTurn();

/** Starts a thread that waits to be asked. */
export function startEmbedThread(): EmbedThread {
  const start: WorkerStart = { deviceTurn };
  return new EmbedThread(new Worker(new URL('./embed-worker.js', import.meta.url), { workerData: start }));
}

export class EmbedThread {
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  /** Not answered by the thread yet. */
  readonly #pending = new Map<number, Pending>();
  #question: Question | null = null;
  #nextId = 1;
  #work = 0;
  #counts: EmbedCounts = { images: 0, faces: 0, batches: 0, batchedFaces: 0 };
  #end: HarmonidError | null = null;
  #isClosing = false;

  constructor(worker: Worker) {
    this.#worker = worker;
    const thread = worker.threadId;
    let cause: unknown;
    worker.on('message', (reply: WorkerReply) => this.#receive(reply));
    worker.on('messageerror', (error) => (cause = error));
    worker.on('error', (error) => (cause = error));
    this.#exited = new Promise((resolve) => {
      worker.on('exit', (exitCode) => {
        passOver(deviceTurn, thread);
        this.#endWith(
          new HarmonidError('INTERNAL', `the embedding thread ended with exit code ${exitCode}`, { cause }),
        );
        resolve();
      });
    });
  }

  /** Why the thread takes nothing any more; null while it lives. */
  get end(): HarmonidError | null {
    return this.#end;
  }

  /** What it has to do, in images of the size of a portrait. */
  get work(): number {
    return this.#work;
  }

  /** Totals since start, as of its latest answer. */
  get counts(): EmbedCounts {
    return this.#counts;
  }

  /** @throws PROVIDER_UNAVAILABLE */
  async choose(provider: ExecutionProvider): Promise<ChosenProvider> {
    const reply = await this.#ask({ kind: 'choose', provider });
    assertInvariant(reply.kind === 'chosen', 'a thread that is asked for a provider names one');
    return reply.chosen;
  }

  /** Once, before the first image. @throws PROVIDER_UNAVAILABLE, MODEL_NOT_FOUND, MODEL_INVALID, INVALID_ARGUMENT */
  async open(options: PipelineOptions): Promise<void> {
    await this.#ask({ kind: 'open', options });
  }

  async embed({ bytes, alignment, largestOnly, signal }: EmbedCall): Promise<EmbeddedImage> {
    if (this.#end) throw this.#end;
    const id = this.#nextId++;
    const work = 1 + bytes.length / bytesOfImageWork;
    const abort = (): void => {
      const pending = this.#pending.get(id);
      if (!pending || !signal) return;
      pending.reject(abortError(signal));
      this.#post({ kind: 'abort', id });
    };
    try {
      return await new Promise<EmbeddedImage>((resolve, reject) => {
        // One copy of just these bytes: the caller keeps its own, and a view would drag its whole buffer along.
        const copy = new Uint8Array(bytes);
        this.#post({ kind: 'embed', id, bytes: copy, alignment, largestOnly }, [copy.buffer]);
        this.#pending.set(id, { work, resolve, reject });
        this.#work += work;
        signal?.addEventListener('abort', abort, { once: true });
      });
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Finishes what has begun, refuses what has not (CLOSED), ends the thread. Idempotent. */
  async close(): Promise<void> {
    if (!this.#isClosing && !this.#end) {
      this.#isClosing = true;
      this.#post({ kind: 'close' });
    }
    await this.#exited;
  }

  #ask(request: WorkerRequest): Promise<WorkerReply> {
    if (this.#end) return Promise.reject(this.#end);
    assertInvariant(this.#question === null, 'a thread is asked one thing at a time');
    return new Promise((resolve, reject) => {
      this.#question = { resolve, reject };
      this.#post(request);
    });
  }

  #post(request: WorkerRequest, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, transfer);
  }

  #receive(reply: WorkerReply): void {
    if (reply.kind === 'embedded' || reply.kind === 'refused') {
      // Counted by the thread, also for calls that were given up.
      this.#counts = reply.counts;
      const pending = this.#pending.get(reply.id);
      if (!pending) return;
      this.#pending.delete(reply.id);
      this.#work -= pending.work;
      if (reply.kind === 'embedded') pending.resolve(reply.image);
      else pending.reject(thawError(reply.error));
      return;
    }
    const question = this.#question;
    this.#question = null;
    if (reply.kind === 'not-opened') question?.reject(thawError(reply.error));
    else question?.resolve(reply);
  }

  #endWith(error: HarmonidError): void {
    this.#end = error;
    this.#question?.reject(error);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
