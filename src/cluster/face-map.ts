/**
 * Faces on a map: two dimensions in which near faces stay near (UMAP; McInnes, Healy, Melville 2018, arXiv:1802.03426), to be looked at.
 *
 * A map shows who is beside whom. It has no scale: how far apart two groups lie, and how large one is, says nothing. The same vectors and seed give the same map.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { UMAP } from 'umap-js';
import { throwIfAborted } from '../errors.js';
import { makeRandom } from '../random.js';
import type { UnitVector } from '../vector.js';
import { findNeighbours } from './graph-neighbours.js';

export interface FaceMapOptions {
  /** Default 1. */
  readonly seed?: number | undefined;
  /** Rounds that are done. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A face has so many neighbours, itself included (the paper's default). */
const neighbourCount = 15;
/** Rounds between two looks at the signal. */
const roundsPerTurn = 5;

/**
 * The place of each face, in its order. Below three faces there is no map: they lie beside each other.
 * @param vectors of one space
 * @throws CANCELLED
 */
export async function mapFaces(
  vectors: readonly UnitVector[],
  { seed = 1, onProgress, signal }: FaceMapOptions = {},
): Promise<readonly (readonly [x: number, y: number])[]> {
  if (vectors.length < 3) return vectors.map((_, face) => [face, 0]);
  // UMAP wants more faces than neighbours.
  const k = Math.min(neighbourCount, vectors.length - 1) - 1;
  const { positions, distances } = await findNeighbours(vectors, { k, signal });
  const random = makeRandom(seed);
  const umap = new UMAP({ nNeighbors: k + 1, random: () => random.uniform() });
  // A face comes first in its own list.
  const rows = vectors.map((_, face) => face);
  umap.setPrecomputedKNN(
    rows.map((face) => [face, ...positions.subarray(face * k, (face + 1) * k)]),
    rows.map((face) => [0, ...Array.from(distances.subarray(face * k, (face + 1) * k), Math.sqrt)]),
  );
  // With the lists given, it asks only for how many there are.
  const total = umap.initializeFit(rows.map((face) => [face]));
  for (let round = 0; round < total; round++) {
    umap.step();
    if (round % roundsPerTurn !== 0) continue;
    onProgress?.(round, total);
    await nextTurn();
    throwIfAborted(signal);
  }
  return umap.getEmbedding().map(([x = 0, y = 0]) => [x, y] as const);
}
