/**
 * Rates of each fold, held out, so that two ways of deciding about the same pairs can be compared fold by fold. Pure.
 *
 * A pair whose faces were not both found is refused: VAL and FAR are with failures to acquire (ISO/IEC 19795-1), and for accuracy it is an error.
 */
import {
  estimate,
  farSupport,
  foldedAccuracy,
  heldOutThresholds,
  pairedDifference,
  sharesWithin,
  type Estimate,
  type FarSupport,
} from './error-rates.js';
import { attemptedDistances, type ComparedFold } from './pair-distances.js';
import type { PairList } from './pairs.js';

export interface FoldRates {
  /** An entry a fold. */
  readonly accuracies: readonly number[];
  /** An entry a FAR, and in it one a fold; null when not measurable. */
  readonly vals: readonly (readonly number[] | null)[];
}

/** VAL at a FAR, and how it differs from another one. JSON values only. */
export interface PairedVal {
  readonly far: number;
  readonly support: FarSupport;
  /** Held out; null when not measurable, and so is the difference. */
  readonly val: Estimate | null;
  /** Less the other one, fold by fold. */
  readonly difference: Estimate | null;
}

export function foldRates(folds: readonly ComparedFold[], fars: readonly number[]): FoldRates {
  const distances = attemptedDistances(folds);
  return {
    accuracies: overallAccuracies(folds),
    vals: fars.map((far) => {
      const thresholds = heldOutThresholds(distances, far);
      return thresholds && sharesWithin(distances, 'genuine', thresholds);
    }),
  };
}

/** At the thresholds that are most accurate on the other folds' pairs that could be compared. */
export function overallAccuracies(folds: readonly ComparedFold[]): readonly number[] {
  const compared = attemptedDistances(folds).map(({ genuine, impostor }) => ({
    genuine: genuine.filter(Number.isFinite),
    impostor: impostor.filter(Number.isFinite),
  }));
  const failures = folds.map((fold) => fold.filter(({ distance }) => distance === null).length);
  return foldedAccuracy(compared, failures).foldAccuracies;
}

/** @param rates at `fars` @param others of what they are compared with, at the same */
export function pairedVals(
  rates: FoldRates,
  others: FoldRates,
  fars: readonly number[],
  { folds, pairsPerFold }: PairList,
): readonly PairedVal[] {
  return fars.map((far, at) => {
    const [val, other] = [rates.vals[at] ?? null, others.vals[at] ?? null];
    return {
      far,
      support: farSupport(far, pairsPerFold * (folds.length - 1)),
      val: val && estimate(val),
      difference: val && other && pairedDifference(val, other),
    };
  });
}
