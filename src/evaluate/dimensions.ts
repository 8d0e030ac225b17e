/**
 * What embeddings are worth with fewer dimensions or fewer bits (FaceNet, section 5.5: embedding dimensionality).
 *
 * Promises: whatever is learned (principal components, centres and scales) is learned anew for each fold from the photos of people whom the fold does not name, and
 * so is the threshold. The difference to float32 is taken fold by fold, on the same pairs. A pair whose faces were not both found is refused in all ways alike.
 */
import { HarmonidError, throwIfAborted } from '../errors.js';
import { trustUnitVector } from '../vector.js';
import type { Embedder } from '../embedder/embedder.js';
import type { Algebra } from '../migrate/dense-algebra.js';
import { pickRows, rowOf, stackRows, type Matrix } from '../migrate/matrix.js';
import { compressorOf, isLearned, type Compression, type Compressor } from './compression.js';
import { emptyCache, openEmbeddingCache } from './embedding-cache.js';
import {
  estimate,
  farsOf,
  farSupport,
  mostAccurateThreshold,
  pairedDifference,
  pool,
  thresholdAtFar,
  type Estimate,
  type FarSupport,
  type FoldDistances,
} from './error-rates.js';
import { attemptedDistances, comparePairs, personOf } from './pair-distances.js';
import type { PhotoKind } from './photo-embedding.js';
import type { PhotoName } from './pairs.js';
import { embedPhotos, type PairProtocol, type PhotoVectors } from './photo-vectors.js';

export interface DimensionsOptions extends PairProtocol {
  /** Stays open. */
  readonly embedder: Embedder;
  /** Of the products; stays open. */
  readonly algebra: Algebra;
  /** Numbers of dimensions to be left, below the embedder's. Default: `standardDimensions`. */
  readonly dimensions?: readonly number[] | undefined;
}

export const standardDimensions = [16, 32, 64, 96, 128, 192, 256, 384, 512] as const;

export interface CompressedVal {
  readonly far: number;
  readonly support: FarSupport;
  /** Held out; null when not measurable, and so is the difference. */
  readonly val: Estimate | null;
  /** Less that of float32, fold by fold. */
  readonly difference: Estimate | null;
}

export interface DimensionsRow extends Compression {
  readonly vals: readonly CompressedVal[];
  /** Held out; pairs that could not be compared are errors. */
  readonly accuracy: Estimate;
  readonly accuracyDifference: Estimate;
}

/** JSON values only. */
export interface DimensionsReport {
  readonly pack: string;
  readonly space: string;
  readonly mode: PhotoKind;
  readonly detector: string;
  readonly faceChoice: string;
  readonly mirrorAveraging: boolean;
  readonly dimensions: number;
  readonly folds: number;
  readonly pairs: number;
  readonly photos: number;
  readonly facesNotFound: number;
  /** Float32 first. */
  readonly rows: readonly DimensionsRow[];
}

/** Rates of each fold, held out. */
interface FoldRates {
  readonly accuracies: readonly number[];
  /** An entry a FAR; null when not measurable. */
  readonly vals: readonly (readonly number[] | null)[];
}

/** @throws INVALID_ARGUMENT for dimensions out of range, for a fold that names everybody, and for a photo that is not there; IMAGE_* with the photo's name; CANCELLED */
export async function evaluateDimensions(options: DimensionsOptions): Promise<DimensionsReport> {
  const { embedder, pairs, mode = 'full', faceChoice = 'central', cachePath, signal } = options;
  const { pack, space, detector, mirrorAveraging, dimensions } = embedder.info;
  const wanted = options.dimensions ?? standardDimensions.filter((count) => count < dimensions);
  const wrong = wanted.find((count) => !Number.isInteger(count) || count < 1 || count > dimensions);
  if (wrong !== undefined)
    throw new HarmonidError('INVALID_ARGUMENT', `${wrong} dimensions are asked for, ${pack} has ${dimensions}`);
  const cache = cachePath === undefined ? emptyCache() : await openEmbeddingCache(cachePath, dimensions);
  const { vectors } = await embedPhotos(embedder, options, cache);
  const ways = waysOf(wanted, dimensions);
  const fars = farsOf(attemptedDistances(comparePairs(pairs, vectors)));
  const rates: FoldRates[] = [];
  for (const way of ways) {
    throwIfAborted(signal);
    rates.push(await ratesOf(way, vectors, options, fars));
  }
  const [whole] = rates;
  return {
    pack,
    space,
    mode,
    detector,
    faceChoice,
    mirrorAveraging,
    dimensions,
    folds: pairs.folds.length,
    pairs: 2 * pairs.pairsPerFold * pairs.folds.length,
    photos: vectors.size,
    facesNotFound: [...vectors.values()].filter((vector) => vector === null).length,
    rows: ways.map((way, i): DimensionsRow => {
      const { accuracies, vals } = rates[i] as FoldRates;
      return {
        ...way,
        accuracy: estimate(accuracies),
        accuracyDifference: pairedDifference(accuracies, whole?.accuracies ?? []),
        vals: fars.map((far, at) => {
          const [val, wholeVal] = [vals[at] ?? null, whole?.vals[at] ?? null];
          return {
            far,
            support: farSupport(far, pairs.pairsPerFold * (pairs.folds.length - 1)),
            val: val && estimate(val),
            difference: val && wholeVal && pairedDifference(val, wholeVal),
          };
        }),
      };
    }),
  };
}

