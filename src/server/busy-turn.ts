/**
 * Calls that come faster than the event loop can take them, told so while that is still cheap.
 *
 * Promises: within one turn of the event loop calls are taken in the order in which they come, until the turn has lasted for a sixteenth of what a call has left; whoever
 * is reached later is refused. What was taken before in this turn comes round several times (search, answer, the write of it), and everybody waits for that: without
 * this, answers are ready when nobody waits for them any more, although each was admitted in good faith. A call with a deadline far away is never refused here,
 * one without a deadline neither. A refusal costs no message read, no handler and no error built.
 */
import { statusOf } from '../wire/error-status.js';
import { HarmonidError } from '../errors.js';

/** Of what a call has left: how long the turn may have lasted before it is taken. */
const turnShare = 1 / 16;
/** So long a turn may last for anybody: a call alone takes some of it. */
const freeMs = 2;
/** A second spreads those who come again over many turns. */
const retryAfterMs = 1000;

/** What is refused here is told. It has nothing of the call in it, so one will do for all. */
export const busyStatus = statusOf(
  new HarmonidError('OVERLOADED', 'more calls come than can be taken in time', { details: { retryAfterMs } }),
);

export class BusyTurn {
  #startedMs: number | null = null;

  /** @param leftMs until the call's deadline; Infinity without one */
  isTooLateFor(leftMs: number): boolean {
    const nowMs = performance.now();
    if (this.#startedMs === null) {
      this.#startedMs = nowMs;
      // Runs when everything that has arrived by now was looked at.
      setImmediate(() => (this.#startedMs = null));
    }
    return nowMs - this.#startedMs > Math.max(freeMs, turnShare * leftMs);
  }
}
