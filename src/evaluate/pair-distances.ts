/**
 * Pairs of photos with the distance of their faces, fold by fold, and who was wrongly decided about. Pure.
 */
import { HarmonidError } from '../errors.js';
import { squaredDistance } from '../vector.js';
import type { FoldDistances } from './error-rates.js';
import type { Pair, PairList, PhotoName } from './pairs.js';
import type { PhotoVectors } from './photo-vectors.js';

export interface ComparedPair extends Pair {
  /** Squared L2; null when the face of either photo was not found. */
  readonly distance: number | null;
}

export type ComparedFold = readonly ComparedPair[];

/** A pair on the wrong side of the threshold by which its fold was judged. */
export interface WrongPair {
  readonly kind: 'false-accept' | 'false-reject';
  readonly a: PhotoName;
  readonly b: PhotoName;
  /** Squared L2. */
  readonly distance: number;
  /** Of its fold, chosen on the others. */
  readonly threshold: number;
}

export function comparePairs({ folds }: PairList, vectors: PhotoVectors): readonly ComparedFold[] {
  return folds.map((fold) =>
    fold.map((pair) => {
      const [one, other] = [vectors.get(pair.a), vectors.get(pair.b)];
      return { ...pair, distance: one && other ? squaredDistance(one, other) : null };
    }),
  );
}

/**
 * Distances of the pairs that could be compared.
 * @throws INVALID_ARGUMENT when a fold has none of either kind
 */
export function comparedDistances(folds: readonly ComparedFold[]): readonly FoldDistances[] {
  return folds.map((fold, position) => {
    const distances = distancesOf(fold, (distance) => (distance === null ? [] : [distance]));
    if (distances.genuine.length === 0 || distances.impostor.length === 0) {
      throw new HarmonidError(
        'INVALID_ARGUMENT',
        `fold ${position + 1} has ${distances.genuine.length} genuine and ${distances.impostor.length} impostor pairs ` +
          'whose faces were both found; error rates need at least one of either',
      );
    }
    return distances;
  });
}

/** Distances of all pairs: Infinity, which nothing accepts, where a face was not found (see error-rates.ts). */
export function attemptedDistances(folds: readonly ComparedFold[]): readonly FoldDistances[] {
  return folds.map((fold) => distancesOf(fold, (distance) => [distance ?? Infinity]));
}

/** False accepts, nearest first, then false rejects, farthest first. */
export function wrongPairs(folds: readonly ComparedFold[], foldThresholds: readonly number[]): readonly WrongPair[] {
  const wrong = folds.flatMap((fold, position) => {
    const threshold = foldThresholds[position] ?? Number.NaN;
    return fold.flatMap(({ a, b, genuine, distance }): WrongPair[] => {
      if (distance === null || genuine === distance <= threshold) return [];
      return [{ kind: genuine ? 'false-reject' : 'false-accept', a, b, distance, threshold }];
    });
  });
  const ofKind = (kind: WrongPair['kind']): WrongPair[] => wrong.filter((pair) => pair.kind === kind);
  return [
    ...ofKind('false-accept').toSorted((one, other) => one.distance - other.distance),
    ...ofKind('false-reject').toSorted((one, other) => other.distance - one.distance),
  ];
}

/** Whose photo it is. */
export function personOf(photo: PhotoName): string {
  return photo.slice(0, photo.indexOf('/'));
}

function distancesOf(fold: ComparedFold, values: (distance: number | null) => readonly number[]): FoldDistances {
  const ofKind = (wanted: boolean): number[] =>
    fold.flatMap(({ genuine, distance }) => (genuine === wanted ? values(distance) : []));
  return { genuine: ofKind(true), impostor: ofKind(false) };
}
