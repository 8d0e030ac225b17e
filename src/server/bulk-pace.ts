/**
 * How fast imports are read while people come.
 *
 * Promises: while nobody at a door was pressed, an item is read as soon as it is asked for. After each moment in which somebody was (refused, or nearly), the pause before the next item is
 * twice as long, up to a tenth of a second, so that an import ends some day; it shrinks by a third with each item in which nobody was. (Additive increase and
 * multiplicative decrease of a rate, after Chiu and Jain, 1989, here of the pause.) The items that wait are not read, so that HTTP/2 lets the client send no more.
 */
import { setTimeout as pause } from 'node:timers/promises';

const pauseMsMax = 100;
const pauseMsFirst = 1;
/** Shorter is none. */
const pauseMsMin = 0.5;
const recovery = 0.7;

export class BulkPace {
  readonly #pressedAtMs: () => number;
  #lookedAtMs = -Infinity;
  #pauseMs = 0;

  /** @param pressedAtMs when somebody was pressed last, by `performance.now()` */
  constructor(pressedAtMs: () => number) {
    this.#pressedAtMs = pressedAtMs;
  }

  /** Before each item of any import. Never rejects. */
  async next(): Promise<void> {
    const isPressed = this.#pressedAtMs() > this.#lookedAtMs;
    this.#lookedAtMs = performance.now();
    if (isPressed) this.#pauseMs = Math.min(pauseMsMax, Math.max(pauseMsFirst, 2 * this.#pauseMs));
    else if (this.#pauseMs > 0) this.#pauseMs = recovery * this.#pauseMs < pauseMsMin ? 0 : recovery * this.#pauseMs;
    if (this.#pauseMs > 0) await pause(this.#pauseMs);
  }
}

/** The items of an import, each when `giveWay` has resolved. */
export async function* givingWay<T>(items: AsyncIterable<T>, giveWay: () => Promise<void>): AsyncIterable<T> {
  for await (const item of items) {
    await giveWay();
    yield item;
  }
}
