/**
 * Error rates of open-set one-to-many searches (NIST FRTE 1:N), with intervals over people. Pure arithmetic.
 *
 * FPIR(t) is the share of non-mated searches with a candidate within the threshold t; FNIR(t) that of mated searches whose own identity is not
 * the first candidate, or not within t. A search without a face has no candidate: missed when mated, no false alarm otherwise. Rates of many people
 * are not those of as many searches: photos of one person fail together. So intervals are bootstrapped over people (Bickel & Freedman 1981), each
 * of whom counts, with all searches of theirs, as often as drawn. The gallery stays as it is: without those who were not drawn it would be one of 63 % of the
 * people, in which strangers are farther from everybody, and the interval would be that of another gallery.
 */
import { drawPeople, rankSearches, weightedFnirAt, type RankedSearches, type Search } from '../migrate/comparisons.js';
import { makeRandom } from '../random.js';
import { farSupport, thresholdAtFar, type FarSupport } from './error-rates.js';

/** What a search came to. Distances are squared L2. */
export interface Outcome {
  readonly kind: 'mated' | 'non-mated';
  /** Ordinal of the person searched for. */
  readonly person: number;
  /** Of the first candidate if that is the one to find, in a non-mated search of whoever it is; null without. */
  readonly distance: number | null;
}

/** A share with its 95 % interval. */
export interface Rate {
  readonly value: number;
  readonly interval: readonly [low: number, high: number];
}

export interface FnirAtFpir {
  readonly fpir: number;
  /** Of the non-mated searches, as `farSupport` judges pairs. */
  readonly support: FarSupport;
  /** Null when not measurable, and so are the others. */
  readonly fnir: Rate | null;
  /** Squared L2: the largest that lets no more than `fpir` pass. */
  readonly threshold: number | null;
  /** Non-mated searches within it. */
  readonly falsePositives: number | null;
}

export interface DetPoint {
  readonly fpir: number;
  readonly fnir: Rate;
}

export interface OpenSetRates {
  /** Mated searches whose own identity comes first, at whatever distance: 1 - FNIR without a threshold. */
  readonly rank1: Rate;
  readonly atFpir: readonly FnirAtFpir[];
  /** At a threshold that was set elsewhere. */
  readonly atThreshold: { readonly threshold: number; readonly fpir: Rate; readonly fnir: Rate };
  /** Falling FPIR, down to one false positive. */
  readonly det: readonly DetPoint[];
}

export interface OpenSetQuestion {
  readonly fpirs: readonly number[];
  readonly threshold: number;
  readonly peopleCount: number;
  readonly seed: number;
}

/** Draws of people: the same for every gallery of one seed, so that their intervals are of the same chances. */
export const replicates = 1000;

/** Farther than any two unit vectors. */
const beyond = 5;

/** @param outcomes at least one of either kind */
export function openSetRates(outcomes: readonly Outcome[], question: OpenSetQuestion): OpenSetRates {
  const { fpirs, threshold, peopleCount, seed } = question;
  const ranked = rankSearches(outcomes.map(searchOf));
  const random = makeRandom(seed);
  const draws = Array.from({ length: replicates }, () => drawPeople(peopleCount, random));
  const everyone = new Float64Array(peopleCount).fill(1);
  const rate = (of: (weights: Float64Array) => number): Rate => ({
    value: of(everyone),
    interval: spread(draws.map(of)),
  });
  const nonMatedCount = ranked.strangers.length;
  return {
    rank1: rate((weights) => 1 - matedMissed(ranked, Infinity, weights)),
    atFpir: fpirs.map((fpir) => {
      const support = farSupport(fpir, nonMatedCount);
      if (support === 'not-measurable') return { fpir, support, fnir: null, threshold: null, falsePositives: null };
      const cut = thresholdAtFar(distancesOf(ranked), fpir);
      return {
        fpir,
        support,
        fnir: rate((weights) => fnirAt(ranked, fpir, weights)),
        threshold: cut,
        falsePositives: ranked.strangers.filter(({ other }) => other <= cut).length,
      };
    }),
    atThreshold: {
      threshold,
      fpir: rate((weights) => strangersWithin(ranked, threshold, weights)),
      fnir: rate((weights) => matedMissed(ranked, threshold, weights)),
    },
    det: detFpirs(nonMatedCount).map((fpir) => ({ fpir, fnir: rate((weights) => fnirAt(ranked, fpir, weights)) })),
  };
}

/** As comparisons.ts has them: a search that missed has somebody nearer than its own. */
function searchOf({ kind, person, distance }: Outcome): Search {
  if (kind === 'non-mated') return { person, own: Infinity, other: distance ?? beyond };
  return distance === null ? { person, own: beyond, other: -1 } : { person, own: distance, other: Infinity };
}

/** The small addend keeps 0.1 * 30 from being 2 false positives. */
function fnirAt(ranked: RankedSearches, fpir: number, weights: Float64Array): number {
  return weightedFnirAt(ranked, fpir + 1e-12, weights);
}

function distancesOf({ strangers, mated }: RankedSearches): { genuine: number[]; impostor: number[] } {
  return { genuine: mated.map(({ own }) => own), impostor: strangers.map(({ other }) => other) };
}

function matedMissed({ mated }: RankedSearches, threshold: number, weights: Float64Array): number {
  return weightedShare(mated, weights, ({ own, other }) => own > threshold || other < own);
}

function strangersWithin({ strangers }: RankedSearches, threshold: number, weights: Float64Array): number {
  return weightedShare(strangers, weights, ({ other }) => other <= threshold);
}

function weightedShare(
  searches: readonly Search[],
  weights: Float64Array,
  counts: (search: Search) => boolean,
): number {
  let [all, counted] = [0, 0];
  for (const search of searches) {
    const weight = weights[search.person] as number;
    all += weight;
    if (counts(search)) counted += weight;
  }
  return counted / all;
}

/** The middle 95 %. A draw in which one of the kinds has nobody shows nothing. */
function spread(drawn: readonly number[]): readonly [low: number, high: number] {
  const shown = drawn.filter((value) => !Number.isNaN(value)).toSorted((one, other) => one - other);
  const at = (share: number): number => shown[Math.round(share * (shown.length - 1))] ?? 0;
  return [at(0.025), at(0.975)];
}

/** Eight a decade, from a half down to one false positive. */
function detFpirs(nonMatedCount: number): readonly number[] {
  const fpirs: number[] = [];
  for (let step = 0; 0.5 * 10 ** (-step / 8) * nonMatedCount >= 1; step++) fpirs.push(0.5 * 10 ** (-step / 8));
  return fpirs;
}
