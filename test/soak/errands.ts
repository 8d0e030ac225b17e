/**
 * What the clients of the soak do, one errand a lane, over and over.
 *
 * A lane that enrolls keeps its number of people: for each that comes the oldest goes. Whoever identifies asks for somebody whose answer is known.
 */
import { connect } from 'node:http2';
import type { EnrollRequest } from '../../src/api.js';
import type { RemoteDatabase } from '../../src/client/remote-database.js';
import { formatIdentify } from '../../src/client/format.js';
import { isHarmonidError } from '../../src/errors.js';
import { IdentityServiceService } from '../../src/wire/harmonid/v1/identity.js';
import type { UnitVector } from '../../src/vector.js';
import { pick, type FaceMaker, type Random } from '../index/faces.js';
import type { Register } from './register.js';

/** Nobody is enrolled or erased here while the load goes on. */
export const doorGallery = 'doors';
export const vectorGallery = 'vectors';
export const imageGallery = 'images';
export const importGallery = 'imports';
export const space = 'soak';

/** People that a lane has at a time; an import, its newest two streams. */
const peopleAtATime = { vectors: 40, images: 4, imports: 25 } as const;
/** Many more than live at a time. */
const facesALane = 400;

export interface Lane {
  readonly name: string;
  readonly address: string;
  readonly database: RemoteDatabase;
  readonly random: Random;
  readonly faces: FaceMaker;
  readonly register: Register;
  readonly photos: ReadonlyMap<string, Buffer>;
}

/** One errand, done again and again; it remembers what it did. Throws where an answer is wrong. */
export type Errand = () => Promise<void>;

export interface ErrandKind {
  readonly name: string;
  /** Clients at the same time. */
  readonly lanes: number;
  /** Between two errands of a lane, milliseconds. */
  readonly pauseMs: number;
  readonly make: (lane: Lane) => Errand;
}

export const errandKinds: readonly ErrandKind[] = [
  { name: 'enroll and erase by vector', lanes: 3, pauseMs: 40, make: registrar },
  { name: 'enroll and erase by image', lanes: 1, pauseMs: 300, make: photographer },
  { name: 'identify by image', lanes: 2, pauseMs: 300, make: door },
  { name: 'verify by image', lanes: 1, pauseMs: 500, make: gate },
  { name: 'import and erase', lanes: 1, pauseMs: 1000, make: importer },
  { name: 'export', lanes: 1, pauseMs: 1500, make: exporter },
  { name: 'frames', lanes: 1, pauseMs: 500, make: camera },
  { name: 'cancel', lanes: 1, pauseMs: 200, make: waverer },
  { name: 'vanish', lanes: 1, pauseMs: 700, make: vanisher },
];

/** Enrolls somebody, finds and verifies somebody, erases the oldest. */
function registrar(lane: Lane): Errand {
  const { database, random, faces, register } = lane;
  const gallery = vectorGallery;
  const people: { readonly identity: string; readonly vector: UnitVector }[] = [];
  const next = namesOf(lane);
  return async () => {
    const { identity, face } = next();
    const vector = faces.face(face);
    register.enrolling(gallery, identity, vector);
    await database.enroll({ gallery, identity, embeddings: [{ space, vector }] });
    register.enrolled(gallery, identity);
    people.push({ identity, vector });
    const somebody = pick(random, people) ?? { identity, vector };
    const embedding = { space, vector: somebody.vector };
    const { candidates } = await database.identify({ gallery, embedding });
    expectAnswer(somebody.identity, candidates[0]?.identity);
    const { decision } = await database.verify({ gallery, identity: somebody.identity, embedding });
    expectAnswer('match', decision);
    if (people.length > peopleAtATime.vectors) await eraseFrom(lane, gallery, people.shift()?.identity);
  };
}

function photographer(lane: Lane): Errand {
  const { database, random, photos, register } = lane;
  const gallery = imageGallery;
  const people: string[] = [];
  const next = namesOf(lane);
  return async () => {
    const { identity } = next();
    const photo = pick(random, [...photos.values()]) ?? Buffer.alloc(0);
    register.enrolling(gallery, identity, null);
    await database.enroll({ gallery, identity, images: [photo], faces: 'largest' });
    register.enrolled(gallery, identity);
    people.push(identity);
    if (people.length > peopleAtATime.images) await eraseFrom(lane, gallery, people.shift());
  };
}

