/**
 * How well people are told apart by clustering, held out: the cut comes from half of the people, the scores from the other half, both ways.
 *
 * Promises: no cut was chosen on a person on whom it is scored; every linkage is asked on the same halves. A cut is the one of a grid (from 0 to the median
 * distance of the half's faces, nearly all of them strangers') with the best of the worse one of pairwise and BCubed F.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { clusterByIdentity, linkages, type Linkage } from '../cluster/agglomeration.js';
import type { Embedder } from '../embedder/embedder.js';
import { HarmonidError, throwIfAborted } from '../errors.js';
import { makeRandom } from '../random.js';
import { squaredDistance, type UnitVector } from '../vector.js';
import { scoreClusters, type ClusterScores } from './cluster-scores.js';
import { embedPersonPhotos, photoName, photosByPerson, type LabelledPhotos } from './person-photos.js';
export interface ClusteringOptions extends LabelledPhotos {
  /** Stays open. */
  readonly embedder: Embedder;
  /** People with fewer photos are left out. Default 3. */
  readonly photosMin?: number | undefined;
  /** Of the halves. Default 1. */
  readonly seed?: number | undefined;
  readonly onProgress?: ((stage: 'photos' | 'linkages', done: number, total: number) => void) | undefined;
}

/** What a cut is worth. */
export interface CutScores {
  /** Squared L2. */
  readonly cut: number;
  readonly scores: ClusterScores;
}

/** One half. */
export interface HeldOutClusters extends CutScores {
  /** Of this half's own faces at every cut of the grid: what the other half's cut is chosen by. */
  readonly grid: readonly CutScores[];
}

export interface LinkageScores {
  readonly linkage: Linkage;
  /** Means of both halves. */
  readonly pairwiseF: number;
  readonly bcubedF: number;
  /** Each scored at the cut of the other. */
  readonly halves: readonly HeldOutClusters[];
}

/** JSON values only. */
export interface ClusteringReport {
  readonly pack: string;
  readonly space: string;
  readonly faceCount: number;
  readonly personCount: number;
  readonly photosMin: number;
  /** Photos without a face. */
  readonly notFound: readonly string[];
  readonly seed: number;
  readonly rows: readonly LinkageScores[];
}

/** @throws INVALID_ARGUMENT for fewer than four people with so many photos, IMAGE_* with the photo's name, CANCELLED */
export async function evaluateClustering(options: ClusteringOptions): Promise<ClusteringReport> {
  const { embedder, photosMin = 3, seed = 1, onProgress, signal } = options;
  const people = photosByPerson(options.photos).filter(({ length }) => length >= photosMin);
  if (people.length < 4)
    throw new HarmonidError(
      'INVALID_ARGUMENT',
      `${people.length} people have ${photosMin} photos; clusters can be judged on four of them or more`,
      { details: { people: people.length, photosMin } },
    );
  const photoCount = people.flat().length;
  if (photoCount > facesMax)
    throw new HarmonidError(
      'INVALID_ARGUMENT',
      `there are ${photoCount} photos of people with ${photosMin} or more; clusters can be judged on ${facesMax}: take a part of the people, or those with more photos`,
      { details: { photos: photoCount, limit: facesMax } },
    );
  const { vectors } = await embedPersonPhotos(embedder, { ...options, photos: people.flat() }, (done, total) =>
    onProgress?.('photos', done, total),
  );
  const found = [...vectors].flatMap(([{ person }, vector]) => (vector ? [{ person, vector }] : []));
  const halves = halvesOf(
    found.map(({ vector }) => vector),
    found.map(({ person }) => person),
    seed,
  );
  const rows: LinkageScores[] = [];
  for (const linkage of linkages) {
    await nextTurn();
    throwIfAborted(signal);
    rows.push(scoreLinkage(halves, linkage));
    onProgress?.('linkages', rows.length, linkages.length);
  }
  return {
    pack: embedder.info.pack,
    space: embedder.info.space,
    faceCount: found.length,
    personCount: people.length,
    photosMin,
    notFound: [...vectors].flatMap(([photo, vector]) => (vector ? [] : [photoName(photo)])),
    seed,
    rows,
  };
}

