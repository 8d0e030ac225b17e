/**
 * Whether a calibration keeps its promise: thresholds from the people of a gallery alone, held against people who are not in it.
 *
 * Again and again some people are drawn as the gallery, with all their photos, and calibrated exactly as a gallery of a database is; the others are strangers, who are searched for
 * with each photo. The realised FPIR is the share of strangers who are taken for somebody at the threshold for the FPIR that was asked for; a person counts once, however many
 * photos there are. With few strangers a single draw cannot tell a small rate (one of 700 is 0.14 %), so the mean over draws is told, with its standard error. People whom a data set calls by
 * two names are no strangers to themselves: they can be named.
 */
import { setImmediate } from 'node:timers/promises';
import { fitGallery } from '../calibration/gallery-fit.js';
import { distanceAtFpir } from '../calibration/impostor-curve.js';
import type { TemplateMatrix } from '../calibration/impostor-sample.js';
import type { Embedder } from '../embedder/embedder.js';
import { HarmonidError, throwIfAborted } from '../errors.js';
import { makeRandom, shuffled, type Random } from '../random.js';
import { squaredDistance, type UnitVector } from '../vector.js';
import { estimate, type Estimate } from './error-rates.js';
import { embedPersonPhotos, type LabelledPhotos, type PhotoVectors } from './person-photos.js';
import type { PhotoKind } from './photo-embedding.js';

export interface CalibrationEvaluationOptions extends LabelledPhotos {
  /** Stays open. */
  readonly embedder: Embedder;
  /** People enrolled; at least 100, and fewer than there are. */
  readonly sizes: readonly number[];
  /** FPIRs to ask for. Default 0.1, 0.01, 0.001. */
  readonly fpirs?: readonly number[] | undefined;
  /** FMRs to ask for. Default 0.001, 0.0001. */
  readonly fmrs?: readonly number[] | undefined;
  /** At least 2. Default 20. */
  readonly draws?: number | undefined;
  /** Two names of one person. */
  readonly same?: readonly (readonly [string, string])[] | undefined;
  readonly seed?: number | undefined;
  readonly onProgress?: ((stage: 'photos' | 'draws', done: number, total: number) => void) | undefined;
}

/** What was asked for and what came, over the draws. */
export interface RealisedRate {
  readonly kind: 'fpir' | 'fmr';
  readonly asked: number;
  readonly realised: Estimate;
  /** Nine of ten draws lie between them. */
  readonly low: number;
  readonly high: number;
  /** Mean threshold, squared L2. */
  readonly threshold: number;
}

export interface CalibrationEvaluation {
  readonly pack: string;
  readonly space: string;
  readonly kind: PhotoKind;
  readonly people: number;
  readonly photos: number;
  readonly facesNotFound: number;
  readonly draws: number;
  readonly seed: number;
  readonly galleries: readonly {
    readonly size: number;
    readonly strangers: number;
    readonly rates: readonly RealisedRate[];
    /** FPIR asked for and FPIR that came, over all rates that can be told, ascending. */
    readonly reliability: readonly RealisedRate[];
    /** Over all draws: pairs taken to be one person, rightly (they are named so) and not. */
    readonly samePairs: { readonly there: number; readonly found: number; readonly wrong: number };
  }[];
}

interface Person {
  readonly name: string;
  readonly vectors: readonly UnitVector[];
}

/** FPIRs of the reliability, equally far apart on a logarithmic axis. */
const reliabilityFpirs = Array.from({ length: 25 }, (_, i) => 10 ** (-3.5 + i / 8));
/** Probes times templates: more than any gallery of photos has. */
const comparisonsMax = 1e9;

/** @throws INVALID_ARGUMENT when there are too few people, IMAGE_* with the photo's name, CANCELLED */
export async function evaluateCalibration(options: CalibrationEvaluationOptions): Promise<CalibrationEvaluation> {
  const { embedder, photos, kind = 'full', sizes, draws = 20, seed = 1 } = options;
  const { fpirs = [0.1, 0.01, 0.001], fmrs = [1e-3, 1e-4], same = [], onProgress, signal } = options;
  const { vectors } = await embedPersonPhotos(embedder, options, (done, total) => onProgress?.('photos', done, total));
  const people = peopleOf(vectors);
  for (const size of sizes) refuseSize(size, people.length);
  const random = makeRandom(seed);
  const isSame = sameNames(same);
  const galleries: CalibrationEvaluation['galleries'][number][] = [];
  for (const [at, size] of sizes.entries()) {
    const samePairs = { there: 0, found: 0, wrong: 0 };
    const asked = [
      ...fpirs.map((rate) => ({ kind: 'fpir' as const, asked: rate, searched: size })),
      ...fmrs.map((rate) => ({ kind: 'fmr' as const, asked: rate, searched: 1 })),
      ...reliabilityFpirs.map((rate) => ({ kind: 'fpir' as const, asked: rate, searched: size })),
    ];
    const realised = asked.map((): number[] => []);
    const thresholds = asked.map((): number[] => []);
    for (let draw = 0; draw < draws; draw++) {
      throwIfAborted(signal);
      const order = shuffled(people, random);
      const [enrolled, strangers] = [order.slice(0, size), order.slice(size)];
      const { curve, found } = await calibrate(enrolled, random, signal);
      samePairs.there += pairsAmong(enrolled, isSame);
      for (const [one, other] of found) samePairs[isSame(one, other) ? 'found' : 'wrong']++;
      const distances = distancesTo(enrolled, strangers, isSame);
      asked.forEach(({ kind, asked: rate, searched }, i) => {
        const threshold = distanceAtFpir(curve, rate, searched);
        thresholds[i]?.push(threshold);
        realised[i]?.push(kind === 'fpir' ? distances.fpirWithin(threshold) : distances.fmrWithin(threshold));
      });
      onProgress?.('draws', at * draws + draw + 1, sizes.length * draws);
    }
    const rates = asked.map(({ kind, asked: rate }, i) =>
      realisedRate(kind, rate, realised[i] as number[], thresholds[i] as number[]),
    );
    const listed = fpirs.length + fmrs.length;
    galleries.push({
      size,
      strangers: people.length - size,
      samePairs,
      rates: rates.slice(0, listed),
      reliability: rates.slice(listed),
    });
  }
  const { pack, space } = embedder.info;
  const facesNotFound = [...vectors.values()].filter((vector) => vector === null).length;
  return { pack, space, kind, people: people.length, photos: photos.length, facesNotFound, draws, seed, galleries };
}

