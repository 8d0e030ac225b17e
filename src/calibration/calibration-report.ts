/** What a calibration says, for people and for programs: thresholds for round rates, and the whole curve. Pure. */
import { fpirIntervalWithin } from './impostor-curve.js';
import {
  thresholdFor,
  type CalibratedThreshold,
  type GalleryCalibration,
  type RateKind,
} from './gallery-calibration.js';

/** The rates at one distance, each with the interval that holds it with 90 % probability. */
export interface CalibrationPoint {
  /** Squared L2. */
  readonly distance: number;
  /** Of a verification. */
  readonly fmr: number;
  readonly fmrLow: number;
  readonly fmrHigh: number;
  /** Of a search among all identities. */
  readonly fpir: number;
  readonly fpirLow: number;
  readonly fpirHigh: number;
}

export interface Calibration {
  readonly gallery: string;
  readonly space: string;
  readonly calibratedAt: Date;
  /** Of the gallery when it was read. */
  readonly sequence: number;
  /** Then. */
  readonly identityCount: number;
  readonly templateCount: number;
  /** Of those, by an adapter: see docs/MIGRATION.md. */
  readonly mappedCount: number;
  /** Faces that were compared with everybody, each of another person. */
  readonly probeCount: number;
  /** Of those, faces that the caller gave. */
  readonly givenCount: number;
  /** Probe and identity. */
  readonly comparisonCount: number;
  /** Pairs of identities that were left out: taken to be one person. */
  readonly samePairCount: number;
  /** Identities that FPIR speaks of: those of the gallery now. */
  readonly searchedCount: number;
  /** For the gallery's targets, where it has any, and for powers of ten; FPIR first, large rates first. */
  readonly thresholds: readonly CalibratedThreshold[];
  /** By rising distance. */
  readonly points: readonly CalibrationPoint[];
}

export interface Targets {
  readonly fpirTarget: number | null;
  readonly fmrTarget: number | null;
}

const fpirs = [1e-1, 1e-2, 1e-3, 1e-4];
const fmrs = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6];
/** Below it a rate is of no use to anybody: a tail can be reckoned as far down as one likes. */
export const rateMin = 1e-10;

/** Where a rate is reached. */
export interface RateDistance {
  /** Squared L2. */
  readonly distance: number;
  /** Hold the rate at that distance with 90 % probability. */
  readonly low: number;
  readonly high: number;
}

/**
 * The distance at which a rate is reached, read off the points as the curve that they are of runs (impostor-curve.ts): between two of them ln H is straight, H = -ln(1 - rate).
 * @returns distance 0 where the rate is smaller than at the nearest point, and the farthest point where it is larger than there
 */
export function distanceAtRate(points: readonly CalibrationPoint[], kind: RateKind, rate: number): RateDistance {
  const above = points.findIndex((point) => point[kind] > rate);
  const last = points.at(-1);
  if (above === 0 || !last) return { distance: 0, low: 0, high: 0 };
  const [from, to] =
    above < 0 ? [last, last] : [points[above - 1] as CalibrationPoint, points[above] as CalibrationPoint];
  const [start, end] = [logHazard(from[kind]), logHazard(to[kind])];
  const share = from === to ? 0 : (logHazard(rate) - start) / (end - start);
  const along = (one: number, other: number): number => one + (other - one) * share;
  const rateAlong = (one: number, other: number): number =>
    -Math.expm1(-Math.exp(along(logHazard(one), logHazard(other))));
  return {
    distance: along(from.distance, to.distance),
    low: rateAlong(from[`${kind}Low`], to[`${kind}Low`]),
    high: rateAlong(from[`${kind}High`], to[`${kind}High`]),
  };
}

/** Never and always are as good as that. */
function logHazard(rate: number): number {
  return Math.log(-Math.log1p(-Math.min(Math.max(rate, 1e-300), 1 - 1e-9)));
}

export function reportOf(
  gallery: string,
  calibration: GalleryCalibration,
  { fpirTarget, fmrTarget }: Targets,
  searchedCount: number,
): Calibration {
  const { space, at, sequence, identityCount, templateCount, curve } = calibration;
  const { probeCount, givenCount, comparisonCount, samePairCount } = calibration;
  const searched = Math.max(1, searchedCount);
  const thresholdsOf = (kind: 'fpir' | 'fmr', target: number | null, rates: readonly number[]): CalibratedThreshold[] =>
    [...new Set([...(target === null ? [] : [target]), ...rates])]
      .toSorted((one, other) => other - one)
      .map((rate) => thresholdFor(calibration, kind, rate, searched));
  return {
    gallery,
    space,
    calibratedAt: new Date(at),
    sequence,
    identityCount,
    templateCount: templateCount.native + templateCount.mapped + templateCount['re-embedded'],
    mappedCount: templateCount.mapped,
    probeCount,
    givenCount,
    comparisonCount,
    samePairCount,
    searchedCount: searched,
    thresholds: [...thresholdsOf('fpir', fpirTarget, fpirs), ...thresholdsOf('fmr', fmrTarget, fmrs)],
    points: curve.distances.flatMap((distance) => {
      const [fmr, fpir] = [fpirIntervalWithin(curve, distance, 1), fpirIntervalWithin(curve, distance, searched)];
      if (fmr.rate < rateMin) return [];
      return [
        {
          distance,
          fmr: fmr.rate,
          fmrLow: fmr.low,
          fmrHigh: fmr.high,
          fpir: fpir.rate,
          fpirLow: fpir.low,
          fpirHigh: fpir.high,
        },
      ];
    }),
  };
}
