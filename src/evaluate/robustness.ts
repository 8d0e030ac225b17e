/**
 * What a model still recognises when photos are bad (FaceNet, section 5.4, tables 4 and 5): verification of the same pairs with both photos degraded.
 *
 * Promises: photos are degraded before anything else is done with them, so finding the face is part of what is measured. A pair whose faces were not both found
 * is refused: VAL and FAR are those of the system, with failures to acquire (ISO/IEC 19795-1), and the faces that were not found are counted beside them. VAL is
 * told twice: at thresholds that are chosen on photos as bad as those that are judged, and at those of good photos, which is what a door in service has.
 */
import { HarmonidError } from '../errors.js';
import {
  degrade,
  degradations,
  type Degradation,
  type DegradationKind,
  type FivePoints,
} from '../embedder/degradation.js';
import { arcface112, fivePoints } from '../embedder/align.js';
import type { Embedder } from '../embedder/embedder.js';
import { emptyCache, openEmbeddingCache } from './embedding-cache.js';
import {
  estimate,
  farSupport,
  heldOutThresholds,
  pairedDifference,
  sharesWithin,
  type Estimate,
  type FarSupport,
} from './error-rates.js';
import { chooseFace } from './face-choice.js';
import { overallAccuracies } from './fold-rates.js';
import { attemptedDistances, comparePairs, type ComparedFold } from './pair-distances.js';
import { photosOf, type PhotoName } from './pairs.js';
import type { PhotoKind } from './photo-embedding.js';
import { embedPhotos, type PairProtocol } from './photo-vectors.js';

export interface RobustnessOptions extends PairProtocol {
  /** Stays open. */
  readonly embedder: Embedder;
  /** Default: `standardLevels` of all kinds; bars only where the places of eyes and mouth are known, which they are not in crops of the pack's chip. */
  readonly degradations?: readonly Degradation[] | undefined;
  /** FAR at which thresholds are chosen. Default 1e-3. */
  readonly far?: number | undefined;
}

/** FaceNet's levels of quality and size; the others from hardly to seriously. */
export const standardLevels: Readonly<Record<DegradationKind, readonly number[]>> = {
  jpeg: [10, 20, 30, 50, 70, 90],
  size: [1_600, 6_400, 14_400, 25_600, 65_536],
  blur: [1, 2, 3, 4],
  brightness: [0.25, 0.5, 1.5, 2],
  rotation: [5, 15, 30, 45],
  eyes: [0.1, 0.2, 0.3],
  mouth: [0.1, 0.2, 0.3],
};
export const degradationKinds = Object.keys(degradations) as readonly DegradationKind[];

export interface RobustnessRow {
  /** Null for the photos as they are. */
  readonly degradation: Degradation | null;
  readonly facesNotFound: { readonly count: number; readonly share: number };
  /** Photos to which there was nothing to do, such as one that has no more pixels than it may have. */
  readonly photosUnchanged: number;
  /** Held out; pairs that could not be compared are errors. */
  readonly accuracy: Estimate;
  /** VAL at the FAR with thresholds from photos as bad; null when there are too few pairs. */
  readonly val: Estimate | null;
  /** Less that of the photos as they are, fold by fold. */
  readonly valDifference: Estimate | null;
  /** VAL and FAR at the thresholds of the photos as they are, each fold at that of the others. */
  readonly valInService: Estimate | null;
  readonly farInService: Estimate | null;
}

/** JSON values only. */
export interface RobustnessReport {
  readonly pack: string;
  readonly space: string;
  readonly provider: string;
  readonly detector: string;
  readonly mode: PhotoKind;
  readonly faceChoice: string;
  readonly mirrorAveraging: boolean;
  readonly folds: number;
  readonly pairs: number;
  readonly photos: number;
  readonly far: number;
  readonly support: FarSupport;
  /** The photos as they are first, then by kind, in the order that was asked for. */
  readonly rows: readonly RobustnessRow[];
}

/**
 * @throws INVALID_ARGUMENT for bars over crops of the pack's chip or fixed crops, and for a photo that is not there; IMAGE_* with the photo's name; CANCELLED
 */
