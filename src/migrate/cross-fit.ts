/**
 * What an adapter would do to people whom it has not seen: nested cross-validation over people.
 *
 * Each fold's people are tested with an adapter that was selected and fitted on the others, and the selection sees the fit's people only. The
 * comparisons of all folds are judged together, with one threshold.
 */
import { HarmonidError, throwIfAborted } from '../errors.js';
import { channelsOf, rows, type Row } from './channels.js';
import { compareAll, poolComparisons, type Comparisons } from './comparisons.js';
import type { Algebra } from './dense-algebra.js';
import { RungFitter, type Rung } from './ladder.js';
import { columnMeans, subtractFromRows, type Matrix } from './matrix.js';
import { foldOf, pairsOf, type PairSet } from './pair-set.js';
import { selectRung } from './selection.js';

export interface CrossFitOptions {
  readonly rungs: readonly Rung[];
  readonly folds: number;
  /** Of the selection within a fit. */
  readonly selectionFolds: number;
  readonly far: number;
  readonly fpir: number;
  readonly seed: number;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CrossFit {
  readonly compared: Readonly<Record<Row, Comparisons>>;
  /** Ids, in the order in which the comparisons number them. */
  readonly people: readonly string[];
  /** Mean over the folds of the participation ratio of mapped vectors over that of the new model's own. */
  readonly participation: number;
  /** Of the old model's distance in a fused one; mean over the folds. */
  readonly oldShare: number;
}

/** @throws INVALID_ARGUMENT when there are too few people to split, CANCELLED */
export async function crossFit(algebra: Algebra, pairs: PairSet, options: CrossFitOptions): Promise<CrossFit> {
  const { rungs, folds, selectionFolds, onProgress, signal } = options;
  const compared: Record<Row, Comparisons[]> = { old: [], mapped: [], fused: [], new: [] };
  const people: string[] = [];
  let participation = 0;
  let shares = 0;
  const total = folds * rungs.length * selectionFolds;
  for (let fold = 0; fold < folds; fold++) {
    throwIfAborted(signal);
    const fit = pairsOf(pairs, (person) => foldOf(person, folds) !== fold);
    const test = pairsOf(pairs, (person) => foldOf(person, folds) === fold);
    if (fit.people.length < selectionFolds * 2 || test.people.length < 2) throw tooFew(pairs, folds * selectionFolds);
    const { chosen } = await selectRung(algebra, fit, {
      ...options,
      folds: selectionFolds,
      onProgress: (done) => onProgress?.(fold * rungs.length * selectionFolds + done, total),
    });
    const model = await new RungFitter(algebra, fit).fit(chosen.rung);
    const { ways, oldShare } = await channelsOf(algebra, fit, test, model);
    shares += oldShare / folds;
    for (const row of rows) compared[row].push(await compareAll(algebra, ways[row], test));
    const [mapped, own] = [ways.mapped[0]?.gallery, test.vectorsTo];
    if (mapped) participation += participationRatio(mapped) / participationRatio(own) / folds;
    people.push(...test.people);
  }
  const pooled = rows.map((row) => [row, poolComparisons(compared[row])] as const);
  return { compared: Object.fromEntries(pooled) as Record<Row, Comparisons>, people, participation, oldShare: shares };
}

export function tooFew({ people }: PairSet, wanted: number): HarmonidError {
  return new HarmonidError(
    'INVALID_ARGUMENT',
    `the pairs are of ${people.length} people, a fit that can be tested wants at least ${wanted}`,
    { details: { people: people.length, wanted } },
  );
}

/** (sum of the eigenvalues)^2 / sum of their squares, of the covariance: in how many directions vectors vary. */
export function participationRatio(vectors: Matrix): number {
  const centred = subtractFromRows(vectors, columnMeans(vectors));
  const { rows: count, columns, data } = centred;
  const covariance = new Float64Array(columns * columns);
  for (let row = 0; row < count; row++) {
    for (let i = 0; i < columns; i++) {
      const value = data[row * columns + i] as number;
      for (let j = i; j < columns; j++) {
        const at = i * columns + j;
        covariance[at] = (covariance[at] as number) + value * (data[row * columns + j] as number);
      }
    }
  }
  let [trace, squares] = [0, 0];
  for (let i = 0; i < columns; i++) {
    trace += covariance[i * columns + i] as number;
    for (let j = i; j < columns; j++) squares += (i === j ? 1 : 2) * (covariance[i * columns + j] as number) ** 2;
  }
  return (trace * trace) / squares;
}
