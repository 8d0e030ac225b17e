/**
 * A fuzz run: a server, people in it, rounds of attacks with a quiet after each, an orderly end, and a check of what is left.
 *
 * Promises: nothing is left running, and the data directory is removed unless there is a finding.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { HarmonidError } from '../../src/errors.js';
import { harmonid } from '../cli/command-line.js';
import { randomFrom } from '../index/faces.js';
import { modelsPath } from '../support/database.js';
import { portrait } from '../support/photos.js';
import { attackRandom, type Attacker } from './attacker.js';
import { departureAttacker } from './attackers/departures.js';
import { framingAttacker } from './attackers/framing.js';
import { makeImageAttacker } from './attackers/images.js';
import { messageAttacker } from './attackers/messages.js';
import { rawByteAttacker } from './attackers/raw-bytes.js';
import { slowPeerAttacker } from './attackers/slow-peers.js';
import { streamAttacker } from './attackers/streams.js';
import { Canary } from './canary.js';
import { growthOf } from './floors.js';
import type { Fillings } from './methods.js';
import type { FuzzOptions } from './options.js';
import { keptGallery, KeptPeople } from './people.js';
import { Tally, type Floor, type FuzzReport } from './report.js';
import { FuzzedServer, type Held } from './server.js';
import { hangMs } from './wire-call.js';

/** More than the minute within which the server notices that a client has vanished, milliseconds. */
const quietMs = 75_000;

/** Long past the end of every attack, which waits for a few calls at most, milliseconds. */
const attackMs = 10 * hangMs;

/** @throws INVALID_ARGUMENT for an attacker that there is not */
export async function runFuzz(options: FuzzOptions, say: (line: string) => void): Promise<FuzzReport> {
  const startedMs = performance.now();
  const seconds = (): number => Math.round((performance.now() - startedMs) / 100) / 10;
  const photo = await portrait('blonde');
  const attackers = chosen(
    [
      messageAttacker,
      framingAttacker,
      rawByteAttacker,
      streamAttacker,
      slowPeerAttacker,
      departureAttacker,
      await makeImageAttacker(photo),
    ],
    options,
  );
  const folder = mkdtempSync(join(tmpdir(), 'harmonid-fuzz-'));
  const data = join(folder, 'data');
  const tally = new Tally(({ seenBy, text, suspects }) =>
    say(`${seenBy}: ${text}${suspects.length === 1 ? `  [${suspects.join()}]` : ''}`),
  );
  const { keepaliveSeconds } = options;
  const server = await FuzzedServer.start(
    ['--data', data, '--models', modelsPath, '--provider', 'cpu'],
    (text) => tally.find('the server', text),
    keepaliveSeconds === undefined ? {} : { HARMONID_LIMITS_KEEPALIVE_SECONDS: String(keepaliveSeconds) },
  );
  const canary = new Canary(server.port, (text) => tally.find('the canary', text));
  const floors: Floor[] = [];
  let before: Held = { files: 0, sockets: 0 };
  try {
    const people = await KeptPeople.enroll(canary.database, randomFrom(options.seed));
    const { embedder } = await canary.database.stats();
    const fillings: Fillings = {
      keptGallery,
      galleries: ['default', 'attic', 'cellar'],
      space: people.space,
      dimensions: embedder?.info.dimensions ?? 0,
      photos: [photo],
    };
    for (const missing of await people.missing(canary.database)) {
      throw new HarmonidError('INTERNAL', `before any attack, ${missing}`);
    }
    // Threads that are made when they are first needed are not what an attack left.
    await canary.singOnce(people, 0);
    await canary.database.checkpoint();
    before = server.held();
    const run = new Run({ options, server, canary, people, fillings, attackers, tally });
    for (let round = 1; round <= options.rounds && !server.hasEnded; round++) {
      await run.round();
      if (server.hasEnded) break;
      floors.push(await run.floor());
      say(`${seconds()} s: round ${round} of ${options.rounds}, ${tally.findings.length} findings`);
    }
    if (!server.hasEnded) {
      await run.quiet(before);
      for (const missing of await people.missing(canary.database)) tally.find('the end', missing);
    }
  } finally {
    await canary.database.close();
    for (const fault of await server.stop()) tally.find('the end', fault);
  }
  if (!options.replay) for (const growth of growthOf(floors)) tally.find('floors', growth, [`--seed ${options.seed}`]);
  const checked = await harmonid(['check', '--data', data, '--json']);
  const { errors, warnings } = JSON.parse(checked.stdout || '{}') as { errors?: number; warnings?: number };
  if (checked.code !== 0 || errors !== 0 || warnings !== 0) {
    tally.find('harmonid check', `${checked.stdout}${checked.stderr}`.slice(0, 4_000));
  }
  const hasFindings = tally.findings.length > 0;
  if (!hasFindings) rmSync(folder, { recursive: true, force: true });
  return {
    seed: options.seed,
    seconds: seconds(),
    attacks: tally.attacks,
    outcomes: tally.outcomes,
    canary: { answers: canary.answers, slowestMs: canary.slowestMs },
    before,
    floors,
    findings: tally.findings,
    kept: hasFindings ? folder : null,
  };
}

