/**
 * How often a stranger comes within a distance of somebody in a gallery, by the number of identities searched: FPIR (ISO/IEC 19795-1; NIST FRTE 1:N), and with one
 * identity FMR.
 *
 * With G the share of probes that have somebody within the distance among n others, the hazard H = -ln(1 - G) grows in proportion to n as long as those events are single. They
 * are in the tail (impostor-tail.ts); above it who has one near has several, so there H is counted for a ladder of sizes: with c of n others within the distance,
 * a random part of m of them holds none with probability C(n - c, m) / C(n, m). Below the tail's start each size goes on in proportion to what it is there. Galleries larger than the
 * sample go on in proportion to their size, which is slightly more than happens. Between knots and sizes log H is straight. Pure.
 */
import { assertInvariant } from '../errors.js';
import { binCount, nearestDistances, type ImpostorSample } from './impostor-sample.js';
import { fitTail, shareIntervalWithin, type ImpostorTail, type RateInterval } from './impostor-tail.js';

export interface ImpostorCurve {
  /** Identities searched, ascending; the last is the number of others that the probes were compared with. */
  readonly sizes: readonly number[];
  /** Squared L2, ascending from 0. */
  readonly distances: readonly number[];
  /** ln H at each size (row) and distance. */
  readonly logHazards: readonly (readonly number[])[];
  /** ln of the ends of the interval that holds H with 90 % probability, over H. */
  readonly logLow: readonly number[];
  readonly logHigh: readonly number[];
  /** Where the tail ends and counts begin. */
  readonly tailStart: number;
}

const sizeRatio = 4;
/** Below and above the tail's start. */
const knotCounts = { tail: 96, body: 48 } as const;
/** Stands for never. */
const logNever = -700;

/** @returns null when there are too few probes to speak of rates */
export function fitCurve(sample: ImpostorSample): ImpostorCurve | null {
  const tail = fitTail(nearestDistances(sample));
  if (!tail) return null;
  const others = sample.identityCount - 1;
  const sizes: number[] = [];
  for (let size = 1; size < others; size *= sizeRatio) sizes.push(size);
  sizes.push(others);
  const end = Math.max(sample.binsEnd, tail.start);
  const below = knotsBetween(0, tail.start, knotCounts.tail);
  const above = [...knotsBetween(tail.start, end, knotCounts.body), end];
  const intervals = [...below, tail.start].map((distance) => intervalOfHazard(tail, distance));
  const [start, ...inTail] = intervals.toReversed().map(({ log }) => log);
  const logHazards = hazardsAbove(sample, sizes, above).map((hazards) => {
    const counted = rising(hazards.map(logOf));
    const atStart = counted[0] as number;
    return [...inTail.toReversed().map((log) => Math.max(logNever, atStart + log - (start as number))), ...counted];
  });
  const atStart = intervals.at(-1) as HazardInterval;
  const ends = [...intervals.slice(0, -1), ...above.map(() => atStart)];
  return {
    sizes,
    distances: [...below, ...above],
    logHazards,
    logLow: ends.map(({ log, logLow }) => logLow - log),
    logHigh: ends.map(({ log, logHigh }) => logHigh - log),
    tailStart: tail.start,
  };
}

/** Share of strangers who come within a distance of one of so many identities. @param distance squared L2, [0, 4] */
export function fpirWithin(curve: ImpostorCurve, distance: number, identityCount: number): number {
  return rateOf(logHazardWithin(curve, distance, identityCount));
}

/** The same with what the sample leaves open: 90 % of such samples would hold the rate. Above the tail it is as wide, in proportion, as at its start. */
export function fpirIntervalWithin(curve: ImpostorCurve, distance: number, identityCount: number): RateInterval {
  const log = logHazardWithin(curve, distance, identityCount);
  const place = placeOf(curve.distances, distance);
  return {
    rate: rateOf(log),
    low: rateOf(log + along(curve.logLow, place)),
    high: rateOf(log + along(curve.logHigh, place)),
  };
}

