/**
 * Method: a server's life on real sockets: health and reflection as their own clients see them, deadlines, cancellation, draining, limits.
 * Calls are held at a gate in front of the real database, so that "in flight" is a fact and not a matter of timing.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import {
  Client,
  credentials,
  loadPackageDefinition,
  Metadata,
  status,
  type ClientDuplexStream,
  type ClientReadableStream,
} from '@grpc/grpc-js';
import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema, type FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { service as healthService } from 'grpc-health-check';
import { describe, it } from 'mocha';
import type { Database } from '../../src/api.js';
import { connectDatabase } from '../../src/client/remote-database.js';
import { isHarmonidError } from '../../src/errors.js';
import { startServer } from '../../src/server/server.js';
import { AdminServiceService } from '../../src/wire/harmonid/v1/admin.js';
import { IdentityServiceService } from '../../src/wire/harmonid/v1/identity.js';
import { axis, Gate, makeVectorGallery, overriding, withServer } from './served.js';

/** Holds every Identify at `gate`, then lets the real database answer; tells of signals that fired meanwhile. */
function holding(gate: Gate, aborted: unknown[] = []): (database: Database) => Database {
  return (database) =>
    overriding(database, {
      identify: async (request) => {
        request.signal?.addEventListener('abort', () => aborted.push(request.signal?.reason));
        await gate.pass();
        return database.identify(request);
      },
    });
}

/** A client made from a package's own definition of a service. */
function clientOf(definition: Parameters<typeof loadPackageDefinition>[0][string], address: string): Client {
  const loaded = loadPackageDefinition({ Service: definition });
  assert.ok(typeof loaded['Service'] === 'function');
  return new loaded['Service'](address, credentials.createInsecure());
}

type HealthClient = Client & {
  check(request: { service: string }, callback: (error: Error | null, answer: { status: string }) => void): void;
  watch(request: { service: string }): ClientReadableStream<{ status: string }>;
};

function healthOf(client: HealthClient, service: string): Promise<string> {
  return new Promise((resolve, reject) => {
    client.check({ service }, (error, answer) => (error ? reject(error) : resolve(answer.status)));
  });
}

describe('health', () => {
  it('serves the whole and each service, tells watchers of draining, and lets them go', () =>
    withServer({}, async ({ server }) => {
      const client = clientOf(healthService, server.address) as HealthClient;
      for (const name of ['', 'harmonid.v1.IdentityService', 'harmonid.v1.AdminService']) {
        assert.equal(await healthOf(client, name), 'SERVING', name);
      }
      await assert.rejects(healthOf(client, 'harmonid.v1.NoService'), { code: status.NOT_FOUND });
      const seen: string[] = [];
      const watched = client.watch({ service: '' });
      const ended = new Promise<void>((resolve, reject) => watched.on('end', resolve).on('error', reject));
      await new Promise<void>((resolve) => {
        watched.on('data', (message: { status: string }) => {
          seen.push(message.status);
          resolve();
        });
      });
      // Would take the whole minute if the watcher held it up; mocha's time limit says no.
      await Promise.all([server.close({ drainMs: 60_000 }), ended]);
      assert.deepEqual(seen, ['SERVING', 'NOT_SERVING']);
      client.close();
    }));
});

