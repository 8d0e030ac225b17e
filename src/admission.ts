/**
 * Who may begin now, who waits, and who is told at once that it would be too late.
 *
 * Promises: a lane works on so many at a time and lets so many wait; whoever comes beyond that, or would not be done before the deadline at the pace at which the lane is
 * working, is refused in the moment it comes, with OVERLOADED and a hint when to try again. People at doors (`live`) go before bulk, which never takes more than half of a
 * lane and gets every tenth turn, so that an import ends some day. Whoever gives up while waiting is never begun. Work that has begun is never interrupted here.
 */
import { abortError, HarmonidError, throwIfAborted } from './errors.js';

/** What is scarce: the networks, the graph, the disk. */
export const lanes = ['image', 'search', 'write'] as const;
export type LaneName = (typeof lanes)[number];

export type Priority = 'live' | 'bulk';

export interface LaneLimits {
  /** Worked on at a time, at least 1. More fills batches better; fewer leaves the order of the others open for longer. */
  readonly runningMax: number;
  /** Waiting at a time. More bears longer bursts, and holds what waits in memory. */
  readonly waitingMax: number;
}

export type AdmissionLimits = Readonly<Record<LaneName, LaneLimits>>;

export const defaultAdmissionLimits: AdmissionLimits = {
  // Enough for the largest batch of every stage of the pipeline.
  image: { runningMax: 16, waitingMax: 512 },
  search: { runningMax: 64, waitingMax: 2048 },
  write: { runningMax: 512, waitingMax: 4096 },
};

export interface Admittance {
  /** Default `live`. */
  readonly priority?: Priority | undefined;
  readonly signal?: AbortSignal | undefined;
  /** When the answer is of no use any more, milliseconds since 1970. Default: never. */
  readonly deadlineAt?: number | undefined;
}

/** A lane as it is now, and what it did since the start. */
export interface LaneStats {
  readonly lane: LaneName;
  readonly running: number;
  readonly waiting: number;
  readonly admitted: number;
  readonly refused: number;
  /** From coming to being begun, of whoever was begun last, as an average over some tens; milliseconds. */
  readonly waitMs: number;
}

/** One in so many turns is bulk's while others wait. */
const bulkTurn = 10;
/** Share of the newest measurement in an average. */
const newestShare = 0.1;
/** The pace is that of about the last so many: batches end at one moment, so that a few say nothing. */
const paceCount = 64;

export class Admission {
  readonly #lanes: Readonly<Record<LaneName, Lane>>;

  constructor(limits: AdmissionLimits = defaultAdmissionLimits) {
    this.#lanes = { image: new Lane(limits.image), search: new Lane(limits.search), write: new Lane(limits.write) };
  }

  /** @throws OVERLOADED with `retryAfterMs`, CANCELLED or DEADLINE_EXCEEDED while it waited, and what the work throws */
  async run<T>(lane: LaneName, how: Admittance, work: () => Promise<T>): Promise<T> {
    return this.#lanes[lane].run(lane, how, work);
  }

