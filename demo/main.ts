/**
 * The demo: from six group photos to names, through the real thing.
 *
 * Opens an embedded database, finds every face, groups the faces into people, enrolls the people from the first photo in which
 * each appears (all but two, who stay strangers), starts the gRPC server on a free port and identifies everybody in the original
 * and in altered photos through the client. Prints a table, writes annotated pictures. The grouping is the only "truth" there
 * is here: the demo shows how things work, the evaluation measures how well.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import Table from 'cli-table3';
import type { Box, Database, Embedding, Face, Identification } from '../src/api.js';
import { annotatePhoto } from '../src/cli/annotate.js';
import { clusterByIdentity } from '../src/cluster/agglomeration.js';
import { connectDatabase } from '../src/client/remote-database.js';
import { openDatabase } from '../src/database.js';
import { startServer } from '../src/server/server.js';
import { trustUnitVector } from '../src/vector.js';
import { alterations, cutOut, groupPhoto, photoCount, sizeOf, type Alteration } from './photos.js';

interface FoundFace {
  readonly photo: number;
  readonly face: Face;
  readonly embedding: Embedding;
  /** Centre as shares of the photo's width and height. */
  readonly centre: readonly [x: number, y: number];
}

interface Person {
  readonly name: string;
  readonly faces: readonly FoundFace[];
  readonly enrolled: boolean;
}

interface Row {
  readonly photo: number;
  readonly alteration: string;
  readonly position: number;
  readonly truth: Person | undefined;
  readonly answer: Identification;
}

const names = [
  'Ada',
  'Bea',
  'Cleo',
  'Dora',
  'Eve',
  'Fay',
  'Gil',
  'Hana',
  'Ida',
  'Jo',
  'Kim',
  'Lea',
  'Mia',
  'Nora',
  'Ola',
  'Pia',
  'Quinn',
  'Rae',
  'Sam',
  'Tess',
  'Uma',
  'Vera',
  'Wim',
  'Xenia',
  'Yara',
  'Zoe',
];
/** People who are left out of the enrolment, to show that strangers are no match. */
const strangerCount = 2;

const folder = resolve('demo-output');
const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(): Promise<void> {
  const startedMs = performance.now();
  await rm(join(folder, 'data'), { recursive: true, force: true });
  await mkdir(folder, { recursive: true });

  say('Opening an embedded database; the first run also writes the model pack as ONNX …');
  const db = await openDatabase({ path: join(folder, 'data'), embedder: { modelsPath: join(folder, 'models') } });
  try {
    const { embedder } = await db.stats();
    say(
      `  model ${embedder?.info.space}, detector ${embedder?.info.detector}, on ${embedder?.info.provider} (${embedder?.info.providerReason})`,
    );
    const faces = await findFaces(db);
    const people = groupIntoPeople(faces, embedder?.info.threshold ?? 0);
    await enroll(db, people);
    const rows = await identifyOverGrpc(db, people);
    report(rows);
    say(
      `\nAnnotated pictures: ${relative(process.cwd(), folder)}/*.png   (${((performance.now() - startedMs) / 1000).toFixed(0)} s in all)`,
    );
  } finally {
    await db.close();
  }
  say(`
Next:
  npx harmonid list --data demo-output/data
  npx harmonid identify node_modules/@vladmandic/face-api/demo/sample6.jpg --data demo-output/data
  npx harmonid serve --data demo-output/data      # then: grpcurl -plaintext 127.0.0.1:50051 list
  npx harmonid import ./people                    # your own photos, one folder a person`);
}

async function findFaces(db: Database): Promise<readonly FoundFace[]> {
  const perPhoto = await Promise.all(
    Array.from({ length: photoCount }, async (_, i) => {
      const { faces, width, height } = await db.embed({ image: await groupPhoto(i + 1) });
      return faces.map(({ face, embedding }) => ({
        photo: i + 1,
        face,
        embedding,
        centre: centreOf(face.box, width, height),
      }));
    }),
  );
  const faces = perPhoto.flat();
  say(`Found ${faces.length} faces in ${photoCount} photos (${perPhoto.map((found) => found.length).join(', ')}).`);
  return faces;
}

function centreOf(box: Box, width: number, height: number): readonly [number, number] {
  return [(box.left + box.width / 2) / width, (box.top + box.height / 2) / height];
}

function groupIntoPeople(faces: readonly FoundFace[], cut: number): readonly Person[] {
  const vectors = faces.map(({ embedding }) => trustUnitVector(Float32Array.from(embedding.vector)));
  // Two faces in one photo are two people.
  const clusters = clusterByIdentity(vectors, { cut, photos: faces.map(({ photo }) => photo) });
  const people = clusters.map((members, i) => ({
    name: names[i] ?? `person-${i + 1}`,
    faces: members.flatMap((member) => faces[member] ?? []),
    enrolled: i < clusters.length - strangerCount,
  }));
  const recurring = people.filter((person) => person.faces.length > 1);
  say(
    `Grouped them into ${people.length} people; in several photos: ${recurring.map((person) => `${person.name} (${person.faces.map(({ photo }) => photo).join(', ')})`).join(', ') || 'nobody'}.`,
  );
  return people;
}

