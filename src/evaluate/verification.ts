/**
 * One-to-one verification after the protocol of LFW View 2, over any embedder and any list of pairs.
 *
 * Promises: each distinct photo is embedded once; a photo without a face is counted and named, never replaced by a guess; every
 * figure says which pairs it covers. `accuracy` is over the pairs whose faces were both found, `accuracyOverall` counts the
 * others as errors. Nothing is tuned on a fold that is reported (see error-rates.ts).
 */
import type { Embedder } from '../embedder/embedder.js';
import { emptyCache, openEmbeddingCache } from './embedding-cache.js';
import {
  estimate,
  farsOf,
  foldedAccuracy,
  histogramOf,
  pool,
  rocCorners,
  valAtFar,
  type Estimate,
  type RocPoint,
  type ValAtFar,
} from './error-rates.js';
import type { FaceChoice } from './face-choice.js';
import { overallAccuracies } from './fold-rates.js';
import { comparedDistances, comparePairs, wrongPairs, type ComparedFold, type WrongPair } from './pair-distances.js';
import type { PhotoName } from './pairs.js';
import type { PhotoKind } from './photo-embedding.js';
import { embedPhotos, type PairProtocol } from './photo-vectors.js';
import { rocBand, type BandPoint } from './roc-band.js';

export interface VerificationOptions extends PairProtocol {
  /** Stays open. */
  readonly embedder: Embedder;
  /** Of the draws of people for the band around the ROC. Default 1. */
  readonly seed?: number | undefined;
}

/** Figures of one run. JSON values only. */
export interface VerificationReport {
  readonly pack: string;
  readonly space: string;
  readonly provider: string;
  readonly detector: string;
  readonly mirrorAveraging: boolean;
  readonly mode: PhotoKind;
  readonly faceChoice: FaceChoice;
  readonly folds: number;
  readonly pairs: { readonly total: number; readonly genuine: number; readonly impostor: number };
  /** Pairs whose faces were both found. */
  readonly pairsCompared: { readonly total: number; readonly genuine: number; readonly impostor: number };
  readonly photos: number;
  /** Failures to acquire: photos in which no face was found. */
  readonly facesNotFound: { readonly count: number; readonly share: number; readonly photos: readonly PhotoName[] };
  /** Over the pairs compared, held out. */
  readonly accuracy: Estimate;
  /** Over all pairs; those that could not be compared are errors. */
  readonly accuracyOverall: Estimate;
  /** Mean of the folds' most accurate thresholds, squared L2. */
  readonly threshold: number;
  /** Over the pairs compared, held out. */
  readonly valAtFar: readonly ValAtFar[];
  /** Corners of the ROC over all pairs compared. */
  readonly roc: readonly RocPoint[];
  /** 95 % around it, pointwise, people drawn anew (roc-band.ts), at FARs from one impostor pair to all, ascending. */
  readonly rocBand: readonly BandPoint[];
  /** Shares of the distances of the pairs compared, in equal bins over [0, 4]. */
  readonly histograms: { readonly genuine: readonly number[]; readonly impostor: readonly number[] };
  /** Pairs compared on the wrong side of their fold's most accurate threshold (FaceNet, section 5.6, shows them). */
  readonly wronglyClassified: readonly WrongPair[];
  /** Photos embedded in this run, without those from the cache. */
  readonly photosEmbedded: number;
  /** Wall-clock, reading included; null when all came from the cache. */
  readonly imagesPerSecond: number | null;
  /** Of the draws of people. */
  readonly seed: number;
}

const histogramBins = 200;
/** Points of the band, equally far apart on a logarithmic axis. */
const bandPoints = 60;

/**
 * Runs the protocol.
 * @throws INVALID_ARGUMENT for a photo that is not there, or when a fold has no pair to compare; IMAGE_* with the photo's name;
 *   CANCELLED
 */
export async function evaluateVerification(options: VerificationOptions): Promise<VerificationReport> {
  return (await verifyPairs(options)).report;
}

/** The same, with the pairs themselves, for protocols that go on from there. */
export async function verifyPairs(
  options: VerificationOptions,
): Promise<{ report: VerificationReport; folds: readonly ComparedFold[] }> {
  const { embedder, pairs, mode = 'full', faceChoice = 'central', cachePath, seed = 1 } = options;
  const { pack, space, provider, detector, mirrorAveraging, dimensions } = embedder.info;
  const cache = cachePath === undefined ? emptyCache() : await openEmbeddingCache(cachePath, dimensions);
  const { vectors, embeddedCount, imagesPerSecond } = await embedPhotos(embedder, options, cache);

  const compared = comparePairs(pairs, vectors);
  const folds = comparedDistances(compared);
  const { accuracy, threshold, foldThresholds } = foldedAccuracy(folds);
  const all = pool(folds);
  const notFound = [...vectors].flatMap(([photo, vector]) => (vector ? [] : [photo])).toSorted();
  const perKind = pairs.folds.length * pairs.pairsPerFold;
  const report: VerificationReport = {
    pack,
    space,
    provider,
    detector,
    mirrorAveraging,
    mode,
    faceChoice,
    folds: folds.length,
    pairs: { total: 2 * perKind, genuine: perKind, impostor: perKind },
    pairsCompared: {
      total: all.genuine.length + all.impostor.length,
      genuine: all.genuine.length,
      impostor: all.impostor.length,
    },
    photos: vectors.size,
    facesNotFound: { count: notFound.length, share: notFound.length / vectors.size, photos: notFound },
    accuracy,
    accuracyOverall: estimate(overallAccuracies(compared)),
    threshold,
    valAtFar: farsOf(folds).map((far) => valAtFar(folds, far)),
    roc: rocCorners(all),
    rocBand: rocBand(compared.flat(), bandFars(all.impostor.length), seed),
    histograms: {
      genuine: histogramOf(all.genuine, histogramBins),
      impostor: histogramOf(all.impostor, histogramBins),
    },
    wronglyClassified: wrongPairs(compared, foldThresholds),
    photosEmbedded: embeddedCount,
    imagesPerSecond,
    seed,
  };
  return { report, folds: compared };
}

/** From one pair in all to all. */
function bandFars(impostorCount: number): readonly number[] {
  return Array.from({ length: bandPoints }, (_, i) => impostorCount ** (i / (bandPoints - 1) - 1));
}
