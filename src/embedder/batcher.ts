/**
 * Micro-batching: single items in, batches to a model, single results out.
 *
 * Promises: whatever waits when the model becomes free goes in one batch, up to `batchMax`, in order of arrival; nothing
 * is delayed to fill a batch. Each item gets its own result or its own error: when a batch fails, its items are tried
 * one by one, so a bad item fails alone. An aborted item that has not begun is dropped; one that has begun is finished.
 */
import { setImmediate } from 'node:timers/promises';
import { abortError, assertInvariant } from '../errors.js';

/** One result per item, in the items' order. */
export type RunBatch<Item, Result> = (items: readonly Item[]) => Promise<readonly Result[]>;

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

export class Batcher<Item, Result> {
  readonly #runBatch: RunBatch<Item, Result>;
  readonly #batchMax: number;
  #waiting: Waiting<Item, Result>[] = [];
  #running = false;
  #batches = 0;
  #items = 0;

  /** @param batchMax 1 or more; larger uses the hardware better and makes the first item of a batch wait longer. */
  constructor(batchMax: number, runBatch: RunBatch<Item, Result>) {
    assertInvariant(Number.isInteger(batchMax) && batchMax >= 1, 'a batch holds at least one item');
    this.#batchMax = batchMax;
    this.#runBatch = runBatch;
  }

  /** Batches and items that were run, since start. */
  get counts(): { readonly batches: number; readonly items: number } {
    return { batches: this.#batches, items: this.#items };
  }

  /** @throws what the signal carries (CANCELLED, DEADLINE_EXCEEDED), or what the model threw for this item. */
  submit(item: Item, signal?: AbortSignal): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, signal, resolve, reject });
      if (!this.#running) {
        this.#running = true;
        void this.#drain();
      }
    });
  }

  /** Never rejects: every error goes to its item. */
  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      // One turn of the event loop, so that everything that is ready by now is in the queue.
      await setImmediate();
      const batch = this.#takeBatch();
      if (batch.length > 0) await this.#run(batch);
    }
    this.#running = false;
  }

  #takeBatch(): Waiting<Item, Result>[] {
    const batch: Waiting<Item, Result>[] = [];
    let taken = 0;
    for (; taken < this.#waiting.length && batch.length < this.#batchMax; taken++) {
      const waiting = this.#waiting[taken] as Waiting<Item, Result>;
      if (waiting.signal?.aborted) waiting.reject(abortError(waiting.signal));
      else batch.push(waiting);
    }
    this.#waiting = this.#waiting.slice(taken);
    return batch;
  }

  async #run(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      this.#batches++;
      this.#items += batch.length;
      const results = await this.#runBatch(batch.map(({ item }) => item));
      assertInvariant(results.length === batch.length, 'a batch gives one result per item');
      batch.forEach(({ resolve }, i) => resolve(results[i] as Result));
    } catch (error) {
      const [only] = batch;
      if (batch.length === 1 && only) only.reject(error);
      else for (const waiting of batch) await this.#run([waiting]);
    }
  }
}
