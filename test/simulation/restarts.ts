/**
 * The end of an index and the beginning of the next: in order or by SIGKILL, with damage to its files and with neighbours at its door.
 * After each the new index is compared with the model in full.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { call, type Call, type Outcome } from './calls.js';
import { DataDamage } from './data-damage.js';
import { damageGraphs, keepGraphs, leaveLitter, litterIn } from './graph-damage.js';
import { Host, HostDeath } from './host.js';
import type { Damage, Restart } from './restart-plan.js';
import { count, type RunState } from './run-state.js';
import { askedOf, assertDumpIs, assertSound } from './soundness.js';
import { feed } from './starvation.js';

/** What an index says of a graph file that it does not use; the graph is built anew then. */
const graphWarning = /graph file|checkpoint/;

export class Restarts {
  readonly #run: RunState;
  readonly #flips: DataDamage | null;
  /** A second process: a rival while the first lives, its successor when it was killed. */
  #spare = new Host();
  /** Graph files that were damaged and not replaced by a checkpoint since, for all that is known. */
  readonly #damaged = new Set<string>();

  constructor(run: RunState, withFlips: boolean) {
    this.#run = run;
    this.#flips = withFlips ? new DataDamage() : null;
  }

  /** Names of graph files that were damaged and that no orderly end has replaced since. */
  get damagedGraphs(): ReadonlySet<string> {
    return this.#damaged;
  }

  async close(): Promise<void> {
    await this.#spare.kill();
    await this.#flips?.close();
  }

  /** @param writes the calls of a `kill-in-writes` */
  async restart(restart: Restart, damage: Damage, writes: readonly Call[]): Promise<void> {
    const run = this.#run;
    const wasStarved = run.starvation !== null;
    if ('neighbour' in restart && restart.neighbour === 'rival') await this.#lockOut();
    const acknowledged = await this.#end(restart, writes);
    run.report.restartCount++;
    count(run.report.restarts, restart.kind);

    const keep = join(run.place.copies, 'graphs');
    // Flips are judged by the model, which does not know yet how far the writes came.
    const named = acknowledged && damage.kind === 'data' ? [] : await this.#damage(damage, keep);
    if (restart.kind === 'close' && restart.neighbour === 'reader' && !wasStarved) await this.#read();
    await this.#begin(restart);
    await feed(run);
    if (acknowledged) await this.#follow(writes, acknowledged);

    const warnings = run.host.takeWarnings();
    // An orderly end leaves one file a gallery and each is named; a killed process may have left others.
    if (restart.kind === 'close' && !wasStarved) {
      assert.equal(warnings.length, named.length, `${warnings.join('; ')} for damage to ${named.join(', ')}`);
    }
    // A starved index may have closed without replacing them.
    if (restart.kind === 'close' && !wasStarved) this.#damaged.clear();
    for (const name of named) this.#damaged.add(name);
    for (const warning of warnings) {
      assert.match(warning, graphWarning);
      assert.ok(wasStarved || [...this.#damaged].some((name) => warning.includes(name)), `undamaged: ${warning}`);
    }
    await assertSound(run.host, run.world, run.nowMs, this.#damaged);
    if (damage.kind === 'litter')
      assert.deepStrictEqual(litterIn(run.place.path, damage.names), [], 'litter is removed');
    await this.#noteOrigins();
    keepGraphs(run.place.path, keep);
  }

  // ── Ends ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The outcomes by position in `writes` when it was killed within them. */
  async #end(restart: Restart, writes: readonly Call[]): Promise<ReadonlyMap<number, Outcome> | null> {
    const run = this.#run;
    const { host } = run;
    switch (restart.kind) {
      case 'close': {
        const outcome = await host.close(run.nowMs);
        if ('code' in outcome) {
          assert.ok(run.starvation && outcome.code === 'DISK_FULL', `closing: ${outcome.code} ${outcome.message}`);
          count(run.report.refusals, `close ${outcome.code}`);
        }
        if (run.starvation) host.takeWarnings();
        else assert.deepStrictEqual(host.takeWarnings(), []);
        if (!restart.isSameProcess) await this.#replace();
        return null;
      }
      case 'kill':
      case 'kill-in-open':
        await this.#replace();
        return null;
      case 'kill-in-writes':
        return this.#killInWrites(writes, restart.acknowledged);
      case 'kill-in-checkpoint':
      case 'kill-in-close': {
        const asked =
          restart.kind === 'kill-in-close' ? host.close(run.nowMs) : host.calls(run.nowMs, [call('checkpoint')]);
        const ended = asked.catch(expectDeath);
        await delay(restart.afterMs);
        await this.#replace();
        await ended;
        return null;
      }
    }
  }

  /** The process is killed, and the spare one takes its place. */
  async #replace(): Promise<void> {
    await this.#run.host.kill();
    this.#run.host = this.#spare;
    this.#spare = new Host();
  }

  /**
   * Kills once so many writes are acknowledged. A gallery's writes are done in their order, so what is there afterwards is what
   * a beginning of them leaves, and every acknowledged one is within.
   */
  async #killInWrites(writes: readonly Call[], acknowledgedMin: number): Promise<ReadonlyMap<number, Outcome> | null> {
    const run = this.#run;
    // What a starved index refused is not part of the beginning; then it is only killed.
    if (run.starvation) {
      await this.#replace();
      return null;
    }
    const acknowledged = new Map<number, Outcome>();
    const ended = new Promise<void>((enough, reject) => {
      if (acknowledgedMin === 0) enough();
      const asked = run.host.calls(run.nowMs, writes, (position, outcome) => {
        acknowledged.set(position, outcome);
        if (acknowledged.size >= acknowledgedMin) enough();
      });
      asked.then(() => enough(), expectDeath).catch(reject);
    });
    await ended;
    await this.#replace();
    run.report.operations += writes.length;
    return acknowledged;
  }

