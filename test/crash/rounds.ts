/**
 * The crash test itself: a server, a load, a kill, and what is left of the directory; again and again on the same directory.
 *
 * The directory is copied while nobody has it open. Witnesses open the copies (as they are; as after a power loss) while the next server
 * already opens the directory itself, so that its recovery is from what the kill left and from nothing tidier. Some servers open
 * it as after a power loss, and then that is what everything after builds on.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import { connectDatabase } from '../../src/client/remote-database.js';
import { openDatabase } from '../../src/database.js';
import { makeFaces, randomFrom, type Random } from '../index/faces.js';
import type { Restore } from './child.js';
import { Lane } from './lane.js';
import { Ledger, type LedgerPage } from './ledger.js';
import type { CrashOptions } from './options.js';
import { Tally, type CrashReport, type KillMoment } from './report.js';
import { ServerProcess } from './server.js';
import { galleryName, spaceName, type Found } from './testimony.js';
import { judge, outcomesInFlight } from './verdict.js';
import { Witness } from './witness.js';

/** Erased people whose vectors are searched in each copy. */
const erasedProbes = 24;
/** Most answers before a kill, and the longest time that they may take and that comes after them, milliseconds. */
const answersMax = 80;
const loadMaxMs = 3_000;
const lingerMaxMs = 10;
/** Longest time from the order to close to the kill, milliseconds. */
const closingMaxMs = 60;
/** Of all servers: those that open as after a power loss; those that are killed while they open. */
const powerLossShare = 0.2;
const openingShare = 0.4;
/** Of those that serve: those that are told to close before. */
const closingShare = 0.2;
const faultsMax = 20;

/** @param progress is told now and then */
export async function runCrashTest(options: CrashOptions, progress: (line: string) => void): Promise<CrashReport> {
  const folder = await mkdtemp(join(tmpdir(), 'harmonid-crash-'));
  const run = new CrashRun(options, folder);
  try {
    await run.prepare();
    while (run.tally.kills < options.kills && run.tally.faults.length === 0) {
      await run.round();
      if (run.tally.rounds % 25 === 0) progress(`${run.tally.kills} kills`);
    }
  } finally {
    await run.end();
    if (run.tally.faults.length === 0) await rm(folder, { recursive: true, force: true });
  }
  return run.tally.report(options.seed, run.ledger.counts, folder);
}

