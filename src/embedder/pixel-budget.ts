/**
 * How many pixels may be in work at once, so that many large photos at the same moment queue instead of filling the memory.
 *
 * Promises: first come, first served; one image always gets in, however large; an aborted or closed-out waiter never holds
 * anything.
 */
import { abortError, assertInvariant, HarmonidError } from '../errors.js';

interface Waiter {
  readonly pixels: number;
  readonly admit: () => void;
  readonly refuse: (error: HarmonidError) => void;
}

export class PixelBudget {
  readonly #pixelsMax: number;
  #pixelsInWork = 0;
  #waiting: Waiter[] = [];
  #closed = false;

  constructor(pixelsMax: number) {
    this.#pixelsMax = pixelsMax;
  }

  /** Resolves when `pixels` fit; give them back with `release`. @throws CLOSED, CANCELLED, DEADLINE_EXCEEDED */
  async acquire(pixels: number, signal?: AbortSignal): Promise<void> {
    if (this.#closed) throw closedError();
    if (signal?.aborted) throw abortError(signal);
    if (this.#waiting.length === 0 && this.#fits(pixels)) {
      this.#pixelsInWork += pixels;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        if (signal) reject(abortError(signal));
        // The one behind may be smaller.
        this.#admitWaiting();
      };
      const waiter: Waiter = {
        pixels,
        admit: () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        },
        refuse: (error) => {
          signal?.removeEventListener('abort', abort);
          reject(error);
        },
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  release(pixels: number): void {
    this.#pixelsInWork -= pixels;
    assertInvariant(this.#pixelsInWork >= 0, 'no more pixels are released than were acquired');
    this.#admitWaiting();
  }

  /** Refuses everyone who waits, and everyone who comes, with CLOSED. */
  close(): void {
    this.#closed = true;
    for (const { refuse } of this.#waiting) refuse(closedError());
    this.#waiting = [];
  }

  #fits(pixels: number): boolean {
    return this.#pixelsInWork === 0 || this.#pixelsInWork + pixels <= this.#pixelsMax;
  }

  #admitWaiting(): void {
    for (let first = this.#waiting[0]; first && this.#fits(first.pixels); first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#pixelsInWork += first.pixels;
      first.admit();
    }
  }
}

function closedError(): HarmonidError {
  return new HarmonidError('CLOSED', 'the embedder is closed');
}
