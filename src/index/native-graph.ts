/**
 * One native graph, and the only importer of hnswlib-node.
 *
 * What native code would crash on never gets there: vectors are checked by the table, filters cannot throw, a file is verified before it
 * is read into a fresh object. `ef` belongs to the index, so it is set before every walk.
 */
import hnswlib from 'hnswlib-node';
import type { NearestOwners } from '../engine/nearest-owners.js';
import { isAllowed, type GraphQuery } from './graph.js';
import type { TemplateTable } from './template-table.js';

export type NativeIndex = InstanceType<typeof hnswlib.HierarchicalNSW>;

/** Edges a node, and the width of the walk that finds them: larger is better recall, a larger and slower graph. */
export const graphParameters = { m: 16, efConstruction: 200 } as const;

/** A native index with what is known of its content. */
export interface Built {
  readonly native: NativeIndex;
  /** Labels of live templates in it. */
  readonly labels: Set<number>;
  removedCount: number;
  /** Whether it was built from the beginning and never held all templates yet. */
  isNew: boolean;
}

/** Searches that a loaded file must survive, and the share of them that must find the template itself. */
const trialCount = 16;
const trialShareMin = 0.5;
/** Squared distance of a vector to itself, with what float32 sums in another order make of it. */
const sameDistanceMax = 1e-6;

/**
 * Asks the graph for more and more templates until k distinct owners are certain; offers them to `nearest`. False when the graph
 * cannot tell: it is exhausted before, or would have to be walked so far that a scan is the shorter way.
 */
export function walk(
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

/** Reads a verified file into a fresh object, in another thread. */
export async function readNative(file: string, dimensions: number): Promise<NativeIndex> {
  const native = new hnswlib.HierarchicalNSW('l2', dimensions);
  await native.readIndex(file);
  return native;
}

/** What is no longer in the table is marked in the index. */
export function compareWith(table: TemplateTable, native: NativeIndex): Built {
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
  return { native, labels, removedCount, isNew: false };
}

/** Looks for some of the templates by their own vectors: a graph that crashes does so now, and one that finds nothing is refused. */
export function tryOut({ native, labels }: Built, table: TemplateTable): void {
  const step = Math.max(1, Math.floor(labels.size / trialCount));
  let [position, tried, found] = [0, 0, 0];
  native.setEf(graphParameters.efConstruction);
  for (const label of labels) {
    if (position++ % step !== 0) continue;
    tried++;
    // The same photo may be enrolled several times: what counts is that something lies there.
    const { distances } = native.searchKnn(Array.from(table.vectorOf(label)), 1);
    if ((distances[0] ?? Infinity) <= sameDistanceMax) found++;
  }
  if (found < trialShareMin * tried) {
    throw new Error(`of ${tried} templates looked for by their own vectors it finds ${found}`);
  }
}

export function insert({ native, labels }: Built, table: TemplateTable, label: number): void {
  if (native.getCurrentCount() >= native.getMaxElements()) native.resizeIndex(Math.ceil(native.getMaxElements() * 1.5));
  native.addPoint(Array.from(table.vectorOf(label)), label);
  labels.add(label);
}

export function emptyIndex(dimensions: number, count: number): Built {
  const native = new hnswlib.HierarchicalNSW('l2', dimensions);
  native.initIndex({ maxElements: Math.max(1024, Math.ceil(count * 1.25)), ...graphParameters });
  return { native, labels: new Set(), removedCount: 0, isNew: true };
}

/** Frees the native memory now: the garbage collector does not know how large the object is. */
export function release({ native }: Built): void {
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
export function bytesPerEntry(dimensions: number): number {
  return dimensions * 4 + graphParameters.m * 2 * 4 + 4 + 8 + 24 + 48;
}
