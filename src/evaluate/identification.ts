/**
 * Open-set one-to-many identification in the terms of NIST FRTE 1:N, over photos with a folder a person.
 *
 * Some people are enrolled with one photo each, their other photos are searched for, and so are all photos of people who are enrolled nowhere
 * (open-set-draw.ts). Galleries grow, by people and then by synthetic strangers, and are asked the same searches each time. They are real ones: the
 * identity index in a temporary directory, searched exactly and through its graph. A photo without a face is counted, never left out: one that was to
 * be enrolled loses its person's searches, one that was to be searched with is a miss (or no false positive).
 */
import type { Embedder } from '../embedder/embedder.js';
import { openAlgebra } from '../migrate/dense-algebra.js';
import { makeRandom } from '../random.js';
import { requireAscending } from './count-list.js';
import type { FaceChoice } from './face-choice.js';
import { drawOpenSet, type OpenSetDraw } from './open-set-draw.js';
import { openSetRates, replicates, type OpenSetRates } from './open-set-rates.js';
import {
  confusionsOf,
  outcomesOf,
  recallOf,
  searchAll,
  type Confusion,
  type Confusions,
  type GraphRecall,
} from './open-set-searches.js';
import { embedPersonPhotos, meanVectors, photoName, type LabelledPhotos, type PhotoVectors } from './person-photos.js';
import type { PhotoKind } from './photo-embedding.js';
import { searchEngines, withScratchGallery, type ScratchHit, type SearchEngine } from './scratch-gallery.js';
import { fitStrangers, type SyntheticStrangers } from './synthetic-strangers.js';

export interface IdentificationOptions extends LabelledPhotos {
  /** Stays open. */
  readonly embedder: Embedder;
  /** People enrolled, ascending, each fewer than there are. More leave fewer for the non-mated searches. Default: half of them. */
  readonly sizes?: readonly number[] | undefined;
  /** Synthetic strangers beside the largest of `sizes`, ascending, up to a million. Default none. */
  readonly distractors?: readonly number[] | undefined;
  /** Default both, which also tells the graph's recall. */
  readonly engines?: readonly SearchEngine[] | undefined;
  /** Width of the graph's walk, 1 to 4096: larger finds more of the true neighbours and takes longer. Default 128, as a search that names none. */
  readonly ef?: number | undefined;
  /** Of who is enrolled, the strangers and the intervals. Default 1. */
  readonly seed?: number | undefined;
  readonly onProgress?: ((stage: IdentificationStage, done: number, total: number) => void) | undefined;
}

/** Photos are embedded; then people are enrolled and searched for. */
export type IdentificationStage = 'photos' | 'enrolments and searches';

/** JSON values only. */
export interface IdentificationReport {
  readonly pack: string;
  readonly space: string;
  readonly provider: string;
  readonly detector: string;
  readonly mirrorAveraging: boolean;
  readonly kind: PhotoKind;
  readonly faceChoice: FaceChoice;
  readonly seed: number;
  /** Width of the graph's walk. */
  readonly ef: number;
  /** Bootstrap draws behind each interval. */
  readonly replicates: number;
  readonly people: number;
  readonly photos: number;
  /** Failures to acquire; people whose photo for enrolment is among them were not enrolled. */
  readonly facesNotFound: { readonly count: number; readonly enrolments: number; readonly photos: readonly string[] };
  readonly searches: {
    readonly mated: number;
    readonly matedPeople: number;
    readonly nonMated: number;
    readonly nonMatedPeople: number;
  };
  readonly galleries: readonly GalleryRates[];
  /** The non-mated searches whose first candidate is nearest, in the largest gallery without strangers: who looks alike, or has two names. */
  readonly nearest: readonly Confusion[];
  /** Mated searches in which somebody else came first, nearest first; at most as many as `nearest`. */
  readonly misidentified: readonly Confusion[];
  /** Photos embedded in this run, without those from the cache. */
  readonly photosEmbedded: number;
  /** Wall-clock, reading included; null when all came from the cache. */
  readonly imagesPerSecond: number | null;
}

/** One gallery, searched one way. */
export interface GalleryRates extends OpenSetRates {
  /** People enrolled, with those whose enrolment failed. */
  readonly people: number;
  readonly distractors: number;
  readonly engine: SearchEngine;
  /** Null unless both engines were asked. */
  readonly recall: GraphRecall | null;
  /** Searches that the engine answered by comparing every template. */
  readonly comparedAll: number;
}

export const fpirs = [1e-1, 1e-2, 1e-3] as const;
const efDefault = 128;
const efMax = 4096;
export const distractorsMax = 1_000_000;
/** Strangers drawn, enrolled and forgotten at a time. */
const strangersAtOnce = 5_000;

