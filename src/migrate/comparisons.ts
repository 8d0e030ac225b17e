/**
 * All cross comparisons of a gallery with probes, and the error rates they show.
 *
 * Every image is in the gallery (through an adapter, or as it is) and a probe; an image is never compared with itself. A comparison is accepted
 * when its distance is <= the threshold. VAL is the share of genuine comparisons accepted, FAR that of the impostors (FaceNet, CVPR
 * 2015, section 4). Identification is open-set one to many (NIST FRTE 1:N): half of the people are enrolled, by a hash of their ids, and then the other half, so that
 * everybody is searched for among their own and among strangers; FPIR is the share of the searches among strangers that name somebody, FNIR the share
 * of those among the own half that do not name the person first. Only the nearest
 * impostors are kept, which is where the thresholds lie. Intervals are bootstrapped over people (Bickel & Freedman 1981): comparisons of one
 * person stand and fall together.
 */
import { assertInvariant } from '../errors.js';
import type { Random } from '../random.js';
import type { Algebra } from './dense-algebra.js';
import { rowRange, type Matrix } from './matrix.js';
import { foldOf } from './pair-set.js';

export interface Comparisons {
  /** Ascending distances of genuine comparisons, and whose they are. */
  readonly genuine: Float32Array;
  readonly genuinePeople: Uint32Array;
  /** Ascending distances of the nearest impostor comparisons; the two people of the i-th at 2i and 2i + 1. */
  readonly impostors: Float32Array;
  readonly impostorPeople: Uint32Array;
  /** All of them, kept or not. */
  readonly impostorCount: number;
  /** All impostor comparisons, counted in `histogramBins` equal bins over [0, 4]. */
  readonly impostorHistogram: Float64Array;
  readonly searches: readonly Search[];
  readonly peopleCount: number;
}

export const histogramBins = 1024;

/** A one-to-many search for one image. */
export interface Search {
  readonly person: number;
  /** Nearest template of the person's own, Infinity among strangers. */
  readonly own: number;
  /** Nearest template of somebody else. */
  readonly other: number;
}

/** One way to compare two images; the distance of several is their weighted mean. */
export interface Channel {
  /** Unit rows, one an image. */
  readonly gallery: Matrix;
  /** Unit rows of the same images in the same space. */
  readonly probes: Matrix;
  readonly weight: number;
}

/** Impostor comparisons that are kept: three times the largest FAR that is asked for. */
const keptShare = 0.03;
const binCount = 1 << 16;
const blockRows = 512;

/**
 * @param channels at least one; their weights sum to 1
 * @param people.people ids; @param people.personOf position in them of each image
 */
export async function compareAll(
  algebra: Algebra,
  channels: readonly Channel[],
  { people, personOf }: { readonly people: readonly string[]; readonly personOf: Uint32Array },
): Promise<Comparisons> {
  const halfOf = people.map((person) => foldOf(`enrolled ${person}`, 2));
  const genuine: { distance: number; person: number }[] = [];
  const searches: Search[] = [];
  const bins = new Float64Array(binCount + 1);
  let impostorCount = 0;
  await eachProbe(algebra, channels, (probe, distances) => {
    const person = personOf[probe] as number;
    let own = Infinity;
    const nearest = [Infinity, Infinity] as [number, number];
    for (let i = 0; i < distances.length; i++) {
      if (i === probe) continue;
      const distance = distances[i] as number;
      const owner = personOf[i] as number;
      if (owner === person) {
        genuine.push({ distance, person });
        own = Math.min(own, distance);
      } else {
        const bin = binOf(distance);
        bins[bin] = (bins[bin] as number) + 1;
        impostorCount++;
        const half = halfOf[owner] as 0 | 1;
        if (distance < nearest[half]) nearest[half] = distance;
      }
    }
    const half = halfOf[person] as 0 | 1;
    if (own < Infinity) searches.push({ person, own, other: nearest[half] });
    searches.push({ person, own: Infinity, other: nearest[1 - half] as number });
  });
  const lastBin = binAtShare(bins, keptShare * impostorCount);
  const kept: { distance: number; probe: number; template: number }[] = [];
  await eachProbe(algebra, channels, (probe, distances) => {
    const person = personOf[probe] as number;
    for (let i = 0; i < distances.length; i++) {
      const distance = distances[i] as number;
      if (binOf(distance) <= lastBin && personOf[i] !== person)
        kept.push({ distance, probe: person, template: personOf[i] as number });
    }
  });
  genuine.sort((one, another) => one.distance - another.distance);
  kept.sort((one, another) => one.distance - another.distance);
  return {
    genuine: Float32Array.from(genuine, ({ distance }) => distance),
    genuinePeople: Uint32Array.from(genuine, ({ person }) => person),
    impostors: Float32Array.from(kept, ({ distance }) => distance),
    impostorPeople: Uint32Array.from(kept.flatMap(({ probe, template }) => [probe, template])),
    impostorCount,
    impostorHistogram: coarse(bins),
    searches,
    peopleCount: people.length,
  };
}

