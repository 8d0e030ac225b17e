/**
 * How fast imports are read while people come.
 *
 * Promises: while nobody comes, an item is read as soon as it is asked for. While people do, items of all imports together are so far apart that those at the doors keep the
 * event loop: for what a call takes of it, times `restTimes`, times the share of it that calls take, but no import waits for longer than a tenth of a second. After each moment in which somebody was pressed nevertheless
 * (refused, or nearly), the pause before the next item is twice as long, up to a tenth of a second, so that an import ends some day; it shrinks by a third with each item in which nobody was.
 * (Additive increase and multiplicative decrease of a rate, after Chiu and Jain, 1989, here of the pause.) The items that wait are not read, so that HTTP/2 lets the
 * client send no more.
 */
import { setTimeout as pause } from 'node:timers/promises';

const pauseMsMax = 100;
const pauseMsFirst = 1;
/** Shorter is none. */
const pauseMsMin = 0.5;
const recovery = 0.7;
/** Where people take half of the event loop, an item's rest is eight times what one of them takes. */
const restTimes = 16;

/** How the event loop is. */
export interface Pressure {
  /** When somebody was pressed last, by `performance.now()`. */
  readonly pressedAtMs: number;
  /** What those who came a moment ago took of it: milliseconds each, and the share of all together. */
  readonly load: { readonly callMs: number; readonly share: number };
}

export class BulkPace {
  readonly #pressure: Pressure;
  #lookedAtMs = -Infinity;
  #pauseMs = 0;
  /** Imports that rest. */
  #resting = 0;

  constructor(pressure: Pressure) {
    this.#pressure = pressure;
  }

  /** Before each item of any import. Never rejects. */
  async next(): Promise<void> {
    const { pressedAtMs, load } = this.#pressure;
    const isPressed = pressedAtMs > this.#lookedAtMs;
    this.#lookedAtMs = performance.now();
    if (isPressed) this.#pauseMs = Math.min(pauseMsMax, Math.max(pauseMsFirst, 2 * this.#pauseMs));
    else if (this.#pauseMs > 0) this.#pauseMs = recovery * this.#pauseMs < pauseMsMin ? 0 : recovery * this.#pauseMs;
    const apartMs = restTimes * load.share * load.callMs;
    const restMs = Math.min(pauseMsMax, Math.max(this.#pauseMs, apartMs * (this.#resting + 1)));
    if (restMs < pauseMsMin) return;
    this.#resting++;
    await pause(restMs);
    this.#resting--;
  }
}

/** The items of an import, each when `giveWay` has resolved. */
export async function* givingWay<T>(items: AsyncIterable<T>, giveWay: () => Promise<void>): AsyncIterable<T> {
  for await (const item of items) {
    await giveWay();
    yield item;
  }
}
