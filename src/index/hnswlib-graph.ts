/**
 * The HNSW engine (Malkov & Yashunin, TPAMI 2018): when there is a graph, what is in it, and when it is built anew.
 *
 * The table holds every template and is always up to date; the graph follows it in the background, in slices of a few milliseconds
 * between which searches run. What the graph does not hold yet is compared exactly and merged, and what it still holds of removed
 * templates is dropped because the table no longer knows it. Up to `exactMax` templates there is no graph. Beyond 20 % removed entries, and when
 * the recall watchdog says so, the graph is built anew beside the old one and swapped.
 *
 * Searches are synchronous and cannot disturb each other. While a file is written nothing is inserted or marked: the writer takes no lock.
 */
import { NearestOwners } from '../engine/nearest-owners.js';
import { assertInvariant, HarmonidError } from '../errors.js';
import { exactCounts, searchExactly } from './exact-graph.js';
import { exactHits } from './exact-hits.js';
import {
  type Graph,
  type GraphAnswer,
  type GraphCounts,
  type GraphEntries,
  type GraphHit,
  type GraphQuery,
  type OwnerSet,
} from './graph.js';
import {
  bytesPerEntry,
  compareWith,
  emptyIndex,
  insert,
  readNative,
  release,
  tryOut,
  walk,
  type Built,
} from './native-graph.js';
import {
  recallWarnings,
  RecallWatch,
  recallWatchDefaults,
  watchedTable,
  type RecallVerdict,
  type RecallWatchOptions,
} from './recall-watch.js';
import { TemplateTable } from './template-table.js';

export interface HnswlibOptions {
  readonly dimensions: number;
  /** Up to so many templates are scanned exactly, without a graph. Larger saves memory and costs search time. */
  readonly exactMax: number;
  readonly recall?: Partial<RecallWatchOptions> | undefined;
  /** Told when a graph turns out to be bad. */
  readonly onWarning?: ((message: string, facts: object) => void) | undefined;
}

/** How long the background may insert before searches get their turn. */
const sliceMs = 2;
/** Most of the time owed to the background that is paid back at once. */
const catchUpMsMax = 25;
/** A filter that leaves fewer than this share of the templates is scanned: the walk would mostly meet others. */
const filteredShareMin = 0.1;
/** Share of removed entries beyond which the graph is built anew. */
const removedShareMax = 0.2;

export interface HnswlibGraph extends Graph {
  readonly table: TemplateTable;
  /** As `search`, at once. */
  searchNow(query: GraphQuery): GraphAnswer;
  /**
   * To be called after answers: gives the background as much time as searches have just lost by scanning a long queue. Without it
   * steady searching would starve the graph, and every search would scan an ever longer queue.
   */
  catchUp(): void;
  addNow(entries: GraphEntries): void;
  removeNow(labels: Uint32Array): void;
  countsNow(): GraphCounts;
  /**
   * Writes the graph to a file (which the caller then verifies: the native writer reports no error); the number of entries
   * in it, or null when there is no graph. Searches go on meanwhile.
   */
  save(file: string): Promise<number | null>;
  /**
   * Takes a verified file as the graph of the templates in the table, which `fillTable` fills while the file is read in another
   * thread; what they do not share is removed or inserted. Tries it with a few searches.
   * @throws what `fillTable` throws, or when the file cannot be read or does not find what it holds; there is then no graph
   */
  load(file: string, fillTable: () => Promise<void>): Promise<void>;
  /** Starts the background work for everything in the table, when a graph is wanted at all. */
  start(): void;
}