export async function evaluateRobustness(options: RobustnessOptions): Promise<RobustnessReport> {
  const { embedder, pairs, mode = 'full', faceChoice = 'central', cachePath, far = 1e-3, onProgress } = options;
  const wanted =
    options.degradations ?? standardDegradations(degradationKinds).filter((one) => !isBar(one) || knowsPlaces(mode));
  refuseBlindBars(wanted, mode);
  const { pack, space, provider, detector, mirrorAveraging, dimensions } = embedder.info;
  const cache = cachePath === undefined ? emptyCache() : await openEmbeddingCache(cachePath, dimensions);
  const photoCount = photosOf(pairs).length;
  const runs: {
    degradation: Degradation | null;
    folds: readonly ComparedFold[];
    notFound: number;
    unchanged: number;
  }[] = [];
  const places = new FacePlaces(options, mode);
  for (const [position, degradation] of [null, ...wanted].entries()) {
    let unchanged = 0;
    const { vectors } = await embedPhotos(
      embedder,
      {
        ...options,
        onProgress: (done) => onProgress?.(position * photoCount + done, (1 + wanted.length) * photoCount),
        prepare: async (photo, bytes) => {
          if (degradation === null) return bytes;
          const points = isBar(degradation) ? await places.of(photo, bytes) : undefined;
          // Nobody was found in the photo as it is, so there is nothing to cover.
          if (points === null) return bytes;
          const worse = await degrade(bytes, degradation, { sameSize: mode !== 'full', points });
          if (worse === bytes) unchanged++;
          return worse;
        },
      },
      cache,
    );
    const notFound = [...vectors.values()].filter((vector) => vector === null).length;
    runs.push({ degradation, folds: comparePairs(pairs, vectors), notFound, unchanged });
  }
  const [good] = runs;
  const goodDistances = attemptedDistances(good?.folds ?? []);
  const goodThresholds = heldOutThresholds(goodDistances, far);
  const goodVals = goodThresholds && sharesWithin(goodDistances, 'genuine', goodThresholds);
  return {
    pack,
    space,
    provider,
    detector,
    mode,
    faceChoice,
    mirrorAveraging,
    folds: pairs.folds.length,
    pairs: 2 * pairs.pairsPerFold * pairs.folds.length,
    photos: photoCount,
    far,
    support: farSupport(far, pairs.pairsPerFold * (pairs.folds.length - 1)),
    rows: runs.map(({ degradation, folds, notFound, unchanged }): RobustnessRow => {
      const distances = attemptedDistances(folds);
      const thresholds = heldOutThresholds(distances, far);
      const vals = thresholds && sharesWithin(distances, 'genuine', thresholds);
      const inService = (kind: 'genuine' | 'impostor'): Estimate | null =>
        goodThresholds && estimate(sharesWithin(distances, kind, goodThresholds));
      return {
        degradation,
        facesNotFound: { count: notFound, share: notFound / photoCount },
        photosUnchanged: unchanged,
        accuracy: estimate(overallAccuracies(folds)),
        val: vals && estimate(vals),
        valDifference: vals && goodVals && pairedDifference(vals, goodVals),
        valInService: inService('genuine'),
        farInService: inService('impostor'),
      };
    }),
  };
}

/** All levels of the kinds. */
export function standardDegradations(kinds: readonly DegradationKind[]): readonly Degradation[] {
  return kinds.flatMap((kind) => standardLevels[kind].map((level) => ({ kind, level })));
}

function isBar({ kind }: Degradation): boolean {
  return kind === 'eyes' || kind === 'mouth';
}

function knowsPlaces(mode: PhotoKind): boolean {
  return mode === 'full' || mode === 'arcface112';
}

function refuseBlindBars(wanted: readonly Degradation[], mode: PhotoKind): void {
  const bar = wanted.find(isBar);
  if (bar && !knowsPlaces(mode)) {
    throw new HarmonidError(
      'INVALID_ARGUMENT',
      `where the ${bar.kind} are is not known with mode ${mode}; with full and arcface112 it is`,
      { details: { kind: bar.kind, mode } },
    );
  }
}

/** Eyes and mouth of each photo as it is: of crops by their template, of others by looking once. */
class FacePlaces {
  readonly #options: RobustnessOptions;
  readonly #mode: PhotoKind;
  readonly #known = new Map<PhotoName, Promise<FivePoints | null>>();

  constructor(options: RobustnessOptions, mode: PhotoKind) {
    this.#options = options;
    this.#mode = mode;
  }

  of(photo: PhotoName, bytes: Uint8Array): Promise<FivePoints | null> {
    if (this.#mode === 'arcface112') return Promise.resolve(arcface112.points);
    const known = this.#known.get(photo) ?? this.#look(bytes);
    this.#known.set(photo, known);
    return known;
  }

  async #look(bytes: Uint8Array): Promise<FivePoints | null> {
    const { embedder, faceChoice = 'central', signal } = this.#options;
    const chosen = chooseFace(await embedder.embedImage(bytes, { signal }), faceChoice);
    return chosen ? fivePoints(chosen.face.landmarks) : null;
  }
}
