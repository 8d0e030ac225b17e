/**
 * Who is in these photos? Every face of a set of photos, or the templates of a gallery, clustered by identity.
 *
 * Promises: a photo without a face, or that cannot be read, is named and stops nothing; two faces of one photo are two people. Where folders say who
 * is on the photos, the clusters are scored against them by the face that each photo is about (face-choice.ts): who else is in it, no folder says.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { clusterByIdentity, type ClusterOptions, type Linkage } from '../cluster/agglomeration.js';
import { clusterByNeighbours } from '../cluster/graph-agglomeration.js';
import { findNeighbours } from '../cluster/graph-neighbours.js';
import { asHarmonidError } from '../errors.js';
import type { Embedder } from '../embedder/embedder.js';
import type { Box } from '../embedder/face.js';
import type { UnitVector } from '../vector.js';
import { scoreClusters, type ClusterScores } from './cluster-scores.js';
import { emptyCache, openEmbeddingCache } from './embedding-cache.js';
import { chooseFace, type FaceChoice } from './face-choice.js';
import { eachAtOnce, embedPhoto, type PhotoKind } from './photo-embedding.js';

/** A face, by where it comes from. JSON values only. */
export interface SourceFace {
  /** The photo's path, or the identity with the number of the template. */
  readonly name: string;
  /** Pixels of the upright photo; null for crops and templates. */
  readonly box: Box | null;
  /** Whom the face is known to show; null when nobody says. */
  readonly person: string | null;
}

/** Faces with their vectors, side by side. */
export interface FaceSet {
  readonly space: string;
  readonly faces: readonly SourceFace[];
  readonly vectors: readonly UnitVector[];
  /** Number of the photo of each face. */
  readonly photos: readonly number[];
  readonly photoCount: number;
  /** Photos that show nobody. */
  readonly noFace: readonly string[];
  readonly unreadable: readonly { readonly name: string; readonly message: string }[];
}

/** Figures of one clustering. JSON values only. */
export interface ClusterReport {
  readonly space: string;
  readonly linkage: Linkage;
  /** Squared L2. */
  readonly cut: number;
  /** Where the cut comes from, in words. */
  readonly cutSource: string;
  /** Whether all faces were compared with all, or each with its nearest. */
  readonly exact: boolean;
  readonly photoCount: number;
  readonly faceCount: number;
  /** Largest first. */
  readonly clusters: readonly (readonly SourceFace[])[];
  /** Against the people who are known; null when nobody is. */
  readonly scores: ClusterScores | null;
  readonly noFace: readonly string[];
  readonly unreadable: FaceSet['unreadable'];
}

export interface PhotoFacesOptions {
  /** Stays open. */
  readonly embedder: Embedder;
  /** With the person after whom the photo's folder is called. */
  readonly photos: readonly { readonly path: string; readonly person: string | null }[];
  /** Default `full`. */
  readonly kind?: PhotoKind | undefined;
  /** Which face is the person's when a photo shows several. Default `central`. */
  readonly faceChoice?: FaceChoice | undefined;
  /** File that keeps the vectors of crops, so that a second run resumes; not for `full`. Default none. */
  readonly cachePath?: string | undefined;
  /** Photos in work at once. Default 32. */
  readonly concurrency?: number | undefined;
  readonly onProgress?: ((done: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Every face of every photo. @throws CANCELLED */
export async function findFaces(options: PhotoFacesOptions): Promise<FaceSet> {
  const { embedder, photos, kind = 'full', faceChoice = 'central', cachePath, concurrency = 32, signal } = options;
  const { space, dimensions } = embedder.info;
  const cache = cachePath === undefined ? emptyCache() : await openEmbeddingCache(cachePath, dimensions);
  const found: { readonly face: SourceFace; readonly vector: UnitVector }[][] = photos.map(() => []);
  const unreadable: { name: string; message: string }[] = [];
  let done = 0;
  await eachAtOnce([...photos.entries()], concurrency, signal, async ([position, { path, person }], stopSignal) => {
    try {
      const image = await readFile(path);
      if (kind === 'full') {
        const embedded = await embedder.embedImage(image, { signal: stopSignal });
        const about = chooseFace(embedded, faceChoice);
        found[position] = embedded.faces.map((one) => ({
          face: { name: path, box: one.face.box, person: one === about ? person : null },
          vector: one.vector,
        }));
      } else {
        const crop = { kind, faceChoice, cache, signal: stopSignal };
        const { vector } = await embedPhoto(embedder, image, basename(path), crop);
        if (vector) found[position] = [{ face: { name: path, box: null, person }, vector }];
      }
    } catch (error) {
      if (stopSignal.aborted) throw error;
      unreadable.push({ name: path, message: asHarmonidError(error).message });
    }
    options.onProgress?.(++done);
  });
  const failed = new Set(unreadable.map(({ name }) => name));
  return {
    space,
    faces: found.flat().map(({ face }) => face),
    vectors: found.flat().map(({ vector }) => vector),
    photos: found.flatMap((faces, photo) => faces.map(() => photo)),
    photoCount: photos.length,
    noFace: photos.flatMap(({ path }, i) => (found[i]?.length === 0 && !failed.has(path) ? [path] : [])),
    unreadable: unreadable.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

export interface FaceClusterOptions extends Omit<ClusterOptions, 'photos'> {
  readonly cutSource: string;
  /** Up to so many faces all are compared with all, which takes 2 n^2 bytes. Default 5000. */
  readonly exactMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws CANCELLED */
export async function clusterFaces(set: FaceSet, options: FaceClusterOptions): Promise<ClusterReport> {
  const { space, faces, vectors, photos, photoCount, noFace, unreadable } = set;
  const { cut, linkage = 'average', cutSource, exactMax = 5000, signal } = options;
  const exact = vectors.length <= exactMax;
  const how = { cut, linkage, photos };
  const clusters = exact
    ? clusterByIdentity(vectors, how)
    : clusterByNeighbours(vectors, await findNeighbours(vectors, { signal }), how);
  return {
    space,
    linkage,
    cut,
    cutSource,
    exact,
    photoCount,
    faceCount: faces.length,
    clusters: clusters.map((members) => members.map((member) => faces[member] as SourceFace)),
    scores: scoreKnown(faces, clusters),
    noFace,
    unreadable,
  };
}

/** Scores of the faces whose person is known; others are left out of their clusters. */
function scoreKnown(faces: readonly SourceFace[], clusters: readonly (readonly number[])[]): ClusterReport['scores'] {
  const known = clusters
    .map((members) => members.flatMap((member) => faces[member]?.person ?? []))
    .filter((people) => people.length > 0);
  if (known.length === 0) return null;
  let first = 0;
  const positions = known.map((people) => people.map(() => first++));
  return scoreClusters(positions, known.flat());
}