export function openHnswlibGraph({ dimensions, exactMax, recall, onWarning }: HnswlibOptions): HnswlibGraph {
  const table = new TemplateTable(dimensions);
  const watch = new RecallWatch(watchedTable(table), (query) => searchTable(query).hits[0]?.[0], {
    ...recallWatchDefaults,
    ...recall,
  });
  let built: Built | null = null;
  /** Labels of the table that `built` does not hold. Without a graph it is empty and everything is scanned. */
  let pending = new Set<number>();
  /** Removed while a file was being written; marked afterwards. */
  let unmarked: number[] = [];
  /** The successor of `built`, and what it is still to hold: a live view of the table, so that nothing large is copied. */
  let next: { readonly built: Built; readonly queue: Iterator<number> } | null = null;
  let rebuiltCount = 0;
  let isOldOnesTurn = false;
  let saving: Promise<unknown> | null = null;
  let scheduled = false;
  let closed = false;
  let failure: unknown = null;
  let settled: (() => void)[] = [];
  let owedMs = 0;

  const isSettled = (): boolean => closed || failure !== null || (pending.size === 0 && next === null);

  function schedule(): void {
    if (scheduled || closed || !(watch.isBusy || (!saving && !isSettled()))) return;
    scheduled = true;
    setImmediate(runSlice);
  }

  function runSlice(): void {
    scheduled = false;
    if (closed) return;
    heed(watch.work(sliceMs));
    insertFor(sliceMs);
    schedule();
  }

  function insertFor(durationMs: number): void {
    if (closed || saving) return;
    try {
      const untilMs = performance.now() + durationMs;
      while (!isSettled() && performance.now() < untilMs) insertOne();
    } catch (error) {
      // The table goes on answering; whoever waits for the graph is told.
      failure = error;
    }
    if (isSettled()) for (const resolve of settled.splice(0)) resolve();
    else schedule();
  }

  function heed(verdict: RecallVerdict): void {
    if (verdict === 'fine' || next) return;
    onWarning?.(recallWarnings[verdict], { recall: watch.recall, samples: watch.sampleCount });
    if (verdict === 'rebuild') buildNext();
  }

  function catchUp(): void {
    if (owedMs === 0) return;
    insertFor(Math.min(owedMs, catchUpMsMax));
    owedMs = 0;
  }

  function insertOne(): void {
    // Many enrolments during a rebuild would make every search scan them: then the old graph gets every other turn.
    isOldOnesTurn = !isOldOnesTurn && pending.size > exactMax;
    if (next && !isOldOnesTurn) {
      const { done, value: label } = next.queue.next();
      if (done) swap();
      else insert(next.built, table, label);
      return;
    }
    const [label] = pending;
    assertInvariant(built && label !== undefined, 'what is pending has a graph to go to');
    pending.delete(label);
    insert(built, table, label);
    if (pending.size === 0) built.isNew = false;
  }

  function buildNext(): void {
    next = { built: emptyIndex(dimensions, table.count), queue: table.labels() };
  }

  /** The successor is complete: it takes over, and the old one's native memory is given back at once. */
  function swap(): void {
    if (!next) return;
    const old = built;
    built = next.built;
    built.isNew = false;
    next = null;
    rebuiltCount++;
    pending = new Set();
    watch.restart();
    if (old) release(old);
  }

  /** Decides whether there is a graph, and whether it is built anew. Called after every change of the table. */
  function follow(): void {
    if (!built && table.count > exactMax) {
      built = emptyIndex(dimensions, table.count);
      pending = new Set(table.labels());
    } else if (built && !saving && table.count <= exactMax / 2) {
      // Half of it, so that a gallery at the limit does not build and drop all day.
      release(built);
      if (next) release(next.built);
      [built, next, pending, unmarked] = [null, null, new Set(), []];
      watch.restart();
      for (const resolve of settled.splice(0)) resolve();
    } else if (built && !next && built.removedCount > removedShareMax * (built.labels.size + built.removedCount)) {
      buildNext();
    }
    schedule();
  }

  function addNow(entries: GraphEntries): void {
    table.add(entries);
    if (built) for (const label of entries.labels) pending.add(label);
    follow();
  }

  function removeNow(labels: Uint32Array): void {
    for (const label of labels) {
      if (!table.remove(label)) continue;
      pending.delete(label);
      if (built) forget(built, label);
      if (next) forget(next.built, label);
    }
    follow();
  }

  function forget(from: Built, label: number): void {
    if (!from.labels.delete(label)) return;
    from.removedCount++;
    if (saving && from === built) unmarked.push(label);
    else from.native.markDelete(label);
  }

  function searchNow(query: GraphQuery): GraphAnswer {
    if (query.exact || pending.size <= exactMax) {
      const answer = searchTable(query);
      // A graph that is being replaced is not worth watching.
      if (!answer.exact && !next) {
        watch.offer(query, performance.now());
        schedule();
      }
      return answer;
    }
    const startedMs = performance.now();
    const answer = searchTable(query);
    owedMs += performance.now() - startedMs;
    return answer;
  }

  function searchTable(query: GraphQuery): GraphAnswer {
    const { probes, k, ef, allow } = query;
    if (!built || query.exact || table.count <= exactMax) return searchExactly(table, query);
    if (allow && allowedShare(allow) < filteredShareMin) return searchExactly(table, query);
    const hits: (readonly GraphHit[])[] = [];
    let exact = true;
    for (let start = 0; start < probes.length; start += dimensions) {
      const probe = probes.subarray(start, start + dimensions);
      const nearest = new NearestOwners(k);
      if (walk(built, table, probe, nearest, query, Math.max(ef, k))) exact = false;
      else return searchExactly(table, query);
      if (pending.size > 0) table.scan(probe, nearest, query, pending);
      hits.push(exactHits(nearest.hits, probe, ({ label }) => table.vectorOf(label)));
    }
    return { hits, exact };
  }

  /** Share of owners that a set allows, as an estimate of its share of the templates. */
  function allowedShare(allow: OwnerSet): number {
    let count = 0;
    for (const word of allow) count += bitCount(word);
    return count <= exactMax / 2 ? 0 : count / Math.max(1, allow.length * 32);
  }

  function countsNow(): GraphCounts {
    if (!built) return exactCounts(table);
    const entries = built.labels.size + built.removedCount + (next ? next.built.labels.size : 0);
    return {
      engine: 'hnsw',
      indexedCount: built.labels.size,
      pendingCount: pending.size,
      removedCount: built.removedCount,
      bytes: table.bytes + entries * bytesPerEntry(dimensions),
      rebuild: progressOf(),
      rebuiltCount,
      recall: watch.recall,
      recallSamples: watch.sampleCount,
    };
  }

  function progressOf(): GraphCounts['rebuild'] {
    const growing = next?.built ?? (built?.isNew ? built : null);
    return growing && { builtCount: growing.labels.size, wantedCount: table.count };
  }

  return {
    table,
    addNow,
    removeNow,
    searchNow,
    catchUp,
    countsNow,
    add: async (entries) => addNow(entries),
    remove: async (labels) => removeNow(labels),
    search: async (query) => searchNow(query),
    counts: async () => countsNow(),
    start: follow,

    async settle() {
      if (!isSettled()) await new Promise<void>((resolve) => settled.push(resolve));
      if (failure !== null) throw new HarmonidError('INTERNAL', 'the graph could not be built', { cause: failure });
    },

    async save(file) {
      while (saving) await saving;
      if (!built || closed) return null;
      const { native, labels } = built;
      // Counted now: a removal during the writing changes `labels` at once, and the file not at all.
      const entryCount = native.getCurrentCount();
      const writing = native.writeIndex(file);
      saving = writing.catch(() => undefined);
      try {
        await writing;
      } finally {
        saving = null;
        for (const label of unmarked.splice(0)) native.markDelete(label);
        follow();
      }
      assertInvariant(native.getCurrentCount() >= labels.size, 'a graph holds at least its live entries');
      return entryCount;
    },

    async load(file, fillTable) {
      assertInvariant(!built, 'a file is loaded into a fresh graph');
      const [reading, filling] = await Promise.allSettled([readNative(file, dimensions), fillTable()]);
      if (reading.status === 'rejected') throw reading.reason;
      const loaded = compareWith(table, reading.value);
      try {
        if (filling.status === 'rejected') throw filling.reason;
        if (table.count <= exactMax) return;
        tryOut(loaded, table);
        built = loaded;
      } finally {
        if (!built) release(loaded);
      }
      for (const label of table.labels()) if (!loaded.labels.has(label)) pending.add(label);
      follow();
    },

    async close() {
      closed = true;
      while (saving) await saving;
      for (const resolve of settled.splice(0)) resolve();
      if (built) release(built);
      if (next) release(next.built);
      [built, next] = [null, null];
    },
  };
}

function bitCount(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const quads = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((quads + (quads >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
