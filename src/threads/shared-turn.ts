/**
 * One at a time, across the threads of a process: a lock in shared memory.
 *
 * Promises: whoever waits for its turn does not block its thread; a thread that died in its turn is passed over once
 * `passOver` says so. Nobody is guaranteed an order. A turn is not taken within a turn.
 */

/** Memory of a turn, to be given to every thread that takes part. */
export function newTurn(): SharedArrayBuffer {
  return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
}

const free = 0;

export class SharedTurn {
  /** The thread whose turn it is, counted from 1. */
  readonly #holder: Int32Array;
  readonly #thread: number;

  /** @param thread number of the calling thread in the process, 0 for the main one */
  constructor(memory: SharedArrayBuffer, thread: number) {
    this.#holder = new Int32Array(memory);
    this.#thread = thread + 1;
  }

  /** Waits for the turn, does the work, and gives the turn on however the work ends. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      const holder = Atomics.compareExchange(this.#holder, 0, free, this.#thread);
      if (holder === free) break;
      await Atomics.waitAsync(this.#holder, 0, holder).value;
    }
    try {
      return await work();
    } finally {
      Atomics.store(this.#holder, 0, free);
      Atomics.notify(this.#holder, 0, 1);
    }
  }
}

/** After a thread has ended: its turn, if it had one, is over, and nobody waits for a call that was meant for it. */
export function passOver(memory: SharedArrayBuffer, thread: number): void {
  const holder = new Int32Array(memory);
  Atomics.compareExchange(holder, 0, thread + 1, free);
  Atomics.notify(holder, 0);
}
