/**
 * What the people of a gallery say about its distances: which distance gives which rate of false positives, and how far that can be trusted.
 *
 * Made from comparisons of people who are there, kept as numbers about all of them together. Pure.
 */
import type { TemplateOrigin } from '../index/records.js';
import { distanceAtFpir, fpirIntervalWithin, type ImpostorCurve } from './impostor-curve.js';
import type { RateInterval } from './impostor-tail.js';

export interface GalleryCalibration {
  /** Distances of this space alone. */
  readonly space: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Of the gallery when it was read. */
  readonly sequence: number;
  readonly identityCount: number;
  readonly templateCount: Readonly<Record<TemplateOrigin, number>>;
  /** Faces that were compared with everybody, each of another person. */
  readonly probeCount: number;
  /** Of those, faces that the caller gave. */
  readonly givenCount: number;
  /** Probe and identity. */
  readonly comparisonCount: number;
  /** Pairs of identities that were left out: taken to be one person. */
  readonly samePairCount: number;
  readonly curve: ImpostorCurve;
}

/** The error rate that a threshold is chosen for: FPIR of a search in so many identities, or FMR of a verification. */
export type RateKind = 'fpir' | 'fmr';

/**
 * How a rate is known. `counted`: at least 30 of the probes are as near (Doddington's rule of 30). `extrapolated`: the tail's model says so, and its interval ends below
 * three times the rate that is wanted. `too-few`: there are too few people to promise it.
 */
export type RateSupport = 'counted' | 'extrapolated' | 'too-few';

export interface CalibratedThreshold {
  readonly kind: RateKind;
  /** The rate that is wanted. */
  readonly rate: number;
  /** Identities searched; 1 for a verification. */
  readonly identityCount: number;
  /** Squared L2: the largest at which the rate is at most the one that is wanted. */
  readonly threshold: number;
  /** Holds the rate at that threshold with 90 % probability. */
  readonly low: number;
  readonly high: number;
  readonly support: RateSupport;
}

const countedMin = 30;
/** What is promised may turn out to be so much more. */
const promiseFactor = 3;

/** @param rate in (0, 1) @param identityCount at least 1 */
export function thresholdFor(
  { curve, probeCount }: GalleryCalibration,
  kind: RateKind,
  rate: number,
  identityCount: number,
): CalibratedThreshold {
  const searched = kind === 'fmr' ? 1 : identityCount;
  const threshold = distanceAtFpir(curve, rate, searched);
  const { low, high } = fpirIntervalWithin(curve, threshold, searched);
  const others = curve.sizes.at(-1) as number;
  const near = probeCount * fpirIntervalWithin(curve, threshold, others).rate;
  const support = near >= countedMin ? 'counted' : high <= promiseFactor * rate ? 'extrapolated' : 'too-few';
  return { kind, rate, identityCount: searched, threshold, low, high, support };
}

/** The rate of false positives of a threshold at this very distance. @param identityCount 1 for FMR */
export function rateAt(calibration: GalleryCalibration, distance: number, identityCount: number): RateInterval {
  return fpirIntervalWithin(calibration.curve, distance, identityCount);
}
