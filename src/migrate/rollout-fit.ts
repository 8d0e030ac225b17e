/**
 * One fit of a rollout: the whole ladder on the pairs, what it does to people outside the fit, the gates, and the adapters both ways.
 */
import { createHash } from 'node:crypto';
import { HarmonidError, throwIfAborted } from '../errors.js';
import { mapThrough } from './adapter.js';
import { adapterNetwork } from './adapter-network.js';
import { rowNames, rows, type Row } from './channels.js';
import {
  compareAll,
  farWithin,
  fnirAt,
  histogramBins,
  thresholdAt,
  valAt,
  type Channel,
  type Comparisons,
} from './comparisons.js';
import { crossFit, tooFew, type CrossFit } from './cross-fit.js';
import type { Algebra } from './dense-algebra.js';
import { askGates, flipsOf } from './gates.js';
import { ladder, rungName, RungFitter, type Rung } from './ladder.js';
import { columnMeans, meanNorm, subtractFromRows, type Matrix } from './matrix.js';
import { foldOf, pairsOf, pairSetDigest, reversed, type PairSet, type PairSpace } from './pair-set.js';
import type { AdapterManifest, Estimator, FitCurve, FitReport, RolloutProgress, ThresholdCell } from './rollout.js';
import { selectRung } from './selection.js';

