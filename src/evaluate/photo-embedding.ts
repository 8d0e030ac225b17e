/**
 * The vector of the one face that a photo is about, from the cache where it is known.
 */
import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { asHarmonidError, HarmonidError, throwIfAborted } from '../errors.js';
import type { UnitVector } from '../vector.js';
import type { Embedder } from '../embedder/embedder.js';
import type { EmbeddingCache } from './embedding-cache.js';
import { chooseFace, type FaceChoice } from './face-choice.js';

/**
 * `full`: photos are detected, aligned and embedded. `centre`: nothing is detected, the same part of every photo is cut out (FaceNet, section 5.6: "fixed
 * center crop"). The others are crops: of the pack's chip (`aligned`), or InsightFace's of 112x112.
 */
export const photoKinds = ['full', 'centre', 'aligned', 'arcface112'] as const;
export type PhotoKind = (typeof photoKinds)[number];

export interface PhotoEmbedding {
  /** Null when no face was found. */
  readonly vector: UnitVector | null;
  readonly cached: boolean;
}

/**
 * @param name of the photo, for errors
 * @throws IMAGE_* with the photo's name, CANCELLED
 */
export async function embedPhoto(
  embedder: Embedder,
  image: Uint8Array,
  name: string,
  options: {
    readonly kind: PhotoKind;
    readonly faceChoice: FaceChoice;
    readonly cache: EmbeddingCache;
    readonly signal: AbortSignal;
  },
): Promise<PhotoEmbedding> {
  const { kind, faceChoice, cache, signal } = options;
  const { space, detector, mirrorAveraging } = embedder.info;
  const pipeline = kind === 'full' ? ['full', detector, faceChoice] : [kind];
  const digest = createHash('sha256').update(image).digest('hex');
  const key = [digest, space, mirrorAveraging ? 'mirror' : 'plain', ...pipeline].join(' ');
  const known = cache.get(key);
  if (known !== undefined) return { vector: known, cached: true };
  try {
    const found =
      kind === 'full'
        ? await embedder.embedImage(image, { signal })
        : await embedder.embedAlignedCrop(image, { signal, alignment: kind === 'aligned' ? 'chip' : kind });
    const vector = chooseFace(found, faceChoice)?.vector ?? null;
    await cache.set(key, vector);
    return { vector, cached: false };
  } catch (error) {
    if (signal.aborted) throw error;
    const { code, message, details } = asHarmonidError(error);
    throw new HarmonidError(code, `${name}: ${message}`, { details: { ...details, photo: name }, cause: error });
  }
}

/** Works on `items`, some at once; the first failure aborts `signal` for all of them and is thrown. */
export async function eachAtOnce<Item>(
  items: readonly Item[],
  concurrency: number,
  outer: AbortSignal | undefined,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  // The loops share one iterator, so each item is taken by one of them.
  const queue = items.values();
  const stop = new AbortController();
  const signal = outer ? AbortSignal.any([outer, stop.signal]) : stop.signal;
  // Every photo in work listens to it; that is no leak.
  setMaxListeners(0, signal);
  const loop = async (): Promise<void> => {
    for (const item of queue) {
      throwIfAborted(signal);
      await work(item, signal);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.max(1, concurrency) }, loop));
  } catch (error) {
    stop.abort();
    throw error;
  }
}