async function eraseFrom({ database, register }: Lane, gallery: string, identity: string | undefined): Promise<void> {
  if (identity === undefined) return;
  register.erasing(gallery, identity);
  await database.eraseIdentity({ gallery, identity });
  register.erased(gallery, identity);
}

function door({ database, random, photos }: Lane): Errand {
  return async () => {
    const [person = '', image = Buffer.alloc(0)] = pick(random, [...photos]) ?? [];
    const { candidates } = await database.identify({ gallery: doorGallery, image, faces: 'largest' });
    expectAnswer(person, candidates[0]?.identity);
  };
}

function gate({ database, random, photos }: Lane): Errand {
  return async () => {
    const [person = '', image = Buffer.alloc(0)] = pick(random, [...photos]) ?? [];
    const { decision } = await database.verify({ gallery: doorGallery, identity: person, image, faces: 'largest' });
    expectAnswer('match', decision);
  };
}

/** A stream of people; those of the stream before are erased. */
function importer(lane: Lane): Errand {
  const { database, faces, register } = lane;
  const gallery = importGallery;
  const next = namesOf(lane);
  let before: readonly string[] = [];
  return async () => {
    const items = Array.from({ length: peopleAtATime.imports }, (): EnrollRequest => {
      const { identity, face } = next();
      const vector = faces.face(face);
      register.enrolling(gallery, identity, vector);
      return { gallery, identity, embeddings: [{ space, vector }] };
    });
    for await (const { identity, error } of database.importAll(items)) {
      if (error) throw error;
      register.enrolled(gallery, identity);
    }
    for (const identity of before) await eraseFrom(lane, gallery, identity);
    before = items.map(({ identity }) => identity);
  };
}

/** Reads everybody, or goes away in the middle. */
function exporter({ database, random }: Lane): Errand {
  return async () => {
    const wanted = random() < 0.5 ? Infinity : 10;
    let read = 0;
    for await (const { gallery } of database.exportTemplates({ gallery: vectorGallery })) {
      expectAnswer(vectorGallery, gallery);
      if (++read >= wanted) break;
    }
  };
}

/** A camera's stream: ends by itself, or is left while a frame is in work. */
function camera({ database, random, photos }: Lane): Errand {
  return async () => {
    const image = pick(random, [...photos.values()]) ?? Buffer.alloc(0);
    const frames = Array.from({ length: 3 }, (_, i) => ({
      sequence: i,
      gallery: doorGallery,
      image,
      faces: 'largest' as const,
    }));
    for await (const { error } of database.identifyStream(frames)) {
      if (error) throw error;
      if (random() < 0.3) break;
    }
  };
}

/** Asks, and does not want to know any more. */
function waverer({ database, random, photos }: Lane): Errand {
  return async () => {
    const image = pick(random, [...photos.values()]) ?? Buffer.alloc(0);
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), random() * 200);
    try {
      await database.identify({ gallery: doorGallery, image, faces: 'largest', signal: abort.signal });
    } catch (error) {
      if (!isHarmonidError(error) || error.code !== 'CANCELLED') throw error;
    } finally {
      clearTimeout(timer);
    }
  };
}

/** Connects, asks, and is gone without a word: the connection is reset while the call is in work, or half sent. */
function vanisher({ address, random, photos }: Lane): Errand {
  const { path, requestSerialize } = IdentityServiceService.identify;
  const image = [...photos.values()][0] ?? Buffer.alloc(0);
  const message = requestSerialize(formatIdentify({ gallery: doorGallery, image, faces: 'largest' }));
  const framed = Buffer.alloc(5 + message.length);
  framed.writeUInt32BE(message.length, 1);
  message.copy(framed, 5);
  return async () => {
    const session = connect(`http://${address}`);
    const isGone = new Promise<void>((resolve) => session.once('close', resolve));
    // A server that drains resets it first.
    session.on('error', () => undefined);
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => undefined);
    if (random() < 0.5) stream.end(framed);
    else stream.write(framed.subarray(0, framed.length / 2));
    const timer = setTimeout(() => session.destroy(), random() * 150);
    await isGone;
    clearTimeout(timer);
  };
}

/** New names for ever, and faces that come again when nobody has them any more. */
function namesOf({ name }: Lane): () => { readonly identity: string; readonly face: number } {
  let count = 0;
  return () => ({ identity: `${name}-${count}`, face: count++ % facesALane });
}

function expectAnswer(expected: string, found: string | undefined): void {
  if (found !== expected) throw new WrongAnswer(`"${expected}" was expected, "${found}" came`);
}

export class WrongAnswer extends Error {}
