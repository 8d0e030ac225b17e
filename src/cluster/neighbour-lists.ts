/**
 * Who is near to whom: for each face its nearest others, nearest first. Pure.
 *
 * Made here by comparing all with all; a search engine gives the same lists in less time, where some may be missing.
 */
import { squaredDistance, type UnitVector } from '../vector.js';

export interface NeighbourLists {
  /** Most neighbours of a face. */
  readonly k: number;
  /** Shape [faces x k]: positions of a face's neighbours; what comes behind an infinite distance says nothing. */
  readonly positions: Uint32Array;
  /** Shape [faces x k]: their distances, squared L2, ascending; Infinity where a face has fewer neighbours. */
  readonly distances: Float32Array;
}

/** Lists without neighbours, to be filled. */
export function emptyLists(count: number, k: number): NeighbourLists {
  return { k, positions: new Uint32Array(count * k), distances: new Float32Array(count * k).fill(Infinity) };
}

/** The k nearest of each face. Time O(n^2): for some ten thousand faces. */
export function exactNeighbours(vectors: readonly UnitVector[], k: number): NeighbourLists {
  const lists = emptyLists(vectors.length, k);
  vectors.forEach((vector, face) => {
    for (let other = 0; other < face; other++) {
      const distance = squaredDistance(vector, vectors[other] as UnitVector);
      offer(lists, face, other, distance);
      offer(lists, other, face, distance);
    }
  });
  return lists;
}

/** Puts a neighbour into its place, unless k are nearer. */
function offer({ k, positions, distances }: NeighbourLists, face: number, other: number, distance: number): void {
  const first = face * k;
  let place = first + k - 1;
  if (distance >= (distances[place] as number)) return;
  for (; place > first && distance < (distances[place - 1] as number); place--) {
    distances[place] = distances[place - 1] as number;
    positions[place] = positions[place - 1] as number;
  }
  distances[place] = distance;
  positions[place] = other;
}

/**
 * Faces that are connected by neighbours within the cut, in components: whoever is not in one component cannot come together under any linkage.
 * Members ascending, components by their first.
 */
export function componentsWithin(
  { k, positions, distances }: NeighbourLists,
  cut: number,
): readonly (readonly number[])[] {
  const count = positions.length / k;
  const parents = Uint32Array.from({ length: count }, (_, face) => face);
  const rootOf = (face: number): number => {
    let root = face;
    while (parents[root] !== root) root = parents[root] as number;
    // The way up is shortened for whoever asks next.
    for (let at = face; at !== root;) {
      const above = parents[at] as number;
      parents[at] = root;
      at = above;
    }
    return root;
  };
  for (let place = 0; place < positions.length; place++) {
    if ((distances[place] as number) > cut) continue;
    const [a, b] = [rootOf(Math.floor(place / k)), rootOf(positions[place] as number)];
    // The smaller position is the root, so that components come out in their order.
    parents[Math.max(a, b)] = Math.min(a, b);
  }
  const components = new Map<number, number[]>();
  for (let face = 0; face < count; face++) {
    const root = rootOf(face);
    const component = components.get(root);
    if (component) component.push(face);
    else components.set(root, [face]);
  }
  return [...components.values()];
}