function chosen(attackers: readonly Attacker[], { replay }: FuzzOptions): readonly Attacker[] {
  if (!replay) return attackers;
  const found = attackers.filter(({ name }) => name === replay.attacker);
  if (found.length > 0) return found;
  const names = attackers.map(({ name }) => `"${name}"`).join(', ');
  throw new HarmonidError('INVALID_ARGUMENT', `--attacker is "${replay.attacker}"; there are ${names}`);
}

interface RunParts {
  readonly options: FuzzOptions;
  readonly server: FuzzedServer;
  readonly canary: Canary;
  readonly people: KeptPeople;
  readonly fillings: Fillings;
  readonly attackers: readonly Attacker[];
  readonly tally: Tally;
}

class Run {
  readonly #parts: RunParts;
  /** The number of the next attack of each attacker: a round does not repeat the one before. */
  readonly #next = new Map<string, number>();

  constructor(parts: RunParts) {
    this.#parts = parts;
  }

  /** All attackers at once, and the canary beside them. */
  async round(): Promise<void> {
    const { options, server, canary, people, attackers } = this.#parts;
    const endMs = performance.now() + (1_000 * options.seconds) / options.rounds;
    const over = new AbortController();
    const singing = canary.sing(people, over.signal);
    const lanes = attackers.flatMap((attacker) =>
      Array.from({ length: attacker.lanes }, async () => {
        while (performance.now() < endMs && !server.hasEnded) await this.#attack(attacker);
      }),
    );
    await Promise.all(lanes);
    over.abort();
    await singing;
  }

  async #attack(attacker: Attacker): Promise<void> {
    const { options, server, fillings, tally } = this.#parts;
    const { name } = attacker;
    const iteration = options.replay?.iteration ?? (this.#next.get(name) ?? 0) + 1;
    this.#next.set(name, iteration);
    const replay = `--seed ${options.seed} --attacker ${JSON.stringify(name)} --iteration ${iteration}`;
    const end = tally.attackBegins(name, replay);
    const late = setTimeout(() => {
      tally.find(name, 'the attack does not end', [replay]);
    }, attackMs);
    try {
      await attacker.attack({
        port: server.port,
        random: attackRandom(options.seed, name, iteration),
        fillings,
        ended: (how) => tally.ended(name, replay, how),
      });
    } catch (error) {
      tally.find(name, `the attack itself failed: ${error instanceof Error ? error.stack : String(error)}`, [replay]);
    } finally {
      clearTimeout(late);
      end();
    }
  }

  /** What the server holds when the attackers have gone and what they left in the database is removed. */
  async floor(): Promise<Floor> {
    const { canary, server } = this.#parts;
    for (const { gallery } of await canary.database.listGalleries()) {
      if (gallery !== keptGallery) await canary.database.deleteGallery({ gallery });
    }
    await this.#until(hangMs, async () => (await this.#imagesInFlight()) === 0);
    return { ...server.held(), ...(await server.memory()) };
  }

  /** Waits until the server holds no more than before all attacks. */
  async quiet(before: Held): Promise<void> {
    const { server, tally } = this.#parts;
    const isBack = ({ files, sockets }: Held): boolean => files <= before.files && sockets <= before.sockets;
    await this.#until(quietMs, async () => isBack(server.held()));
    const held = server.held();
    if (!isBack(held)) {
      tally.find(
        'the quiet',
        `${held.files} open files, ${held.sockets} of them sockets, where ${before.files} and ${before.sockets} were before`,
      );
    }
    const inFlight = await this.#imagesInFlight();
    if (inFlight > 0) tally.find('the quiet', `${inFlight} images are in work that nobody waits for`);
  }

  async #until(limitMs: number, isSo: () => Promise<boolean>): Promise<void> {
    const lateMs = performance.now() + limitMs;
    while (!(await isSo()) && performance.now() < lateMs) await pause(200);
  }

  async #imagesInFlight(): Promise<number> {
    const { embedder } = await this.#parts.canary.database.stats();
    return embedder?.stats.inFlight ?? 0;
  }
}
