/**
 * The embedded database, end to end on real photos: real ONNX inference, real LMDB, real graphs. Who is who was decided by
 * looking at the photos. The model's own figures are in docs; here only clear cases are asserted.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import type { Database, EnrollRequest, ExportedTemplate } from '../src/api.js';
import { openDatabase } from '../src/database.js';
import type { Embedder } from '../src/embedder/embedder.js';
import { isHarmonidError, type ErrorCode } from '../src/errors.js';
import { keptOpen, openTestEmbedder, temporaryFolder, withDatabase } from './support/database.js';
import {
  alterations,
  decompressionBomb,
  emptyScene,
  everyPerson,
  groupPhoto,
  portrait,
  type Person,
} from './support/photos.js';

function code(expected: ErrorCode, pattern = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isHarmonidError(error), `not a HarmonidError: ${String(error)}`);
    assert.equal(error.code, expected, error.message);
    assert.match(error.message, pattern);
    return true;
  };
}

const portraits = new Map<Person, Buffer>();
function photoOf(person: Person): Buffer {
  const photo = portraits.get(person);
  assert.ok(photo);
  return photo;
}

async function enrollEverybody(db: Database, people: readonly Person[] = everyPerson): Promise<void> {
  for (const person of people) {
    await db.enroll({ identity: person, images: [photoOf(person)], refuseReasons: [], duplicates: 'ignore' });
  }
}

describe('database', function () {
  let embedder: Embedder;

  before(async () => {
    embedder = await openTestEmbedder();
    for (const person of everyPerson) portraits.set(person, await portrait(person));
  });
  after(() => embedder.close());

  const withPeople = (work: (db: Database, path: string) => Promise<void>, people?: readonly Person[]): Promise<void> =>
    withDatabase({ embedder: keptOpen(embedder) }, async (db, path) => {
      await enrollEverybody(db, people);
      await work(db, path);
    });

  it('does what the README promises in three lines', async () => {
    await withDatabase({ embedder: keptOpen(embedder) }, async (db) => {
      const enrolled = await db.enroll({ identity: 'alice', images: [photoOf('green')] });
      assert.equal(enrolled.created, true);
      assert.equal(enrolled.templates.length, 1);
      assert.equal(enrolled.faces.length, 1);
      const answer = await db.identify({ image: photoOf('green') });
      assert.equal(answer.decision, 'match');
      assert.equal(answer.candidates[0]?.identity, 'alice');
      assert.ok((answer.candidates[0]?.distance ?? 1) < 1e-6);
      assert.equal(answer.margin, null);
      assert.equal(answer.space, embedder.info.space);
    });
  });

  it('finds people again in altered photos, and says how far they are', async () => {
    const people: readonly Person[] = ['bow', 'right', 'green', 'burgundy'];
    await withPeople(async (db) => {
      for (const person of people) {
        for (const [name, alter] of Object.entries(alterations)) {
          const answer = await db.identify({ image: await alter(photoOf(person)) });
          assert.equal(answer.candidates[0]?.identity, person, `${person}, ${name}`);
          assert.equal(answer.decision, 'match', `${person}, ${name}: ${answer.candidates[0]?.distance}`);
        }
      }
    }, people);
  });

  it('knows a person from one photo in another', async () => {
    await withPeople(
      async (db) => {
        const answer = await db.identify({ image: photoOf('middle') });
        assert.equal(answer.candidates[0]?.identity, 'blonde');
      },
      ['blonde', 'bow', 'right', 'green', 'burgundy'],
    );
  });

  it('a stranger is no match', async () => {
    await withPeople(
      async (db) => {
        const answer = await db.identify({ image: photoOf('burgundy') });
        assert.equal(answer.decision, 'no-match');
        assert.equal(answer.candidates.length, 2);
      },
      ['bow', 'right'],
    );
  });

  it('identifies every face of a group photo', async () => {
    await withPeople(
      async (db) => {
        const answers = await db.identifyFaces({ image: groupPhoto(6) });
        const found = answers
          .filter(({ decision }) => decision === 'match')
          .map(({ candidates }) => candidates[0]?.identity);
        assert.ok(answers.length >= 4, `${answers.length} faces`);
        assert.deepEqual(found.toSorted(), ['burgundy', 'green']);
        assert.deepEqual(await db.identifyFaces({ image: await emptyScene() }), []);
      },
      ['green', 'burgundy'],
    );
  });

  it('verifies a person against all of their templates', async () => {
    await withPeople(
      async (db) => {
        const same = await db.verify({ identity: 'green', image: await alterations.darkened(photoOf('green')) });
        assert.equal(same.decision, 'match');
        assert.ok(same.distance > 0 && same.distance < same.threshold);
        const other = await db.verify({ identity: 'green', image: photoOf('right') });
        assert.equal(other.decision, 'no-match');
        assert.ok(other.distance > other.threshold);
        await assert.rejects(
          db.verify({ identity: 'nobody', image: photoOf('green') }),
          code('IDENTITY_NOT_FOUND', /nobody/),
        );
      },
      ['green', 'right'],
    );
  });

  it('takes the vectors that it gave, and refuses those of another space', async () => {
    await withPeople(
      async (db) => {
        const { faces } = await db.embed({ image: photoOf('green') });
        const [face] = faces;
        assert.ok(face);
        const norm = Math.hypot(...Array.from(face.embedding.vector));
        assert.ok(Math.abs(norm - 1) < 1e-5, `norm ${norm}`);
        const answer = await db.identify({ embedding: face.embedding });
        assert.equal(answer.candidates[0]?.identity, 'green');
        assert.equal(answer.face, null);
        const foreign = { space: 'another-model:0123', vector: face.embedding.vector };
        await assert.rejects(
          db.identify({ embedding: foreign }),
          code('SPACE_MISMATCH', /another-model:0123.*dlib-resnet-v1/),
        );
        await assert.rejects(db.enroll({ identity: 'x', embeddings: [foreign] }), code('SPACE_MISMATCH'));
      },
      ['green'],
    );
  });

  it('galleries of other spaces live beside, with vectors only', async () => {
    await withDatabase({ embedder: false }, async (db) => {
      await db.createGallery({ gallery: 'big', space: 'clip:1', dimensions: 512, threshold: 1 });
      const vector = Float32Array.from({ length: 512 }, (_, i) => Math.sin(i));
      await db.enroll({ gallery: 'big', identity: 'a', embeddings: [{ space: 'clip:1', vector }] });
      const answer = await db.identify({ gallery: 'big', embedding: { space: 'clip:1', vector } });
      assert.equal(answer.decision, 'match');
      await assert.rejects(db.identify({ gallery: 'big', image: photoOf('green') }), code('EMBEDDER_MISSING'));
      await assert.rejects(
        db.enroll({ identity: 'a', images: [photoOf('green')] }),
        code('GALLERY_NOT_FOUND', /default/),
      );
    });
  });

  it('an enrolment of several samples is all or nothing', async () => {
    await withDatabase({ embedder: keptOpen(embedder) }, async (db) => {
      await assert.rejects(
        db.enroll({ identity: 'alice', images: [photoOf('green'), await emptyScene()] }),
        code('NO_FACE', /sample 2 of 2/),
      );
      assert.deepEqual((await db.listIdentities()).identities, []);
    });
  });

  it('tells that a face is enrolled as somebody else', async () => {
    await withPeople(
      async (db) => {
        const again = {
          identity: 'imposter',
          images: [await alterations.darkened(photoOf('green'))],
          refuseReasons: [],
        };
        await assert.rejects(db.enroll(again), code('DUPLICATE_FACE', /green/));
        await assert.rejects(db.getIdentity({ identity: 'imposter' }), code('IDENTITY_NOT_FOUND'));
        const reported = await db.enroll({ ...again, duplicates: 'report' });
        assert.deepEqual(
          reported.duplicates.map(({ identity }) => identity),
          ['green'],
        );
        await db.eraseIdentity({ identity: 'imposter' });
        assert.equal((await db.enroll({ ...again, identity: 'green' })).created, false);
      },
      ['green'],
    );
  });

  it('a retry with the same idempotency key writes once', async () => {
    await withDatabase({ embedder: keptOpen(embedder) }, async (db) => {
      const request: EnrollRequest = { identity: 'alice', images: [photoOf('green')], idempotencyKey: 'door-7/4711' };
      const first = await db.enroll(request);
      const second = await db.enroll(request);
      assert.deepEqual([first.replayed, second.replayed], [false, true]);
      assert.deepEqual(second.templates, first.templates);
      assert.equal((await db.getIdentity({ identity: 'alice' })).templates.length, 1);
      await assert.rejects(
        db.enroll({ ...request, images: [photoOf('right')] }),
        code('IDEMPOTENCY_CONFLICT', /door-7/),
      );
    });
  });

  it('an erased person is gone from every answer', async () => {
    await withPeople(
      async (db) => {
        const { receipt, ...erased } = await db.eraseIdentity({ identity: 'green', prove: true });
        assert.deepEqual(
          { ...erased, sequence: 0, proof: erased.proof?.remainsFound },
          { existed: true, templatesErased: 1, sequence: 0, overwritten: true, proof: 0 },
        );
        assert.equal(receipt?.templateCount, 1);
        const answer = await db.identify({ image: photoOf('green') });
        assert.ok(!answer.candidates.some(({ identity }) => identity === 'green'));
        await assert.rejects(db.verify({ identity: 'green', image: photoOf('green') }), code('IDENTITY_NOT_FOUND'));
        assert.equal((await db.eraseIdentity({ identity: 'green' })).existed, false);
      },
      ['green', 'right'],
    );
  });

  it('searches a group completely', async () => {
    await withPeople(async (db) => {
      for (const person of everyPerson)
        await db.updateIdentity({ identity: person, groups: [person < 'c' ? 'day' : 'night'] });
      const answer = await db.identify({ image: photoOf('green'), groups: ['day'], k: 10 });
      assert.deepEqual(answer.candidates.map(({ identity }) => identity).toSorted(), ['blonde', 'bow', 'burgundy']);
      assert.equal(answer.decision, 'no-match');
    });
  });

  it('a restart loses nothing', async () => {
    const path = temporaryFolder();
    const options = { path, embedder: keptOpen(embedder) };
    const first = await openDatabase(options);
    await enrollEverybody(first, ['green', 'right']);
    await first.updateIdentity({
      identity: 'green',
      label: 'Ms Green',
      groups: ['staff'],
      attributes: { badge: '12' },
    });
    const before = await first.getIdentity({ identity: 'green' });
    const answered = await first.identify({ image: photoOf('green') });
    await first.close();
    await assert.rejects(first.identify({ image: photoOf('green') }), code('CLOSED'));
    const second = await openDatabase(options);
    assert.deepEqual(await second.getIdentity({ identity: 'green' }), before);
    assert.deepEqual((await second.identify({ image: photoOf('green') })).candidates, answered.candidates);
    await second.close();
  });

  it('pages through identities in order', async () => {
    await withPeople(async (db) => {
      const seen: string[] = [];
      let pageToken: string | undefined;
      do {
        const page = await db.listIdentities({ pageSize: 2, pageToken });
        assert.ok(page.identities.length <= 2);
        seen.push(...page.identities.map(({ identity }) => identity));
        pageToken = page.nextPageToken;
      } while (pageToken !== undefined);
      assert.deepEqual(seen, everyPerson.toSorted());
      await assert.rejects(db.listIdentities({ pageToken: '%%%' }), code('INVALID_ARGUMENT', /pageToken/));
    });
  });

  it('exports what can be enrolled elsewhere', async () => {
    await withPeople(
      async (db) => {
        const exported: ExportedTemplate[] = [];
        for await (const item of db.exportTemplates()) exported.push(item);
        assert.deepEqual(
          exported.map(({ identity }) => identity),
          ['green', 'right'],
        );
        await withDatabase({ embedder: keptOpen(embedder) }, async (other) => {
          for (const { identity, embedding } of exported) await other.enroll({ identity, embeddings: [embedding] });
          const answer = await other.identify({ image: photoOf('green') });
          assert.equal(answer.candidates[0]?.identity, 'green');
          assert.ok((answer.candidates[0]?.distance ?? 1) < 1e-6);
        });
      },
      ['green', 'right'],
    );
  });

  describe('bad input', () => {
    const cases: readonly (readonly [string, () => Promise<Partial<EnrollRequest>>, ErrorCode, RegExp?])[] = [
      ['zero bytes', async () => ({ images: [new Uint8Array()] }), 'IMAGE_EMPTY'],
      ['text', async () => ({ images: [Buffer.from('this is not an image')] }), 'IMAGE_UNREADABLE'],
      [
        'a cut JPEG',
        async () => ({ images: [photoOf('green').subarray(0, photoOf('green').length >> 1)] }),
        'IMAGE_UNREADABLE',
      ],
      ['100 megapixels', async () => ({ images: [await decompressionBomb()] }), 'IMAGE_TOO_LARGE', /100/],
      ['no face', async () => ({ images: [await emptyScene()] }), 'NO_FACE'],
      ['several faces', async () => ({ images: [groupPhoto(6)] }), 'SEVERAL_FACES', /faces where one is wanted/],
      [
        'a face that is too small',
        async () => {
          const { default: sharp } = await import('sharp');
          return { images: [await sharp(photoOf('green')).resize(70).toBuffer()] };
        },
        'FACE_REFUSED',
        /TOO_SMALL/,
      ],
      [
        'a wrong length',
        async () => ({ embeddings: [{ space: embedder.info.space, vector: [1, 2, 3] }] }),
        'VECTOR_WRONG_LENGTH',
        /3 .*128/,
      ],
      [
        'NaN',
        async () => ({ embeddings: [{ space: embedder.info.space, vector: Array.from({ length: 128 }, () => NaN) }] }),
        'VECTOR_NOT_FINITE',
      ],
      [
        'infinity',
        async () => ({
          embeddings: [{ space: embedder.info.space, vector: Array.from({ length: 128 }, () => Infinity) }],
        }),
        'VECTOR_NOT_FINITE',
      ],
      [
        'zero norm',
        async () => ({ embeddings: [{ space: embedder.info.space, vector: new Float32Array(128) }] }),
        'VECTOR_ZERO_NORM',
      ],
      [
        'an unknown gallery',
        async () => ({ gallery: 'nowhere', images: [photoOf('green')] }),
        'GALLERY_NOT_FOUND',
        /nowhere/,
      ],
      ['an empty identity', async () => ({ identity: '' }), 'INVALID_IDENTIFIER'],
      ['an identity of 10 kB', async () => ({ identity: 'x'.repeat(10_240) }), 'INVALID_IDENTIFIER', /10240/],
      ['an identity of control characters', async () => ({ identity: '\u0007\u001b[2J' }), 'INVALID_IDENTIFIER'],
      ['no sample', async () => ({ images: [] }), 'INVALID_ARGUMENT'],
    ];

    it('each has its code, and leaves nothing behind', async () => {
      await withPeople(
        async (db) => {
          const before = await db.stats();
          for (const [name, make, expected, pattern] of cases) {
            const request = {
              identity: 'mallory',
              images: name.includes('identity') ? [photoOf('bow')] : [],
              ...(await make()),
            };
            await assert.rejects(db.enroll(request), code(expected, pattern), name);
          }
          assert.deepEqual(
            (await db.listIdentities()).identities.map(({ identity }) => identity),
            ['green'],
          );
          const after = await db.stats();
          assert.equal(after.galleries[0]?.sequence, before.galleries[0]?.sequence);
        },
        ['green'],
      );
    });

    it('an aborted call says so', async () => {
      await withPeople(
        async (db) => {
          await assert.rejects(
            db.identify({ image: photoOf('green'), signal: AbortSignal.abort() }),
            code('CANCELLED'),
          );
          const controller = new AbortController();
          const call = db.identify({ image: photoOf('green'), signal: controller.signal });
          controller.abort();
          await assert.rejects(call, code('CANCELLED'));
        },
        ['green'],
      );
    });
  });
});
