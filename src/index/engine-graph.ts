/**
 * The graph on our own engine (src/engine): codes and links in shared memory, exact vectors in the store.
 *
 * Up to `exactMax` templates are kept in a table and scanned. Beyond, every template is in the engine as soon as it is added, where it is compared until the
 * background has linked it, in slices of a few milliseconds between which searches run. Removed templates are found by nobody at once, and taken out of the lists of others in the background.
 * The engine's distances are approximate with a known error; of the candidates for an answer the exact vectors are read from the store.
 *
 * A quantiser is learned from the templates that are there when the engine is made. When there are many more, and a new one would do much better by them, or when the recall watchdog says so,
 * another engine is filled beside this one and takes over.
 */
import { availableParallelism } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EngineMemory } from '../engine/engine-memory.js';
import { factsOf } from '../engine/engine-pages.js';
import type { EngineWriter } from '../engine/engine-writer.js';
import { linkInThreads } from '../engine/linking.js';
import { assertInvariant, asHarmonidError, HarmonidError } from '../errors.js';
import { attachTo, drawSample, makeEngine, outdone, type BuiltEngine } from './built-engine.js';
import { catchUpWith, tryOut } from './engine-catchup.js';
import { EngineFile } from './engine-file.js';
import { firstLinker, linkersMax } from './engine-readers.js';
import { searchEngine } from './engine-search.js';
import { exactCounts, searchExactly } from './exact-graph.js';
import type { GraphAnswer, GraphCounts, GraphEntries, GraphQuery } from './graph.js';
import type { HostedGraph, HostedOpening, RecordedFile } from './hosted-graph.js';
import {
  recallWarnings,
  RecallWatch,
  recallWatchDefaults,
  type RecallVerdict,
  type RecallWatchOptions,
} from './recall-watch.js';
import { checkEntries, TemplateTable } from './template-table.js';
import { entriesIn, type TemplateSource } from './template-source.js';

export interface EngineGraphOptions {
  readonly dimensions: number;
  /** Up to so many templates are scanned exactly, without a graph. Larger saves memory and costs search time. */
  readonly exactMax: number;
  /** Whether int16 vectors are kept in memory: twice the memory, and fewer reads of the store a search. */
  readonly withFines: boolean;
  readonly recall?: Partial<RecallWatchOptions> | undefined;
  /** Told when a graph turns out to be bad. */
  readonly onWarning?: ((message: string, facts: object) => void) | undefined;
  readonly source: TemplateSource;
  /** Told which engine is the graph's from now on, for whoever searches it, too; null: it has none. */
  readonly onEngine?: ((engine: EngineMemory | null) => void) | undefined;
}