async function eachProbe(
  algebra: Algebra,
  channels: readonly Channel[],
  look: (probe: number, distances: Float32Array) => void,
): Promise<void> {
  const count = channels[0]?.probes.rows ?? 0;
  assertInvariant(
    channels.every(({ gallery, probes }) => gallery.rows === count && probes.rows === count),
    'every image is in the gallery and a probe, in every channel',
  );
  const distances = new Float32Array(count);
  for (let from = 0; from < count; from += blockRows) {
    const to = Math.min(count, from + blockRows);
    const products: { readonly weight: number; readonly data: Float32Array }[] = [];
    for (const { gallery, probes, weight } of channels)
      products.push({ weight, data: (await algebra.product(rowRange(probes, from, to), gallery, 'b')).data });
    for (let probe = from; probe < to; probe++) {
      distances.fill(0);
      for (const { weight, data } of products) {
        for (let i = 0; i < count; i++) {
          const distance = Math.max(0, 2 - 2 * (data[(probe - from) * count + i] as number));
          distances[i] = (distances[i] as number) + weight * distance;
        }
      }
      look(probe, distances);
    }
  }
}

function coarse(bins: Float64Array): Float64Array {
  const histogram = new Float64Array(histogramBins);
  bins.forEach((count, bin) => {
    const at = Math.min(histogramBins - 1, Math.floor((bin * histogramBins) / binCount));
    histogram[at] = (histogram[at] as number) + count;
  });
  return histogram;
}

/** Squared distances of unit vectors lie in [0, 4]. */
function binOf(distance: number): number {
  return Math.min(binCount, Math.floor((distance * binCount) / 4));
}

/** The bin up to which there are at least so many. */
function binAtShare(bins: Float64Array, wanted: number): number {
  let count = 0;
  for (let bin = 0; bin < bins.length; bin++) {
    count += bins[bin] as number;
    if (count >= wanted) return bin;
  }
  return bins.length;
}

/** Comparisons of several folds as one; each fold's people are others. */
export function poolComparisons(folds: readonly Comparisons[]): Comparisons {
  let offset = 0;
  const genuine: [number, number][] = [];
  const impostors: [number, number, number][] = [];
  const searches: Search[] = [];
  for (const fold of folds) {
    fold.genuine.forEach((distance, i) => genuine.push([distance, offset + (fold.genuinePeople[i] as number)]));
    fold.impostors.forEach((distance, i) =>
      impostors.push([
        distance,
        offset + (fold.impostorPeople[2 * i] as number),
        offset + (fold.impostorPeople[2 * i + 1] as number),
      ]),
    );
    for (const search of fold.searches) searches.push({ ...search, person: offset + search.person });
    offset += fold.peopleCount;
  }
  genuine.sort(([one], [another]) => one - another);
  impostors.sort(([one], [another]) => one - another);
  return {
    genuine: Float32Array.from(genuine, ([distance]) => distance),
    genuinePeople: Uint32Array.from(genuine, ([, person]) => person),
    impostors: Float32Array.from(impostors, ([distance]) => distance),
    impostorPeople: Uint32Array.from(impostors.flatMap(([, one, another]) => [one, another])),
    impostorCount: folds.reduce((sum, fold) => sum + fold.impostorCount, 0),
    impostorHistogram: Float64Array.from({ length: histogramBins }, (_, bin) =>
      folds.reduce((sum, fold) => sum + (fold.impostorHistogram[bin] as number), 0),
    ),
    searches,
    peopleCount: offset,
  };
}

/** Distance that lies below every comparison. */
const refuseAll = -1;

