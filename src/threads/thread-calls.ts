/** Calls to a worker thread: each waits for the answer with its number, and all of them end when the thread does. */
import type { Worker } from 'node:worker_threads';
import { abortError, type HarmonidError } from '../errors.js';
import { thawError, type FrozenError } from './frozen-error.js';

/** What a thread says to a call: how far it is, and in the end its answer or an error. */
export interface ThreadReply {
  readonly id: number;
  readonly answer?: unknown;
  readonly progress?: unknown;
  readonly error?: FrozenError | undefined;
}

export interface ThreadCallOptions {
  readonly onProgress?: ((progress: unknown) => void) | undefined;
  /** The thread is told with a message of kind `abort`, and answers as it likes. */
  readonly signal?: AbortSignal | undefined;
}

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: ((progress: unknown) => void) | undefined;
}

export class ThreadCalls {
  readonly #worker: Worker;
  readonly #post: (message: object) => void;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #end: HarmonidError | null = null;

  /** The thread keeps no process alive but for a call that is under way. @param post default: each message at once */
  constructor(worker: Worker, post = (message: object): void => worker.postMessage(message)) {
    this.#worker = worker;
    this.#post = post;
    worker.unref();
  }

  /** Why calls are refused from now on; null while they are not. */
  get end(): HarmonidError | null {
    return this.#end;
  }

  /** Posts the message with the call's number. */
  async call(message: object, { onProgress, signal }: ThreadCallOptions = {}): Promise<unknown> {
    if (this.#end) throw this.#end;
    if (signal?.aborted) throw abortError(signal);
    const id = ++this.#lastId;
    const abort = (): void => {
      if (!this.#end) this.#post({ id, kind: 'abort' });
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject, onProgress });
        if (this.#waiting.size === 1) this.#worker.ref();
        this.#post({ ...message, id });
      });
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  take({ id, answer, progress, error }: ThreadReply): void {
    const call = this.#waiting.get(id);
    if (progress !== undefined) {
      call?.onProgress?.(progress);
      return;
    }
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if (error) call?.reject(thawError(error));
    else call?.resolve(answer);
  }

  /** Refuses what waits and whatever comes. @returns false when that was done before */
  endWith(error: HarmonidError): boolean {
    if (this.#end) return false;
    this.#end = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    return true;
  }
}
