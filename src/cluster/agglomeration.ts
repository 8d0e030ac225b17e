/**
 * Agglomerative clustering of faces by identity (FaceNet, section 5.8: "face clustering"), exact.
 *
 * Starting from single faces, the two nearest clusters are merged until the nearest are farther apart than the cut. How far apart clusters
 * are is the linkage; all three are reducible (a merged cluster is no nearer to a third than the nearer of its parts was), so chains of nearest
 * neighbours end in pairs that every order would merge (Murtagh, A survey of recent advances in hierarchical clustering algorithms, The
 * Computer Journal 26, 1983), and a cluster without a neighbour within the cut is finished. Lance and Williams' updates (1967) keep the distances exact.
 *
 * Equal distances are taken by position: the pair with the smaller first face, then with the smaller second one. Time O(n^2), memory
 * 2 n^2 bytes: for some thousand faces; beyond, see graph-agglomeration.ts. Pure.
 */
import { squaredDistance, type UnitVector } from '../vector.js';

/** How far apart two clusters are: the mean, the largest or the smallest of the distances between their members. */
export const linkages = ['average', 'complete', 'single'] as const;
export type Linkage = (typeof linkages)[number];

export interface ClusterOptions {
  /** Clusters that are farther apart than this are different people; squared L2, (0, 4]. Larger joins more of a person and more strangers. */
  readonly cut: number;
  /** Default `average`. `complete` splits people rather than join strangers, `single` the other way round. */
  readonly linkage?: Linkage | undefined;
  /** The number of each face's photo: two faces of one photo are two people, and never come together. Default: no two are of one. */
  readonly photos?: ArrayLike<number> | undefined;
}

/** Positions of faces grouped by identity: largest cluster first, then by their first face; members ascending. */
export type Clusters = readonly (readonly number[])[];

/** The clusters of `vectors`, which all are of one space. */
export function clusterByIdentity(vectors: readonly UnitVector[], options: ClusterOptions): Clusters {
  const { cut, linkage = 'average' } = options;
  const count = vectors.length;
  const distances = distanceTriangle(vectors, options.photos);
  const members = vectors.map((_, position) => [position]);
  const active = Int32Array.from({ length: count }, (_, position) => position);
  let activeCount = count;
  const chain: number[] = [];

  const remove = (cluster: number): void => {
    active.copyWithin(active.indexOf(cluster), active.indexOf(cluster) + 1, activeCount--);
  };
  /** Where there is none within the cut, -1. Ascending positions and `<` take equal distances in their order. */
  const nearestOf = (cluster: number): number => {
    let [nearest, least] = [-1, Infinity];
    for (let i = 0; i < activeCount; i++) {
      const other = active[i] as number;
      if (other === cluster) continue;
      const distance = distances[slot(cluster, other)] as number;
      if (distance <= cut && distance < least) [nearest, least] = [other, distance];
    }
    return nearest;
  };
  const merge = (a: number, b: number): void => {
    const [into, from] = [Math.min(a, b), Math.max(a, b)];
    const [intoMembers, fromMembers] = [members[into] as number[], members[from] as number[]];
    remove(from);
    for (let i = 0; i < activeCount; i++) {
      const other = active[i] as number;
      if (other === into) continue;
      const place = slot(into, other);
      distances[place] = linked(
        linkage,
        distances[place] as number,
        intoMembers.length,
        distances[slot(from, other)] as number,
        fromMembers.length,
      );
    }
    members[into] = [...intoMembers, ...fromMembers];
    members[from] = [];
  };

  while (activeCount > 0) {
    if (chain.length === 0) chain.push(active[0] as number);
    const last = chain.at(-1) as number;
    const nearest = nearestOf(last);
    if (nearest === -1) {
      // By reducibility nobody will ever come within the cut of it, so that it is the only one of its chain, too.
      remove(last);
      chain.pop();
    } else if (nearest === chain.at(-2)) {
      chain.length -= 2;
      merge(last, nearest);
    } else chain.push(nearest);
  }
  return inOrder(members.filter((positions) => positions.length > 0));
}

/** As `Clusters` promises. */
export function inOrder(clusters: readonly (readonly number[])[]): Clusters {
  return clusters
    .map((members) => members.toSorted((a, b) => a - b))
    .toSorted((a, b) => b.length - a.length || (a[0] ?? 0) - (b[0] ?? 0));
}

/** Lance and Williams' update: from a third cluster to two that are merged. Faces that are kept apart are infinitely far, and so is whatever holds them. */
function linked(linkage: Linkage, a: number, aCount: number, b: number, bCount: number): number {
  if (a === Infinity || b === Infinity) return Infinity;
  switch (linkage) {
    case 'average':
      return (a * aCount + b * bCount) / (aCount + bCount);
    case 'complete':
      return Math.max(a, b);
    case 'single':
      return Math.min(a, b);
  }
}

/** All distances, row after row below the diagonal: float32, in half the room of a square. */
function distanceTriangle(vectors: readonly UnitVector[], photos: ArrayLike<number> | undefined): Float32Array {
  const distances = new Float32Array((vectors.length * (vectors.length - 1)) / 2);
  let place = 0;
  vectors.forEach((vector, row) => {
    for (let column = 0; column < row; column++) {
      const isApart = photos !== undefined && photos[row] === photos[column];
      distances[place++] = isApart ? Infinity : squaredDistance(vector, vectors[column] as UnitVector);
    }
  });
  return distances;
}

/** Where the distance between two clusters lies in the triangle. */
function slot(a: number, b: number): number {
  return a > b ? (a * (a - 1)) / 2 + b : (b * (b - 1)) / 2 + a;
}