  /** Brings the model to where the index is, by the number of each gallery's last change. */
  async #follow(writes: readonly Call[], acknowledged: ReadonlyMap<number, Outcome>): Promise<void> {
    const { host, world, nowMs } = this.#run;
    const sequences = new Map<string, number>();
    for (const name of world.galleries.keys()) {
      const [outcome] = await host.calls(nowMs, [call('getGallery', name)]);
      assert.ok(outcome && 'value' in outcome, `gallery ${name} is there`);
      sequences.set(name, (outcome.value as { readonly sequence: number }).sequence);
    }
    writes.forEach((write, position) => {
      const [first] = write.args;
      const name = typeof first === 'string' ? first : first && 'gallery' in first ? first.gallery : '';
      const gallery = world.galleries.get(name);
      const outcome = acknowledged.get(position);
      const isThere = gallery && gallery.sequence < (sequences.get(name) ?? 0);
      if (outcome) world.judge(write, nowMs, outcome);
      else if (isThere) world.apply(write, nowMs);
    });
    for (const [name, sequence] of sequences) {
      assert.equal(world.gallery(name).sequence, sequence, `gallery ${name} holds a beginning of its writes`);
    }
  }

  // ── Between ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The graph files that are no longer what their checkpoints say. */
  async #damage(damage: Damage, keep: string): Promise<readonly string[]> {
    const run = this.#run;
    const { path, copies } = run.place;
    // A starved disk has no room for copies of its own, nor a blocked folder for litter.
    if (run.starvation || damage.kind === 'none') return [];
    count(run.report.damages, damage.kind === 'graphs' ? `graphs ${damage.damage}` : damage.kind);
    if (damage.kind === 'litter') leaveLitter(path, damage.names);
    if (damage.kind === 'graphs') return damageGraphs(path, keep, damage);
    if (damage.kind === 'data' && this.#flips) {
      for (const flip of damage.flips) {
        run.report.flips.push(await this.#flips.judge(path, copies, flip, run.world, run.nowMs, run.hostOptions));
      }
    }
    return [];
  }

  /** While one process has the directory open, another one gets neither to write nor to read. */
  async #lockOut(): Promise<void> {
    for (const readOnly of [false, true]) {
      const outcome = await this.#open(this.#spare, readOnly);
      assert.equal('code' in outcome ? outcome.code : 'opened', 'DATA_LOCKED');
      this.#run.report.lockedOut++;
    }
  }

  /** While nobody has it open, it can be read as it is, and not written. */
  async #read(): Promise<void> {
    const { world, nowMs } = this.#run;
    const opened = await this.#open(this.#spare, true);
    assert.ok('value' in opened, `opening read-only: ${JSON.stringify(opened)}`);
    const outcome = await this.#spare.dump(nowMs, askedOf(world));
    assert.ok('dumps' in outcome, JSON.stringify(outcome));
    assertDumpIs(outcome.dumps, world);
    const [refused] = await this.#spare.calls(nowMs, [call('checkpoint')]);
    assert.equal(refused && 'code' in refused ? refused.code : 'done', 'DATA_READ_ONLY');
    assert.ok('value' in (await this.#spare.close(nowMs)));
    this.#spare.takeWarnings();
  }

  // ── Beginnings ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async #begin(restart: Restart): Promise<void> {
    const run = this.#run;
    if (restart.kind === 'kill-in-open') {
      const ended = this.#open(run.host).catch(expectDeath);
      await delay(restart.afterMs);
      await this.#replace();
      await ended;
    }
    if ('neighbour' in restart && restart.neighbour === 'race' && !run.starvation) {
      await this.#race();
      return;
    }
    let outcome = await this.#open(run.host);
    if (run.starvation && 'code' in outcome && outcome.code === 'DISK_FULL') {
      count(run.report.refusals, 'open DISK_FULL');
      await feed(run);
      run.host.takeWarnings();
      outcome = await this.#open(run.host);
    }
    assert.ok('value' in outcome, `opening: ${JSON.stringify(outcome)}`);
  }

  /** Two open it at the same moment: exactly one gets it, and is the successor. */
  async #race(): Promise<void> {
    const run = this.#run;
    const [mine, other] = await Promise.all([this.#open(run.host), this.#open(this.#spare)]);
    const codes = [mine, other].map((outcome) => ('code' in outcome ? outcome.code : 'opened')).toSorted();
    assert.deepStrictEqual(codes, ['DATA_LOCKED', 'opened'], JSON.stringify([mine, other]));
    run.report.lockedOut++;
    if ('code' in mine) [run.host, this.#spare] = [this.#spare, run.host];
    this.#spare.takeWarnings();
  }

  #open(host: Host, readOnly = false): Promise<Outcome> {
    const { place, hostOptions, nowMs } = this.#run;
    return host.open(nowMs, { ...hostOptions, path: place.path, readOnly });
  }

  async #noteOrigins(): Promise<void> {
    const { host, nowMs, report } = this.#run;
    const [outcome] = await host.calls(nowMs, [call('stats')]);
    assert.ok(outcome && 'value' in outcome);
    for (const { graph } of outcome.value as { graph: { openedFrom: string; engine: string } }[]) {
      count(report.openedFrom, graph.engine === 'hnsw' ? graph.openedFrom : 'exact');
    }
  }
}

function expectDeath(error: unknown): void {
  if (!(error instanceof HostDeath) || error.signal !== 'SIGKILL') throw error;
}
