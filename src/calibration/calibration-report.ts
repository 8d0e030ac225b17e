/** What a calibration says, for people and for programs: thresholds for round rates, and the whole curve. Pure. */
import { fpirIntervalWithin } from './impostor-curve.js';
import { thresholdFor, type CalibratedThreshold, type GalleryCalibration } from './gallery-calibration.js';

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
/** Below it a rate is of no use to anybody. */
const rateMin = 1e-10;

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
