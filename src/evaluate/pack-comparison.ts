/**
 * Model packs side by side, on the same photos and pairs.
 *
 * Promises: packs are opened one after the other, so that each has the machine for itself; differences are to the first pack, fold by fold, with one standard error
 * over folds. A pair whose faces were not both found is refused, so that a pack gains nothing by what it does not find.
 */
import { HarmonidError } from '../errors.js';
import type { Embedder } from '../embedder/embedder.js';
import {
  estimate,
  farSupport,
  farsOf,
  foldedAccuracy,
  heldOutThresholds,
  pairedDifference,
  sharesWithin,
  type Estimate,
  type FarSupport,
} from './error-rates.js';
import { attemptedDistances, comparedDistances, type ComparedFold } from './pair-distances.js';
import type { PairProtocol } from './photo-vectors.js';
import { verifyPairs, type VerificationReport } from './verification.js';

export interface PackComparisonOptions extends PairProtocol {
  /** At least two; each is closed before the next is opened. */
  readonly packs: readonly (() => Promise<Embedder>)[];
}

export interface PackVal {
  readonly far: number;
  readonly support: FarSupport;
  /** Held out; null when not measurable, and so is the difference. */
  readonly val: Estimate | null;
  /** Less that of the first pack. */
  readonly difference: Estimate | null;
}

export interface ComparedPack {
  readonly report: VerificationReport;
  readonly vals: readonly PackVal[];
  /** Of `accuracyOverall`, less that of the first pack. */
  readonly accuracyDifference: Estimate;
}

/** JSON values only. The first pack is what the others are compared with. */
export interface PackComparisonReport {
  readonly packs: readonly ComparedPack[];
}

/** @throws INVALID_ARGUMENT for fewer than two packs, and what `evaluateVerification` throws */
export async function comparePacks(options: PackComparisonOptions): Promise<PackComparisonReport> {
  const { packs, pairs, onProgress } = options;
  if (packs.length < 2)
    throw new HarmonidError('INVALID_ARGUMENT', `${packs.length} model packs are named; two or more can be compared`);
  const runs: { report: VerificationReport; folds: readonly ComparedFold[] }[] = [];
  for (const [position, open] of packs.entries()) {
    const embedder = await open();
    try {
      runs.push(
        await verifyPairs({
          ...options,
          embedder,
          onProgress: (done, total) => onProgress?.(position * total + done, packs.length * total),
        }),
      );
    } finally {
      await embedder.close();
    }
  }
  const rated = runs.map(({ report, folds }) => ({ report, ...ratesOf(folds) }));
  const [first] = rated;
  return {
    packs: rated.map(({ report, accuracies, vals }) => ({
      report,
      accuracyDifference: pairedDifference(accuracies, first?.accuracies ?? []),
      vals: vals.map(({ far, shares }, at): PackVal => {
        const others = first?.vals[at]?.shares ?? null;
        return {
          far,
          support: farSupport(far, pairs.pairsPerFold * (pairs.folds.length - 1)),
          val: shares && estimate(shares),
          difference: shares && others && pairedDifference(shares, others),
        };
      }),
    })),
  };
}

/** Of each fold, held out. */
function ratesOf(folds: readonly ComparedFold[]): {
  accuracies: readonly number[];
  vals: readonly { readonly far: number; readonly shares: readonly number[] | null }[];
} {
  const failures = folds.map((fold) => fold.filter(({ distance }) => distance === null).length);
  const attempted = attemptedDistances(folds);
  return {
    accuracies: foldedAccuracy(comparedDistances(folds), failures).foldAccuracies,
    vals: farsOf(attempted).map((far) => {
      const thresholds = heldOutThresholds(attempted, far);
      return { far, shares: thresholds && sharesWithin(attempted, 'genuine', thresholds) };
    }),
  };
}
