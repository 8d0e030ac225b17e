/**
 * Who may begin now, who waits, and who is told at once that it would be too late.
 *
 * Promises: a lane works on so many at a time and lets so many wait; whoever comes beyond that, or would hardly be done before the deadline at the pace at which the lane is
 * working, is refused in the moment it comes, with OVERLOADED and a hint when to try again; whoever finds nobody before him is let in. People at doors (`live`) go before bulk, which takes half of a lane at most, an eighth
 * while people come, and gets every tenth turn, so that an import ends some day. Whoever gives up while waiting is never begun. Work that has begun is never interrupted here.
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
  search: { runningMax: 128, waitingMax: 2048 },
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

/** The time as an argument, so that a day of overload can be tried in a second. */
export interface AdmissionClock {
  /** Never set back; from any origin. */
  readonly nowMs: () => number;
  /** Milliseconds since 1970, as deadlines are. */
  readonly dateMs: () => number;
}

const systemClock: AdmissionClock = { nowMs: () => performance.now(), dateMs: Date.now };

/** One in so many turns is bulk's while others wait. */
const bulkTurn = 10;
/** Of a lane, for bulk: when nobody came lately, and else. What runs before somebody at a door is what he waits for. */
const bulkShare = { quiet: 0.5, peopleCome: 0.125 } as const;
/** Who came in so many milliseconds came lately. */
const latelyMs = 2000;
/** Share of the newest measurement in an average. */
const newestShare = 0.1;
/** The pace is that of about the last so many: batches end at one moment, so that a few say nothing. */
const paceCount = 64;
/** The pace is measured while at least this share of a lane works: with less to do a lane is slower than it can be. */
const busyShare = 0.25;
/** Whoever is let in should be done in time nineteen times of twenty: an estimate is late by so many mean deviations (Jacobson and Karels, 1988, take four). */
const deviations = 2;

export class Admission {
  readonly #lanes: Readonly<Record<LaneName, Lane>>;

  constructor(limits: AdmissionLimits = defaultAdmissionLimits, clock: AdmissionClock = systemClock) {
    const open = (name: LaneName): Lane => new Lane(limits[name], clock);
    this.#lanes = { image: open('image'), search: open('search'), write: open('write') };
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
  readonly #clock: AdmissionClock;
  readonly #waiting: Record<Priority, Waiter[]> = { live: [], bulk: [] };
  readonly #running: Record<Priority, number> = { live: 0, bulk: 0 };
  readonly #foresight = new Foresight();
  /** When somebody live came last. */
  #liveAtMs = -Infinity;
  #turns = 0;
  #admitted = 0;
  #refused = 0;
  #waitMs = 0;

  constructor(limits: LaneLimits, clock: AdmissionClock) {
    this.#limits = limits;
    this.#clock = clock;
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
    if (priority === 'live') this.#liveAtMs = this.#clock.nowMs();
    const ahead = this.#runningCount + (priority === 'live' ? this.#waiting.live.length : this.#waitingCount);
    this.#refuseLate(lane, priority, ahead, deadlineAt);
    const [cameMs, expectedMs] = [this.#clock.nowMs(), this.#foresight.expectedMs(ahead)];
    try {
      if (this.#hasRoom(priority)) this.#begin(priority, 0);
      else await this.#wait(priority, signal);
      try {
        return await work();
      } finally {
        this.#running[priority]--;
      }
    } finally {
      const nowMs = this.#clock.nowMs();
      const isDone = signal?.aborted !== true;
      // Bulk waits for everybody who comes after it: how long says nothing to them.
      if (priority === 'live') this.#foresight.learn(nowMs - cameMs - expectedMs, isDone);
      this.#foresight.left(nowMs, isDone, this.#isBusy);
      for (let next = this.#next(); next; next = this.#next()) next.begin();
    }
  }

  get #runningCount(): number {
    return this.#running.live + this.#running.bulk;
  }

  get #waitingCount(): number {
    return this.#waiting.live.length + this.#waiting.bulk.length;
  }

  get #isBusy(): boolean {
    return this.#waitingCount > 0 || this.#runningCount >= Math.max(1, busyShare * this.#limits.runningMax);
  }

  /** Whether nobody is before him, but for bulk before the living. */
  #isAlone(priority: Priority): boolean {
    const live = this.#running.live + this.#waiting.live.length;
    return priority === 'live' ? live === 0 : live + this.#running.bulk + this.#waiting.bulk.length === 0;
  }

