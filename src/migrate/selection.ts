/**
 * Which rung of the ladder serves: cross-validation over people.
 *
 * Every rung is fitted on all folds but one and compared on the people of that one; the comparisons of all folds are judged together. A rung
 * is judged by VAL at the operating FAR and by open-set FNIR at the operating FPIR, never by cosine or squared error. The simplest rung within one
 * standard error of the best is taken (Breiman et al., CART, 1984, 3.4.3): of the best in VAL, and of those, of the best in FNIR. The error is that of
 * the difference to the best one when people are drawn anew: both are seen on the same people, so that the difference is known better than either.
 */
import { throwIfAborted } from '../errors.js';
import { makeRandom } from '../random.js';
import { mapThrough } from './adapter.js';
import {
  compareAll,
  drawPeople,
  fnirAt,
  poolComparisons,
  rankSearches,
  valAt,
  weightedFnirAt,
  weightedValAt,
  type Comparisons,
} from './comparisons.js';
import type { Algebra } from './dense-algebra.js';
import { RungFitter, rungName, type Rung } from './ladder.js';
import { foldOf, pairsOf, type PairSet } from './pair-set.js';

export interface SelectionOptions {
  /** Simplest first. */
  readonly rungs: readonly Rung[];
  readonly folds: number;
  /** Operating points. */
  readonly far: number;
  readonly fpir: number;
  readonly seed: number;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RungScore {
  readonly rung: Rung;
  readonly name: string;
  /** On people outside the fit, all folds together. */
  readonly val: number;
  readonly fnir: number;
  /** VAL of the best rung minus this one's, and the standard error of that. */
  readonly behindBest: number;
  readonly standardError: number;
}

export interface Selection {
  readonly chosen: RungScore;
  /** In the order of the rungs. */
  readonly scores: readonly RungScore[];
}

/** Draws of people behind a standard error. */
const replicates = 100;

export async function selectRung(algebra: Algebra, pairs: PairSet, options: SelectionOptions): Promise<Selection> {
  const { rungs, folds, far, fpir, seed, onProgress, signal } = options;
  const compared: Comparisons[][] = rungs.map(() => []);
  let done = 0;
  for (let fold = 0; fold < folds; fold++) {
    const isHeldOut = (person: string): boolean => foldOf(`selection ${person}`, folds) === fold;
    const heldOut = pairsOf(pairs, isHeldOut);
    const fitter = new RungFitter(
      algebra,
      pairsOf(pairs, (person) => !isHeldOut(person)),
    );
    for (const [position, rung] of rungs.entries()) {
      throwIfAborted(signal);
      const gallery = await mapThrough(await fitter.fit(rung), heldOut.vectorsFrom, pairs.to.dimensions);
      const channel = { gallery, probes: heldOut.vectorsTo, weight: 1 };
      compared[position]?.push(await compareAll(algebra, [channel], heldOut));
      onProgress?.(++done, rungs.length * folds);
    }
  }
  const pooled = compared.map(poolComparisons);
  const vals = pooled.map((comparisons) => valAt(comparisons, far));
  const best = vals.indexOf(Math.max(...vals));
  const random = makeRandom(seed);
  const draws = Array.from({ length: replicates }, () => drawPeople(pooled[0]?.peopleCount ?? 0, random));
  const drawn = pooled.map((comparisons) => draws.map((weights) => weightedValAt(comparisons, far, weights)));
  const scores = rungs.map((rung, position): RungScore => ({
    rung,
    name: rungName(rung),
    val: vals[position] ?? 0,
    fnir: fnirAt(pooled[position] as Comparisons, fpir),
    behindBest: (vals[best] ?? 0) - (vals[position] ?? 0),
    standardError: errorOfDifference(drawn[best], drawn[position]),
  }));
  // The best itself is always within.
  const within = scores.flatMap((score, position) =>
    score.behindBest <= score.standardError
      ? [{ score, searches: rankSearches(pooled[position]?.searches ?? []) }]
      : [],
  );
  const drawnFnirs = within.map(({ searches }) => draws.map((weights) => weightedFnirAt(searches, fpir, weights)));
  const fnirs = within.map(({ score }) => score.fnir);
  const first = fnirs.indexOf(Math.min(...fnirs));
  const chosen = within.find(
    ({ score }, i) =>
      score.fnir - (fnirs[first] ?? 0) <= errorOfDifference(drawnFnirs[first] ?? [], drawnFnirs[i] ?? []),
  );
  // Where FNIR cannot be told, VAL decides alone.
  const simplest = chosen ?? within[0];
  if (!simplest) throw new RangeError('a selection needs at least one rung');
  return { chosen: simplest.score, scores };
}

/** Standard error of what two rates differ by, over the same draws of people. */
function errorOfDifference(one: readonly number[] = [], other: readonly number[] = []): number {
  return deviation(one.map((value, i) => value - (other[i] ?? Number.NaN)));
}

function deviation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}
