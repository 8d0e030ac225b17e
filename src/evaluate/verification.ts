/**
 * One-to-one verification after the protocol of LFW View 2, over any embedder and any list of pairs.
 *
 * Promises: each distinct photo is embedded once; a photo without a face is counted and named, never replaced by a guess; every
 * figure says which pairs it covers. `accuracy` is over the pairs whose faces were both found, `accuracyOverall` counts the
 * others as errors. Nothing is tuned on a fold that is reported (see error-rates.ts).
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HarmonidError } from '../errors.js';
import { squaredDistance, type UnitVector } from '../vector.js';
import type { Embedder } from '../embedder/embedder.js';
import { emptyCache, openEmbeddingCache, type EmbeddingCache } from './embedding-cache.js';
import {
  foldedAccuracy,
  pool,
  rocCorners,
  valAtFar,
  type Estimate,
  type RocPoint,
  type ValAtFar,
} from './error-rates.js';
import type { FaceChoice } from './face-choice.js';
import { distancesOfFolds } from './pair-distances.js';
import { eachAtOnce, embedPhoto, type PhotoKind } from './photo-embedding.js';
import { photosOf, type PairList, type PhotoName } from './pairs.js';

export interface VerificationOptions {
  /** Stays open. */
  readonly embedder: Embedder;
  /** Folder with one folder a person: `name/name_0001.jpg` (or `.png`, `.jpeg`). */
  readonly imagesPath: string;
  readonly pairs: PairList;
  /** Default `full`. */
  readonly mode?: PhotoKind | undefined;
  /** Default `central`: see face-choice.ts. Only for `full`. */
  readonly faceChoice?: FaceChoice | undefined;
  /** Photos in work at once; they share batches. Larger needs more memory. Default 32. */
  readonly concurrency?: number | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** File that keeps embeddings, so that a second run resumes. Default none. */
  readonly cachePath?: string | undefined;
  readonly signal?: AbortSignal | undefined;
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
  /** Photos embedded in this run, without those from the cache. */
  readonly photosEmbedded: number;
  /** Wall-clock, reading included; null when all came from the cache. */
  readonly imagesPerSecond: number | null;
}

/** The FARs that LFW can speak about (FaceNet, section 5: VAL at FAR 1e-3). */
const fars = [1e-2, 1e-3] as const;

/**
 * Runs the protocol.
 * @throws INVALID_ARGUMENT for a photo that is not there, or when a fold has no pair to compare; IMAGE_* with the photo's name;
 *   CANCELLED
 */
export async function evaluateVerification(options: VerificationOptions): Promise<VerificationReport> {
  const { embedder, pairs, mode = 'full', faceChoice = 'central', cachePath } = options;
  const { pack, space, provider, detector, mirrorAveraging, dimensions } = embedder.info;
  const cache = cachePath === undefined ? emptyCache() : await openEmbeddingCache(cachePath, dimensions);

  const startedAt = performance.now();
  const { vectors, embeddedCount } = await embedPhotos(options, cache);
  const seconds = (performance.now() - startedAt) / 1000;

  const folds = distancesOfFolds(pairs.folds, ({ a, b }) => {
    const [one, other] = [vectors.get(a), vectors.get(b)];
    return one && other ? squaredDistance(one, other) : null;
  });
  const failures = folds.map(({ genuine, impostor }) => 2 * pairs.pairsPerFold - genuine.length - impostor.length);
  const { accuracy, threshold } = foldedAccuracy(folds);
  const all = pool(folds);
  const notFound = [...vectors].flatMap(([photo, vector]) => (vector ? [] : [photo])).toSorted();
  const perKind = pairs.folds.length * pairs.pairsPerFold;
  return {
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
    accuracyOverall: foldedAccuracy(folds, failures).accuracy,
    threshold,
    valAtFar: fars.map((far) => valAtFar(folds, far)),
    roc: rocCorners(all),
    photosEmbedded: embeddedCount,
    imagesPerSecond: embeddedCount === 0 ? null : embeddedCount / seconds,
  };
}

/** The vector of every photo, null where no face was found; in the order of the list. */
async function embedPhotos(
  options: VerificationOptions,
  cache: EmbeddingCache,
): Promise<{ vectors: ReadonlyMap<PhotoName, UnitVector | null>; embeddedCount: number }> {
  const { pairs, concurrency = 32, onProgress, signal } = options;
  const photos = photosOf(pairs);
  const vectors = new Map<PhotoName, UnitVector | null>(photos.map((photo) => [photo, null]));
  let [done, embeddedCount] = [0, 0];
  const { embedder, imagesPath, mode: kind = 'full', faceChoice = 'central' } = options;
  await eachAtOnce(photos, concurrency, signal, async (photo, stopSignal) => {
    const image = await readPhoto(imagesPath, photo);
    const { vector, cached } = await embedPhoto(embedder, image, photo, {
      kind,
      faceChoice,
      cache,
      signal: stopSignal,
    });
    vectors.set(photo, vector);
    if (!cached) embeddedCount++;
    onProgress?.(++done, photos.length);
  });
  return { vectors, embeddedCount };
}

async function readPhoto(imagesPath: string, photo: PhotoName): Promise<Buffer> {
  for (const extension of ['.jpg', '.png', '.jpeg']) {
    try {
      return await readFile(join(imagesPath, photo + extension));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  }
  throw new HarmonidError(
    'INVALID_ARGUMENT',
    `the pairs name the photo ${photo}, but ${imagesPath} has neither ${photo}.jpg nor ${photo}.png`,
    { details: { photo, imagesPath } },
  );
}