  #hasRoom(priority: Priority): boolean {
    const { runningMax } = this.#limits;
    if (this.#runningCount >= runningMax) return false;
    return priority === 'live' || (this.#hasRoomForBulk && this.#waiting.live.length === 0);
  }

  get #hasRoomForBulk(): boolean {
    const share = this.#clock.nowMs() - this.#liveAtMs < latelyMs ? bulkShare.peopleCome : bulkShare.quiet;
    return this.#running.bulk < Math.ceil(share * this.#limits.runningMax);
  }

  /** @throws OVERLOADED */
  #refuseLate(lane: LaneName, priority: Priority, ahead: number, deadlineAt: number | undefined): void {
    const { waitingMax } = this.#limits;
    const doneMs = Math.ceil(this.#foresight.latestMs(ahead));
    const details = { lane, waiting: this.#waitingCount, retryAfterMs: Math.max(1, doneMs) };
    if (!this.#hasRoom(priority) && this.#waitingCount >= waitingMax) {
      this.#refused++;
      throw new HarmonidError('OVERLOADED', `${waitingMax} wait for the ${lane} lane already`, { details });
    }
    // Somebody has to try, or a lane that was slow once would be thought so for ever.
    if (this.#isAlone(priority)) return;
    if (deadlineAt === undefined) return;
    const leftMs = Math.max(0, Math.floor(deadlineAt - this.#clock.dateMs()));
    if (doneMs <= leftMs) return;
    this.#refused++;
    throw new HarmonidError(
      'OVERLOADED',
      `the ${lane} lane would be done in ${doneMs} ms, the deadline is in ${leftMs} ms`,
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
      const cameMs = this.#clock.nowMs();
      const waiter: Waiter = {
        begin: () => {
          signal?.removeEventListener('abort', giveUp);
          this.#begin(priority, this.#clock.nowMs() - cameMs);
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
    this.#waitMs = this.#admitted === 1 ? waitedMs : this.#waitMs + newestShare * (waitedMs - this.#waitMs);
  }

  /** Whoever begins now, taken out of the queue. */
  #next(): Waiter | undefined {
    const { live, bulk } = this.#waiting;
    if (this.#runningCount >= this.#limits.runningMax) return undefined;
    const isBulkAllowed = bulk.length > 0 && this.#hasRoomForBulk;
    if (!isBulkAllowed && live.length === 0) return undefined;
    this.#turns++;
    const isBulkTurn = isBulkAllowed && (live.length === 0 || this.#turns % bulkTurn === 0);
    return isBulkTurn ? bulk.shift() : live.shift();
  }
}

/**
 * When whoever comes to a lane will be done, from the pace of those before and from how late such forecasts were.
 *
 * The pace counts finished work only: what was given up took its time as well, and so makes the pace slower, as it is.
 */
class Foresight {
  /** Between those that were done while the lane was busy: how many, in how long. */
  readonly #pace = { count: 0, ms: 0 };
  #paceFromMs: number | null = null;
  /** After how many forecasts; by how much work ended after what was expected, and how far from that, on average. */
  #forecasts = 0;
  #lateMs = 0;
  #deviationMs = 0;

  /** By the pace alone. */
  expectedMs(ahead: number): number {
    return this.#pace.count === 0 ? 0 : ((ahead + 1) * this.#pace.ms) / this.#pace.count;
  }

  /** With what such forecasts lack; hardly ever later. */
  latestMs(ahead: number): number {
    return Math.max(0, this.expectedMs(ahead) + this.#lateMs + deviations * this.#deviationMs);
  }

  /** Somebody's forecast was wrong by `lateMs`. */
  learn(lateMs: number, isDone: boolean): void {
    // Of work that was given up it is known only that it would have ended later still.
    if (!isDone && lateMs <= this.#lateMs) return;
    const share = Math.max(newestShare, 1 / ++this.#forecasts);
    const deviationMs = Math.abs(lateMs - this.#lateMs);
    this.#lateMs += share * (lateMs - this.#lateMs);
    // The first forecast says nothing about others.
    if (this.#forecasts > 1) this.#deviationMs += share * (deviationMs - this.#deviationMs);
  }

  /** Somebody left the lane, which goes on being busy or not. */
  left(nowMs: number, isDone: boolean, isBusy: boolean): void {
    if (isDone && this.#paceFromMs !== null) this.#measurePace(nowMs - this.#paceFromMs);
    // What a lane does that has little to do is no pace.
    if (!isBusy) this.#paceFromMs = null;
    else if (isDone) this.#paceFromMs = nowMs;
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
}
