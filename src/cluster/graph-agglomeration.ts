/**
 * Agglomerative clustering over lists of neighbours: for a hundred thousand faces and more.
 *
 * The lists say who is compared with whom, and never how far two clusters are apart: that is the linkage of all members. So a pair that is in no
 * list counts neither as near nor as far; two clusters are only not considered while no member of one has a member of the other in its list.
 * Two clusters cannot be merged unless some pair of members lies within the cut, so lists with all neighbours within the cut give the exact result; shorter
 * ones lose a merge where every pair within the cut is missing. Single linkage alone is what the lists say: the smallest of the distances in them.
 *
 * Average linkage needs no pairs: between unit vectors the mean of all squared distances is 2 - 2 (S_A . S_B) / (|A| |B|), S being the sums of vectors.
 * Components of the graph are apart for good; small ones are clustered exactly. Pure.
 */
import { squaredDistance, type UnitVector } from '../vector.js';
import { clusterByIdentity, inOrder, type ClusterOptions, type Clusters } from './agglomeration.js';
import { MergeQueue } from './merge-queue.js';
import { componentsWithin, type NeighbourLists } from './neighbour-lists.js';

export interface GraphClusterOptions extends ClusterOptions {
  /** Components of at most so many faces are clustered exactly. Larger costs 2 n^2 bytes and mends more of what lists lack. Default 2000. */
  readonly exactMax?: number | undefined;
}

const exactMaxDefault = 2000;

/** The clusters of `vectors`, of whom `lists` says who may come together. */
export function clusterByNeighbours(
  vectors: readonly UnitVector[],
  lists: NeighbourLists,
  options: GraphClusterOptions,
): Clusters {
  const { cut, photos, exactMax = exactMaxDefault } = options;
  const clusters: (readonly number[])[] = [];
  const large: number[] = [];
  for (const component of componentsWithin(lists, cut)) {
    if (component.length > exactMax) {
      for (const face of component) large.push(face);
    } else if (component.length === 1) clusters.push(component);
    else {
      const found = clusterByIdentity(
        component.map((face) => vectors[face] as UnitVector),
        { ...options, photos: photos && component.map((face) => photos[face] as number) },
      );
      for (const members of found) clusters.push(members.map((member) => component[member] as number));
    }
  }
  if (large.length > 0) clusters.push(...agglomerate(vectors, lists, large, options));
  return inOrder(clusters);
}

interface Cluster {
  readonly members: number[];
  /** Sum of the members' vectors. */
  readonly sum: Float64Array;
  /** Photos of the members. */
  readonly photos: Set<number>;
  /** Linkage distance to each cluster with which there is an edge; Infinity where they are kept apart. */
  readonly neighbours: Map<number, number>;
}

/** Greedy: always the nearest two of all. Clusters are called by their first face. */
function agglomerate(
  vectors: readonly UnitVector[],
  lists: NeighbourLists,
  faces: readonly number[],
  { cut, linkage = 'average', photos }: ClusterOptions,
): readonly (readonly number[])[] {
  const clusters = new Map<number, Cluster>(
    faces.map((face) => [
      face,
      {
        members: [face],
        sum: Float64Array.from(vectors[face] as UnitVector),
        photos: new Set(photos ? [photos[face] as number] : []),
        neighbours: new Map(),
      },
    ]),
  );
  const queue = new MergeQueue();
  const connect = (a: number, b: number, distance: number): void => {
    clusters.get(a)?.neighbours.set(b, distance);
    clusters.get(b)?.neighbours.set(a, distance);
    if (distance <= cut) queue.push(distance, Math.min(a, b), Math.max(a, b));
  };
  const farthest = (a: Cluster, b: Cluster): number => {
    let most = 0;
    for (const i of a.members)
      for (const j of b.members)
        most = Math.max(most, squaredDistance(vectors[i] as UnitVector, vectors[j] as UnitVector));
    return most;
  };
  /** From a merged cluster to another, with the distances of its parts where they had an edge. */
  const linked = (merged: Cluster, other: Cluster, parts: readonly (number | undefined)[]): number => {
    if (shareAny(merged.photos, other.photos)) return Infinity;
    if (linkage === 'average') return meanDistance(merged, other);
    const known = parts.filter((distance) => distance !== undefined);
    if (linkage === 'single') return Math.min(...known);
    // Beyond the cut it is beyond for good, and need not be known exactly.
    const most = Math.max(...known);
    return known.length === parts.length || most > cut ? most : farthest(merged, other);
  };

  for (const face of faces) {
    const first = face * lists.k;
    for (let place = first; place < first + lists.k; place++) {
      const [distance, other] = [lists.distances[place] as number, lists.positions[place] as number];
      if (distance > cut) break;
      const isApart = photos !== undefined && photos[face] === photos[other];
      if (!clusters.get(face)?.neighbours.has(other)) connect(face, other, isApart ? Infinity : distance);
    }
  }
  for (let next = queue.pop(); next; next = queue.pop()) {
    const [a, b] = [clusters.get(next.a), clusters.get(next.b)];
    // An entry is out of date when one of the two is gone or has grown.
    if (!a || !b || a.neighbours.get(next.b) !== next.distance) continue;
    clusters.delete(next.b);
    a.neighbours.delete(next.b);
    b.neighbours.delete(next.a);
    for (const member of b.members) a.members.push(member);
    for (const photo of b.photos) a.photos.add(photo);
    b.sum.forEach((value, i) => (a.sum[i] = (a.sum[i] as number) + value));
    for (const near of new Set([...a.neighbours.keys(), ...b.neighbours.keys()])) {
      const other = clusters.get(near);
      if (!other) continue;
      other.neighbours.delete(next.b);
      connect(next.a, near, linked(a, other, [a.neighbours.get(near), b.neighbours.get(near)]));
    }
  }
  return [...clusters.values()].map(({ members }) => members);
}

function meanDistance(a: Cluster, b: Cluster): number {
  let dot = 0;
  for (let i = 0; i < a.sum.length; i++) dot += (a.sum[i] as number) * (b.sum[i] as number);
  return 2 - (2 * dot) / (a.members.length * b.members.length);
}

function shareAny(a: ReadonlySet<number>, b: ReadonlySet<number>): boolean {
  const [few, many] = a.size < b.size ? [a, b] : [b, a];
  for (const one of few) if (many.has(one)) return true;
  return false;
}
