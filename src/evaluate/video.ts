/**
 * Verification of tracks out of videos after the protocol of YouTube Faces (Wolf, Hassner, Maoz 2011; FaceNet, section 5.7).
 *
 * The similarity of two tracks is the mean over all pairs of their first N frames in which a face was found (tracks.ts). In ten splits, the
 * threshold from the other nine. Each frame is embedded once. A track without any face is counted and named; `accuracy` is over the pairs
 * whose tracks both have one, `accuracyOverall` counts the others as errors.
 */
import type { Embedder } from '../embedder/embedder.js';
import { requireAscending } from './count-list.js';
import { emptyCache, openEmbeddingCache } from './embedding-cache.js';
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
import { comparedDistances } from './pair-distances.js';
import { eachAtOnce, embedPhoto, type PhotoKind } from './photo-embedding.js';
import type { TrackName, TrackSplits } from './track-splits.js';
import { meanSquaredDistance, readTrack, type Track } from './tracks.js';

export interface VideoOptions {
  /** Stays open. */
  readonly embedder: Embedder;
  /** Folder of `PERSON/TRACK/FRAME.jpg` (or `.png`, `.jpeg`). */
  readonly tracksPath: string;
  readonly splits: TrackSplits;
  /** First frames of a track that count, ascending. More cost time and little else. Default 100 and 1,000. */
  readonly frameCounts?: readonly number[] | undefined;
  /** Default `full`. */
  readonly kind?: PhotoKind | undefined;
  /** Default `central`: see face-choice.ts. Only for `full`. */
  readonly faceChoice?: FaceChoice | undefined;
  /** Tracks in work at once, each with some frames. Default 4. */
  readonly concurrency?: number | undefined;
  /** File that keeps embeddings, so that a second run resumes. Default none. */
  readonly cachePath?: string | undefined;
  /** Counts tracks. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** JSON values only. */
export interface VideoReport {
  readonly pack: string;
  readonly space: string;
  readonly provider: string;
  readonly detector: string;
  readonly mirrorAveraging: boolean;
  readonly kind: PhotoKind;
  readonly faceChoice: FaceChoice;
  readonly splits: number;
  readonly pairs: { readonly total: number; readonly genuine: number; readonly impostor: number };
  readonly tracks: number;
  readonly framesRead: number;
  readonly framesWithoutFace: number;
  readonly tracksWithoutFace: readonly TrackName[];
  /** An entry a frame count. */
  readonly figures: readonly VideoFigures[];
  /** Frames embedded in this run, without those from the cache. */
  readonly framesEmbedded: number;
  /** Wall-clock, reading included; null when all came from the cache. */
  readonly imagesPerSecond: number | null;
}

export interface VideoFigures {
  readonly framesMax: number;
  /** Frames that a track with a face really had, on average. */
  readonly framesMean: number;
  readonly pairsCompared: number;
  /** Over the pairs compared, held out. */
  readonly accuracy: Estimate;
  /** Over all pairs; those that could not be compared are errors. */
  readonly accuracyOverall: Estimate;
  /** Mean of the splits' most accurate thresholds, of the mean squared L2. */
  readonly threshold: number;
  readonly valAtFar: readonly ValAtFar[];
  readonly roc: readonly RocPoint[];
}

/** Longer tracks than any of YouTube Faces (6,070 frames). */
const framesMax = 100_000;
export const frameCountsDefault = [100, 1000] as const;
/** The FARs that the 2,500 impostor pairs of YouTube Faces can speak about. */
const fars = [1e-2, 1e-3] as const;

/** @throws INVALID_ARGUMENT for a track that is not there, or a split without a pair to compare; IMAGE_* with the frame's name; CANCELLED */
export async function evaluateVideo(options: VideoOptions): Promise<VideoReport> {
  const { embedder, splits, kind = 'full', faceChoice = 'central', frameCounts = frameCountsDefault } = options;
  requireAscending('frameCounts', frameCounts, framesMax);
  const { pack, space, provider, detector, mirrorAveraging } = embedder.info;
  const startedAt = performance.now();
  const { tracks, embeddedCount } = await readTracks(options, frameCounts);
  const seconds = (performance.now() - startedAt) / 1000;
  const pairs = splits.folds.flat();
  const genuineCount = pairs.filter(({ genuine }) => genuine).length;
  const sumOf = (of: (track: Track) => number): number =>
    [...tracks.values()].reduce((sum, track) => sum + of(track), 0);
  return {
    pack,
    space,
    provider,
    detector,
    mirrorAveraging,
    kind,
    faceChoice,
    splits: splits.folds.length,
    pairs: { total: pairs.length, genuine: genuineCount, impostor: pairs.length - genuineCount },
    tracks: tracks.size,
    framesRead: sumOf(({ framesRead }) => framesRead),
    framesWithoutFace: sumOf(({ framesWithoutFace }) => framesWithoutFace),
    tracksWithoutFace: [...tracks].flatMap(([name, { means }]) => (means[0] ? [] : [name])).toSorted(),
    figures: frameCounts.map((framesMax, position) => figuresOf(splits, tracks, framesMax, position)),
    framesEmbedded: embeddedCount,
    imagesPerSecond: embeddedCount === 0 ? null : embeddedCount / seconds,
  };
}

async function readTracks(
  options: VideoOptions,
  frameCounts: readonly number[],
): Promise<{ tracks: ReadonlyMap<TrackName, Track>; embeddedCount: number }> {
  const { embedder, tracksPath, splits, kind = 'full', faceChoice = 'central', concurrency = 4, cachePath } = options;
  const cache = cachePath === undefined ? emptyCache() : await openEmbeddingCache(cachePath, embedder.info.dimensions);
  const names = [...new Set(splits.folds.flat().flatMap(({ a, b }) => [a, b]))];
  const tracks = new Map<TrackName, Track>();
  let embeddedCount = 0;
  await eachAtOnce(names, concurrency, options.signal, async (name, signal) => {
    const track = await readTrack(tracksPath, name, frameCounts, async (image, frame) => {
      const { vector, cached } = await embedPhoto(embedder, image, frame, { kind, faceChoice, cache, signal });
      if (!cached) embeddedCount++;
      return vector;
    });
    tracks.set(name, track);
    options.onProgress?.(tracks.size, names.length);
  });
  return { tracks, embeddedCount };
}

function figuresOf(
  { folds }: TrackSplits,
  tracks: ReadonlyMap<TrackName, Track>,
  framesMax: number,
  position: number,
): VideoFigures {
  const meanOf = (name: TrackName): Track['means'][number] => tracks.get(name)?.means[position] ?? null;
  const distances = comparedDistances(
    folds.map((fold) =>
      fold.map((pair) => {
        const [one, other] = [meanOf(pair.a), meanOf(pair.b)];
        return { ...pair, distance: one && other ? meanSquaredDistance(one, other) : null };
      }),
    ),
  );
  const failures = distances.map(
    ({ genuine, impostor }, fold) => (folds[fold]?.length ?? 0) - genuine.length - impostor.length,
  );
  const frames = [...tracks.keys()].flatMap((name) => meanOf(name)?.frames ?? []);
  const { accuracy, threshold } = foldedAccuracy(distances);
  const all = pool(distances);
  return {
    framesMax,
    framesMean: frames.reduce((sum, count) => sum + count, 0) / frames.length,
    pairsCompared: all.genuine.length + all.impostor.length,
    accuracy,
    accuracyOverall: foldedAccuracy(distances, failures).accuracy,
    threshold,
    valAtFar: fars.map((far) => valAtFar(distances, far)),
    roc: rocCorners(all),
  };
}