function waysOf(counts: readonly number[], whole: number): readonly Compression[] {
  return [
    { kind: 'float32', dimensions: whole, bytes: 4 * whole },
    { kind: 'int8-learned', dimensions: whole, bytes: whole },
    { kind: 'int8-symmetric', dimensions: whole, bytes: whole },
    ...counts.map((count): Compression => ({ kind: 'cut', dimensions: count, bytes: 4 * count })),
    ...counts.map((count): Compression => ({ kind: 'projected', dimensions: count, bytes: 4 * count })),
  ];
}

async function ratesOf(
  way: Compression,
  vectors: PhotoVectors,
  { algebra, pairs }: DimensionsOptions,
  fars: readonly number[],
): Promise<FoldRates> {
  const photos = [...vectors].flatMap(([photo, vector]) => (vector ? [{ photo, vector }] : []));
  const all = stackRows(
    photos.map(({ vector }) => vector),
    photos[0]?.vector.length ?? 0,
  );
  const judge = async (compressor: Compressor): Promise<readonly FoldDistances[]> =>
    attemptedDistances(comparePairs(pairs, rowsByPhoto(photos, vectors, await compressor(all))));
  const unlearned = isLearned(way) ? null : await judge(await compressorOf(algebra, way, all));
  const rates: { accuracies: number[]; vals: (number[] | null)[] } = { accuracies: [], vals: fars.map(() => []) };
  for (const [held, fold] of pairs.folds.entries()) {
    const named = new Set(fold.flatMap(({ a, b }) => [personOf(a), personOf(b)]));
    const others = photos.flatMap(({ photo }, row) => (named.has(personOf(photo)) ? [] : [row]));
    if (!unlearned && others.length < 2)
      throw new HarmonidError(
        'INVALID_ARGUMENT',
        `fold ${held + 1} names all people but those of ${others.length} photos: there is nobody else to learn from`,
      );
    const folds = unlearned ?? (await judge(await compressorOf(algebra, way, pickRows(all, others))));
    const [rest, own] = [pool(folds, held), folds[held] as FoldDistances];
    rates.accuracies.push(accuracyAt(own, mostAccurateThreshold(finite(rest))));
    fars.forEach((far, at) => {
      if (farSupport(far, rest.impostor.length) === 'not-measurable') rates.vals[at] = null;
      else rates.vals[at]?.push(shareWithin(own.genuine, thresholdAtFar(rest, far)));
    });
  }
  return rates;
}

function rowsByPhoto(
  photos: readonly { readonly photo: PhotoName }[],
  vectors: PhotoVectors,
  rows: Matrix,
): PhotoVectors {
  const compressed = new Map(vectors);
  photos.forEach(({ photo }, row) => compressed.set(photo, trustUnitVector(rowOf(rows, row))));
  return compressed;
}

function finite({ genuine, impostor }: FoldDistances): FoldDistances {
  return { genuine: genuine.filter(Number.isFinite), impostor: impostor.filter(Number.isFinite) };
}

function accuracyAt(fold: FoldDistances, threshold: number): number {
  const { genuine, impostor } = finite(fold);
  const right =
    genuine.length * shareWithin(genuine, threshold) + impostor.length * (1 - shareWithin(impostor, threshold));
  return right / (fold.genuine.length + fold.impostor.length);
}

function shareWithin(distances: readonly number[], threshold: number): number {
  return distances.length === 0 ? 0 : distances.filter((distance) => distance <= threshold).length / distances.length;
}
