/**
 * Who goes first when more come than the event loop can take.
 *
 * Promises: health checks are answered as long as anything is; other calls while there is time for them (busy-turn.ts); imports are read in what is left
 * (bulk-pace.ts). Nobody is asked who he is: that would cost more than the refusal.
 */
import { BulkPace } from './bulk-pace.js';
import { BusyTurn } from './busy-turn.js';
import { callNeeds } from './call-permissions.js';

export class Crowd {
  readonly #onRefusal: () => void;
  readonly #turn = new BusyTurn();
  readonly #bulkPace = new BulkPace(this.#turn);

  constructor(onRefusal: () => void) {
    this.#onRefusal = onRefusal;
  }

  /**
   * Whether the call is to be refused with `busyStatus`. Asked when its head has come and once more when its message has: many of either may come in one turn.
   * @param leftMs until its deadline; Infinity without one
   */
  isTooLate(step: 'knocking' | 'beginning', path: string, leftMs: number): boolean {
    if (callNeeds.get(path) === 'anyone') return false;
    const isTooLate = step === 'knocking' ? this.#turn.isTooLateToKnock(leftMs) : this.#turn.isTooLateToBegin(leftMs);
    if (isTooLate) this.#onRefusal();
    return isTooLate;
  }

  /** Before the next item of an import is read. Never rejects. */
  readonly giveWay = (): Promise<void> => this.#bulkPace.next();
}
