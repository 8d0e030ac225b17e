/**
 * A run: the steps of a plan, done to an index in a process of its own and to the model, and compared.
 *
 * The steps come from the seed alone. What the machine decides (how far a process got before it was killed, which write met the end of the disk)
 * is read from the answers and from what is there afterwards; the model then follows, and whatever it cannot follow is a failure.
 */
import assert from 'node:assert/strict';
import { pick } from '../index/faces.js';
import { call, type Call, type Outcome } from './calls.js';
import { Host } from './host.js';
import type { HostOptions } from './host-child.js';
import { openPlace, type Place } from './place.js';
import { planRun, space, type Read, type Starvation, type Step, type Write } from './plan.js';
import { Restarts } from './restarts.js';
import { count, type RunState, type SimulationReport } from './run-state.js';
import { assertSound } from './soundness.js';
import { feed, starve } from './starvation.js';
import { World } from './world.js';

export interface SimulationOptions {
  readonly seed: number;
  /** Calls to be made, at least. */
  readonly operations: number;
  /** Whether bits of the data file are flipped, in copies of it. */
  readonly flips: boolean;
  readonly onProgress?: ((report: SimulationReport) => void) | undefined;
}

/** Small, so that graphs are built, saved, rebuilt and dropped all the time. */
const exactMax = 64;
const checkpointEvery = 100;
const ef = 24;

/** A failure of a run, with what replays it. */
export class SimulationFailure extends Error {
  constructor(seed: number, step: number, operations: number, trace: readonly string[], cause: unknown) {
    super(
      `seed ${seed}, step ${step}, after ${operations} operations (replay with --seed ${seed} --operations ${operations + 50}): ` +
        `${cause instanceof Error ? cause.message : String(cause)}\n  ${trace.join('\n  ')}`,
      { cause },
    );
  }
}

export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const place = openPlace();
  const run = new Run(options, place);
  try {
    return await run.run();
  } finally {
    await run.end();
    place.remove();
  }
}

class Run implements RunState {
  readonly place: Place;
  readonly world = new World(exactMax);
  readonly report: SimulationReport;
  readonly hostOptions: Omit<HostOptions, 'path'>;
  nowMs = Date.UTC(2026, 0, 1);
  host = new Host();
  starvation: (Starvation & { readonly untilStep: number }) | null = null;
  readonly #options: SimulationOptions;
  readonly #restarts: Restarts;
  readonly #trace: string[] = [];

  constructor(options: SimulationOptions, place: Place) {
    this.#options = options;
    this.place = place;
    // In memory a flush costs nothing; on a disk it would be all that the run does.
    this.hostOptions = { exactMax, checkpointEvery, durability: place.isSmall ? 'flushed' : 'committed' };
    this.report = {
      seed: options.seed,
      steps: 0,
      operations: 0,
      restarts: {},
      restartCount: 0,
      damages: {},
      starvations: {},
      refusals: {},
      lockedOut: 0,
      openedFrom: {},
      flips: [],
      recall: this.world.recall,
      isDiskSmall: place.isSmall,
    };
    this.#restarts = new Restarts(this, options.flips);
  }

  async run(): Promise<SimulationReport> {
    const { seed, operations, onProgress } = this.#options;
    const plan = planRun(seed);
    try {
      const opened = await this.host.open(this.nowMs, { ...this.hostOptions, path: this.place.path });
      assert.ok('value' in opened, `the first opening: ${JSON.stringify(opened)}`);
      for (const draft of plan.drafts) await this.#do([call('createGallery', draft)]);
      while (this.report.operations < operations) {
        const step = plan.step(this.report.steps++);
        this.nowMs += step.passMs;
        this.#note(step);
        await this.#step(step);
        if (this.starvation && this.report.steps >= this.starvation.untilStep) await this.#feed();
        if (!this.starvation) assert.deepStrictEqual(this.host.takeWarnings(), [], 'nothing to warn of');
        if (this.report.steps % 500 === 0) onProgress?.(this.report);
      }
      if (this.starvation) await this.#feed();
      await this.#restarts.restart({ kind: 'close', isSameProcess: true, neighbour: 'none' }, { kind: 'none' }, []);
      await this.host.close(this.nowMs);
      return this.report;
    } catch (error) {
      throw new SimulationFailure(seed, this.report.steps - 1, this.report.operations, this.#trace.slice(-12), error);
    }
  }

  async end(): Promise<void> {
    await this.host.kill();
    await this.#restarts.close();
  }

  async #step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'writes':
        await this.#do(
          this.#resolve(step.writes),
          step.searches.map((read) => this.#read(read)),
        );
        return;
      case 'reads':
        await this.#do(step.reads.map((read) => this.#read(read)));
        return;
      case 'retry':
        await this.#do([this.#retry(step)]);
        return;
      case 'administer': {
        const { work } = step;
        if (work.kind === 'create') await this.#do([call('createGallery', work.draft)]);
        else if (work.kind === 'settings') await this.#do([call('updateGallery', work.gallery, work.change)]);
        // Refused deletions hide their gallery until the next opening: test/regressions/full-disk-deletion.test.ts, and then without this.
        else await this.#do([call('deleteGallery', work.gallery)]);
        return;
      }
      case 'checkpoint':
        await this.#do([call('checkpoint', step.gallery)]);
        return;
      case 'settle':
        await this.#do([call('settle')]);
        return;
      case 'starve':
        if (this.starvation) return;
        await starve(this, step.starvation);
        for (const write of this.#resolve(step.starvation.writes)) await this.#do([write]);
        await this.#do(this.#resolve(step.starvation.writes));
        return;
      case 'restart': {
        const writes = step.restart.kind === 'kill-in-writes' ? this.#resolve(step.restart.writes) : [];
        await this.#restarts.restart(step.restart, step.damage, writes);
        return;
      }
    }
  }