/** The largest distance at which the FPIR is at most the one that is wanted. @param fpir in (0, 1) */
export function distanceAtFpir(curve: ImpostorCurve, fpir: number, identityCount: number): number {
  assertInvariant(fpir > 0 && fpir < 1, 'a rate is between 0 and 1');
  const wanted = logOf(-Math.log1p(-fpir));
  let [low, high] = [0, curve.distances.at(-1) as number];
  if (logHazardWithin(curve, high, identityCount) <= wanted) return high;
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    if (logHazardWithin(curve, middle, identityCount) <= wanted) low = middle;
    else high = middle;
  }
  return low;
}

// ── Fitting ──────────────────────────────────────────────────────────────────────────────────────────────────────────

interface HazardInterval {
  readonly log: number;
  readonly logLow: number;
  readonly logHigh: number;
}

function intervalOfHazard(tail: ImpostorTail, distance: number): HazardInterval {
  const { rate, low, high } = shareIntervalWithin(tail, distance);
  const hazard = (share: number): number => logOf(-Math.log1p(-Math.min(share, 1 - 1e-9)));
  return { log: hazard(rate), logLow: hazard(low), logHigh: hazard(high) };
}

/** H of each size (row) at each distance. */
function hazardsAbove(
  sample: ImpostorSample,
  sizes: readonly number[],
  distances: readonly number[],
): readonly (readonly number[])[] {
  const others = sample.identityCount - 1;
  const within = distances.map((distance) => countsWithin(sample, distance));
  return sizes.map((size) =>
    within.map((counts) => {
      let none = 0;
      for (const count of counts) none += chanceOfNone(count, size, others);
      // That nobody is without would say nothing of the next.
      return -Math.log(Math.max(none, 0.5) / counts.length);
    }),
  );
}

/** Of each probe. */
function countsWithin({ bins, binsEnd, probeCount }: ImpostorSample, distance: number): readonly number[] {
  const upTo = Math.min(binCount, Math.round((distance / binsEnd) * binCount));
  return Array.from({ length: probeCount }, (_, probe) => {
    let count = 0;
    for (let bin = 0; bin < upTo; bin++) count += bins[probe * binCount + bin] as number;
    return count;
  });
}

/** C(others - count, size) / C(others, size), which is the same with count and size in each other's place. */
function chanceOfNone(count: number, size: number, others: number): number {
  const [fewer, more] = count < size ? [count, size] : [size, count];
  let chance = 1;
  for (let i = 0; i < fewer && chance > 1e-12; i++) chance *= Math.max(0, (others - more - i) / (others - i));
  return chance;
}

function knotsBetween(from: number, to: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, knot) => from + ((to - from) * knot) / count);
}

function rising(values: readonly number[]): readonly number[] {
  let most = -Infinity;
  return values.map((value) => (most = Math.max(most, value)));
}

// ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Between two knots: the lower one and how far from it, 0 to 1. */
interface Place {
  readonly knot: number;
  readonly share: number;
}

function logHazardWithin(curve: ImpostorCurve, distance: number, identityCount: number): number {
  if (identityCount <= 0) return logNever;
  const { sizes, logHazards } = curve;
  const place = placeOf(curve.distances, distance);
  const at = (row: number): number => along(logHazards[row] as readonly number[], place);
  const last = sizes.length - 1;
  const largest = sizes[last] as number;
  if (identityCount >= largest) return at(last) + Math.log(identityCount / largest);
  const above = sizes.findIndex((size) => size > identityCount);
  const [from, to] = [sizes[above - 1] as number, sizes[above] as number];
  return at(above - 1) + ((at(above) - at(above - 1)) * Math.log(identityCount / from)) / Math.log(to / from);
}

function placeOf(distances: readonly number[], distance: number): Place {
  let [low, high] = [0, distances.length - 1];
  if (distance >= (distances[high] as number)) return { knot: high - 1, share: 1 };
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((distances[middle] as number) <= distance) low = middle;
    else high = middle;
  }
  const [from, to] = [distances[low] as number, distances[high] as number];
  return { knot: low, share: Math.max(0, distance - from) / (to - from) };
}

function along(values: readonly number[], { knot, share }: Place): number {
  const [from, to] = [values[knot] as number, values[knot + 1] as number];
  return from + (to - from) * share;
}

function logOf(hazard: number): number {
  return hazard > 0 ? Math.max(logNever, Math.log(hazard)) : logNever;
}

function rateOf(logHazard: number): number {
  return logHazard <= logNever ? 0 : -Math.expm1(-Math.exp(logHazard));
}
