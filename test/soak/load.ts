/**
 * The steady load: every lane does its errand again and again until it is told to stop or the server goes away. Lanes share a connection, as all clients of a
 * process do; whoever vanishes has one of his own.
 *
 * Promises: every errand ends in one of these ways, and is counted: done, refused (OVERLOADED), turned away by a server that drains, or a fault. A call whose
 * connection was cut under it is a fault: it was lost.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { connectDatabase } from '../../src/client/remote-database.js';
import { isHarmonidError } from '../../src/errors.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { errandKinds, type ErrandKind } from './errands.js';
import type { Register } from './register.js';

export interface LoadCounts {
  done: number;
  refused: number;
  /** The server said that it drains, or listens no more. */
  turnedAway: number;
}

export interface LoadOptions {
  readonly address: string;
  readonly seed: number;
  /** Lanes begin their names with it, so that no name is used twice. */
  readonly name: string;
  /** Lanes are numbered from it; a number stands for faces of its own. */
  readonly firstLane: number;
  readonly register: Register;
  readonly photos: ReadonlyMap<string, Buffer>;
}

export class Load {
  readonly counts: LoadCounts = { done: 0, refused: 0, turnedAway: 0 };
  readonly faults: string[] = [];
  readonly #options: LoadOptions;
  readonly #over = new AbortController();
  /** From when on the server may turn calls away. */
  #isDraining = false;
  /** Settles when every lane has ended and its connection is closed. */
  readonly ended: Promise<void>;

  constructor(options: LoadOptions) {
    this.#options = options;
    // Every lane listens.
    setMaxListeners(0, this.#over.signal);
    const kinds = errandKinds.flatMap((kind) => Array.from({ length: kind.lanes }, () => kind));
    this.ended = Promise.all(kinds.map((kind, i) => this.#work(kind, options.firstLane + i))).then(() => undefined);
  }

  /** Errands that are under way are finished. */
  stop(): void {
    this.#over.abort();
  }

  /** The server is about to be told to stop: each lane goes on until it is turned away. */
  expectDrain(): void {
    this.#isDraining = true;
  }

  async #work(kind: ErrandKind, number: number): Promise<void> {
    const { address, seed, register, photos, name } = this.#options;
    const database = connectDatabase({ address, deadlineMs: 20_000 });
    const random = randomFrom(seed * 1000 + number);
    const faces = makeFaces(randomFrom(seed * 1000 + number));
    const errand = kind.make({ name: `${name}-${number}`, address, database, random, faces, register, photos });
    try {
      while (!this.#over.signal.aborted) {
        if (!(await this.#run(kind, errand))) return;
        await pause(kind.pauseMs * (0.5 + random()), undefined, { signal: this.#over.signal }).catch(() => undefined);
      }
    } finally {
      await database.close();
    }
  }

  /** @returns whether the lane goes on */
  async #run(kind: ErrandKind, errand: () => Promise<void>): Promise<boolean> {
    try {
      await errand();
      this.counts.done++;
      return true;
    } catch (error) {
      if (isHarmonidError(error) && error.code === 'OVERLOADED') {
        this.counts.refused++;
        return true;
      }
      if (this.#isDraining && isHarmonidError(error) && error.code === 'UNAVAILABLE' && !wasCut(error)) {
        this.counts.turnedAway++;
        return false;
      }
      const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
      this.faults.push(`${kind.name}: ${String(error)}${cause}`);
      // One that fails always would fill the memory with it.
      return this.faults.length < 20;
    }
  }
}

/** The connection went away under a call that had been sent. */
function wasCut({ cause }: Error): boolean {
  const details = cause instanceof Error ? cause.message : '';
  return /RST_STREAM|ECONNRESET|socket hang up|Connection dropped/i.test(details);
}
