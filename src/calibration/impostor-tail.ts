/**
 * The tail of the nearest impostors: how often strangers come nearer than anybody was seen to come.
 *
 * Distances of probes to their nearest other identity are minima of many, so what lies below a low quantile of them follows a generalised Pareto distribution
 * (Pickands 1975; Balkema and de Haan 1974), with y = start - distance the depth below the quantile:
 *
 *   S(y) = (1 + shape y / scale)^(-1 / shape),  exp(-y / scale) for shape 0
 *
 * A gallery of some hundreds shows some tens of such depths. The best shape and scale alone would promise too much: where the fit is a little short, many more get in
 * than it says, and where it is a little long hardly fewer. So the tail is the mean over all shapes and scales, each weighted by how well it explains what was seen (the
 * posterior predictive distribution). Before anything is seen the shape is about -0.1, give or take 0.15: distances end at 0, so shapes are not positive for long, and minima of many
 * sums of 128 terms are near shape 0 (Gumbel). Pure.
 */
import { assertInvariant } from '../errors.js';

interface TailPoint {
  readonly shape: number;
  readonly scale: number;
  readonly weight: number;
}

export interface ImpostorTail {
  /** Squared L2, below which the tail speaks. */
  readonly start: number;
  /** Of the probes whose nearest other identity is below the start. */
  readonly share: number;
  /** How many they are. */
  readonly count: number;
  /** Weights sum to 1. */
  readonly points: readonly TailPoint[];
}

/** A rate and the interval that holds it with 90 % probability. */
export interface RateInterval {
  readonly rate: number;
  readonly low: number;
  readonly high: number;
}

/** Share of the probes in the tail. Larger holds more of them and less of what the theory is about. */
const tailShareWanted = 0.2;
/** Fewer say nothing about a shape. */
export const tailCountMin = 20;
/** Of the shape, before anything is seen. */
const prior = { mean: -0.1, deviation: 0.15 } as const;
const shapes = Array.from({ length: 33 }, (_, i) => -0.5 + i * 0.025);
/** Scales around the mean depth, by equal ratios. */
const scaleFactors = Array.from({ length: 41 }, (_, i) => 0.5 * 4 ** (i / 40));
/** Lighter points change no figure. */
const weightMin = 1e-5;
/** Of a normal distribution, for 5 % at either end. */
const normal95 = 1.645;

/**
 * @param nearest distances of probes to their nearest other identity, ascending
 * @param doubtedCount of the nearest, how many are taken to be no farther than they are, and nothing more: whoever looks for what does not belong in the tail must not let it
 *   shape the tail
 * @returns null when there are too few
 */
export function fitTail(nearest: Float64Array, doubtedCount = 0): ImpostorTail | null {
  const count = Math.round(tailShareWanted * nearest.length);
  if (count < tailCountMin) return null;
  const start = nearest[count] as number;
  const depths = Array.from(nearest.subarray(doubtedCount, count), (distance) => start - distance);
  const mean = depths.reduce((sum, depth) => sum + depth, 0) / depths.length;
  // Distances that are all the same have no tail.
  if (!(mean > 0)) return null;
  const candidates = shapes.flatMap((shape) =>
    scaleFactors.map((factor) => {
      const scale = mean * (1 - shape) * factor;
      const doubted = doubtedCount === 0 ? 0 : doubtedCount * Math.log(survival(depths[0] as number, shape, scale));
      return { shape, scale, weight: logLikelihood(depths, shape, scale) + doubted + logPrior(shape) };
    }),
  );
  const best = Math.max(...candidates.map(({ weight }) => weight));
  const weighted = candidates
    .map((point) => ({ ...point, weight: Math.exp(point.weight - best) }))
    .filter(({ weight }) => weight > weightMin);
  const sum = weighted.reduce((total, { weight }) => total + weight, 0);
  const points = weighted.map((point) => ({ ...point, weight: point.weight / sum }));
  return { start, share: count / nearest.length, count, points };
}

/** The share of probes whose nearest other identity is within a distance, at most the start's. */
export function shareWithin(tail: ImpostorTail, distance: number): number {
  const depth = tail.start - distance;
  assertInvariant(depth >= 0, 'a tail speaks below its start');
  return (
    tail.share * tail.points.reduce((sum, { shape, scale, weight }) => sum + weight * survival(depth, shape, scale), 0)
  );
}

/** The same, with what shape, scale and the number of probes leave open. */
export function shareIntervalWithin(tail: ImpostorTail, distance: number): RateInterval {
  const depth = tail.start - distance;
  const shares = tail.points
    .map(({ shape, scale, weight }) => ({ share: survival(depth, shape, scale), weight }))
    .toSorted((one, other) => one.share - other.share);
  const atStart = Math.exp(normal95 * Math.sqrt((1 - tail.share) / tail.count));
  const rate = shareWithin(tail, distance);
  // Deep in the tail the mean is that of a few shapes, and may lie outside of what nine tenths of them say.
  return {
    rate,
    low: Math.min(rate, (tail.share * quantile(shares, 0.05)) / atStart),
    high: Math.min(1, Math.max(rate, tail.share * quantile(shares, 0.95) * atStart)),
  };
}

function quantile(ascending: readonly { readonly share: number; readonly weight: number }[], level: number): number {
  let sum = 0;
  for (const { share, weight } of ascending) {
    sum += weight;
    if (sum >= level) return share;
  }
  return ascending.at(-1)?.share ?? 0;
}

function survival(depth: number, shape: number, scale: number): number {
  if (Math.abs(shape) < 1e-9) return Math.exp(-depth / scale);
  const base = 1 + (shape * depth) / scale;
  return base <= 0 ? 0 : base ** (-1 / shape);
}

function logLikelihood(depths: readonly number[], shape: number, scale: number): number {
  let sum = -depths.length * Math.log(scale);
  for (const depth of depths) {
    if (Math.abs(shape) < 1e-9) sum -= depth / scale;
    else {
      const base = 1 + (shape * depth) / scale;
      if (base <= 0) return -Infinity;
      sum -= (1 / shape + 1) * Math.log(base);
    }
  }
  return sum;
}

function logPrior(shape: number): number {
  return -0.5 * ((shape - prior.mean) / prior.deviation) ** 2;
}