/** One question to a reflection service and its answer, both as bytes. */
function reflect(address: string, version: string, question: Buffer): Promise<Buffer> {
  const client = new Client(address, credentials.createInsecure());
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
    `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
    new Metadata(),
  );
  return new Promise<Buffer>((resolve, reject) => {
    call.on('data', (answer: Buffer) => {
      resolve(answer);
      call.end();
    });
    call.on('error', reject);
    call.write(question);
  }).finally(() => client.close());
}

/** The length-delimited values of one field of a message: all that the reflection protocol needs here. */
function fields(message: Uint8Array, wanted: number): Uint8Array[] {
  const reader = new BinaryReader(message);
  const values: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === wanted) values.push(reader.bytes());
    else reader.skip(wireType, field);
  }
  return values;
}

function field(message: Uint8Array, wanted: number): Uint8Array {
  const [value] = fields(message, wanted);
  assert.ok(value, `no field ${wanted}`);
  return value;
}

describe('reflection', () => {
  // Field numbers from grpc/reflection/v1/reflection.proto.
  for (const version of ['v1', 'v1alpha']) {
    it(`lists the services (${version})`, () =>
      withServer({}, async ({ server }) => {
        const listServices = Buffer.from([(7 << 3) | 2, 1, 0x2a]);
        const answer = await reflect(server.address, version, listServices);
        const names = fields(field(answer, 6), 1).map((service) => Buffer.from(field(service, 1)).toString());
        assert.deepEqual(names.toSorted(), [
          'grpc.health.v1.Health',
          'harmonid.v1.AdminService',
          'harmonid.v1.IdentityService',
        ]);
      }));

    it(`describes them with all that they import, and with their comments (${version})`, () =>
      withServer({}, async ({ server }) => {
        const services = {
          'harmonid.v1.IdentityService': IdentityServiceService,
          'harmonid.v1.AdminService': AdminServiceService,
        };
        for (const [name, definition] of Object.entries(services)) {
          const containingSymbol = Buffer.concat([Buffer.from([(4 << 3) | 2, name.length]), Buffer.from(name)]);
          const answer = await reflect(server.address, version, containingSymbol);
          const files = fields(field(answer, 4), 1).map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
          // Throws when a file or a type is missing.
          const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: sorted(files) }));
          const described = registry.getService(name)?.methods.map((method) => `/${name}/${method.name}`);
          assert.deepEqual(
            described?.toSorted(),
            Object.values(definition)
              .map(({ path }) => path)
              .toSorted(),
          );
          assert.ok(files.some(({ sourceCodeInfo }) => sourceCodeInfo?.location.some((at) => at.leadingComments)));
        }
      }));
  }
});

/** Dependencies first, as a descriptor set wants them. */
function sorted(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const done = new Set<FileDescriptorProto>();
  const visit = (file: FileDescriptorProto): void => {
    for (const each of files) if (!done.has(each) && file.dependency.includes(each.name)) visit(each);
    done.add(file);
  };
  for (const file of files) visit(file);
  return [...done];
}

describe('the address', () => {
  it('in use is ADDRESS_IN_USE and names it', () =>
    withServer({}, async ({ database, server }) => {
      await assert.rejects(startServer({ database, address: server.address }), (error) => {
        assert.ok(isHarmonidError(error));
        assert.equal(error.code, 'ADDRESS_IN_USE');
        assert.ok(error.message.includes(server.address), error.message);
        return true;
      });
    }));

  it('of another protocol is in use, too', () =>
    withServer({}, async ({ database }) => {
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
      const bound = other.address();
      assert.ok(bound && typeof bound === 'object');
      try {
        await assert.rejects(startServer({ database, address: `127.0.0.1:${bound.port}` }), { code: 'ADDRESS_IN_USE' });
      } finally {
        await new Promise((resolve) => other.close(resolve));
      }
    }));

  for (const address of ['', 'localhost', '127.0.0.1:99999', '127.0.0.1:-1', '192.0.2.1:0', 'http://127.0.0.1:80']) {
    it(`"${address}" is INVALID_ARGUMENT`, () =>
      withServer({}, async ({ database }) => {
        await assert.rejects(startServer({ database, address }), { code: 'INVALID_ARGUMENT' });
      }));
  }
});

describe('deadlines and cancellation', () => {
  it('a deadline ends the call on both sides', async () => {
    const gate = new Gate();
    const aborted: unknown[] = [];
    await withServer({ around: holding(gate, aborted) }, async ({ server, remote }) => {
      await makeVectorGallery(remote);
      const hurried = connectDatabase({ address: server.address, deadlineMs: 100 });
      await assert.rejects(hurried.identify({ gallery: 'lobby', embedding: axis(0) }), { code: 'DEADLINE_EXCEEDED' });
      // The call is over at the client; its end has reached the server when the next one was answered.
      while (aborted.length === 0) await remote.listGalleries();
      const [reason] = aborted;
      assert.ok(isHarmonidError(reason));
      assert.ok(reason.code === 'DEADLINE_EXCEEDED' || reason.code === 'CANCELLED');
      gate.open();
      await hurried.close();
    });
  });

  it("an aborted signal ends the call on both sides, with the signal's own reason here", async () => {
    const gate = new Gate();
    const aborted: unknown[] = [];
    await withServer({ around: holding(gate, aborted) }, async ({ remote, logged }) => {
      await makeVectorGallery(remote);
      const controller = new AbortController();
      const call = remote.identify({ gallery: 'lobby', embedding: axis(0), signal: controller.signal });
      await gate.arrivals(1);
      controller.abort();
      await assert.rejects(call, { code: 'CANCELLED' });
      while (aborted.length === 0) await remote.listGalleries();
      const [reason] = aborted;
      assert.ok(isHarmonidError(reason) && reason.code === 'CANCELLED');
      gate.open();

      const timeout = AbortSignal.timeout(0);
      await new Promise((resolve) => timeout.addEventListener('abort', resolve));
      const late = remote.identify({ gallery: 'lobby', embedding: axis(0), signal: timeout });
      await assert.rejects(late, { code: 'DEADLINE_EXCEEDED' });
      assert.deepEqual(logged, []);
    });
  });
});

describe('draining', () => {
  it('loses no answer of calls in flight, and refuses new ones', async () => {
    const gate = new Gate();
    await withServer({ around: holding(gate) }, async ({ server, remote }) => {
      await makeVectorGallery(remote);
      const calls = Array.from({ length: 20 }, (_, i) => remote.identify({ gallery: 'lobby', embedding: axis(i) }));
      await gate.arrivals(20);
      const closed = server.close({ drainMs: 60_000 });
      await assert.rejects(remote.listGalleries(), { code: 'UNAVAILABLE' });
      const stranger = connectDatabase({ address: server.address, retries: 0 });
      await assert.rejects(stranger.listGalleries(), { code: 'UNAVAILABLE' });
      gate.open();
      const answers = await Promise.all(calls);
      assert.deepEqual(
        answers.map(({ decision }) => decision),
        calls.map(() => 'no-match'),
      );
      await closed;
      await stranger.close();
    });
  });

  it('answers what is left with UNAVAILABLE when the time is over', async () => {
    const gate = new Gate();
    const aborted: unknown[] = [];
    await withServer({ around: holding(gate, aborted) }, async ({ server, remote }) => {
      await makeVectorGallery(remote);
      const refused = assert.rejects(remote.identify({ gallery: 'lobby', embedding: axis(0) }), (error) => {
        assert.ok(isHarmonidError(error));
        assert.equal(error.code, 'UNAVAILABLE');
        assert.match(error.message, /the server stopped/);
        return true;
      });
      await gate.arrivals(1);
      await Promise.all([server.close({ drainMs: 50 }), refused]);
      assert.equal(aborted.length, 1);
      gate.open();
    });
  });

  it('ends an import that stands still when the time is over', () =>
    withServer({}, async ({ server, remote, logged }) => {
      const gallery = await makeVectorGallery(remote);
      async function* items() {
        yield { gallery, identity: 'anna', embeddings: [axis(0)] };
        await new Promise(() => {});
      }
      let closed: Promise<void> | undefined;
      await assert.rejects(
        async () => {
          for await (const { answer } of remote.importAll(items())) {
            assert.equal(answer?.created, true);
            closed = server.close({ drainMs: 50 });
          }
        },
        { code: 'UNAVAILABLE', message: /the server stopped/ },
      );
      await closed;
      assert.deepEqual(logged, []);
    }));

  it('ends camera streams after the frame in work', async () => {
    const gate = new Gate();
    await withServer({ around: holding(gate) }, async ({ server, remote }) => {
      await makeVectorGallery(remote);
      let closed: Promise<void> | undefined;
      async function* camera() {
        yield { sequence: 1, gallery: 'lobby', embedding: axis(0) };
        await gate.arrivals(1);
        closed = server.close({ drainMs: 60_000 });
        gate.open();
        // A camera has no end of its own.
        await new Promise(() => {});
      }
      const answered: number[] = [];
      await assert.rejects(
        async () => {
          for await (const { sequence } of remote.identifyStream(camera())) answered.push(sequence);
        },
        { code: 'UNAVAILABLE' },
      );
      assert.deepEqual(answered, [1]);
      await closed;
    });
  });
});

describe('limits', () => {
  it('a message over the limit is refused and the connection lives on', () =>
    withServer({ messageBytesMax: 100_000 }, async ({ remote }) => {
      await makeVectorGallery(remote);
      const tooLarge = remote.identify({ gallery: 'lobby', image: new Uint8Array(1_000_000) });
      await assert.rejects(tooLarge, { code: 'LIMIT_EXCEEDED' });
      assert.equal((await remote.listGalleries()).length, 1);
    }));
});
