/**
 * Those who were there before the attacks: some by photos, some by vectors, in a gallery of their own that no attack may write to.
 *
 * Promises: who is nearest to a probe is known without the database: a photo's person by whose it is, a vector's by the cluster it was
 * drawn from, whose centres are far apart.
 */
import { HarmonidError } from '../../src/errors.js';
import type { RemoteDatabase } from '../../src/client/remote-database.js';
import type { UnitVector } from '../../src/vector.js';
import { makeFaces, type FaceMaker, type Random } from '../index/faces.js';
import { alterations, everyPerson, portrait } from '../support/photos.js';

export const keptGallery = 'kept';

const vectorPeopleCount = 30;

export interface Probe {
  readonly identity: string;
  readonly sample:
    { readonly image: Uint8Array } | { readonly embedding: { readonly space: string; readonly vector: UnitVector } };
}

/** The kept gallery and what is known of it without asking the database. */
export class KeptPeople {
  readonly space: string;
  readonly #faces: FaceMaker;
  readonly #photos: ReadonlyMap<string, Uint8Array>;

  private constructor(space: string, faces: FaceMaker, photos: ReadonlyMap<string, Uint8Array>) {
    this.space = space;
    this.#faces = faces;
    this.#photos = photos;
  }

  static async enroll(database: RemoteDatabase, random: Random): Promise<KeptPeople> {
    const { embedder } = await database.stats();
    if (!embedder) throw new HarmonidError('EMBEDDER_MISSING', 'the server under attack has no embedder');
    const { space, dimensions } = embedder.info;
    // What one makes of photos of a group may look alike; who is nearest is what is asked.
    await database.createGallery({ gallery: keptGallery, duplicates: 'ignore' });
    const photos = new Map<string, Uint8Array>();
    for (const person of everyPerson) {
      const photo = await portrait(person);
      await database.enroll({ gallery: keptGallery, identity: person, images: [photo] });
      photos.set(person, await alterations['JPEG quality 20'](photo));
    }
    const people = new KeptPeople(space, makeFaces(random, { dimensions }), photos);
    for (let number = 0; number < vectorPeopleCount; number++) {
      const { identity, sample } = people.vectorProbe(number);
      await database.enroll({
        gallery: keptGallery,
        identity,
        embeddings: 'embedding' in sample ? [sample.embedding] : [],
      });
    }
    return people;
  }

  photoProbe(number: number): Probe {
    const [identity, image] = [...this.#photos][number % this.#photos.size] ?? ['', Buffer.alloc(0)];
    return { identity, sample: { image } };
  }

  /** Another vector of the person each time. */
  vectorProbe(number: number): Probe {
    const person = number % vectorPeopleCount;
    return {
      identity: `vector-${person}`,
      sample: { embedding: { space: this.space, vector: this.#faces.face(person) } },
    };
  }

  /** Of nobody who is there. */
  strangerVector(): UnitVector {
    return this.#faces.face(vectorPeopleCount + 1);
  }

  /** Who is not found any more, in words. */
  async missing(database: RemoteDatabase): Promise<readonly string[]> {
    const probes = [
      ...Array.from({ length: this.#photos.size }, (_, i) => this.photoProbe(i)),
      ...Array.from({ length: vectorPeopleCount }, (_, i) => this.vectorProbe(i)),
    ];
    const missing: string[] = [];
    for (const probe of probes) {
      const wrong = await whatIsWrong(database, probe);
      if (wrong !== undefined) missing.push(wrong);
    }
    return missing;
  }
}

/** Undefined when the nearest is who it must be. */
export async function whatIsWrong(database: RemoteDatabase, { identity, sample }: Probe): Promise<string | undefined> {
  const { candidates } = await database.identify({ gallery: keptGallery, ...sample });
  const found = candidates[0]?.identity;
  return found === identity
    ? undefined
    : `${'image' in sample ? 'a photo' : 'a vector'} of ${identity} finds ${String(found)}`;
}
