/** What live probes have to show before a rollout is stopped by itself. Pure. */
import type { ShadowCounts } from './rollout.js';

/** Share of the probes found in the old space that the new one may not find, once so many have been compared. */
const limits = { comparedMin: 200, negativeFlips: 0.05 } as const;

/** Why a rollout should not serve, or go on serving; null when nothing speaks against it. */
export function alarmOf({ bothFound, negativeFlips }: ShadowCounts): string | null {
  const mated = bothFound + negativeFlips;
  if (mated < limits.comparedMin || negativeFlips / mated <= limits.negativeFlips) return null;
  return `${negativeFlips} of ${mated} live probes that the old space finds are not found by the new one`;
}