  /** Issues the calls at once and judges them in their order. Searches beside writes may see them or not. */
  async #do(calls: readonly Call[], beside: readonly Call[] = []): Promise<void> {
    const before = new Map(
      beside.flatMap((each) => {
        const gallery = each.method === 'search' ? this.world.galleries.get(each.args[0].gallery) : undefined;
        return gallery ? [[gallery.name, gallery.copy()] as const] : [];
      }),
    );
    const outcomes = await this.host.calls(this.nowMs, [...calls, ...beside]);
    this.report.operations += calls.length + beside.length;
    [...calls, ...beside].forEach((each, i) => {
      const outcome = outcomes[i];
      assert.ok(outcome, 'every call has an outcome');
      if (this.#isRefused(each, outcome)) return;
      if (i >= calls.length && each.method === 'search') {
        this.world.judgeSearch(each, outcome, before.get(each.args[0].gallery));
      } else {
        this.world.judge(each, this.nowMs, outcome);
      }
    });
  }

  /** A starved index may refuse what writes, and nothing else; what it refused has not happened. */
  #isRefused({ method }: Call, outcome: Outcome): boolean {
    if (!this.starvation || !('code' in outcome)) return false;
    const isCheckpoint = method === 'checkpoint';
    const { kind } = this.starvation;
    // LMDB tells a write that a limit cut short as an I/O error, which a sick disk would be, too.
    const isCutShort =
      kind === 'file-size' && outcome.code === 'UNAVAILABLE' && /Input\/output error/.test(outcome.message);
    const isExpected = outcome.code === 'DISK_FULL' || isCutShort || (isCheckpoint && kind === 'graphs');
    if (isExpected) count(this.report.refusals, `${method} ${outcome.code}`);
    return isExpected;
  }

  // ── From the plan to calls ─────────────────────────────────────────────────────────────────────────────────────────

  #resolve(writes: readonly Write[]): readonly Call[] {
    return writes.map((write): Call => {
      const { gallery, identity } = write;
      const person = this.world.galleries.get(gallery)?.people.get(identity);
      switch (write.kind) {
        case 'enroll': {
          const { kind: _kind, ...draft } = write;
          return call('enroll', draft);
        }
        case 'update': {
          const { label, groups, versionShift } = write;
          const expectedVersion = versionShift === null ? undefined : (person?.version ?? 1) + versionShift;
          return call('updateIdentity', { gallery, identity, label, groups, expectedVersion });
        }
        case 'remove': {
          const template = pick(() => write.rank, [...(person?.templates.keys() ?? [])]);
          return call('removeTemplate', gallery, identity, template ?? 4_000_000);
        }
        case 'erase':
          return call('eraseIdentity', gallery, identity);
      }
    });
  }

  #read(read: Read): Call {
    switch (read.kind) {
      case 'search': {
        const { kind: _kind, ...request } = read;
        return call('search', { ...request, space, ef });
      }
      case 'verify': {
        const { gallery, identity, probe } = read;
        return call('verify', { gallery, space, identity, probe });
      }
      case 'get':
        return call('getIdentity', read.gallery, read.identity);
      case 'page': {
        const { gallery, after, limit, groups } = read;
        return call('listIdentities', { gallery, after, limit, groups });
      }
      case 'gallery':
        return call('getGallery', read.gallery);
      case 'stats':
        return call('stats');
    }
  }

  /** The same request again, or another under its key; as long as the person has everything that the first answer speaks of. */
  #retry({ gallery, rank, isSame }: Extract<Step, { kind: 'retry' }>): Call {
    const model = this.world.galleries.get(gallery);
    const kept = [...(model?.answered.values() ?? [])].slice(-200).filter(({ draft, answer }) => {
      const person = model?.people.get(draft.identity);
      return answer.templates.every(({ template }) => person?.templates.has(template));
    });
    const answered = pick(() => rank, kept);
    if (!answered?.draft.idempotency) return call('getGallery', gallery);
    const { draft } = answered;
    const { key, digest } = answered.draft.idempotency;
    return call('enroll', isSame ? draft : { ...draft, idempotency: { key, digest: `not ${digest}` } });
  }

  // ── Starvation ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Ends the starvation: everything that was acknowledged is there, and everything goes on. */
  async #feed(): Promise<void> {
    await feed(this);
    // Waits for one that began before and still fails, and whose warning is of the starvation.
    await this.#do([call('checkpoint')]);
    this.host.takeWarnings();
    await assertSound(this.host, this.world, this.nowMs, this.#restarts.damagedGraphs);
    for (const name of this.world.galleries.keys()) {
      await this.#do([call('updateGallery', name, { description: `fed at ${this.nowMs}` })]);
    }
  }

  #note(step: Step): void {
    const { kind } = step;
    const more =
      kind === 'restart'
        ? `${step.restart.kind} ${JSON.stringify(step.damage)}`
        : kind === 'starve'
          ? `${step.starvation.kind}, room for ${step.starvation.roomBytes} bytes`
          : kind === 'writes'
            ? step.writes.map((write) => `${write.kind} ${write.gallery} ${write.identity}`).join(', ')
            : kind === 'administer'
              ? step.work.kind
              : '';
    this.#trace.push(
      `step ${this.report.steps - 1}${this.starvation ? ` (${this.starvation.kind})` : ''}: ${kind} ${more}`,
    );
    if (this.#trace.length > 100) this.#trace.shift();
  }
}
