/**
 * The HNSW engine (Malkov & Yashunin, TPAMI 2018), and the only importer of hnswlib-node.
 *
 * The table holds every template and is always up to date; the graph follows it in the background, in slices of a few milliseconds
 * between which searches run. What the graph does not hold yet is compared exactly and merged, and what it still holds of removed
 * templates is dropped because the table no longer knows it. Up to `exactMax` templates there is no graph. Beyond 20 % removed entries the graph is
 * built anew beside the old one and swapped.
 *
 * What native code would crash on never gets there: vectors are checked by the table, filters cannot throw, a file is
 * verified before it is loaded into a fresh object. `ef` belongs to the index, so it is set before every walk; searches are synchronous
 * and cannot disturb each other. While a file is written nothing is inserted or marked: the writer takes no lock.
 */
import hnswlib from 'hnswlib-node';
import { assertInvariant, HarmonidError } from '../errors.js';
import { exactCounts, searchExactly } from './exact-graph.js';
import {
  isAllowed,
  type Graph,
  type GraphAnswer,
  type GraphCounts,
  type GraphEntries,
  type GraphHit,
  type GraphQuery,
  type OwnerSet,
} from './graph.js';
import { NearestOwners, TemplateTable } from './template-table.js';

type NativeIndex = InstanceType<typeof hnswlib.HierarchicalNSW>;

/** Edges a node, and the width of the walk that finds them: larger is better recall, a larger and slower graph. */
export const graphParameters = { m: 16, efConstruction: 200 } as const;

export interface HnswOptions {
  readonly dimensions: number;
  /** Up to so many templates are scanned exactly, without a graph. Larger saves memory and costs search time. */
  readonly exactMax: number;
}

/** How long the background may insert before searches get their turn. */
const sliceMs = 2;
/** Most of the time owed to the background that is paid back at once. */
const catchUpMsMax = 25;
/** A filter that leaves fewer than this share of the templates is scanned: the walk would mostly meet others. */
const filteredShareMin = 0.1;
/** Share of removed entries beyond which the graph is built anew. */
const removedShareMax = 0.2;

/** A native index with what is known of its content. */
interface Built {
  readonly native: NativeIndex;
  /** Labels of live templates in it. */
  readonly labels: Set<number>;
  removedCount: number;
}

export interface HnswGraph extends Graph {
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
  /** Takes a verified file as the graph of the templates in the table; what they do not share is removed or inserted. */
  load(file: string): void;
  /** Starts the background work for everything in the table, when a graph is wanted at all. */
  start(): void;
}

