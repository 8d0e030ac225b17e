/** What speaks against a rollout that serves: then it goes back by itself. Pure. */
import type { ShadowCounts } from './rollout.js';

const limits = {
  /** Share of the probes found in the old space that the new one may not find, once so many have been compared. */
  comparedMin: 200,
  negativeFlips: 0.05,
  /**
   * By how much the mean distance of such probes may grow. It falls when photos take the places of mapped templates, which is as it should be; a
   * model that finds everybody alike shows as negative flips.
   */
  shift: 1.25,
  /** Share of sampled searches whose true nearest the new graph must find. */
  recall: 0.8,
  recallSamples: 50,
} as const;

/** Why a rollout should not serve, or go on serving; null when live probes say nothing against it. */
export function alarmOf({ bothFound, negativeFlips }: ShadowCounts): string | null {
  const mated = bothFound + negativeFlips;
  if (mated < limits.comparedMin || negativeFlips / mated <= limits.negativeFlips) return null;
  return `${negativeFlips} of ${mated} live probes that the old space finds are not found by the new one`;
}

/** @param ratio of a ScoreWatch */
export function shiftAlarm(ratio: number | null): string | null {
  if (ratio === null || ratio <= limits.shift) return null;
  return `the distances of people who are found have grown to ${ratio.toFixed(2)} times what they were`;
}

export function recallAlarm({
  recall,
  recallSamples,
}: {
  recall: number | null;
  recallSamples: number;
}): string | null {
  if (recall === null || recallSamples < limits.recallSamples || recall >= limits.recall) return null;
  return `the graph of the new space finds ${(100 * recall).toFixed(1)} % of what comparing with everything finds`;
}
