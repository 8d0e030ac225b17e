/**
 * Photos of which it is known whose they are, and their vectors.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Embedder } from '../embedder/embedder.js';
import type { UnitVector } from '../vector.js';
import { emptyCache, openEmbeddingCache } from './embedding-cache.js';
import type { FaceChoice } from './face-choice.js';
import { eachAtOnce, embedPhoto, type PhotoKind } from './photo-embedding.js';

export interface PersonPhoto {
  readonly person: string;
  readonly path: string;
}

/** Null where no face was found; in the order of the photos. */
export type PhotoVectors = ReadonlyMap<PersonPhoto, UnitVector | null>;

/** What protocols on photos of people have in common. */
export interface LabelledPhotos {
  readonly photos: readonly PersonPhoto[];
  /** Default `full`. */
  readonly kind?: PhotoKind | undefined;
  /** Default `central`: see face-choice.ts. Only for `full`. */
  readonly faceChoice?: FaceChoice | undefined;
  /** Photos in work at once. Larger needs more memory. Default 32. */
  readonly concurrency?: number | undefined;
  /** File that keeps embeddings, so that a second run resumes. Default none. */
  readonly cachePath?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Embeds each photo that the cache does not know. @throws IMAGE_* with the photo's name, CANCELLED */
export async function embedPersonPhotos(
  embedder: Embedder,
  options: LabelledPhotos,
  onPhoto: (done: number, total: number) => void = () => undefined,
): Promise<{ vectors: PhotoVectors; embeddedCount: number }> {
  const { photos, kind = 'full', faceChoice = 'central', concurrency = 32, cachePath, signal } = options;
  const cache = cachePath === undefined ? emptyCache() : await openEmbeddingCache(cachePath, embedder.info.dimensions);
  const vectors = new Map<PersonPhoto, UnitVector | null>(photos.map((photo) => [photo, null]));
  let [done, embeddedCount] = [0, 0];
  await eachAtOnce(photos, concurrency, signal, async (photo, stopSignal) => {
    const shared = { kind, faceChoice, cache, signal: stopSignal };
    const { vector, cached } = await embedPhoto(embedder, await readFile(photo.path), photoName(photo), shared);
    vectors.set(photo, vector);
    if (!cached) embeddedCount++;
    onPhoto(++done, photos.length);
  });
  return { vectors, embeddedCount };
}

/** Of each person, both in the order of their names, so that nothing depends on how a folder was listed. */
export function photosByPerson(photos: readonly PersonPhoto[]): readonly (readonly PersonPhoto[])[] {
  const people = new Map<string, PersonPhoto[]>();
  for (const photo of photos.toSorted((one, other) => (one.path < other.path ? -1 : 1))) {
    const own = people.get(photo.person);
    if (own) own.push(photo);
    else people.set(photo.person, [photo]);
  }
  return [...people.keys()].toSorted().map((person) => people.get(person) as PersonPhoto[]);
}

/** `person/file`. */
export function photoName({ person, path }: PersonPhoto): string {
  return `${person}/${basename(path)}`;
}

/** The mean vector of each person, which is shorter than 1. */
export function meanVectors(vectors: PhotoVectors, dimensions: number): readonly Float32Array[] {
  const sums = new Map<string, { readonly sum: Float64Array; count: number }>();
  for (const [{ person }, vector] of vectors) {
    if (!vector) continue;
    const own = sums.get(person) ?? { sum: new Float64Array(dimensions), count: 0 };
    sums.set(person, own);
    own.count++;
    vector.forEach((value, i) => (own.sum[i] = (own.sum[i] as number) + value));
  }
  return Array.from(sums.values(), ({ sum, count }) => Float32Array.from(sum, (value) => value / count));
}
