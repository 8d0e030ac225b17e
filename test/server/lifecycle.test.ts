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
import { service as healthService } from 'grpc-health-check';
import { describe, it } from 'mocha';
import type { Database } from '../../src/api.js';
import { connectDatabase } from '../../src/client/remote-database.js';
import { isHarmonidError } from '../../src/errors.js';
import { startServer } from '../../src/server/server.js';
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

describe('reflection', () => {
  // One message of field 7 (list_services) or 4 (file_containing_symbol), and the answers' texts: enough of the protocol by hand.
  const ask = (address: string, version: string, request: Buffer): Promise<Buffer> => {
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
      call.write(request);
    }).finally(() => client.close());
  };

  for (const version of ['v1', 'v1alpha']) {
    it(`lists the services and describes them with their comments (${version})`, () =>
      withServer({}, async ({ server }) => {
        const list = (await ask(server.address, version, Buffer.from([0x3a, 1, 0x2a]))).toString('latin1');
        for (const name of ['harmonid.v1.IdentityService', 'harmonid.v1.AdminService', 'grpc.health.v1.Health']) {
          assert.ok(list.includes(name), name);
        }
        const symbol = Buffer.from('harmonid.v1.IdentityService');
        const files = await ask(server.address, version, Buffer.concat([Buffer.from([0x22, symbol.length]), symbol]));
        for (const text of ['IdentifyStreamRequest', 'google/protobuf/timestamp.proto', 'Is this that person?']) {
          assert.ok(files.includes(text), text);
        }
      }));
  }
});

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
      const stranger = connectDatabase({ address: server.address });
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