class CrashRun {
  readonly tally = new Tally();
  readonly ledger = new Ledger();
  readonly #random: Random;
  readonly #folder: string;
  readonly #data: string;
  readonly #lanes: readonly Lane[];
  readonly #witnesses: Readonly<Record<Restore, Witness>> = {
    'as it is': new Witness('as it is'),
    'power loss': new Witness('power loss'),
  };
  /** Started ahead, so that loading its code takes no time from the round. */
  #next: ServerProcess;
  #judging: Promise<void> = Promise.resolve();
  /** From the order to open until it is open, as last seen: where kills of an opening server fall. */
  #openingMs = 100;

  constructor(options: CrashOptions, folder: string) {
    const { seed, concurrency } = options;
    this.#folder = folder;
    this.#data = join(folder, 'data');
    this.#random = randomFrom(seed);
    const faces = makeFaces(randomFrom(seed + 1));
    this.#lanes = Array.from(
      { length: concurrency },
      (_, i) => new Lane(i + 1, randomFrom(seed + 2 + i), faces, this.ledger),
    );
    this.#next = this.#startServer();
  }

  async prepare(): Promise<void> {
    const database = await openDatabase({ path: this.#data, embedder: false });
    await database.createGallery({ gallery: galleryName, space: spaceName, dimensions: 32, threshold: 0.05 });
    await database.close();
  }

  async round(): Promise<void> {
    const server = this.#next;
    this.#next = this.#startServer();
    this.tally.rounds++;
    const openedMs = performance.now();
    server.open(this.#data);
    await server.opening;
    const moment = server.task === 'serve' ? await this.#serve(server, openedMs) : await this.#interruptOpening(server);
    for (const trouble of server.troubles) this.tally.fault('server', trouble);
    this.tally.ended(moment);
    await this.#judging;
    await this.#judge();
  }

  #startServer(): ServerProcess {
    const restore = this.#random() < powerLossShare ? 'power loss' : 'as it is';
    return new ServerProcess(restore, this.#random() < openingShare ? 'open only' : 'serve');
  }

  /** Whatever it does then: taking the lock, reading, loading or building the graph, tidying. */
  async #interruptOpening(server: ServerProcess): Promise<KillMoment | null> {
    await Promise.race([delay(this.#random() * this.#openingMs), server.ended]);
    return (await server.kill()) ? 'opening' : null;
  }

  async #serve(server: ServerProcess, startedMs: number): Promise<KillMoment | null> {
    const opened = await server.opened;
    if (opened) {
      this.#openingMs = performance.now() - startedMs;
      this.tally.opened(opened.opened, server.restore);
    }
    const address = await server.listening;
    if (address === null) {
      await server.kill();
      this.tally.fault('server', `it did not come to listen; it ended by ${await server.ended}`);
      return null;
    }
    const over = new AbortController();
    const load = this.#load(address, server.restore, over.signal);
    // Counted in answers, since a process that has just started is slow at first. Half of the kills come in the turn of the last answer, when
    // what it tells of was written a moment ago; the others have no answer near.
    const answers = Math.floor(this.#random() * answersMax);
    await Promise.race([this.ledger.acknowledgements(answers), load, delay(loadMaxMs)]);
    if (this.#random() < 0.5) await delay(this.#random() * lingerMaxMs);
    over.abort();
    const closes = this.#random() < closingShare;
    if (closes) {
      server.close();
      await Promise.race([delay(this.#random() * closingMaxMs), server.ended]);
    }
    const wasKilled = await server.kill();
    await load;
    return wasKilled ? (closes ? 'closing' : 'load') : null;
  }

  async end(): Promise<void> {
    await this.#judging;
    await this.#next.kill();
    for (const witness of Object.values(this.#witnesses)) await witness.close();
  }

  /** Every lane with a connection of its own, until the server goes away. */
  async #load(address: string, restore: Restore, over: AbortSignal): Promise<void> {
    await Promise.all(
      this.#lanes.map(async (lane) => {
        const database = connectDatabase({ address, retries: 0 });
        try {
          await lane.run(database, over);
        } catch (error) {
          this.tally.fault(`load, ${restore}`, inspect(error));
        } finally {
          await database.close();
        }
      }),
    );
  }

  /** Copies the directory at once; the judgement goes on beside the next round. */
  async #judge(): Promise<void> {
    const round = this.tally.rounds;
    const page = this.ledger.page();
    const raw = join(this.#folder, `round-${round}`);
    await cp(this.#data, raw, { recursive: true });
    const restores: Restore[] = ['as it is'];
    if (this.#random() < 0.5 || this.#next.restore === 'power loss') restores.push('power loss');
    const erased = new Map([...page.erased].slice(-erasedProbes / 2));
    for (let i = 0; i < erasedProbes / 2 && page.erased.size > 0; i++) {
      const [identity, vector] = [...page.erased][Math.floor(this.#random() * page.erased.size)] ?? [];
      if (identity !== undefined && vector) erased.set(identity, vector);
    }
    this.#judging = (async () => {
      const before = this.tally.faults.length;
      const examine = (restore: Restore) => this.#examine(round, raw, restore, page, erased);
      const [asItIs, afterPowerLoss] = await Promise.all(restores.map(examine));
      if (asItIs && afterPowerLoss) this.tally.compared(asItIs, afterPowerLoss);
      if (this.tally.faults.length === before) await rm(raw, { recursive: true, force: true });
    })();
  }

  async #examine(
    round: number,
    raw: string,
    restore: Restore,
    page: LedgerPage,
    erased: LedgerPage['erased'],
  ): Promise<Found | null> {
    const path = `${raw} ${restore}`;
    await cp(raw, path, { recursive: true });
    const testimony = await this.#witnesses[restore].examine({ path, erased });
    await rm(path, { recursive: true, force: true });
    const faults = 'failure' in testimony ? [testimony.failure] : judge(page, testimony.found);
    for (const fault of faults.slice(0, faultsMax)) this.tally.faultIn(round, restore, fault);
    if (!('found' in testimony)) return null;
    this.tally.examined(restore, testimony.found);
    this.tally.inFlight(restore, outcomesInFlight(page, testimony.found));
    return testimony.found;
  }
}