/** Cuts that are tried. */
const gridCount = 50;
/** Of whose distances the median is taken. */
const medianPairsMax = 2_000_000;
/** Faces that are clustered exactly, 150 times: half of them at once take 2 (n / 2)^2 bytes. */
const facesMax = 20_000;

export type Halves = readonly [Half, Half];

interface Half {
  readonly vectors: readonly UnitVector[];
  readonly people: readonly string[];
}

/** Each half at the cut of the other. */
export function scoreLinkage(halves: Halves, linkage: Linkage): LinkageScores {
  const grids = halves.map((half) => gridOf(half, linkage));
  const scored = halves.map((half, i): HeldOutClusters => {
    const cut = bestCut(grids[1 - i] as readonly CutScores[]);
    return { cut, scores: scoreAt(half, linkage, cut), grid: grids[i] as readonly CutScores[] };
  });
  const mean = (value: (scores: ClusterScores) => number): number =>
    scored.reduce((sum, { scores }) => sum + value(scores), 0) / scored.length;
  return {
    linkage,
    pairwiseF: mean(({ pairwise }) => pairwise.f),
    bcubedF: mean(({ bcubed }) => bcubed.f),
    halves: scored,
  };
}

/** People by lot, each with all faces. */
export function halvesOf(vectors: readonly UnitVector[], people: readonly string[], seed: number): Halves {
  const random = makeRandom(seed);
  const lots = new Map([...new Set(people)].toSorted().map((person) => [person, random.uniform()]));
  const first = new Set(
    [...lots]
      .toSorted(([, a], [, b]) => a - b)
      .slice(0, lots.size >> 1)
      .map(([person]) => person),
  );
  const half = (isFirst: boolean): Half => {
    const faces = people.flatMap((person, face) => (first.has(person) === isFirst ? [face] : []));
    return {
      vectors: faces.map((face) => vectors[face] as UnitVector),
      people: faces.map((face) => people[face] as string),
    };
  };
  return [half(true), half(false)];
}

function gridOf(half: Half, linkage: Linkage): readonly CutScores[] {
  const median = medianDistance(half.vectors);
  return Array.from({ length: gridCount }, (_, step) => {
    const cut = (median * (step + 1)) / gridCount;
    return { cut, scores: scoreAt(half, linkage, cut) };
  });
}

/** Of all pairs, or of evenly spaced ones where they are many. */
function medianDistance(vectors: readonly UnitVector[]): number {
  const pairCount = (vectors.length * (vectors.length - 1)) / 2;
  const step = Math.max(1, Math.ceil(pairCount / medianPairsMax));
  const distances = new Float64Array(Math.ceil(pairCount / step));
  let pair = 0;
  vectors.forEach((vector, i) => {
    for (let other = 0; other < i; other++, pair++)
      if (pair % step === 0) distances[pair / step] = squaredDistance(vector, vectors[other] as UnitVector);
  });
  return distances.toSorted()[distances.length >> 1] ?? 0;
}

function bestCut(grid: readonly CutScores[]): number {
  const worse = grid.map(({ scores: { pairwise, bcubed } }) => Math.min(pairwise.f, bcubed.f));
  const best = Math.max(...worse);
  const cuts = grid.flatMap(({ cut }, i) => (worse[i] === best ? [cut] : []));
  // Of several equally good ones the middle, as far from the evidence as can be.
  return cuts[cuts.length >> 1] ?? 0;
}

function scoreAt({ vectors, people }: Half, linkage: Linkage, cut: number): ClusterScores {
  return scoreClusters(clusterByIdentity(vectors, { cut, linkage }), people);
}
