/**
 * A track: the frames of one face in one video, as a folder of images, and how alike two of them are.
 *
 * FaceNet (section 5.7) takes the mean similarity of all pairs of the first N frames of either in which a face was found. No pair need be
 * looked at: for unit vectors |a - b|² = 2 - 2 a·b, and the mean of a·b over all pairs of a and b is the product of sums divided by their numbers,
 * (mean a)·(mean b), since a product is linear in either. So a track is its mean vector, which is shorter than 1, and the mean of the squared distances
 * is 2 - 2 (mean a)·(mean b): not the distance of the means, which would leave out how much the frames differ.
 */
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { HarmonidError } from '../errors.js';
import type { UnitVector } from '../vector.js';
import type { TrackName } from './track-splits.js';

/** Frames of one track in work at once. */
const framesAtOnce = 8;
const frameExtensions = ['.jpg', '.jpeg', '.png'];

export interface TrackMean {
  /** Shape [dimensions], norm at most 1. */
  readonly mean: Float64Array;
  /** Frames with a face that it is of, at least 1. */
  readonly frames: number;
}

/** The mean of squared L2 distances over all pairs of frames, in [0, 4]. */
export function meanSquaredDistance(a: TrackMean, b: TrackMean): number {
  let product = 0;
  for (let i = 0; i < a.mean.length; i++) product += (a.mean[i] as number) * (b.mean[i] as number);
  return Math.min(4, Math.max(0, 2 - 2 * product));
}

export interface Track {
  /** Of the first so many frames with a face, an entry each of what was asked; null without any. */
  readonly means: readonly (TrackMean | null)[];
  readonly framesRead: number;
  readonly framesWithoutFace: number;
}

/**
 * Embeds the frames of a track in the order of their names, until the largest of `counts` had a face.
 * @param counts ascending
 * @param embed the face of a frame, null without one
 * @throws INVALID_ARGUMENT for a folder that is not there or has no images
 */
export async function readTrack(
  path: string,
  name: TrackName,
  counts: readonly number[],
  embed: (image: Uint8Array, name: string) => Promise<UnitVector | null>,
): Promise<Track> {
  const frames = await frameNames(path, name);
  const framesMax = counts.at(-1) ?? 0;
  const means: (TrackMean | null)[] = [];
  let sum: Float64Array | null = null;
  let [found, read] = [0, 0];
  while (read < frames.length && found < framesMax) {
    const next = frames.slice(read, read + Math.min(framesAtOnce, framesMax - found));
    const vectors = await Promise.all(
      next.map(async (frame) => embed(await readFile(join(path, name, frame)), `${name}/${frame}`)),
    );
    for (const vector of vectors) {
      read++;
      if (!vector) continue;
      sum ??= new Float64Array(vector.length);
      for (let i = 0; i < vector.length; i++) sum[i] = (sum[i] as number) + (vector[i] as number);
      if (counts[means.length] === ++found) means.push(meanOf(sum, found));
    }
  }
  while (means.length < counts.length) means.push(sum && meanOf(sum, found));
  return { means, framesRead: read, framesWithoutFace: read - found };
}

function meanOf(sum: Float64Array, frames: number): TrackMean {
  return { mean: sum.map((value) => value / frames), frames };
}

/** Numbers in names count as numbers: 0.9.jpg comes before 0.10.jpg. */
async function frameNames(path: string, name: TrackName): Promise<readonly string[]> {
  const entries = await readdir(join(path, name)).catch((error: unknown) => {
    throw new HarmonidError('INVALID_ARGUMENT', `the splits name the track ${name}, but ${path} has no such folder`, {
      details: { track: name, path },
      cause: error,
    });
  });
  const frames = entries.filter((entry) => frameExtensions.includes(extname(entry).toLowerCase()));
  if (frames.length === 0)
    throw new HarmonidError('INVALID_ARGUMENT', `the track ${name} has no frames (${frameExtensions.join(', ')})`, {
      details: { track: name, path },
    });
  return frames.toSorted(new Intl.Collator('en', { numeric: true }).compare);
}
