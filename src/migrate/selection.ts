/**
 * Which rung of the ladder serves: cross-validation over people.
 *
 * Every rung is fitted on all folds but one and compared on the people of that one; the comparisons of all folds are judged together. A rung
 * is judged by VAL at the operating FAR and by open-set FNIR at the operating FPIR, never by cosine or squared error. The simplest rung within one
 * standard error of the best is taken (Breiman et al., CART, 1984, 3.4.3), the error being that of the difference to the best one when people are drawn
 * anew: both are seen on the same people, so that the difference is known better than either.
 */
import { throwIfAborted } from '../errors.js';
import { makeRandom } from '../random.js';
import { openAdapter } from './adapter.js';
import type { AdapterModel } from './adapter-model.js';
import { adapterNetwork } from './adapter-network.js';
import {
  compareAll,
  drawPeople,
  fnirAt,
  poolComparisons,
  valAt,
  weightedValAt,
  type Comparisons,
} from './comparisons.js';
import type { Algebra } from './dense-algebra.js';
import { RungFitter, rungName, type Rung } from './ladder.js';
import type { Matrix } from './matrix.js';
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
  const scores = rungs.map((rung, position): RungScore => {
    const differences = draws.map((_, i) => (drawn[best]?.[i] ?? 0) - (drawn[position]?.[i] ?? 0));
    return {
      rung,
      name: rungName(rung),
      val: vals[position] ?? 0,
      fnir: fnirAt(pooled[position] as Comparisons, fpir),
      behindBest: (vals[best] ?? 0) - (vals[position] ?? 0),
      standardError: deviation(differences),
    };
  });
  // The best itself is always within.
  const within = scores.filter(({ behindBest, standardError }) => behindBest <= standardError);
  const fnirBest = Math.min(...within.map(({ fnir }) => fnir));
  const [first] = within;
  const chosen = within.find(({ fnir }) => fnir <= fnirBest + fnirSlack) ?? first;
  if (!chosen) throw new RangeError('a selection needs at least one rung');
  return { chosen, scores };
}

/** FNIR by which a simpler rung may be worse, beside being within one standard error in VAL. */
const fnirSlack = 0.01;

/** What an adapter makes of vectors, through the very graph that would serve. */
export async function mapThrough(model: AdapterModel, vectors: Matrix, dimensionsTo: number): Promise<Matrix> {
  const adapter = await openAdapter(adapterNetwork(model), dimensionsTo);
  try {
    return await adapter.map(vectors);
  } finally {
    await adapter.close();
  }
}

function deviation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}