async function enroll(db: Database, people: readonly Person[]): Promise<void> {
  const enrolled = people.filter((person) => person.enrolled);
  for (const person of enrolled) {
    const [first] = person.faces;
    if (!first) continue;
    const portrait = await cutOut(await groupPhoto(first.photo), first.face.box);
    // Some of these faces look down or away; a real gallery would keep the policy and ask for a better photo.
    await db.enroll({
      identity: person.name,
      images: [portrait],
      faces: 'largest',
      refuseReasons: [],
      duplicates: 'report',
    });
  }
  const strangers = people.filter((person) => !person.enrolled);
  say(
    `Enrolled ${enrolled.length} people from one photo each; left out as strangers: ${strangers.map(({ name }) => name).join(', ')}.`,
  );
}

async function identifyOverGrpc(db: Database, people: readonly Person[]): Promise<readonly Row[]> {
  const server = await startServer({ database: db, address: '127.0.0.1:0' });
  const client = connectDatabase({ address: `127.0.0.1:${server.port}` });
  say(`gRPC server on 127.0.0.1:${server.port}; identifying everybody through the client …\n`);
  try {
    const rows: Row[] = [];
    for (let photo = 1; photo <= photoCount; photo++) {
      const original = await groupPhoto(photo);
      for (const alteration of alterations) {
        const image = await alteration.apply(original);
        const { width, height } = await sizeOf(image);
        const answers = await client.identifyFaces({ image, k: 2 });
        const found = answers
          .toSorted((a, b) => (a.face?.box.left ?? 0) - (b.face?.box.left ?? 0))
          .map((answer, i) => ({
            photo,
            alteration: alteration.name,
            position: i + 1,
            answer,
            truth: whoIs(answer, alteration, photo, people, width, height),
          }));
        rows.push(...found);
        const marks = found.flatMap(({ answer }) => mark(answer));
        await writeFile(join(folder, `photo${photo}-${alteration.name}.png`), await annotatePhoto(image, marks));
      }
    }
    return rows;
  } finally {
    await client.close();
    await server.close();
  }
}

/** The person whose face in the original photo lies where this one does. */
function whoIs(
  { face }: Identification,
  alteration: Alteration,
  photo: number,
  people: readonly Person[],
  width: number,
  height: number,
): Person | undefined {
  if (!face) return undefined;
  const [x, y] = alteration.restore(...centreOf(face.box, width, height));
  const near = ([a, b]: readonly [number, number]): boolean => Math.hypot(a - x, b - y) < 0.03;
  return people.find((person) => person.faces.some((found) => found.photo === photo && near(found.centre)));
}

function mark({ face, candidates, decision }: Identification): Parameters<typeof annotatePhoto>[1] {
  if (!face) return [];
  const [best] = candidates;
  const title = decision === 'match' ? (best?.identity ?? '') : decision === 'ambiguous' ? 'ambiguous' : 'unknown';
  return [{ box: face.box, tone: decision, title, ...(best && { note: best.distance.toFixed(3) }) }];
}

function report(rows: readonly Row[]): void {
  const table = new Table({
    head: ['photo', 'face', 'identity', 'distance', 'threshold', 'decision', 'ms', 'right'],
    colAligns: ['left', 'right', 'left', 'right', 'right', 'left', 'right', 'left'],
    style: { compact: true, head: [], border: [] },
  });
  for (const { photo, alteration, position, answer, truth } of rows) {
    const [best] = answer.candidates;
    table.push([
      `${photo} ${alteration}`,
      position,
      answer.decision === 'no-match' ? '-' : (best?.identity ?? '-'),
      best?.distance.toFixed(3) ?? '-',
      answer.threshold.toFixed(3),
      answer.decision,
      answer.timings.totalMs.toFixed(0),
      verdict(answer, truth),
    ]);
  }
  say(table.toString());
  const known = rows.filter(({ truth }) => truth?.enrolled);
  const strangers = rows.filter(({ truth }) => truth && !truth.enrolled);
  const right = (some: readonly Row[]): number =>
    some.filter(({ answer, truth }) => verdict(answer, truth) === 'yes').length;
  say(
    `\nEnrolled people found again: ${right(known)} of ${known.length}.  Strangers turned away: ${right(strangers)} of ${strangers.length}.`,
  );
}

function verdict({ decision, candidates }: Identification, truth: Person | undefined): 'yes' | 'no' | '?' {
  if (!truth) return '?';
  const claimed = decision === 'match' ? candidates[0]?.identity : undefined;
  return claimed === (truth.enrolled ? truth.name : undefined) ? 'yes' : 'no';
}

await main();
