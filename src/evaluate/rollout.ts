/**
 * What a change of models would bring, on people outside the fit: a gallery of the old model, mapped, against probes of the new one.
 *
 * Every image is enrolled and a probe; nobody is in a fit and its test. In folds, each fold's people are tested with an adapter that was selected
 * and fitted on the others (nested cross-validation: the selection sees the fit's people only), and the comparisons of all folds are judged
 * together, with one threshold. Figures are VAL at FAR and open-set FNIR at FPIR with 95 % intervals over people.
 */
import { HarmonidError } from '../errors.js';
import {
  compareAll,
  drawPeople,
  fnirAt,
  poolComparisons,
  thresholdAt,
  valAt,
  weightedValAt,
  type Channel,
  type Comparisons,
} from '../migrate/comparisons.js';
import { channelsOf, rowNames, rows } from '../migrate/channels.js';
import { mapThrough } from '../migrate/adapter.js';
import type { Algebra } from '../migrate/dense-algebra.js';
import { byUncertainty, cycleErrors } from '../migrate/cycle-error.js';
import { ladder, RungFitter, type Rung } from '../migrate/ladder.js';
import { rowOf } from '../migrate/matrix.js';
import { foldOf, pairsOf, pairSetDigest, reversed, type PairSet } from '../migrate/pair-set.js';
import { selectRung, type Selection } from '../migrate/selection.js';
import { makeRandom } from '../random.js';
import { farSupport, type FarSupport } from './error-rates.js';