export function openHnswGraph({ dimensions, exactMax }: HnswOptions): HnswGraph {
  const table = new TemplateTable(dimensions);
  let built: Built | null = null;
  /** Labels of the table that `built` does not hold. Without a graph it is empty and everything is scanned. */
  let pending = new Set<number>();
  /** Removed while a file was being written; marked afterwards. */
  let unmarked: number[] = [];
  /** The successor of `built`, and what it is still to hold. */
  let next: { readonly built: Built; readonly queue: Set<number> } | null = null;
  let saving: Promise<unknown> | null = null;
  let scheduled = false;
  let closed = false;
  let failure: unknown = null;
  let settled: (() => void)[] = [];
  let owedMs = 0;

  const isSettled = (): boolean => closed || failure !== null || (pending.size === 0 && next === null);

  function schedule(): void {
    if (scheduled || closed || saving || isSettled()) return;
    scheduled = true;
    setImmediate(runSlice);
  }

  function runSlice(): void {
    scheduled = false;
    insertFor(sliceMs);
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

  function catchUp(): void {
    if (owedMs === 0) return;
    insertFor(Math.min(owedMs, catchUpMsMax));
    owedMs = 0;
  }

  function insertOne(): void {
    const target = next?.built ?? built;
    const queue = next?.queue ?? pending;
    const [label] = queue;
    if (!target || label === undefined) {
      swap();
      return;
    }
    queue.delete(label);
    if (!table.has(label)) return;
    insert(target, table, label);
  }

  /** The successor is complete: it takes over, and the old one's native memory is given back at once. */
  function swap(): void {
    if (!next) return;
    const old = built;
    built = next.built;
    next = null;
    pending = new Set();
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
      for (const resolve of settled.splice(0)) resolve();
    } else if (built && !next && built.removedCount > removedShareMax * (built.labels.size + built.removedCount)) {
      next = { built: emptyIndex(dimensions, table.count), queue: new Set(table.labels()) };
    }
    schedule();
  }

  function addNow(entries: GraphEntries): void {
    table.add(entries);
    if (built) for (const label of entries.labels) pending.add(label);
    if (next) for (const label of entries.labels) next.queue.add(label);
    follow();
  }

  function removeNow(labels: Uint32Array): void {
    for (const label of labels) {
      if (!table.remove(label)) continue;
      pending.delete(label);
      if (built) forget(built, label);
      if (next) {
        next.queue.delete(label);
        forget(next.built, label);
      }
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
    if (query.exact || pending.size <= exactMax) return searchTable(query);
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
      hits.push(nearest.hits(probe, table));
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
    };
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
      // As it is now: what is removed while the file is written stays in it.
      const count = labels.size + built.removedCount;
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
      return count;
    },

    load(file) {
      assertInvariant(!built, 'a file is loaded into a fresh graph');
      if (table.count <= exactMax) return;
      const native = new hnswlib.HierarchicalNSW('l2', dimensions);
      native.readIndexSync(file);
      const labels = new Set<number>();
      let removedCount = 0;
      for (const label of native.getIdsList()) {
        if (table.has(label)) {
          labels.add(label);
        } else {
          removedCount++;
          markRemoved(native, label);
        }
      }
      built = { native, labels, removedCount };
      pending = new Set();
      for (const label of table.labels()) if (!labels.has(label)) pending.add(label);
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

/**
 * Asks the graph for more and more templates until k distinct owners are certain; offers them to `nearest`. False when the graph
 * cannot tell: it is exhausted before, or would have to be walked so far that a scan is the shorter way.
 */
function walk(
  { native, labels, removedCount }: Built,
  table: TemplateTable,
  probe: Float32Array,
  nearest: NearestOwners,
  { k, allow, exclude }: GraphQuery,
  ef: number,
): boolean {
  if (labels.size === 0) return true;
  const values = Array.from(probe);
  // The filter asks the table, whose methods cannot throw for any label.
  const filter =
    allow || exclude !== undefined
      ? (label: number): boolean => {
          const owner = table.ownerOf(label);
          return owner !== undefined && owner !== exclude && (!allow || isAllowed(allow, owner));
        }
      : undefined;
  const entriesMax = labels.size + removedCount;
  for (let wanted = Math.min(entriesMax, Math.max(2 * k, k + 8)); ; wanted = Math.min(entriesMax, wanted * 2)) {
    if (wanted > 8_192 || wanted > entriesMax / 4) return false;
    native.setEf(Math.max(ef, wanted));
    const { neighbors, distances } = native.searchKnn(values, wanted, filter);
    const owners = new Set<number>();
    for (const label of neighbors) {
      const owner = table.ownerOf(label);
      if (owner !== undefined) owners.add(owner);
    }
    if (owners.size >= k) {
      neighbors.forEach((label, i) => {
        const owner = table.ownerOf(label);
        if (owner !== undefined) nearest.offer(owner, label, distances[i] ?? Infinity);
      });
      return true;
    }
    if (neighbors.length < wanted) return false;
  }
}

function insert({ native, labels }: Built, table: TemplateTable, label: number): void {
  if (native.getCurrentCount() >= native.getMaxElements()) native.resizeIndex(Math.ceil(native.getMaxElements() * 1.5));
  native.addPoint(Array.from(table.vectorOf(label)), label);
  labels.add(label);
}

function emptyIndex(dimensions: number, count: number): Built {
  const native = new hnswlib.HierarchicalNSW('l2', dimensions);
  native.initIndex({ maxElements: Math.max(1024, Math.ceil(count * 1.25)), ...graphParameters });
  return { native, labels: new Set(), removedCount: 0 };
}

/** Frees the native memory now: the garbage collector does not know how large the object is. */
function release({ native }: Built): void {
  native.initIndex({ maxElements: 1 });
}

/** Marks an entry of a loaded file; one that was marked before it was written stays so. */
function markRemoved(native: NativeIndex, label: number): void {
  try {
    native.markDelete(label);
  } catch (error) {
    if (!(error instanceof Error && /already deleted/.test(error.message))) throw error;
  }
}

/** Vector, bottom-layer links and their share of the upper layers, label and bookkeeping. */
function bytesPerEntry(dimensions: number): number {
  return dimensions * 4 + graphParameters.m * 2 * 4 + 4 + 8 + 24 + 48;
}

function bitCount(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const quads = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((quads + (quads >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