/** The largest threshold that accepts at most `far` of the impostors; NaN when `far` is more than was kept. */
export function thresholdAt({ impostors, impostorCount }: Comparisons, far: number): number {
  const accepted = Math.floor(far * impostorCount + 1e-9);
  if (accepted >= impostors.length) return Number.NaN;
  const refused = impostors[accepted] as number;
  // Equal distances fall on the same side.
  let position = accepted - 1;
  while (position >= 0 && impostors[position] === refused) position--;
  return position < 0 ? refuseAll : (impostors[position] as number);
}

/** The share of genuine comparisons within the threshold that `far` allows. NaN without any. */
export function valAt(comparisons: Comparisons, far: number): number {
  return valWithin(comparisons, thresholdAt(comparisons, far));
}

export function valWithin({ genuine }: Comparisons, threshold: number): number {
  return countWithin(genuine, threshold) / genuine.length;
}

/** The share of impostor comparisons within a threshold. */
export function farWithin({ impostors, impostorCount }: Comparisons, threshold: number): number {
  return countWithin(impostors, threshold) / impostorCount;
}

/** FNIR at the threshold that lets `fpir` of the searches for strangers name somebody. NaN when either kind is absent. */
export function fnirAt({ searches }: Comparisons, fpir: number): number {
  const strangers = searches.filter(({ own }) => own === Infinity).map(({ other }) => other);
  const threshold = strangers.toSorted((one, another) => one - another)[Math.floor(fpir * strangers.length + 1e-9)];
  const mated = searches.filter(({ own }) => own !== Infinity);
  if (threshold === undefined) return Number.NaN;
  return mated.filter(({ own, other }) => own >= threshold || other < own).length / mated.length;
}

function countWithin(ascending: Float32Array, threshold: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] as number) <= threshold) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How often each person was drawn, with replacement. */
export function drawPeople(peopleCount: number, random: Random): Float64Array {
  const weights = new Float64Array(peopleCount);
  for (let i = 0; i < peopleCount; i++) {
    const person = random.below(peopleCount);
    weights[person] = (weights[person] as number) + 1;
  }
  return weights;
}

/** VAL at `far` when each person counts so often. */
export function weightedValAt(comparisons: Comparisons, far: number, weights: Float64Array): number {
  const { genuine, genuinePeople, impostors, impostorPeople, impostorCount, peopleCount } = comparisons;
  const weightOf = (person: number): number => weights[person] as number;
  // The kept impostors are a part: all of them weigh, in expectation, as many as they are.
  const scale = weights.reduce((sum, weight) => sum + weight, 0) / peopleCount;
  const allowed = far * impostorCount * scale * scale;
  let [accepted, threshold] = [0, refuseAll];
  for (let i = 0; i < impostors.length; i++) {
    accepted += weightOf(impostorPeople[2 * i] as number) * weightOf(impostorPeople[2 * i + 1] as number);
    if (accepted > allowed) break;
    threshold = impostors[i] as number;
  }
  let [within, all] = [0, 0];
  for (let i = 0; i < genuine.length; i++) {
    const weight = weightOf(genuinePeople[i] as number);
    all += weight;
    if ((genuine[i] as number) <= threshold) within += weight;
  }
  return within / all;
}

/** Searches in the order in which thresholds meet them: sorted once, for many draws of people. */
export interface RankedSearches {
  /** Nearest first. */
  readonly strangers: readonly Search[];
  readonly mated: readonly Search[];
}

export function rankSearches(searches: readonly Search[]): RankedSearches {
  return {
    strangers: searches.filter(({ own }) => own === Infinity).toSorted((one, another) => one.other - another.other),
    mated: searches.filter(({ own }) => own !== Infinity),
  };
}

/** FNIR at `fpir` when each person counts so often. NaN where no stranger is searched for. */
export function weightedFnirAt({ strangers, mated }: RankedSearches, fpir: number, weights: Float64Array): number {
  const weightOf = ({ person }: Search): number => weights[person] as number;
  let strangerWeight = 0;
  for (const search of strangers) strangerWeight += weightOf(search);
  let accepted = 0;
  let threshold = Infinity;
  for (const search of strangers) {
    accepted += weightOf(search);
    if (accepted > fpir * strangerWeight) {
      threshold = search.other;
      break;
    }
  }
  let [all, missed] = [0, 0];
  for (const search of mated) {
    const weight = weightOf(search);
    all += weight;
    if (search.own >= threshold || search.other < search.own) missed += weight;
  }
  return missed / all;
}
