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
import { compressorOf, isLearned, type Compression } from './compression.js';
import { emptyCache, openEmbeddingCache } from './embedding-cache.js';
import { estimate, farsOf, pairedDifference, type Estimate } from './error-rates.js';
import { foldRates, pairedVals, type FoldRates, type PairedVal } from './fold-rates.js';
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

export interface DimensionsRow extends Compression {
  /** Against float32. */
  readonly vals: readonly PairedVal[];
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
  const [whole] = rates as [FoldRates];
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
        accuracyDifference: pairedDifference(accuracies, whole.accuracies),
        vals: pairedVals({ accuracies, vals }, whole, fars, pairs),
      };
    }),
  };
}

function waysOf(counts: readonly number[], whole: number): readonly Compression[] {
  return [
    { kind: 'float32', dimensions: whole, bytes: 4 * whole },
    { kind: 'int8-learned', dimensions: whole, bytes: whole },
    { kind: 'int8-engine', dimensions: whole, bytes: whole },
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
  const judge = async (fit: Matrix): Promise<FoldRates> => {
    const compress = await compressorOf(algebra, way, fit);
    return foldRates(comparePairs(pairs, rowsByPhoto(photos, vectors, await compress(all))), fars);
  };
  if (!isLearned(way)) return judge(all);
  const learned: FoldRates[] = [];
  for (const [held, fold] of pairs.folds.entries()) {
    const named = new Set(fold.flatMap(({ a, b }) => [personOf(a), personOf(b)]));
    const others = photos.flatMap(({ photo }, row) => (named.has(personOf(photo)) ? [] : [row]));
    if (others.length < 2)
      throw new HarmonidError(
        'INVALID_ARGUMENT',
        `fold ${held + 1} names all people but those of ${others.length} photos: there is nobody else to learn from`,
      );
    learned.push(await judge(pickRows(all, others)));
  }
  // Of what was learned for a fold only the rates of that fold count.
  const ownOf = (rates: (of: FoldRates) => readonly number[] | null | undefined): number[] =>
    learned.flatMap((one, held) => rates(one)?.[held] ?? []);
  return {
    accuracies: ownOf(({ accuracies }) => accuracies),
    vals: fars.map((_, at) => (learned[0]?.vals[at] ? ownOf(({ vals }) => vals[at]) : null)),
  };
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