/** @param realised of each draw */
function realisedRate(
  kind: RealisedRate['kind'],
  asked: number,
  realised: readonly number[],
  thresholds: readonly number[],
): RealisedRate {
  const ascending = realised.toSorted((one, other) => one - other);
  return {
    kind,
    asked,
    realised: estimate(ascending),
    low: ascending[Math.floor(0.05 * realised.length)] as number,
    high: ascending[Math.ceil(0.95 * realised.length) - 1] as number,
    threshold: estimate(thresholds).mean,
  };
}

function peopleOf(vectors: PhotoVectors): readonly Person[] {
  const people = new Map<string, UnitVector[]>();
  for (const [{ person }, vector] of vectors) if (vector) people.set(person, [...(people.get(person) ?? []), vector]);
  return [...people.keys()].toSorted().map((name) => ({ name, vectors: people.get(name) as UnitVector[] }));
}

function refuseSize(size: number, people: number): void {
  if (Number.isInteger(size) && size >= 100 && size < people) return;
  throw new HarmonidError(
    'INVALID_ARGUMENT',
    `there are faces of ${people} people, of whom ${size} would be enrolled: at least 100 must be, and one must not`,
    { details: { people, size } },
  );
}

/** Whether two names are one person's. */
function sameNames(same: CalibrationEvaluationOptions['same']): (one: string, other: string) => boolean {
  const pairs = new Set((same ?? []).flatMap(([one, other]) => [`${one}\0${other}`, `${other}\0${one}`]));
  return (one, other) => pairs.has(`${one}\0${other}`);
}

function pairsAmong(people: readonly Person[], isSame: (one: string, other: string) => boolean): number {
  return people.flatMap(({ name }, i) => people.slice(i + 1).filter((other) => isSame(name, other.name))).length;
}

async function calibrate(enrolled: readonly Person[], random: Random, signal: AbortSignal | undefined) {
  const pieces = fitGallery(matrixOf(enrolled), { comparisonsMax, random, worth: (_row, distance) => distance });
  for (;;) {
    const { done, value } = pieces.next();
    if (!done) {
      await setImmediate();
      throwIfAborted(signal);
      continue;
    }
    const { curve, samePairs } = value;
    if (!curve) throw new HarmonidError('INVALID_ARGUMENT', `${enrolled.length} people are too few to be calibrated`);
    const nameOf = (position: number): string => (enrolled[position] as Person).name;
    return { curve, found: samePairs.map(({ one, other }) => [nameOf(one), nameOf(other)] as const) };
  }
}

function matrixOf(people: readonly Person[]): TemplateMatrix {
  const rows = people.flatMap(({ vectors }, owner) => vectors.map((vector) => ({ owner, vector })));
  const dimensions = rows[0]?.vector.length ?? 0;
  const vectors = new Float32Array(rows.length * dimensions);
  rows.forEach(({ vector }, row) => vectors.set(vector, row * dimensions));
  return {
    dimensions,
    vectors,
    owners: Uint32Array.from(rows, ({ owner }) => owner),
    native: new Uint8Array(rows.length).fill(1),
  };
}

/** Each stranger's photos against everybody in the gallery. */
function distancesTo(
  enrolled: readonly Person[],
  strangers: readonly Person[],
  isSame: (one: string, other: string) => boolean,
): { fpirWithin(threshold: number): number; fmrWithin(threshold: number): number } {
  const near: { readonly distance: number; readonly weight: number }[] = [];
  const claims: number[] = [];
  for (const { name, vectors } of strangers) {
    const others = enrolled.filter((person) => !isSame(name, person.name));
    for (const probe of vectors) {
      let nearest = Infinity;
      for (const person of others) {
        const distance = Math.min(...person.vectors.map((vector) => squaredDistance(probe, vector)));
        nearest = Math.min(nearest, distance);
        claims.push(distance);
      }
      near.push({ distance: nearest, weight: 1 / vectors.length });
    }
  }
  return {
    fpirWithin: (threshold) =>
      near.reduce((sum, { distance, weight }) => sum + (distance <= threshold ? weight : 0), 0) / strangers.length,
    fmrWithin: (threshold) => claims.filter((distance) => distance <= threshold).length / claims.length,
  };
}
