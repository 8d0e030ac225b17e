/**
 * Model packs side by side, on the same photos and pairs.
 *
 * Promises: packs are opened one after the other, so that each has the machine for itself; differences are to the first pack, fold by fold, with one standard error
 * over folds. A pair whose faces were not both found is refused, so that a pack gains nothing by what it does not find.
 */
import { HarmonidError } from '../errors.js';
import type { Embedder } from '../embedder/embedder.js';
import { farsOf, pairedDifference, type Estimate } from './error-rates.js';
import { foldRates, pairedVals, type PairedVal } from './fold-rates.js';
import { attemptedDistances, type ComparedFold } from './pair-distances.js';
import type { PairProtocol } from './photo-vectors.js';
import { verifyPairs, type VerificationReport } from './verification.js';

export interface PackComparisonOptions extends PairProtocol {
  /** At least two; each is closed before the next is opened. */
  readonly packs: readonly (() => Promise<Embedder>)[];
}

export interface ComparedPack {
  readonly report: VerificationReport;
  /** Against the first pack. */
  readonly vals: readonly PairedVal[];
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
  const fars = farsOf(attemptedDistances(runs[0]?.folds ?? []));
  const rated = runs.map(({ report, folds }) => ({ report, rates: foldRates(folds, fars) }));
  const [first] = rated as [(typeof rated)[number]];
  return {
    packs: rated.map(({ report, rates }) => ({
      report,
      accuracyDifference: pairedDifference(rates.accuracies, first.rates.accuracies),
      vals: pairedVals(rates, first.rates, fars, pairs),
    })),
  };
}