  stats(): readonly LaneStats[] {
    return lanes.map((lane) => ({ lane, ...this.#lanes[lane].stats() }));
  }
}

interface Waiter {
  readonly begin: () => void;
}

class Lane {
  readonly #limits: LaneLimits;
  readonly #waiting: Record<Priority, Waiter[]> = { live: [], bulk: [] };
  readonly #running: Record<Priority, number> = { live: 0, bulk: 0 };
  #turns = 0;
  #admitted = 0;
  #refused = 0;
  #waitMs = 0;
  /** How long one takes. */
  #takesMs = 0;
  /** Between those that left while the lane had no room: how many, in how long. */
  readonly #pace = { count: 0, ms: 0 };
  #leftMs: number | null = null;

  constructor(limits: LaneLimits) {
    this.#limits = limits;
  }

  stats(): Omit<LaneStats, 'lane'> {
    return {
      running: this.#runningCount,
      waiting: this.#waitingCount,
      admitted: this.#admitted,
      refused: this.#refused,
      waitMs: this.#waitMs,
    };
  }

  async run<T>(
    lane: LaneName,
    { priority = 'live', signal, deadlineAt }: Admittance,
    work: () => Promise<T>,
  ): Promise<T> {
    throwIfAborted(signal);
    this.#refuseLate(lane, priority, deadlineAt);
    if (this.#hasRoom(priority)) this.#begin(priority, 0);
    else await this.#wait(priority, signal);
    const beganMs = performance.now();
    try {
      return await work();
    } finally {
      this.#leave(priority, beganMs);
    }
  }

  get #runningCount(): number {
    return this.#running.live + this.#running.bulk;
  }

  #hasRoom(priority: Priority): boolean {
    const { runningMax } = this.#limits;
    if (this.#runningCount >= runningMax) return false;
    return priority === 'live' || (this.#running.bulk < Math.ceil(runningMax / 2) && this.#waiting.live.length === 0);
  }

  get #waitingCount(): number {
    return this.#waiting.live.length + this.#waiting.bulk.length;
  }

  /** @throws OVERLOADED */
  #refuseLate(lane: LaneName, priority: Priority, deadlineAt: number | undefined): void {
    if (this.#hasRoom(priority)) return;
    const { waitingMax } = this.#limits;
    const ahead = priority === 'live' ? this.#waiting.live.length : this.#waitingCount;
    const waitMs = this.#pace.count === 0 ? 0 : ((ahead + 1) * this.#pace.ms) / this.#pace.count;
    const retryAfterMs = Math.ceil(Math.max(waitMs, this.#takesMs, 1));
    const details = { lane, waiting: this.#waitingCount, retryAfterMs };
    if (this.#waitingCount >= waitingMax) {
      this.#refused++;
      throw new HarmonidError('OVERLOADED', `${waitingMax} wait for the ${lane} lane already`, { details });
    }
    if (deadlineAt === undefined) return;
    const leftMs = deadlineAt - Date.now();
    if (waitMs + this.#takesMs <= leftMs) return;
    this.#refused++;
    throw new HarmonidError(
      'OVERLOADED',
      `the ${lane} lane would be done in ${Math.ceil(waitMs + this.#takesMs)} ms, the deadline is in ${Math.max(0, Math.floor(leftMs))} ms`,
      { details },
    );
  }

  #wait(priority: Priority, signal: AbortSignal | undefined): Promise<void> {
    const queue = this.#waiting[priority];
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        const at = queue.indexOf(waiter);
        if (at >= 0) queue.splice(at, 1);
        if (signal) reject(abortError(signal));
      };
      const cameMs = performance.now();
      const waiter: Waiter = {
        begin: () => {
          signal?.removeEventListener('abort', giveUp);
          this.#begin(priority, performance.now() - cameMs);
          resolve();
        },
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      queue.push(waiter);
    });
  }

  #begin(priority: Priority, waitedMs: number): void {
    this.#running[priority]++;
    this.#admitted++;
    this.#waitMs = average(this.#waitMs, waitedMs);
  }

  #leave(priority: Priority, beganMs: number): void {
    const nowMs = performance.now();
    this.#takesMs = average(this.#takesMs, nowMs - beganMs);
    if (this.#leftMs !== null) this.#measurePace(nowMs - this.#leftMs);
    this.#running[priority]--;
    // A free place between two that leave is no pace.
    this.#leftMs = this.#waitingCount > 0 ? nowMs : null;
    for (let next = this.#next(); next; next = this.#next()) next.begin();
  }

  #measurePace(ms: number): void {
    const pace = this.#pace;
    if (pace.count >= paceCount) {
      pace.count /= 2;
      pace.ms /= 2;
    }
    pace.count++;
    pace.ms += ms;
  }

  /** Whoever begins now, taken out of the queue. */
  #next(): Waiter | undefined {
    const { live, bulk } = this.#waiting;
    if (this.#runningCount >= this.#limits.runningMax) return undefined;
    const isBulkAllowed = bulk.length > 0 && this.#running.bulk < Math.ceil(this.#limits.runningMax / 2);
    if (!isBulkAllowed && live.length === 0) return undefined;
    this.#turns++;
    const isBulkTurn = isBulkAllowed && (live.length === 0 || this.#turns % bulkTurn === 0);
    return isBulkTurn ? bulk.shift() : live.shift();
  }
}

function average(before: number, newest: number): number {
  return before === 0 ? newest : before + newestShare * (newest - before);
}