/** @throws INVALID_ARGUMENT for sizes that the photos do not give; IMAGE_* with the photo's name; CANCELLED */
export async function evaluateIdentification(options: IdentificationOptions): Promise<IdentificationReport> {
  const { embedder, photos, kind = 'full', faceChoice = 'central', seed = 1, ef = efDefault } = options;
  requireAscending('ef', [ef], efMax);
  const people = [...new Set(photos.map(({ person }) => person))].toSorted();
  const { sizes = [Math.max(1, Math.floor(people.length / 2))], distractors = [], engines = searchEngines } = options;
  requireAscending('sizes', sizes, photos.length);
  requireAscending('distractors', distractors, distractorsMax);
  const { pack, space, provider, detector, mirrorAveraging } = embedder.info;
  const draw = drawOpenSet(photos, sizes, makeRandom(seed));

  const startedAt = performance.now();
  const { vectors, embeddedCount } = await embedPersonPhotos(embedder, options, (done, total) =>
    options.onProgress?.('photos', done, total),
  );
  const seconds = (performance.now() - startedAt) / 1000;

  const { galleries, confusions } = await growGalleries(options, {
    draw,
    vectors,
    people,
    sizes,
    distractors,
    engines,
  });
  const notFound = photos.filter((photo) => vectors.get(photo) === null);
  return {
    pack,
    space,
    provider,
    detector,
    mirrorAveraging,
    kind,
    faceChoice,
    seed,
    ef,
    replicates,
    people: people.length,
    photos: photos.length,
    facesNotFound: {
      count: notFound.length,
      enrolments: draw.enrolled.filter((photo) => vectors.get(photo) === null).length,
      photos: notFound.map(photoName).toSorted(),
    },
    searches: {
      mated: draw.mated.length,
      matedPeople: new Set(draw.mated.map(({ person }) => person)).size,
      nonMated: draw.nonMated.length,
      nonMatedPeople: new Set(draw.nonMated.map(({ person }) => person)).size,
    },
    galleries,
    ...confusions,
    photosEmbedded: embeddedCount,
    imagesPerSecond: embeddedCount === 0 ? null : embeddedCount / seconds,
  };
}

interface Sets {
  readonly draw: OpenSetDraw;
  readonly vectors: PhotoVectors;
  readonly people: readonly string[];
  readonly sizes: readonly number[];
  readonly distractors: readonly number[];
  readonly engines: readonly SearchEngine[];
}

/** Enrols people and then strangers, and searches at each size. */
async function growGalleries(
  options: IdentificationOptions,
  sets: Sets,
): Promise<{ galleries: readonly GalleryRates[]; confusions: Confusions }> {
  const { draw, vectors, people, sizes, distractors, engines } = sets;
  const { embedder, seed = 1, ef = efDefault, signal } = options;
  const { space, dimensions, threshold } = embedder.info;
  const ordinals = new Map(people.map((person, ordinal) => [person, ordinal]));
  const question = { fpirs, threshold, peopleCount: people.length, seed };
  const galleries: GalleryRates[] = [];
  let confusions: Confusions = { nearest: [], misidentified: [] };
  const tell = progressOf(options, sets);
  await withScratchGallery({ space, dimensions, threshold, graph: engines.includes('hnsw'), ef }, async (gallery) => {
    const judge = async (enrolledCount: number, distractorCount: number): Promise<void> => {
      const answers = new Map<SearchEngine, readonly (ScratchHit | null)[]>();
      for (const engine of engines) answers.set(engine, await searchAll(gallery, engine, draw, vectors, tell, signal));
      for (const [engine, hits] of answers) {
        galleries.push({
          people: enrolledCount,
          distractors: distractorCount,
          engine,
          ...openSetRates(outcomesOf(draw, hits, ordinals), question),
          recall: engine === 'hnsw' ? recallOf(draw, answers) : null,
          comparedAll: hits.filter((hit) => hit?.exact).length,
        });
      }
      const [hits] = answers.values();
      if (distractorCount === 0 && hits) confusions = confusionsOf(draw, hits);
    };
    let enrolledCount = 0;
    for (const size of sizes) {
      const joining = draw.enrolled.slice(enrolledCount, size);
      const found = joining.flatMap((photo) => {
        const vector = vectors.get(photo);
        return vector ? [{ identity: photo.person, vector }] : [];
      });
      await gallery.enroll(found, signal);
      tell(joining.length);
      enrolledCount = size;
      await judge(enrolledCount, 0);
    }
    let distractorCount = 0;
    await withStrangers(options, distractors.length > 0 ? vectors : null, async (strangers) => {
      for (const wanted of distractors) {
        while (distractorCount < wanted) {
          const drawn = await strangers.draw(Math.min(strangersAtOnce, wanted - distractorCount));
          const first = distractorCount;
          // No folder's name has a slash in it.
          await gallery.enroll(
            drawn.map((vector, i) => ({ identity: `stranger/${first + i}`, vector })),
            signal,
          );
          distractorCount += drawn.length;
          tell(drawn.length);
        }
        await judge(enrolledCount, distractorCount);
      }
    });
  });
  return { galleries, confusions };
}

/** Counts enrolments and searches to their end. */
function progressOf(
  { onProgress }: IdentificationOptions,
  { draw: { enrolled, mated, nonMated }, sizes, distractors, engines }: Sets,
): (count: number) => void {
  const rounds = sizes.length + distractors.length;
  const searches = (mated.length + nonMated.length) * engines.length;
  const total = enrolled.length + (distractors.at(-1) ?? 0) + rounds * searches;
  let done = 0;
  return (count) => {
    done += count;
    onProgress?.('enrolments and searches', done, total);
  };
}

/** @param vectors null when nobody is wanted */
async function withStrangers(
  { embedder, seed = 1 }: IdentificationOptions,
  vectors: PhotoVectors | null,
  work: (strangers: SyntheticStrangers) => Promise<void>,
): Promise<void> {
  if (!vectors) return;
  const { dimensions } = embedder.info;
  const algebra = await openAlgebra();
  try {
    // Other numbers than those that chose who is enrolled.
    await work(await fitStrangers(algebra, meanVectors(vectors, dimensions), dimensions, makeRandom(seed + 1)));
  } finally {
    await algebra.close();
  }
}
