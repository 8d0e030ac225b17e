/**
 * Agglomerative clustering of faces by identity (FaceNet, section 5.8: "face clustering").
 *
 * Average linkage over squared L2 distances: starting from single faces, the two clusters with the smallest mean distance
 * between their members are merged until that mean exceeds the cut. The Lance-Williams update keeps it exact: the mean of a
 * merged cluster is the size-weighted mean of its parts. Pairs that are known to be different people (two faces in one photo)
 * can be kept apart. Time O(n^3) worst case, memory O(n^2): for up to a few thousand faces.
 */
import { squaredDistance, type UnitVector } from '../vector.js';

export interface ClusterOptions {
  /** Clusters whose mean distance exceeds this are different people; squared L2, (0, 4]. */
  readonly cut: number;
  /** True when faces i and j cannot be the same person. */
  readonly apart?: ((i: number, j: number) => boolean) | undefined;
}

/** Positions of the vectors grouped by identity: largest cluster first, then by their first face; members ascending. */
export function clusterByIdentity(
  vectors: readonly UnitVector[],
  options: ClusterOptions,
): readonly (readonly number[])[] {
  const clusters = new Map<number, number[]>(vectors.map((_, i) => [i, [i]]));
  const distances = new Map<number, Map<number, number>>();
  for (const i of clusters.keys()) {
    const row = new Map<number, number>();
    for (const j of clusters.keys()) {
      const [a, b] = [vectors[i], vectors[j]];
      if (i !== j && a && b) row.set(j, options.apart?.(i, j) ? Infinity : squaredDistance(a, b));
    }
    distances.set(i, row);
  }

  for (;;) {
    const nearest = nearestPair(distances);
    if (!nearest || nearest.distance > options.cut) break;
    merge(clusters, distances, nearest.i, nearest.j);
  }
  return [...clusters.values()]
    .map((members) => members.toSorted((a, b) => a - b))
    .toSorted((a, b) => b.length - a.length || (a[0] ?? 0) - (b[0] ?? 0));
}

function nearestPair(
  distances: ReadonlyMap<number, ReadonlyMap<number, number>>,
): { i: number; j: number; distance: number } | undefined {
  let nearest: { i: number; j: number; distance: number } | undefined;
  for (const [i, row] of distances) {
    for (const [j, distance] of row) {
      if (i < j && (!nearest || distance < nearest.distance)) nearest = { i, j, distance };
    }
  }
  return nearest;
}

/** Moves cluster j into cluster i. */
function merge(
  clusters: Map<number, number[]>,
  distances: Map<number, Map<number, number>>,
  i: number,
  j: number,
): void {
  const [into, from] = [clusters.get(i) ?? [], clusters.get(j) ?? []];
  const [rowI, rowJ] = [distances.get(i), distances.get(j)];
  for (const [other, row] of distances) {
    if (other === i || other === j) continue;
    const mean =
      ((rowI?.get(other) ?? 0) * into.length + (rowJ?.get(other) ?? 0) * from.length) / (into.length + from.length);
    row.set(i, mean);
    row.delete(j);
    rowI?.set(other, mean);
  }
  rowI?.delete(j);
  distances.delete(j);
  clusters.set(i, [...into, ...from]);
  clusters.delete(j);
}
