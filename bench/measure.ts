/**
 * Timing: samples in, medians and percentiles out. Peers are measured in turns within each round, so that a machine that slows
 * down slows all of them, and a ratio is taken within its round.
 */

/** The middle of several rounds, with the extremes. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @param share in [0, 1]; nearest rank. NaN without samples. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function spread(values: readonly number[]): Spread {
  return { median: percentile(values, 0.5), min: Math.min(...values), max: Math.max(...values) };
}

/** Ratios round by round: above 1 where `ours` is larger. */
export function ratioSpread(ours: readonly number[], peer: readonly number[]): Spread {
  return spread(ours.map((value, round) => value / (peer[round] ?? Number.NaN)));
}

/** `median (min-max)` with so many decimals. */
export function spreadText({ median, min, max }: Spread, decimals = 2): string {
  return `${median.toFixed(decimals)} (${min.toFixed(decimals)}-${max.toFixed(decimals)})`;
}

/** What a run of calls took. */
export interface Load {
  readonly perSecond: number;
  /** Milliseconds of each call, in the order in which they ended. */
  readonly callMs: readonly number[];
}

/** `calls` calls, at most `concurrency` at once; rejects with the first failure. */
export async function runLoad(
  calls: number,
  concurrency: number,
  call: (position: number) => Promise<unknown>,
): Promise<Load> {
  const callMs: number[] = [];
  let next = 0;
  const startedAt = performance.now();
  const loop = async (): Promise<void> => {
    while (next < calls) {
      const position = next++;
      const calledAt = performance.now();
      await call(position);
      callMs.push(performance.now() - calledAt);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, calls) }, loop));
  return { perSecond: (calls / (performance.now() - startedAt)) * 1000, callMs };
}

/** Rounds of several measurements in turns; the result of `measures[i]` in round r is at [i][r]. */
export async function interleave<T>(rounds: number, measures: readonly (() => Promise<T>)[]): Promise<readonly T[][]> {
  const results: T[][] = measures.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [position, measure] of measures.entries()) results[position]?.push(await measure());
  }
  return results;
}
