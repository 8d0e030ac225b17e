/**
 * Neighbour lists without comparing all with all: through the graph that galleries are searched with.
 *
 * Up to `exactMax` faces the lists are exact, beyond they may lack some. Searches are synchronous; between
 * slices the event loop has its turn.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { throwIfAborted } from '../errors.js';
import { openEngineGraph } from '../index/engine-graph.js';
import { emptySource } from '../index/template-source.js';
import type { UnitVector } from '../vector.js';
import { emptyLists, exactNeighbours, type NeighbourLists } from './neighbour-lists.js';

export interface NeighbourOptions {
  /** Neighbours of a face. Larger misses less and takes longer. Default 32. */
  readonly k?: number | undefined;
  /** Up to so many faces everybody is compared with everybody, n^2 / 2 distances. Default 10,000. */
  readonly exactMax?: number | undefined;
  /** So many faces are searched for. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Wanted of the graph, for each that is wanted: faces of one person are nearer to each other than codes can tell, so that the nearest of them are found only where many are compared
 * exactly.
 */
const surplus = 2;
/** Faces that are searched for before others have their turn. */
const facesPerTurn = 64;

/** The nearest others of each of `vectors`, which all are of one space. @throws CANCELLED */
export async function findNeighbours(
  vectors: readonly UnitVector[],
  { k = 32, exactMax = 10_000, onProgress, signal }: NeighbourOptions = {},
): Promise<NeighbourLists> {
  const [first] = vectors;
  if (!first || vectors.length <= exactMax) return exactNeighbours(vectors, k);
  const dimensions = first.length;
  const graph = openEngineGraph({
    dimensions,
    exactMax,
    withFines: true,
    source: { ...emptySource, reading: (work) => work((_, face) => vectors[face]) },
  });
  try {
    const ids = Uint32Array.from(vectors, (_, face) => face);
    const rows = new Float32Array(vectors.length * dimensions);
    vectors.forEach((vector, face) => rows.set(vector, face * dimensions));
    // A face is an owner of its own, so that owners are faces.
    graph.addNow({ labels: ids, owners: ids, vectors: rows });
    while (graph.countsNow().pendingCount > 0) {
      throwIfAborted(signal);
      await nextTurn();
    }
    const lists = emptyLists(vectors.length, k);
    for (let face = 0; face < vectors.length; face++) {
      if (face % facesPerTurn === 0) {
        throwIfAborted(signal);
        onProgress?.(face, vectors.length);
        await nextTurn();
      }
      const query = {
        probes: vectors[face] as UnitVector,
        k: surplus * k,
        exclude: face,
        exact: false,
        ef: 2 * surplus * k,
      };
      const [hits = []] = graph.searchNow(query).hits;
      hits.slice(0, k).forEach(({ owner, distance }, place) => {
        lists.positions[face * k + place] = owner;
        lists.distances[face * k + place] = distance;
      });
    }
    return lists;
  } finally {
    await graph.close();
  }
}
