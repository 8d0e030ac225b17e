/**
 * Method: each error that can be provoked over the wire is, through grpc-js alone, so that trailers are seen as any client sees them.
 * The expected statuses were chosen from gRPC's own definitions and are written here by hand.
 */
import assert from 'node:assert/strict';
import { credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { after, before, describe, it } from 'mocha';
import sharp from 'sharp';
import type { Database } from '../../src/api.js';
import type { RemoteDatabase } from '../../src/client/remote-database.js';
import type { Embedder } from '../../src/embedder/embedder.js';
import { HarmonidError, type ErrorCode } from '../../src/errors.js';
import { ErrorInfo } from '../../src/wire/google/rpc/error_details.js';
import { Status } from '../../src/wire/google/rpc/status.js';
import { IdentifyRequest, IdentityServiceClient, VerifyRequest } from '../../src/wire/harmonid/v1/identity.js';
import { keptOpen, openTestEmbedder } from '../support/database.js';
import { decompressionBomb, emptyScene, groupPhoto, portrait } from '../support/photos.js';
import { axis, dimensions, makeVectorGallery, overriding, withServer } from './served.js';

interface Case {
  readonly code: ErrorCode;
  readonly grpc: status;
  readonly provoke: (remote: RemoteDatabase) => Promise<unknown>;
}

const gallery = 'lobby';
const vector = axis(0).vector;

/** Takes seconds to make. */
let bomb: Promise<Buffer> | undefined;

const byVector: readonly Case[] = [
  {
    code: 'VECTOR_WRONG_LENGTH',
    grpc: status.INVALID_ARGUMENT,
    provoke: (remote) => remote.identify({ gallery, embedding: { ...axis(0), vector: [1, 2, 3] } }),
  },
  {
    code: 'VECTOR_NOT_FINITE',
    grpc: status.INVALID_ARGUMENT,
    provoke: (remote) => remote.identify({ gallery, embedding: { ...axis(0), vector: vector.with(2, Number.NaN) } }),
  },
  {
    code: 'VECTOR_ZERO_NORM',
    grpc: status.INVALID_ARGUMENT,
    provoke: (remote) => remote.identify({ gallery, embedding: { ...axis(0), vector: vector.map(() => 0) } }),
  },
  {
    code: 'SPACE_MISMATCH',
    grpc: status.FAILED_PRECONDITION,
    provoke: (remote) => remote.identify({ gallery, embedding: { space: 'another', vector } }),
  },
  {
    code: 'INVALID_IDENTIFIER',
    grpc: status.INVALID_ARGUMENT,
    provoke: (remote) => remote.enroll({ gallery, identity: 'x'.repeat(10_000), embeddings: [axis(0)] }),
  },
  {
    code: 'INVALID_ARGUMENT',
    grpc: status.INVALID_ARGUMENT,
    provoke: (remote) => remote.identify({ gallery, embedding: axis(0), k: -1 }),
  },
  {
    code: 'GALLERY_NOT_FOUND',
    grpc: status.NOT_FOUND,
    provoke: (remote) => remote.getGallery({ gallery: 'nowhere' }),
  },
  {
    code: 'GALLERY_EXISTS',
    grpc: status.ALREADY_EXISTS,
    provoke: (remote) => remote.createGallery({ gallery, space: 'another', dimensions, threshold: 1 }),
  },
  {
    code: 'IDENTITY_NOT_FOUND',
    grpc: status.NOT_FOUND,
    provoke: (remote) => remote.verify({ gallery, identity: 'nobody', embedding: axis(0) }),
  },
  {
    code: 'TEMPLATE_NOT_FOUND',
    grpc: status.NOT_FOUND,
    provoke: (remote) => remote.removeTemplate({ gallery, identity: 'anna', template: 4_000_000 }),
  },
  {
    code: 'DUPLICATE_FACE',
    grpc: status.ALREADY_EXISTS,
    provoke: (remote) => remote.enroll({ gallery, identity: 'twin', embeddings: [axis(0)] }),
  },
  {
    code: 'IDEMPOTENCY_CONFLICT',
    grpc: status.FAILED_PRECONDITION,
    provoke: (remote) =>
      remote.enroll({ gallery, identity: 'anna', label: 'other', embeddings: [axis(0)], idempotencyKey: 'once' }),
  },
  {
    code: 'VERSION_CONFLICT',
    grpc: status.ABORTED,
    provoke: (remote) => remote.updateIdentity({ gallery, identity: 'anna', label: 'A', expectedVersion: 1_000_000 }),
  },
  {
    code: 'LIMIT_EXCEEDED',
    grpc: status.RESOURCE_EXHAUSTED,
    provoke: async (remote) => {
      await remote.createGallery({ gallery: 'tight', ...space(), templatesPerIdentityMax: 1 });
      return remote.enroll({ gallery: 'tight', identity: 'anna', embeddings: [axis(0), axis(1)] });
    },
  },
  {
    code: 'EMBEDDER_MISSING',
    grpc: status.FAILED_PRECONDITION,
    provoke: (remote) => remote.identify({ gallery, image: Buffer.from('a photo') }),
  },
];

const byImage: readonly Case[] = [
  { code: 'IMAGE_EMPTY', grpc: status.INVALID_ARGUMENT, provoke: (remote) => identify(remote, new Uint8Array()) },
  {
    code: 'IMAGE_UNREADABLE',
    grpc: status.INVALID_ARGUMENT,
    provoke: (remote) => identify(remote, Buffer.from('no image at all')),
  },
  {
    code: 'IMAGE_TOO_LARGE',
    grpc: status.INVALID_ARGUMENT,
    provoke: async (remote) => identify(remote, await (bomb ??= decompressionBomb())),
  },
  {
    code: 'IMAGE_WRONG_SIZE',
    grpc: status.INVALID_ARGUMENT,
    provoke: async (remote) => remote.identify({ alignedCrop: await emptyScene() }),
  },
  { code: 'NO_FACE', grpc: status.INVALID_ARGUMENT, provoke: async (remote) => identify(remote, await emptyScene()) },
  { code: 'SEVERAL_FACES', grpc: status.INVALID_ARGUMENT, provoke: (remote) => identify(remote, groupPhoto(1)) },
  {
    code: 'FACE_REFUSED',
    grpc: status.FAILED_PRECONDITION,
    provoke: async (remote) => {
      const night = await sharp(await portrait('bow'))
        .modulate({ brightness: 0.05 })
        .jpeg({ quality: 95 })
        .toBuffer();
      const tiny = await sharp(await portrait('bow'))
        .resize(56)
        .jpeg({ quality: 95 })
        .toBuffer();
      await remote.enroll({ identity: 'night', images: [tiny], faces: 'largest' });
      return remote.enroll({ identity: 'night', images: [night], faces: 'largest' });
    },
  },
];

function space(): { space: string; dimensions: number; threshold: number } {
  return { space: axis(0).space, dimensions, threshold: 0.5 };
}

function identify(remote: RemoteDatabase, image: Uint8Array): Promise<unknown> {
  return remote.identify({ image });
}

/** Our client rebuilds the error; what it was built from hangs on the raw call below. */
async function thrown(work: Promise<unknown>): Promise<HarmonidError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof HarmonidError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: 'nothing was refused' });
}

