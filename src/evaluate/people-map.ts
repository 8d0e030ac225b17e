/**
 * A map of labelled faces: where each lies, and whether its nearest face is of the same person.
 */
import { exactNeighbours } from '../cluster/neighbour-lists.js';
import { mapFaces } from '../cluster/face-map.js';
import { HarmonidError } from '../errors.js';
import type { Embedder } from '../embedder/embedder.js';
import { scatterPlot } from '../report/scatter-plot.js';
import type { Markup } from '../report/page.js';
import { embedPersonPhotos, photosByPerson, type LabelledPhotos } from './person-photos.js';

export interface PeopleMapOptions extends LabelledPhotos {
  /** Stays open. */
  readonly embedder: Embedder;
  /** People with fewer photos are left out. Default 3. */
  readonly photosMin?: number | undefined;
  /** Default 1. */
  readonly seed?: number | undefined;
  readonly onProgress?: ((stage: 'photos' | 'rounds', done: number, total: number) => void) | undefined;
}

/** JSON values only. */
export interface PeopleMap {
  readonly people: number;
  readonly photosMin: number;
  readonly faces: readonly {
    readonly person: string;
    readonly place: readonly [x: number, y: number];
    /** Whether the nearest other face is of the same person. */
    readonly atHome: boolean;
  }[];
}

/** More faces than these are no picture any more. */
const facesMax = 5_000;

/** @throws INVALID_ARGUMENT for fewer than two people with so many photos, IMAGE_* with the photo's name, CANCELLED */
export async function mapPeople(options: PeopleMapOptions): Promise<PeopleMap> {
  const { embedder, photosMin = 3, seed, onProgress, signal } = options;
  const people = photosByPerson(options.photos).filter(({ length }) => length >= photosMin);
  if (people.length < 2)
    throw new HarmonidError(
      'INVALID_ARGUMENT',
      `${people.length} people have ${photosMin} photos; a map shows two or more`,
    );
  const shown: (typeof people)[number][] = [];
  let photoCount = 0;
  for (const own of people) {
    photoCount += own.length;
    if (photoCount <= facesMax) shown.push(own);
  }
  const { vectors } = await embedPersonPhotos(embedder, { ...options, photos: shown.flat() }, (done, total) =>
    onProgress?.('photos', done, total),
  );
  const found = [...vectors].flatMap(([{ person }, vector]) => (vector ? [{ person, vector }] : []));
  const faces = found.map(({ vector }) => vector);
  const { positions } = exactNeighbours(faces, 1);
  const places = await mapFaces(faces, {
    seed,
    onProgress: (done, total) => onProgress?.('rounds', done, total),
    signal,
  });
  return {
    people: shown.length,
    photosMin,
    faces: found.map(({ person }, face) => ({
      person,
      place: places[face] as readonly [number, number],
      atHome: found[positions[face] as number]?.person === person,
    })),
  };
}

export function peopleMapPlot({ people, faces }: PeopleMap): Promise<Markup | null> {
  const cloud = (atHome: boolean): readonly (readonly [number, number])[] =>
    faces.filter((face) => face.atHome === atHome).map(({ place }) => place);
  return scatterPlot({
    title: `Map of ${faces.length} faces of ${people} people`,
    clouds: [
      { name: 'beside the same person', ink: 'blue', points: cloud(true) },
      { name: 'beside somebody else', ink: 'orange', points: cloud(false) },
    ],
  });
}