export interface FitQuestion {
  readonly pairs: PairSet;
  /** Operating FAR; null takes that of `threshold` in the old space, where the pairs can tell it. */
  readonly far: number | null;
  readonly threshold: number;
  readonly seed: number;
  /** At least one. */
  readonly estimators: readonly Estimator[];
  /** Of people whose groups are known. */
  readonly groups: Readonly<Record<string, readonly string[]>>;
  /** See gates.ts. */
  readonly belonging: number | null;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

export interface FittedAdapter {
  readonly manifest: AdapterManifest;
  /** The ONNX file. */
  readonly network: Uint8Array;
}

export interface FitOutcome {
  readonly forward: FittedAdapter;
  readonly backward: FittedAdapter;
  readonly report: Omit<FitReport, 'gallery'>;
}

const folds = 4;
const selectionFolds = 3;
const peopleMin = 2 * folds * selectionFolds;
const farDefault = 1e-3;
const fpir = 1e-2;
const calibrationFars = [1e-4, 1e-3, 1e-2] as const;
/** Expected events behind a rate that is believed (Doddington's rule of 30). */
const eventsMin = 30;
/** Bars of a report's histogram. */
const barsMax = 80;

/** @throws INVALID_ARGUMENT when there are too few people to split, CANCELLED */
export async function fitRollout(
  algebra: Algebra,
  question: FitQuestion,
  onProgress: (progress: RolloutProgress) => void,
  signal?: AbortSignal,
): Promise<FitOutcome> {
  const { pairs, seed } = question;
  if (pairs.people.length < peopleMin) throw tooFew(pairs, peopleMin);
  refuseConstant(pairs.from, pairs.vectorsFrom);
  refuseConstant(pairs.to, pairs.vectorsTo);
  const rungs = ladder(seed).filter(({ estimator }) => question.estimators.includes(estimator));
  const far = question.far ?? (await farOf(algebra, pairs, question.threshold));
  const outerSteps = folds * selectionFolds * rungs.length;
  const total = outerSteps + selectionFolds * rungs.length;
  const report = (done: number): void => onProgress({ stage: 'select', done, total });
  const options = { rungs, far, fpir, seed, signal };
  const crossed = await crossFit(algebra, pairs, { ...options, folds, selectionFolds, onProgress: report });
  const selection = await selectRung(algebra, pairs, {
    ...options,
    folds: selectionFolds,
    onProgress: (done) => report(outerSteps + done),
  });
  throwIfAborted(signal);
  const { rung } = selection.chosen;
  onProgress({ stage: 'fit', done: 0, total: 3 });
  const forward = await fitAdapter(algebra, pairs, rung, question);
  onProgress({ stage: 'fit', done: 1, total: 3 });
  const backward = await fitAdapter(algebra, reversed(pairs), rung, question);
  onProgress({ stage: 'fit', done: 2, total: 3 });
  const back = await compareBack(algebra, pairs, rung);
  onProgress({ stage: 'fit', done: 3, total: 3 });
  const { compared, people } = crossed;
  const vals = Object.fromEntries(rows.map((row) => [row, valAt(compared[row], far)])) as Record<Row, number>;
  const gates = askGates({
    ...crossed,
    far,
    fpir,
    seed,
    groupsOf: (person) => question.groups[person] ?? [],
    belonging: question.belonging,
  });
  onProgress({ stage: 'gates', done: gates.length, total: gates.length });
  return {
    forward,
    backward,
    report: {
      forward: forward.manifest,
      backward: backward.manifest,
      scores: selection.scores.map(({ name, val, fnir, behindBest, standardError }) => ({
        name,
        val: val || 0,
        fnir: fnir || 0,
        behindBest,
        standardError,
      })),
      chosen: selection.chosen.name,
      far,
      val: vals,
      updateGain: vals.new === vals.old ? null : (vals.mapped - vals.old) / (vals.new - vals.old),
      fusion: {
        oldShare: crossed.oldShare,
        threshold: isMeasurable(compared.fused, far) ? thresholdAt(compared.fused, far) : 0,
      },
      cells: cellsOf(compared, back, far),
      gates,
      curves: rows.map((row) => curveOf(row, compared[row])),
      lost: lostOf(crossed, people, far),
      calibration: calibrationOf(compared),
    },
  };
}

/** A model that says the same of everybody: there is nothing to learn. */
function refuseConstant({ space }: PairSpace, vectors: Matrix): void {
  if (meanNorm(subtractFromRows(vectors, columnMeans(vectors))) > 1e-3) return;
  throw new HarmonidError(
    'INVALID_ARGUMENT',
    `the ${vectors.rows} vectors of the pairs in space "${space}" are all the same, to 0.001: people cannot be told apart in it`,
    { details: { space, vectors: vectors.rows } },
  );
}

/** The FAR that a threshold of the old space has, to two digits. */
async function farOf(algebra: Algebra, pairs: PairSet, threshold: number): Promise<number> {
  const old: Channel = { gallery: pairs.vectorsFrom, probes: pairs.vectorsFrom, weight: 1 };
  const comparisons = await compareAll(algebra, [old], pairs);
  const far = farWithin(comparisons, threshold);
  const isKnown = far * comparisons.impostorCount >= eventsMin && far < 0.02;
  return isKnown ? Number(far.toPrecision(2)) : farDefault;
}

async function fitAdapter(
  algebra: Algebra,
  pairs: PairSet,
  rung: Rung,
  { seed, nowMs }: FitQuestion,
): Promise<FittedAdapter> {
  const network = adapterNetwork(await new RungFitter(algebra, pairs).fit(rung));
  return {
    network,
    manifest: {
      sha256: createHash('sha256').update(network).digest('hex'),
      bytes: network.length,
      fromSpace: pairs.from.space,
      toSpace: pairs.to.space,
      fromDimensions: pairs.from.dimensions,
      toDimensions: pairs.to.dimensions,
      pairsDigest: pairSetDigest(pairs),
      pairs: pairs.personOf.length,
      people: pairs.people.length,
      estimator: rungName(rung),
      folds,
      seed,
      fittedAt: nowMs,
    },
  };
}

/** New probes mapped back into the old space, of one fold's people. */
async function compareBack(algebra: Algebra, pairs: PairSet, rung: Rung): Promise<Comparisons> {
  const fit = reversed(pairsOf(pairs, (person) => foldOf(person, folds) !== 0));
  const test = pairsOf(pairs, (person) => foldOf(person, folds) === 0);
  const model = await new RungFitter(algebra, fit).fit(rung);
  const probes = await mapThrough(model, test.vectorsTo, test.from.dimensions);
  return compareAll(algebra, [{ gallery: test.vectorsFrom, probes, weight: 1 }], test);
}

function cellsOf(compared: CrossFit['compared'], back: Comparisons, far: number): readonly ThresholdCell[] {
  const cell = (
    probe: ThresholdCell['probe'],
    template: ThresholdCell['template'],
    comparisons: Comparisons,
  ): ThresholdCell => {
    const isMeasured = isMeasurable(comparisons, far);
    return {
      probe,
      template,
      threshold: isMeasured ? thresholdAt(comparisons, far) : 0,
      comparisons: comparisons.impostorCount,
      support: isMeasured ? 'measured' : 'not-measurable',
    };
  };
  return [
    cell('old', 'old', compared.old),
    cell('new', 'native', compared.new),
    cell('new', 'mapped', compared.mapped),
    cell('mapped-back', 'old', back),
  ];
}

function isMeasurable({ impostorCount }: Comparisons, far: number): boolean {
  return far * impostorCount >= eventsMin;
}

/** Distances of mapped and native templates at which equally many impostors are nearer, ascending. */
function calibrationOf(compared: CrossFit['compared']): readonly (readonly [number, number])[] {
  const knots: (readonly [number, number])[] = [];
  for (const far of calibrationFars) {
    if (!isMeasurable(compared.mapped, far)) continue;
    const [x, y] = [thresholdAt(compared.mapped, far), thresholdAt(compared.new, far)];
    const [lastX, lastY] = knots.at(-1) ?? [0, 0];
    if (x > lastX && y > lastY && x < 4 && y < 4) knots.push([x, y]);
  }
  return knots;
}

function curveOf(row: Row, comparisons: Comparisons): FitCurve {
  const grid = (from: number, to: number, steps: number): readonly number[] =>
    Array.from({ length: steps + 1 }, (_, i) => 10 ** (from + ((to - from) * i) / steps));
  const { genuine, impostorHistogram, impostorCount } = comparisons;
  const genuineHistogram = new Float64Array(histogramBins);
  for (const distance of genuine) {
    const bin = Math.min(histogramBins - 1, Math.floor((distance * histogramBins) / 4));
    genuineHistogram[bin] = (genuineHistogram[bin] as number) + 1;
  }
  // As far as there is anything: distances of one model may all lie below 1.
  const last = impostorHistogram.findLastIndex((count) => count > impostorCount * 1e-4);
  const each = Math.max(1, Math.ceil((last + 1) / barsMax));
  const bars = Math.ceil((last + 1) / each);
  const sharesOf = (counts: Float64Array, total: number): readonly number[] =>
    Array.from({ length: bars }, (_, bar) => {
      const slice = counts.subarray(bar * each, (bar + 1) * each);
      return slice.reduce((sum, count) => sum + count, 0) / Math.max(1, total);
    });
  return {
    row,
    name: rowNames[row],
    roc: grid(-5, -1.6, 34)
      .filter((far) => isMeasurable(comparisons, far))
      .map((far) => [far, valAt(comparisons, far)] as const),
    det: grid(-3, -0.5, 25)
      .map((rate) => [rate, fnirAt(comparisons, rate)] as const)
      .filter(([rate, fnir]) => rate * comparisons.searches.length >= eventsMin && Number.isFinite(fnir)),
    genuineHistogram: sharesOf(genuineHistogram, genuine.length),
    impostorHistogram: sharesOf(impostorHistogram, impostorCount),
    binMax: (bars * each * 4) / histogramBins,
  };
}

function lostOf({ compared }: CrossFit, people: readonly string[], far: number): FitReport['lost'] {
  const flips = flipsOf(compared, far);
  if (!flips) return [];
  const lost = new Map<number, number>();
  for (const person of flips.negative) lost.set(person, (lost.get(person) ?? 0) + 1);
  const searches = new Map<number, number>();
  for (const { person, own } of compared.old.searches) {
    if (own < Infinity) searches.set(person, (searches.get(person) ?? 0) + 1);
  }
  return [...lost]
    .map(([person, count]) => ({
      person: people[person] ?? '',
      searches: searches.get(person) ?? 0,
      lost: count,
    }))
    .toSorted((one, other) => other.lost - one.lost);
}
