/**
 * A slot for the newest of what arrives while its taker is busy.
 *
 * Whatever arrives while another is still waiting replaces it; the replaced one is counted and never seen. What waits when the
 * source ends is still taken.
 */
export class NewestFrame<T> {
  #waiting: { readonly frame: T } | undefined;
  #dropped = 0;
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  /** Frames replaced so far. */
  get dropped(): number {
    return this.#dropped;
  }

  put(frame: T): void {
    if (this.#ended) return;
    if (this.#waiting) this.#dropped++;
    this.#waiting = { frame };
    this.#wake?.();
  }

  /** No more will come; `failure` is thrown to the taker after what still waits. */
  end(failure?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    this.#wake?.();
  }

  /** Fills the slot from `source` until one of the two ends. */
  async fillFrom(source: AsyncIterable<T>): Promise<void> {
    try {
      for await (const frame of source) {
        if (this.#ended) return;
        this.put(frame);
      }
      this.end();
    } catch (error) {
      this.end(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** The newest frame, as soon as there is one; undefined after the end. One taker at a time. */
  async take(): Promise<T | undefined> {
    while (!this.#waiting && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) return waiting.frame;
    if (this.#failure) throw this.#failure;
    return undefined;
  }
}
