/**
 * Calls that come faster than the event loop can take them, told so while that is still cheap.
 *
 * Promises: within one turn of the event loop calls are taken in the order in which they come, until the turn will have lasted for a share of what a call has left; whoever
 * is reached later is refused. How long it will last is what it has lasted since the one before ended, and what those will still take who were let in and have not begun.
 * What was taken in this turn comes round several times (search, answer, the write of it), and everybody waits for that: without this, answers are ready when nobody
 * waits for them any more, although each was admitted in good faith. A call with a deadline far away is never refused here, one without a deadline neither. A refusal
 * costs no message read, no handler and no error built.
 */
import { statusOf } from '../wire/error-status.js';
import { HarmonidError } from '../errors.js';

/**
 * Of what a call has left, for a turn: when it knocks while too many have come for some time; when it knocks else; and when it begins, since what it has cost until then
 * would be lost.
 */
const turnShare = { crowded: 1 / 48, knocking: 1 / 16, beginning: 1 / 8 } as const;
/** So long calls come too fast before that is a crowd, and so long they must not for it to be none. What is over sooner was a burst, or a pause of the process. */
const crowdMs = 100;
/** Over so long it is told what calls take of the event loop. */
const windowMs = 250;
/** So long a turn may last for anybody: a call alone takes some of it. */
const freeMs = 2;
/** Of that, when it is time for others to give way. */
const pressedShare = 0.75;
/** A second spreads those who come again over many turns. */
const retryAfterMs = 1000;
/** Share of the newest turn in the average cost of a call. */
const newestShare = 0.1;
/** What a refusal costs of what a call costs. */
const refusalShare = 1 / 16;

/** What is refused here is told. It has nothing of the call in it, so one will do for all. */
export const busyStatus = statusOf(
  new HarmonidError('OVERLOADED', 'more calls come than can be taken in time', { details: { retryAfterMs } }),
);

export class BusyTurn {
  /** Null while nobody comes. Else another turn is sure to follow, so that none of it is spent waiting for something to do. */
  #beganMs: number | null = null;
  #isUsed = false;
  /** In this turn: let in at the door, refused there, begun. */
  #knocked = 0;
  #refused = 0;
  #begun = 0;
  /** Of a turn, for a call that is let in, on average. */
  #callMs = 0;
  /** Since when they come too fast, without a stop of `crowdMs`. */
  #pressedSinceMs = -Infinity;
  #pressedAtMs = -Infinity;
  /** Who was let in, in this window; and what the one before took, a share. */
  #windowBeganMs = 0;
  #windowKnocked = 0;
  #windowShare = 0;

  /** What calls that were let in took of the event loop a moment ago: milliseconds each, and the share of all together. */
  get load(): { readonly callMs: number; readonly share: number } {
    this.#moveWindow();
    return { callMs: this.#callMs, share: this.#windowShare };
  }

  /** When somebody last knocked in a turn that was too long for him, or nearly, by `performance.now()`. */
  get pressedAtMs(): number {
    return this.#pressedAtMs;
  }

  /** Whether a call whose head has come is too late. @param leftMs until its deadline; Infinity without one */
  isTooLateToKnock(leftMs: number): boolean {
    const aheadMs = Math.max(0, this.#knocked - this.#begun) * this.#callMs;
    const willLastMs = this.#lastedMs() + aheadMs;
    const mayLastMs = Math.max(freeMs, turnShare.crowded * leftMs);
    if (willLastMs > pressedShare * mayLastMs) this.#press();
    const isTooLate = willLastMs > (this.#isCrowded ? mayLastMs : Math.max(freeMs, turnShare.knocking * leftMs));
    if (isTooLate) {
      this.#refused++;
    } else {
      this.#knocked++;
      this.#moveWindow();
      this.#windowKnocked++;
    }
    return isTooLate;
  }

  /** Whether a call whose message has come is too late. */
  isTooLateToBegin(leftMs: number): boolean {
    this.#begun++;
    return this.#lastedMs() > Math.max(freeMs, turnShare.beginning * leftMs);
  }

  get #isCrowded(): boolean {
    return this.#pressedAtMs - this.#pressedSinceMs >= crowdMs;
  }

  #moveWindow(): void {
    const nowMs = performance.now();
    const tookMs = nowMs - this.#windowBeganMs;
    if (tookMs < windowMs) return;
    this.#windowShare = Math.min(1, (this.#windowKnocked * this.#callMs) / tookMs);
    this.#windowBeganMs = nowMs;
    this.#windowKnocked = 0;
  }

  #press(): void {
    const nowMs = performance.now();
    if (nowMs - this.#pressedAtMs > crowdMs) this.#pressedSinceMs = nowMs;
    this.#pressedAtMs = nowMs;
  }

  #lastedMs(): number {
    const nowMs = performance.now();
    this.#isUsed = true;
    if (this.#beganMs === null) {
      this.#beganMs = nowMs;
      setImmediate(this.#nextTurn);
    }
    return nowMs - this.#beganMs;
  }

  readonly #nextTurn = (): void => {
    const calls = this.#knocked + refusalShare * this.#refused;
    if (calls > 0) this.#callMs += newestShare * (this.#lastedMs() / calls - this.#callMs);
    this.#knocked = 0;
    this.#refused = 0;
    this.#begun = 0;
    this.#beganMs = this.#isUsed ? performance.now() : null;
    if (this.#isUsed) setImmediate(this.#nextTurn);
    this.#isUsed = false;
  };
}
