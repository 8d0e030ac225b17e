/**
 * The vectors of all photos that a list of pairs names: each photo is read and embedded once, some at a time.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HarmonidError } from '../errors.js';
import type { UnitVector } from '../vector.js';
import type { Embedder } from '../embedder/embedder.js';
import type { EmbeddingCache } from './embedding-cache.js';
import type { FaceChoice } from './face-choice.js';
import { photosOf, type PairList, type PhotoName } from './pairs.js';
import { eachAtOnce, embedPhoto, type PhotoKind } from './photo-embedding.js';

/** What protocols on pairs of photos have in common. */
export interface PairProtocol {
  /** Folder with one folder a person: `name/name_0001.jpg` (or `.png`, `.jpeg`), or names with an extension. */
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

/** Null where no face was found; in the order of the list. */
export type PhotoVectors = ReadonlyMap<PhotoName, UnitVector | null>;

export interface EmbeddedPhotos {
  readonly vectors: PhotoVectors;
  /** Photos embedded in this run, without those from the cache. */
  readonly embeddedCount: number;
  /** Wall-clock, reading included; null when all came from the cache. */
  readonly imagesPerSecond: number | null;
}

/** What is done to a photo before it is embedded. */
export type Preparation = (photo: PhotoName, bytes: Uint8Array) => Promise<Uint8Array>;

/**
 * @param protocol.prepare default: nothing; what it changes is another key of the cache
 * @throws INVALID_ARGUMENT for a photo that is not there; IMAGE_* with the photo's name; CANCELLED
 */
export async function embedPhotos(
  embedder: Embedder,
  protocol: PairProtocol & { readonly prepare?: Preparation | undefined },
  cache: EmbeddingCache,
): Promise<EmbeddedPhotos> {
  const { pairs, imagesPath, mode: kind = 'full', faceChoice = 'central', concurrency = 32 } = protocol;
  const photos = photosOf(pairs);
  const vectors = new Map<PhotoName, UnitVector | null>(photos.map((photo) => [photo, null]));
  const startedAt = performance.now();
  let [done, embeddedCount] = [0, 0];
  await eachAtOnce(photos, concurrency, protocol.signal, async (photo, signal) => {
    const stored = await readPhoto(imagesPath, photo);
    const image = protocol.prepare ? await protocol.prepare(photo, stored) : stored;
    const { vector, cached } = await embedPhoto(embedder, image, photo, { kind, faceChoice, cache, signal });
    vectors.set(photo, vector);
    if (!cached) embeddedCount++;
    protocol.onProgress?.(++done, photos.length);
  });
  const seconds = (performance.now() - startedAt) / 1000;
  return { vectors, embeddedCount, imagesPerSecond: embeddedCount === 0 ? null : embeddedCount / seconds };
}

/** @throws INVALID_ARGUMENT when it is not there */
export async function readPhoto(imagesPath: string, photo: PhotoName): Promise<Buffer> {
  // Names of LFW's have no extension, those of drawn pairs have their own.
  for (const extension of ['.jpg', '.png', '.jpeg', '']) {
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