/** The same database as `database`, told apart by nothing: what it refuses must come over the wire as it is. */
async function sameRefusal(code: ErrorCode, provoke: Case['provoke'], remote: RemoteDatabase, database: Database) {
  const overWire = await thrown(provoke(remote));
  assert.equal(overWire.code, code, overWire.message);
  // The embedded database has the same methods for everything that is provoked here.
  const embedded = await thrown(provoke(database as RemoteDatabase));
  assert.equal(overWire.message, embedded.message);
  return overWire;
}

describe('errors over the wire', function () {
  this.timeout(60_000);

  describe('by vector', () => {
    for (const { code, provoke } of byVector) {
      it(`${code}, in the library's own words`, () =>
        withServer({}, async ({ database, remote }) => {
          await makeVectorGallery(remote);
          await remote.enroll({ gallery, identity: 'anna', embeddings: [axis(0)], idempotencyKey: 'once' });
          if (code === 'LIMIT_EXCEEDED') assert.equal((await thrown(provoke(remote))).code, code);
          else await sameRefusal(code, provoke, remote, database);
        }));
    }
  });

  describe('by image', () => {
    let embedder: Embedder;
    before(async () => {
      embedder = await openTestEmbedder();
    });
    after(() => embedder.close());
    for (const { code, provoke } of byImage) {
      it(`${code}, in the library's own words`, () =>
        withServer({ embedder: keptOpen(embedder) }, async ({ database, remote }) => {
          await remote.createGallery({ gallery: 'default' });
          await sameRefusal(code, provoke, remote, database);
        }));
    }
  });

  it('carries the code three ways: status, text, google.rpc.ErrorInfo', () =>
    withServer({}, async ({ server, remote }) => {
      await makeVectorGallery(remote);
      await remote.enroll({ gallery, identity: 'anna', embeddings: [axis(0)], idempotencyKey: 'once' });
      const client = new IdentityServiceClient(server.address, credentials.createInsecure());
      try {
        const wrongLength = await refused((callback) =>
          client.identify(
            IdentifyRequest.create({
              gallery,
              sample: { sample: { $case: 'embedding', value: { ...axis(0), vector: [1, 2] } } },
            }),
            callback,
          ),
        );
        assert.equal(wrongLength.code, status.INVALID_ARGUMENT);
        assert.equal(wrongLength.details, `vector has 2 dimensions, gallery "lobby" has ${dimensions}`);
        assert.deepEqual(wrongLength.metadata.get('harmonid-code'), ['VECTOR_WRONG_LENGTH']);
        const [encoded] = wrongLength.metadata.get('grpc-status-details-bin');
        assert.ok(Buffer.isBuffer(encoded));
        const rich = Status.decode(encoded);
        assert.deepEqual([rich.code, rich.message], [status.INVALID_ARGUMENT, wrongLength.details]);
        assert.equal(rich.details[0]?.typeUrl, 'type.googleapis.com/google.rpc.ErrorInfo');
        assert.deepEqual(ErrorInfo.decode(rich.details[0].value), {
          reason: 'VECTOR_WRONG_LENGTH',
          domain: 'harmonid',
          metadata: { vectorDimensions: '2', spaceDimensions: `${dimensions}` },
        });

        const noSample = await refused((callback) =>
          client.verify(VerifyRequest.create({ gallery, identity: 'anna' }), callback),
        );
        assert.deepEqual(noSample.metadata.get('harmonid-code'), ['INVALID_ARGUMENT']);
        assert.match(noSample.details, /sample is missing/);
      } finally {
        client.close();
      }
    }));

  it('gives every provoked code its gRPC status', () =>
    withServer(
      {
        // The database is made to refuse with the code that is asked for.
        around: (database) =>
          overriding(database, {
            getIdentity: ({ identity }) => Promise.reject(new HarmonidError(identity as ErrorCode, 'as told')),
          }),
      },
      async ({ server }) => {
        const client = new IdentityServiceClient(server.address, credentials.createInsecure());
        const cases = [...byVector, ...byImage];
        assert.equal(new Set(cases.map(({ code }) => code)).size, cases.length);
        for (const { code, grpc } of cases) {
          const failed = await refused((callback) => client.getIdentity({ identity: code }, callback));
          assert.deepEqual([failed.code, failed.metadata.get('harmonid-code')], [grpc, [code]], code);
        }
        client.close();
      },
    ));

  it('refuses an enum value that it does not know, naming the field', () =>
    withServer({}, async ({ server, remote }) => {
      await makeVectorGallery(remote);
      const client = new IdentityServiceClient(server.address, credentials.createInsecure());
      try {
        const failed = await refused((callback) =>
          client.makeUnaryRequest(
            '/harmonid.v1.IdentityService/Enroll',
            (bytes: Buffer) => bytes,
            (bytes: Buffer) => bytes,
            // identity = "a", then field 10 (duplicates) = 77, by hand.
            Buffer.from([0x12, 1, 0x61, 0x50, 77, 0x42, 0]),
            new Metadata(),
            callback,
          ),
        );
        assert.equal(failed.code, status.INVALID_ARGUMENT);
        assert.match(failed.details, /duplicates is "number 77"/);
      } finally {
        client.close();
      }
    }));

  it('tells the client nothing of what it did not expect, and the log everything, once', () =>
    withServer(
      {
        around: (database) =>
          overriding(database, { getIdentity: () => Promise.reject(new TypeError('secret of the house')) }),
      },
      async ({ remote, logged }) => {
        const error = await thrown(remote.getIdentity({ identity: 'anna' }));
        assert.equal(error.code, 'INTERNAL');
        assert.ok(!error.message.includes('secret'));
        assert.equal(logged.length, 1);
        const facts = logged[0]?.facts;
        assert.ok(facts && 'err' in facts && facts.err instanceof TypeError);
        assert.equal(facts.err.message, 'secret of the house');
        assert.ok('method' in facts && facts.method === '/harmonid.v1.IdentityService/GetIdentity');
      },
    ));

  it('a database that is closed under the server is CLOSED', () =>
    withServer({}, async ({ database, remote }) => {
      await database.close();
      assert.equal((await thrown(remote.listGalleries())).code, 'CLOSED');
    }));
});

/** Makes a raw call that must fail. */
function refused(call: (callback: (error: ServiceError | null) => void) => unknown): Promise<ServiceError> {
  return new Promise((resolve, reject) => {
    call((error) => (error ? resolve(error) : reject(new Error('nothing was refused'))));
  });
}
