/**
 * How well people are told apart by clustering, held out: the cut comes from half of the people, the scores from the other half, both ways.
 *
 * Promises: no cut was chosen on a person on whom it is scored; every linkage is asked on the same halves. A cut is the one of a grid (from 0 to the median
 * distance of the half's faces, nearly all of them strangers') with the best of the worse one of pairwise and BCubed F.
 */
import { readFile } from 'node:fs/promises';
import { clusterByIdentity, type Linkage } from '../cluster/agglomeration.js';
import { makeRandom } from '../random.js';
import { squaredDistance, type UnitVector } from '../vector.js';
import { scoreClusters, type ClusterScores } from './cluster-scores.js';
import { emptyCache, openEmbeddingCache } from './embedding-cache.js';
import type { PhotoFacesOptions } from './face-clusters.js';
import { eachAtOnce, embedPhoto } from './photo-embedding.js';

export interface ClusteringOptions {
  readonly vectors: readonly UnitVector[];
  /** The person of each vector. */
  readonly people: readonly string[];
  readonly linkages: readonly Linkage[];
  /** Of the halves. */
  readonly seed: number;
}

/** One half, scored. */
export interface HeldOutClusters {
  /** Chosen on the other half, squared L2. */
  readonly cut: number;
  readonly scores: ClusterScores;
}

/** JSON values only. */
export interface ClusteringReport {
  readonly faceCount: number;
  readonly personCount: number;
  readonly seed: number;
  readonly rows: readonly {
    readonly linkage: Linkage;
    /** Means of both halves. */
    readonly pairwiseF: number;
    readonly bcubedF: number;
    readonly halves: readonly HeldOutClusters[];
  }[];
}

export interface PeoplePhotosOptions extends Omit<PhotoFacesOptions, 'photos'> {
  readonly photos: readonly { readonly path: string; readonly person: string }[];
}

/** The face that each photo is about. @throws IMAGE_* with the photo's name, CANCELLED */
export async function embedPeople(
  options: PeoplePhotosOptions,
): Promise<Pick<ClusteringOptions, 'vectors' | 'people'> & { readonly notFound: readonly string[] }> {
  const {
    embedder,
    photos,
    kind = 'full',
    faceChoice = 'central',
    cachePath,
    concurrency = 32,
    signal: outer,
  } = options;
  const cache = cachePath === undefined ? emptyCache() : await openEmbeddingCache(cachePath, embedder.info.dimensions);
  const found = new Map<string, UnitVector>();
  let done = 0;
  await eachAtOnce(photos, concurrency, outer, async ({ path }, signal) => {
    const { vector } = await embedPhoto(embedder, await readFile(path), path, { kind, faceChoice, cache, signal });
    if (vector) found.set(path, vector);
    options.onProgress?.(++done);
  });
  const kept = photos.filter(({ path }) => found.has(path));
  return {
    vectors: kept.map(({ path }) => found.get(path) as UnitVector),
    people: kept.map(({ person }) => person),
    notFound: photos.filter(({ path }) => !found.has(path)).map(({ path }) => path),
  };
}

/** Cuts that are tried. */
const gridCount = 50;

interface Half {
  readonly vectors: readonly UnitVector[];
  readonly people: readonly string[];
}

export function evaluateClustering({ vectors, people, linkages, seed }: ClusteringOptions): ClusteringReport {
  const halves = halvesOf(vectors, people, seed);
  return {
    faceCount: vectors.length,
    personCount: new Set(people).size,
    seed,
    rows: linkages.map((linkage) => {
      const scored = halves.map((half, i) => {
        const cut = bestCut(halves[1 - i] as Half, linkage);
        return { cut, scores: scoreAt(half, linkage, cut) };
      });
      const mean = (value: (scores: ClusterScores) => number): number =>
        scored.reduce((sum, { scores }) => sum + value(scores), 0) / scored.length;
      return {
        linkage,
        pairwiseF: mean(({ pairwise }) => pairwise.f),
        bcubedF: mean(({ bcubed }) => bcubed.f),
        halves: scored,
      };
    }),
  };
}

/** People by lot, each with all faces. */
function halvesOf(vectors: readonly UnitVector[], people: readonly string[], seed: number): readonly [Half, Half] {
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

function bestCut(half: Half, linkage: Linkage): number {
  const distances = half.vectors.flatMap((a, i) => half.vectors.slice(0, i).map((b) => squaredDistance(a, b)));
  const median = Float64Array.from(distances).toSorted()[distances.length >> 1] ?? 0;
  let best: number[] = [];
  let bestF = -1;
  for (let step = 1; step <= gridCount; step++) {
    const cut = (median * step) / gridCount;
    const { pairwise, bcubed } = scoreAt(half, linkage, cut);
    const worse = Math.min(pairwise.f, bcubed.f);
    if (worse > bestF) [best, bestF] = [[], worse];
    if (worse === bestF) best.push(cut);
  }
  // Of several equally good ones the middle, as far from the evidence as can be.
  return best[best.length >> 1] ?? 0;
}

function scoreAt({ vectors, people }: Half, linkage: Linkage, cut: number): ClusterScores {
  return scoreClusters(clusterByIdentity(vectors, { cut, linkage }), people);
}
