/**
 * The graph port: templates as labels, nearest owners as answers. Exact and HNSW engines stand behind it, and the thread in which they live.
 *
 * Promises: an answer holds distinct owners, each with its nearest template, nearest first; it is complete: fewer than k only
 * when fewer owners are there (and allowed); every `add` and `remove` called before a search is seen by it. A label is added once and
 * never again; removing one that is not there does nothing. Distances are squared L2. A graph is a cache: it may be thrown away at
 * any time and filled again.
 */

/** Templates to add, side by side: template i has label `labels[i]`, owner `owners[i]` and the i-th row of `vectors`. */
export interface GraphEntries {
  readonly labels: Uint32Array;
  readonly owners: Uint32Array;
  /** Shape [labels.length x dimensions]; finite. */
  readonly vectors: Float32Array;
}

/** A set of owners: bit `owner % 32` of word `owner / 32`. */
export type OwnerSet = Uint32Array;

export interface GraphQuery {
  /** Shape [probes x dimensions]; each row is searched by itself. */
  readonly probes: Float32Array;
  /** Owners wanted per probe, at least 1. */
  readonly k: number;
  /** Only these owners; all without it. */
  readonly allow?: OwnerSet | undefined;
  /** Never this owner. */
  readonly exclude?: number | undefined;
  /** Compare with every template. */
  readonly exact: boolean;
  /** Width of the graph walk; larger finds more of the true neighbours and takes longer. */
  readonly ef: number;
}

export interface GraphHit {
  readonly owner: number;
  readonly label: number;
  readonly distance: number;
}

export interface GraphAnswer {
  /** One list a probe. */
  readonly hits: readonly (readonly GraphHit[])[];
  /** Whether every (allowed) template was compared for every probe. */
  readonly exact: boolean;
}

export interface GraphCounts {
  readonly engine: 'exact' | 'hnsw';
  readonly indexedCount: number;
  readonly pendingCount: number;
  readonly removedCount: number;
  readonly bytes: number;
  /** How far the graph is that will take over from this one; null when none is being built. */
  readonly rebuild: { readonly builtCount: number; readonly wantedCount: number } | null;
  /** Times that another graph took over since the opening: what was saved before is then of the old one. */
  readonly rebuiltCount: number;
  /** Share of the sampled queries whose true nearest owner was the first answer; null without samples. */
  readonly recall: number | null;
  readonly recallSamples: number;
}

export interface Graph {
  add(entries: GraphEntries): Promise<void>;
  remove(labels: Uint32Array): Promise<void>;
  search(query: GraphQuery): Promise<GraphAnswer>;
  counts(): Promise<GraphCounts>;
  /** Resolves when nothing is pending: background work has caught up with everything added before. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** How many owners a set holds. */
export function ownerCount(set: OwnerSet): number {
  let count = 0;
  for (let word of set) for (; word !== 0; word &= word - 1) count++;
  return count;
}

export function isAllowed(set: OwnerSet, owner: number): boolean {
  return (((set[owner >>> 5] ?? 0) >>> (owner & 31)) & 1) === 1;
}