/** How long the background may work before searches get their turn. */
const sliceMs = 2;
/** Most of the time owed to the background that is paid back at once. */
const catchUpMsMax = 25;
/** Share of removed templates beyond which they are taken out of the lists at once; fewer wait for `mendEveryMs`. */
const removedShareMax = 0.02;
const mendEveryMs = 10_000;
/** Templates that a quantiser is learned from: fewer do not tell how they are spread, and more do not tell it better. */
const learnedMin = 16;
const learnedMax = 20_000;
/** When there are so many times as many as it was learned from, it is held against one that is learned anew from some of them. */
const outgrown = 10;
const comparedCount = 2_000;
/** So many that wait are linked by several threads. */
const linkedTogetherMin = 10_000;
export function openEngineGraph({
  dimensions,
  exactMax,
  withFines,
  recall,
  onWarning,
  source,
  onEngine,
}: EngineGraphOptions): HostedGraph {
  /** Of a small gallery; null beside an engine. */
  let table: TemplateTable | null = new TemplateTable(dimensions);
  let built: BuiltEngine | null = null;
  /** The successor of `built`, and what it is still to be given. */
  let next: { readonly built: BuiltEngine; queue: Iterator<number>; isFilled: boolean } | null = null;
  /** Up to so many templates stay in a table: `exactMax`, and more where an engine could not be made. */
  let tableMax = Math.max(exactMax, learnedMin);
  let rebuiltCount = 0;
  let isNextsTurn = false;
  /** Whether the engine was made from the beginning and was never linked whole yet. */
  let isNew = false;
  const file = new EngineFile();
  let saving: Promise<unknown> | null = null;
  let linking: { readonly done: Promise<unknown>; readonly stop: AbortController } | null = null;
  /** Whether threads that link have failed. */
  let isAlone = false;
  let mendedAtMs = -Infinity;
  let mendTimer: NodeJS.Timeout | null = null;
  let isMending = false;
  let scheduled = false;
  let closed = false;
  let failure: unknown = null;
  let owedMs = 0;
  let isTold = false;
  let settled: (() => void)[] = [];

  const watch = new RecallWatch(
    {
      dimensions,
      rowCount: () => built?.engine.next ?? 0,
      has: (label) => built?.writer.has(label) ?? false,
      compare: ({ probes: vector, allow, exclude }, nearest, from, to) =>
        void built?.reader.scanPart({ vector, allow, exclude }, nearest, from, to),
      vectorOf: (owner, label) => source.reading((vectorOf) => vectorOf(owner, label)),
    },
    (query) => answerOf(query).hits[0]?.[0],
    { ...recallWatchDefaults, ...recall },
  );

  const waitingCount = (): number => built?.writer.waitingCount ?? 0;
  const isSettled = (): boolean => closed || failure !== null || (waitingCount() === 0 && next === null);

  // ── The background ─────────────────────────────────────────────────────────────────────────────────────────────────

  function schedule(): void {
    if (scheduled || closed || !(watch.isBusy || (!saving && !linking && (!isSettled() || isMending)))) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      if (closed) return;
      look();
      workFor(sliceMs);
      schedule();
    });
  }

  function workFor(durationMs: number): void {
    if (closed || saving || linking) return;
    if (built && !next && isForThreads(built)) {
      linkTogether(built);
      return;
    }
    try {
      const untilMs = performance.now() + durationMs;
      while (!isSettled() && !linking && performance.now() < untilMs) advance(untilMs - performance.now());
      if (isMending && isSettled()) mend(untilMs - performance.now());
    } catch (error) {
      // What is in the engine goes on being found; whoever waits for the graph is told.
      failure = error;
      for (const one of [built, next?.built]) one?.writer.recover();
    }
    if (isSettled()) {
      for (const resolve of settled.splice(0)) resolve();
    }
    if (!isSettled() || isMending) schedule();
  }

  function isForThreads({ writer }: BuiltEngine): boolean {
    return !isAlone && writer.waitingCount >= linkedTogetherMin;
  }

  function linkTogether({ engine, writer }: BuiltEngine): void {
    const stop = new AbortController();
    const threads = Math.max(1, Math.min(linkersMax, availableParallelism()));
    const done = linkInThreads(engine, writer, { threads, firstReader: firstLinker, signal: stop.signal })
      .catch((error: unknown) => {
        if (stop.signal.aborted) return;
        isAlone = true;
        onWarning?.('threads that link a graph could not be started, or have died; it is linked by one', { error });
      })
      .then(() => {
        linking = null;
        workFor(0);
        schedule();
      });
    linking = { done, stop };
  }

  /** Many enrolments during a rebuild would make every search compare them: then the old engine gets every other turn. */
  function advance(durationMs: number): void {
    if (!built) return;
    isNextsTurn = next !== null && (!isNextsTurn || waitingCount() === 0);
    if (next && isNextsTurn) fillNext(next, durationMs / 2);
    else if (built.writer.link(durationMs)) isNew = false;
  }

  /** All templates first, for a while; then what waits is linked as everywhere. */
  function fillNext(successor: NonNullable<typeof next>, durationMs: number): void {
    const untilMs = performance.now() + durationMs;
    const { writer } = successor.built;
    if (successor.isFilled) {
      if (isForThreads(successor.built)) linkTogether(successor.built);
      else if (writer.link(durationMs)) swap(successor.built);
      return;
    }
    source.reading((vectorOf) => {
      while (performance.now() < untilMs) {
        const { done, value: label } = successor.queue.next();
        if (done) {
          successor.isFilled = true;
          return;
        }
        const owner = built?.writer.ownerOf(label);
        if (owner === undefined || writer.has(label)) continue;
        const vector = vectorOf(owner, label);
        // Without a vector it is being removed: the change is on its way.
        if (vector) writer.add(label, owner, vector);
      }
    });
  }

  function swap(successor: BuiltEngine): void {
    const missing = Array.from(built?.writer.labels() ?? []).filter((label) => !successor.writer.has(label));
    if (missing.length > 0 && next && missing.some((label) => isInStore(label))) {
      next.queue = missing[Symbol.iterator]();
      next.isFilled = false;
      return;
    }
    take(successor);
    next = null;
    rebuiltCount++;
    isNew = false;
    isMending = false;
    watch.restart();
  }

  function isInStore(label: number): boolean {
    const owner = built?.writer.ownerOf(label);
    return owner !== undefined && source.reading((vectorOf) => vectorOf(owner, label) !== undefined);
  }

  function mend(durationMs: number): void {
    if (!built) return;
    if (built.writer.mend(durationMs)) {
      isMending = false;
      mendedAtMs = performance.now();
    }
  }

  /** Removed templates are taken out soon, and not with every one of them. */
  function mendWhenDue(): void {
    if (!built || isMending || built.writer.removedCount === 0 || closed) return;
    const waitMs = mendedAtMs + mendEveryMs - performance.now();
    if (waitMs <= 0 || built.writer.removedCount > removedShareMax * (built.writer.count + built.writer.removedCount)) {
      isMending = true;
      schedule();
      return;
    }
    mendTimer ??= setTimeout(() => {
      mendTimer = null;
      mendWhenDue();
    }, waitMs).unref();
  }

  function look(): void {
    try {
      heed(watch.work(sliceMs));
    } catch {
      // A record that cannot be read is for whoever searches to be told of, and no sample.
      watch.restart();
    }
  }

  function heed(verdict: RecallVerdict): void {
    if (verdict === 'fine' || next || !built) return;
    onWarning?.(recallWarnings[verdict], { recall: watch.recall, samples: watch.sampleCount });
    if (verdict === 'rebuild') buildNext();
  }

  // ── Table or engine ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Decides whether there is an engine, and whether it is built anew. Called after every change. */
  function follow(): void {
    try {
      reshape();
    } catch (error) {
      // Not every template could be read: it stays as it is.
      if (!isTold) onWarning?.('templates that a graph is to be made of cannot be read; it stays as it is', { error });
      isTold = true;
    }
    mendWhenDue();
    schedule();
  }

  function reshape(): void {
    if (table && table.count > tableMax) toEngine(table);
    else if (built && !saving && !linking && built.writer.count <= exactMax / 2) toTable(built.writer);
    else if (built && !next && built.writer.count >= outgrown * built.learnedFrom) reconsider(built);
  }

  /** Whether the quantiser still is as good as another one would be. */
  function reconsider(of: BuiltEngine): void {
    const sample = drawSample(of.writer, source, { count: comparedCount, dimensions });
    of.learnedFrom = of.writer.count;
    const facts = outdone(of.quantiser, sample, dimensions);
    if (!facts) return;
    onWarning?.('the templates have moved away from the quantiser of their graph; it is built anew', facts);
    buildNext();
  }

  function toEngine(from: TemplateTable): void {
    const sample = new Float32Array(from.count * dimensions);
    let at = 0;
    for (const label of from.labels()) sample.set(from.vectorOf(label), at++ * dimensions);
    let made: BuiltEngine;
    try {
      made = makeEngine(sample, { dimensions, withFines, quantiserVersion: 1 });
    } catch (error) {
      // Each engine reserves 4 GiB of addresses, of which a process has some ten thousand, or as many as it is allowed.
      tableMax = 2 * from.count;
      onWarning?.('there is no room for a graph; searches compare everybody', { templates: from.count, error });
      return;
    }
    for (const label of from.labels()) made.writer.add(label, from.ownerOf(label) as number, from.vectorOf(label));
    table = null;
    take(made);
    isNew = true;
  }

  /** A gallery that has become small: half of the limit, so that one at the limit does not build and drop all day. */
  function toTable(writer: EngineWriter): void {
    const small = new TemplateTable(dimensions);
    source.reading((vectorOf) => {
      for (const label of writer.labels()) {
        const owner = writer.ownerOf(label);
        const vector = owner === undefined ? undefined : vectorOf(owner, label);
        if (owner === undefined || !vector) continue;
        small.add({ labels: Uint32Array.of(label), owners: Uint32Array.of(owner), vectors: Float32Array.from(vector) });
      }
    });
    table = small;
    take(null);
    [next, isMending] = [null, false];
    watch.restart();
    for (const resolve of settled.splice(0)) resolve();
  }

  function take(successor: BuiltEngine | null): void {
    built = successor;
    onEngine?.(built?.engine ?? null);
  }

  function buildNext(): void {
    if (!built) return;
    const { writer, quantiserVersion } = built;
    const sample = drawSample(writer, source, { count: learnedMax, dimensions });
    if (sample.length === 0) return;
    const successor = makeEngine(sample, { dimensions, withFines, quantiserVersion: quantiserVersion + 1 });
    next = { built: successor, queue: writer.labels(), isFilled: false };
  }

  // ── Changes and searches ───────────────────────────────────────────────────────────────────────────────────────────

  function addNow(entries: GraphEntries): void {
    if (table) {
      table.add(entries);
    } else if (built) {
      const { writer, engine } = built;
      checkEntries(entries, dimensions, (label) => writer.has(label));
      const { labels, owners, vectors } = entries;
      // So that there is room for all of them or none is added.
      engine.reserve(engine.next + labels.length);
      labels.forEach((label, i) =>
        writer.add(label, owners[i] as number, vectors.subarray(i * dimensions, (i + 1) * dimensions)),
      );
    }
    follow();
  }

  function removeNow(labels: Uint32Array): void {
    for (const label of labels) {
      table?.remove(label);
      built?.writer.remove(label);
      next?.built.writer.remove(label);
    }
    follow();
  }

  function searchNow(query: GraphQuery): GraphAnswer {
    const isLong = !query.exact && waitingCount() > exactMax;
    const startedMs = performance.now();
    const answer = answerOf(query);
    if (isLong) owedMs += performance.now() - startedMs;
    // An engine that is being replaced is not worth watching.
    else if (!answer.exact && !next) {
      watch.offer(query, performance.now());
      schedule();
    }
    return answer;
  }

  function answerOf(query: GraphQuery): GraphAnswer {
    if (table) return searchExactly(table, query);
    assertInvariant(built, 'templates are in a table or in an engine');
    const { reader, writer } = built;
    return searchEngine({ reader, dimensions, count: writer.count, exactMax, source }, query);
  }

  // ── Files ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  function fill(): void {
    for (const entries of entriesIn(source, dimensions)) {
      if (!table) {
        addNow(entries);
        continue;
      }
      table.add(entries);
      // As many as there are at hand for learning a quantiser, so that it need not be learned twice.
      if (table.count > Math.max(tableMax, learnedMax)) toEngine(table);
    }
    follow();
  }

  /** Whether the file could be used. @throws when it is damaged, or is of other templates than the source; there is then no engine */
  async function load(recorded: RecordedFile): Promise<boolean> {
    const { path, name, sealing } = recorded;
    const read = await file.read({ path, name, key: sealing?.key ?? null }, recorded, withFines);
    if (!read) return false;
    const { engine, content } = read;
    const { facts, learnedFrom, quantiserVersion } = content;
    if (facts.dimensions !== dimensions)
      throw new Error(`it has ${facts.dimensions} dimensions, the lane ${dimensions}`);
    const quantiser = engine.quantiserOf(dimensions);
    const loaded = attachTo(engine, { quantiser, quantiserVersion, learnedFrom });
    catchUpWith(source, loaded.writer, recorded.sequence);
    tryOut(source, loaded.writer, loaded.reader);
    table = null;
    take(loaded);
    follow();
    return true;
  }

  async function open(recorded: RecordedFile | null): Promise<HostedOpening> {
    let warning: string | null = null;
    if (recorded?.root) {
      try {
        if (await load(recorded)) return { openedFrom: 'checkpoint', warning };
      } catch (error) {
        const { message, cause } = asHarmonidError(error);
        warning = cause instanceof Error ? `${message}: ${cause.message}` : message;
        table ??= new TemplateTable(dimensions);
        take(null);
      }
    }
    // Its own failure is one of the store and no reason to go on without.
    fill();
    return { openedFrom: countsNow().indexedCount + countsNow().pendingCount > 0 ? 'rebuild' : 'new', warning };
  }

  /** What was removed before is in no list and has no bytes any more. */
  async function mendWhole(): Promise<void> {
    const first = built;
    const passes = (first?.writer.passCount ?? 0) + 2;
    // A pass under way may have begun before the last removal, so that it takes two.
    while (built === first && built && built.writer.passCount < passes && built.writer.removedCount > 0 && !closed) {
      if (!linking) built.writer.mend(sliceMs);
      await nextTurn();
    }
  }

  async function save(target: Parameters<HostedGraph['save']>[0]): ReturnType<HostedGraph['save']> {
    while (saving) await saving;
    if (!built || closed) return null;
    const work = (async () => {
      await mendWhole();
      while (linking) await linking.done;
      if (!built || closed) return null;
      const { engine, writer, learnedFrom, quantiserVersion } = built;
      const { indexedCount, removedCount } = countsNow();
      writer.isReusing = false;
      try {
        return await file.write(
          engine,
          { facts: factsOf(engine, dimensions), quantiserVersion, learnedFrom },
          indexedCount + removedCount,
          { path: target.path, name: target.name, key: target.sealing?.key ?? null },
        );
      } finally {
        writer.isReusing = true;
      }
    })();
    saving = work.catch(() => undefined);
    try {
      return await work;
    } finally {
      saving = null;
      follow();
    }
  }

  function countsNow(): GraphCounts {
    if (table) return exactCounts(table);
    assertInvariant(built, 'templates are in a table or in an engine');
    const { engine, writer } = built;
    const growing = next?.built ?? (isNew ? built : null);
    return {
      engine: 'hnsw',
      indexedCount: Math.max(0, writer.count - writer.waitingCount),
      pendingCount: Math.min(writer.count, writer.waitingCount),
      removedCount: writer.removedCount,
      bytes: engine.bytes + 4 * writer.count + (next?.built.engine.bytes ?? 0),
      rebuild: growing && {
        builtCount: Math.max(0, growing.writer.count - growing.writer.waitingCount),
        wantedCount: writer.count,
      },
      rebuiltCount,
      recall: watch.recall,
      recallSamples: watch.sampleCount,
    };
  }

  return {
    addNow,
    removeNow,
    searchNow,
    countsNow,
    add: async (entries) => addNow(entries),
    remove: async (labels) => removeNow(labels),
    search: async (query) => searchNow(query),
    counts: async () => countsNow(),

    catchUp() {
      if (owedMs === 0) return;
      workFor(Math.min(owedMs, catchUpMsMax));
      owedMs = 0;
    },

    async settle() {
      if (!isSettled()) await new Promise<void>((resolve) => settled.push(resolve));
      if (failure !== null) throw new HarmonidError('INTERNAL', 'the graph could not be built', { cause: failure });
    },

    open,
    save,
    kept: () => file.kept(),

    async close() {
      closed = true;
      linking?.stop.abort();
      while (saving) await saving;
      while (linking) await linking.done;
      if (mendTimer) clearTimeout(mendTimer);
      for (const resolve of settled.splice(0)) resolve();
      [table, built, next] = [null, null, null];
    },
  };
}
