/**
 * The pairs that an adapter is fitted on, from photos: each through the old and the new model.
 */
import { readFile } from 'node:fs/promises';
import type { Embedder } from '../embedder/embedder.js';
import { makePairSet, type Pair, type PairSet, type PairSpace } from '../migrate/pair-set.js';
import { emptyCache, openEmbeddingCache } from './embedding-cache.js';
import type { FaceChoice } from './face-choice.js';
import { eachAtOnce, embedPhoto, type PhotoKind } from './photo-embedding.js';

export interface RolloutPhoto {
  readonly person: string;
  readonly path: string;
}

export interface PairPhotosOptions {
  /** Both stay open. */
  readonly from: Embedder;
  readonly to: Embedder;
  readonly photos: readonly RolloutPhoto[];
  readonly kind: PhotoKind;
  readonly faceChoice: FaceChoice;
  /** Photos in work at once. Default 32. */
  readonly concurrency?: number | undefined;
  /** File that keeps embeddings, so that a second run resumes. Default none. */
  readonly cachePath?: string | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** In the order of the photos, without those in which one of the models found no face. @throws IMAGE_*, CANCELLED */
export async function pairPhotos(options: PairPhotosOptions): Promise<{ pairs: PairSet; notFound: readonly string[] }> {
  const { from, to, photos, kind, faceChoice, concurrency = 32, cachePath, onProgress, signal } = options;
  const open = (embedder: Embedder) =>
    cachePath === undefined ? emptyCache() : openEmbeddingCache(cachePath, embedder.info.dimensions);
  const [cacheFrom, cacheTo] = [await open(from), await open(to)];
  const found: (Pair | null)[] = photos.map(() => null);
  let done = 0;
  await eachAtOnce([...photos.entries()], concurrency, signal, async ([position, { person, path }], stopSignal) => {
    const image = await readFile(path);
    const shared = { kind, faceChoice, signal: stopSignal };
    const [old, fresh] = await Promise.all([
      embedPhoto(from, image, path, { ...shared, cache: cacheFrom }),
      embedPhoto(to, image, path, { ...shared, cache: cacheTo }),
    ]);
    if (old.vector && fresh.vector) found[position] = { person, from: old.vector, to: fresh.vector };
    onProgress?.(++done, photos.length);
  });
  return {
    pairs: makePairSet(
      spaceOf(from),
      spaceOf(to),
      found.flatMap((pair) => pair ?? []),
    ),
    notFound: photos.filter((_, position) => found[position] === null).map(({ path }) => path),
  };
}

function spaceOf({ info: { space, dimensions } }: Embedder): PairSpace {
  return { space, dimensions };
}
