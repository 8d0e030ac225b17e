/**
 * The searches of an open-set evaluation in one gallery, and what they came to.
 *
 * Answers stand in the order of the searches, the mated first, whichever came back first; null where a photo shows no face or nobody is
 * enrolled.
 */
import type { OpenSetDraw } from './open-set-draw.js';
import type { Outcome } from './open-set-rates.js';
import { eachAtOnce } from './photo-embedding.js';
import { photoName, type PhotoVectors } from './person-photos.js';
import type { ScratchGallery, ScratchHit, SearchEngine } from './scratch-gallery.js';

/** A search whose first candidate is somebody else. */
export interface Confusion {
  readonly photo: string;
  readonly person: string;
  readonly candidate: string;
  /** Squared L2. */
  readonly distance: number;
}

/**
 * Share of the searches in which the graph's first candidate is the exact one's. Where nobody is near, the nearest of many who are equally far is hard to find and
 * of little use; so the kinds are told apart.
 */
export interface GraphRecall {
  readonly mated: number;
  readonly nonMated: number;
}

const confusionsMax = 10;
/** Searches on their way at once. */
const searchesAtOnce = 32;

/** The first candidates of the mated searches and then of the non-mated; null where the photo shows no face. */
export async function searchAll(
  gallery: ScratchGallery,
  engine: SearchEngine,
  { mated, nonMated }: OpenSetDraw,
  vectors: PhotoVectors,
  tell: (count: number) => void,
  signal: AbortSignal | undefined,
): Promise<readonly (ScratchHit | null)[]> {
  const probes = [...mated, ...nonMated];
  const hits: (ScratchHit | null)[] = probes.map(() => null);
  await eachAtOnce([...probes.entries()], searchesAtOnce, signal, async ([position, photo], stopSignal) => {
    const vector = vectors.get(photo);
    if (vector) hits[position] = await gallery.search(vector, engine, stopSignal);
    tell(1);
  });
  return hits;
}

/** @param hits as `searchAll` gives them */
export function outcomesOf(
  { mated, nonMated }: OpenSetDraw,
  hits: readonly (ScratchHit | null)[],
  ordinals: ReadonlyMap<string, number>,
): readonly Outcome[] {
  return [
    ...mated.map(({ person }, i): Outcome => {
      const hit = hits[i];
      const distance = hit?.identity === person ? hit.distance : null;
      return { kind: 'mated', person: ordinals.get(person) as number, distance };
    }),
    ...nonMated.map(({ person }, i): Outcome => ({
      kind: 'non-mated',
      person: ordinals.get(person) as number,
      distance: hits[mated.length + i]?.distance ?? null,
    })),
  ];
}

export interface Confusions {
  readonly nearest: readonly Confusion[];
  readonly misidentified: readonly Confusion[];
}

/** Of either kind of search those whose first candidate is somebody else, the nearest of them. */
export function confusionsOf({ mated, nonMated }: OpenSetDraw, hits: readonly (ScratchHit | null)[]): Confusions {
  const confusions = [...mated, ...nonMated].map((photo, i): Confusion | null => {
    const hit = hits[i];
    if (!hit || hit.identity === photo.person) return null;
    return { photo: photoName(photo), person: photo.person, candidate: hit.identity, distance: hit.distance };
  });
  const first = (some: readonly (Confusion | null)[]): readonly Confusion[] =>
    some
      .flatMap((confusion) => confusion ?? [])
      .toSorted((one, other) => one.distance - other.distance)
      .slice(0, confusionsMax);
  return { nearest: first(confusions.slice(mated.length)), misidentified: first(confusions.slice(0, mated.length)) };
}

/** Null unless both engines answered. */
export function recallOf(
  { mated }: OpenSetDraw,
  answers: ReadonlyMap<SearchEngine, readonly (ScratchHit | null)[]>,
): GraphRecall | null {
  const [exact, graph] = [answers.get('exact'), answers.get('hnsw')];
  if (!exact || !graph) return null;
  const agreed = exact.map((hit, i) => hit && graph[i]?.identity === hit.identity);
  const share = (some: readonly (boolean | null)[]): number => {
    const asked = some.filter((one) => one !== null);
    return asked.filter(Boolean).length / asked.length;
  };
  return { mated: share(agreed.slice(0, mated.length)), nonMated: share(agreed.slice(mated.length)) };
}