export interface RolloutEvaluationOptions {
  /** One who is tested is never in a fit. */
  readonly split: { readonly kind: 'folds'; readonly pairs: PairSet; readonly folds: number } | RolloutSplit;
  /** Most people of a fit, taken by a hash of their ids: a learning curve. Default: all. */
  readonly fitPeopleMax?: number | undefined;
  /** Operating points of the selection. */
  readonly far: number;
  readonly fpir: number;
  /** Folds of the selection within a fit. */
  readonly selectionFolds: number;
  /** Whether a map of new probes into the old space is selected, fitted and compared, too. Twice the time. */
  readonly probeMap: boolean;
  /** Whether galleries are compared in which photos have taken the places of some mapped templates, by either order. */
  readonly backfill: boolean;
  readonly seed: number;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface RolloutSplit {
  readonly kind: 'given';
  readonly fit: PairSet;
  readonly test: PairSet;
}

/** How gallery and probe come to be comparable. */
export const rolloutRows = { ...rowNames, probeMapped: 'old gallery, mapped new probe' } as const;
export type RolloutRow = keyof typeof rolloutRows | `${BackfillOrder}-${number}`;

/** Whose photos come first: of whom the adapter is least certain, or of anybody. */
export const backfillOrders = { uncertain: 'the most uncertain first', random: 'at random' } as const;
export type BackfillOrder = keyof typeof backfillOrders;
const backfillShares = [0.1, 0.3, 0.5] as const;

export interface ValFigure {
  readonly far: number;
  readonly support: FarSupport;
  /** Null when not measurable, and so is the interval. */
  readonly val: number | null;
  /** 95 %, bootstrapped over people. */
  readonly interval: readonly [number, number] | null;
  readonly threshold: number | null;
}

export interface RolloutRowReport {
  readonly row: RolloutRow;
  readonly name: string;
  readonly vals: readonly ValFigure[];
  readonly fnirs: readonly { readonly fpir: number; readonly fnir: number }[];
}

/** JSON values only. */
export interface RolloutReport {
  readonly from: string;
  readonly to: string;
  readonly images: number;
  readonly people: number;
  readonly fitPeople: readonly number[];
  readonly pairsDigest: string;
  readonly genuineComparisons: number;
  readonly impostorComparisons: number;
  readonly rows: readonly RolloutRowReport[];
  /** (mapped - old) / (new - old) in VAL, an entry a FAR: 0 is staying, 1 is enrolling everybody again. */
  readonly updateGain: readonly { readonly far: number; readonly gain: number | null }[];
  /** What was selected in each fold, and how the others did. */
  readonly selections: readonly Selection[];
  readonly seed: number;
}

const fars = [1e-2, 1e-3, 1e-4, 1e-5] as const;
const fpirs = [1e-1, 1e-2] as const;
const replicates = 200;

/** @throws INVALID_ARGUMENT when there are too few people to split, CANCELLED */
export async function evaluateRollout(algebra: Algebra, options: RolloutEvaluationOptions): Promise<RolloutReport> {
  const { split, seed, fitPeopleMax, onProgress } = options;
  const splits = splitsOf(split);
  const compared = new Map<RolloutRow, Comparisons[]>();
  const selections: Selection[] = [];
  const fitPeople: number[] = [];
  const rungs = ladder(seed);
  for (const [position, { fit: all, test }] of splits.entries()) {
    const fit = limitPeople(all, fitPeopleMax);
    if (fit.people.length < options.selectionFolds || test.people.length < 2)
      throw new HarmonidError(
        'INVALID_ARGUMENT',
        `${fit.people.length} people to fit on and ${test.people.length} to test with; at least ${options.selectionFolds} and 2 are wanted`,
      );
    fitPeople.push(fit.people.length);
    const directions = options.probeMap ? 2 : 1;
    const total = rungs.length * options.selectionFolds;
    const select = (pairs: PairSet, direction: number): Promise<Selection> =>
      selectRung(algebra, pairs, {
        ...options,
        rungs,
        folds: options.selectionFolds,
        onProgress: (done) =>
          onProgress?.((position * directions + direction) * total + done, splits.length * directions * total),
      });
    const selection = await select(fit, 0);
    selections.push(selection);
    const fitted = await new RungFitter(algebra, fit).fit(selection.chosen.rung);
    const channels: [RolloutRow, readonly Channel[]][] = [];
    const { ways } = await channelsOf(algebra, fit, test, fitted);
    for (const row of rows) channels.push([row, ways[row]]);
    if (options.probeMap) {
      const back = reversed(fit);
      const model = await new RungFitter(algebra, back).fit((await select(back, 1)).chosen.rung);
      const probes = await mapThrough(model, test.vectorsTo, test.from.dimensions);
      channels.push(['probeMapped', [{ gallery: test.vectorsFrom, probes, weight: 1 }]]);
    }
    if (options.backfill)
      channels.push(...(await backfilled(algebra, fit, test, selection.chosen.rung, ways.mapped, seed)));
    for (const [row, ways] of channels)
      compared.set(row, [...(compared.get(row) ?? []), await compareAll(algebra, ways, test)]);
  }
  const pooled = new Map([...compared].map(([row, folds]) => [row, poolComparisons(folds)] as const));
  const one = pooled.get('old') as Comparisons;
  const random = makeRandom(seed);
  const draws = Array.from({ length: replicates }, () => drawPeople(one.peopleCount, random));
  const reports = [...pooled].map(([row, comparisons]): RolloutRowReport => ({
    row,
    name: nameOf(row),
    vals: fars.map((far) => figure(comparisons, far, draws)),
    fnirs: fpirs.map((fpir) => ({ fpir, fnir: fnirAt(comparisons, fpir) })),
  }));
  const pairs = split.kind === 'folds' ? split.pairs : split.fit;
  return {
    from: pairs.from.space,
    to: pairs.to.space,
    images: splits.reduce((sum, { test }) => sum + test.vectorsFrom.rows, 0),
    people: one.peopleCount,
    fitPeople,
    pairsDigest: pairSetDigest(pairs),
    genuineComparisons: one.genuine.length,
    impostorComparisons: one.impostorCount,
    rows: reports,
    updateGain: fars.map((far) => ({ far, gain: updateGain(reports, far) })),
    selections,
    seed,
  };
}

function nameOf(row: RolloutRow): string {
  if (row in rolloutRows) return rolloutRows[row as keyof typeof rolloutRows];
  const [order, share] = row.split('-') as [BackfillOrder, string];
  return `${Math.round(100 * Number(share))} % from photos, ${backfillOrders[order]}`;
}

/** Galleries in which a share of the mapped templates is the new model's own. */
async function backfilled(
  algebra: Algebra,
  fit: PairSet,
  test: PairSet,
  rung: Rung,
  mapped: readonly Channel[],
  seed: number,
): Promise<readonly [RolloutRow, readonly Channel[]][]> {
  const [{ gallery } = { gallery: test.vectorsTo }] = mapped;
  const back = await mapThrough(await new RungFitter(algebra, reversed(fit)).fit(rung), gallery, test.from.dimensions);
  const random = makeRandom(seed);
  const drawn = Float64Array.from({ length: gallery.rows }, () => random.uniform());
  const orders: Readonly<Record<BackfillOrder, readonly number[]>> = {
    uncertain: byUncertainty(cycleErrors(test.vectorsFrom, back)),
    random: byUncertainty(drawn),
  };
  return (Object.keys(orders) as BackfillOrder[]).flatMap((order) =>
    backfillShares.map((share): [RolloutRow, readonly Channel[]] => {
      const data = Float32Array.from(gallery.data);
      for (const row of orders[order].slice(0, Math.round(share * gallery.rows)))
        data.set(rowOf(test.vectorsTo, row), row * gallery.columns);
      return [`${order}-${share}`, [{ gallery: { ...gallery, data }, probes: test.vectorsTo, weight: 1 }]];
    }),
  );
}

function splitsOf(split: RolloutEvaluationOptions['split']): readonly { fit: PairSet; test: PairSet }[] {
  if (split.kind === 'given') {
    const tested = new Set(split.test.people);
    // Whoever is in both is tested.
    return [{ fit: pairsOf(split.fit, (person) => !tested.has(person)), test: split.test }];
  }
  return Array.from({ length: split.folds }, (_, fold) => ({
    fit: pairsOf(split.pairs, (person) => foldOf(person, split.folds) !== fold),
    test: pairsOf(split.pairs, (person) => foldOf(person, split.folds) === fold),
  }));
}

function limitPeople(pairs: PairSet, peopleMax: number | undefined): PairSet {
  if (peopleMax === undefined || pairs.people.length <= peopleMax) return pairs;
  const order = (person: string): number => foldOf(`order ${person}`, 2 ** 32);
  const kept = new Set(pairs.people.toSorted((one, other) => order(one) - order(other)).slice(0, peopleMax));
  return pairsOf(pairs, (person) => kept.has(person));
}

function figure(comparisons: Comparisons, far: number, draws: readonly Float64Array[]): ValFigure {
  const support = farSupport(far, comparisons.impostorCount);
  if (support === 'not-measurable') return { far, support, val: null, interval: null, threshold: null };
  const drawn = draws.map((weights) => weightedValAt(comparisons, far, weights)).toSorted((a, b) => a - b);
  const at = (share: number): number => drawn[Math.round(share * (drawn.length - 1))] ?? Number.NaN;
  return {
    far,
    support,
    val: valAt(comparisons, far),
    interval: [at(0.025), at(0.975)],
    threshold: thresholdAt(comparisons, far),
  };
}

function updateGain(rows: readonly RolloutRowReport[], far: number): number | null {
  const valOf = (wanted: RolloutRow): number | null =>
    rows.find(({ row }) => row === wanted)?.vals.find((value) => value.far === far)?.val ?? null;
  const [old, mapped, fresh] = [valOf('old'), valOf('mapped'), valOf('new')];
  if (old === null || mapped === null || fresh === null || fresh === old) return null;
  return (mapped - old) / (fresh - old);
}
