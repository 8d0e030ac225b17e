/** The distances of the pairs of each fold, of those that can be compared. */
import { HarmonidError } from '../errors.js';
import type { FoldDistances } from './error-rates.js';
import type { Pair } from './pairs.js';

/**
 * @param distanceOf squared L2, null where no face was found
 * @throws INVALID_ARGUMENT when a fold has no pair of either kind left
 */
export function distancesOfFolds(
  folds: readonly (readonly Pair[])[],
  distanceOf: (pair: Pair) => number | null,
): readonly FoldDistances[] {
  return folds.map((fold, position) => {
    const distances: { genuine: number[]; impostor: number[] } = { genuine: [], impostor: [] };
    for (const pair of fold) {
      const distance = distanceOf(pair);
      if (distance !== null) (pair.genuine ? distances.genuine : distances.impostor).push(distance);
    }
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
