/**
 * Method: raw HTTP/2 calls that grpc-js answers by itself while a handler streams answers: at a deadline, and for a message that it cannot read. Every
 * call must get an end, and at a deadline the handler must be told, also when its client reads nothing. Found by the fuzzer: what was
 * written after grpc-js's status left the stream open for as long as the connection.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { ExportTemplatesRequest } from '../../src/wire/harmonid/v1/admin.js';
import { EnrollRequest, ImportRequest } from '../../src/wire/harmonid/v1/identity.js';
import { endOf, framed, withWire } from '../fuzz/wire-call.js';
import { makeVectorGallery, overriding, scattered, withServer } from '../server/served.js';

const path = '/harmonid.v1.AdminService/ExportTemplates';

function requestFor(gallery: string): Buffer {
  return framed(ExportTemplatesRequest.encode({ gallery }).finish());
}

describe('regression: a status of the transport in the middle of a stream', () => {
  it('ends the call at a deadline', async () => {
    await withServer({}, async ({ database, server }) => {
      const gallery = await makeVectorGallery(database);
      for (let i = 0; i < 40; i++) {
        await database.enroll({ gallery, identity: `p${i}`, embeddings: [scattered(i)], duplicates: 'ignore' });
      }
      const outcomes = new Set<string>();
      await withWire(server.port, async (wire) => {
        for (let call = 0; call < 150; call++) {
          const stream = wire.open(path, { 'grpc-timeout': `${1 + (call % 12)}m` });
          const end = endOf(stream, 5_000);
          stream.end(requestFor(gallery));
          outcomes.add((await end).outcome);
        }
      });
      outcomes.delete('gRPC OK');
      assert.deepEqual([...outcomes], ['gRPC DEADLINE_EXCEEDED']);
    });
  });

  it('ends the call after a message that cannot be read', async () => {
    await withServer({}, async ({ database, server }) => {
      const gallery = await makeVectorGallery(database);
      const { space, vector } = scattered(1);
      const item = EnrollRequest.fromPartial({
        gallery,
        identity: 'anna',
        embeddings: [{ space, vector: [...vector] }],
      });
      const request = framed(ImportRequest.encode({ item }).finish());
      const unreadable = framed(Buffer.of(0xff));
      const outcomes = new Set<string>();
      await withWire(server.port, async (wire) => {
        for (let items = 1; items <= 30; items++) {
          const stream = wire.open('/harmonid.v1.IdentityService/Import');
          const end = endOf(stream, 5_000);
          const answered = new Promise((resolve) => stream.once('data', resolve));
          stream.write(Buffer.concat(Array.from({ length: items }, () => request)));
          // Others are still to be answered.
          await answered;
          stream.end(unreadable);
          outcomes.add((await end).outcome);
        }
      });
      assert.deepEqual([...outcomes], ['gRPC INTERNAL']);
    });
  });

  it('is told to the handler at a deadline, though its client reads nothing', async () => {
    let told!: (reason: unknown) => void;
    const reason = new Promise((resolve) => (told = resolve));
    const options = {
      around: (database: Parameters<typeof overriding>[0]) =>
        overriding(database, {
          exportTemplates: (request) => {
            request?.signal?.addEventListener('abort', () => told(request.signal?.reason));
            return database.exportTemplates(request);
          },
        }),
    };
    await withServer(options, async ({ database, server }) => {
      const gallery = await makeVectorGallery(database);
      await database.enroll({
        gallery,
        identity: 'anna',
        embeddings: Array.from({ length: 100 }, (_, i) => scattered(i)),
      });
      const talk = async (wire: Parameters<Parameters<typeof withWire>[1]>[0]): Promise<void> => {
        wire.open(path, { 'grpc-timeout': '50m' }).end(requestFor(gallery));
        assert.equal(((await reason) as { code?: string }).code, 'DEADLINE_EXCEEDED');
      };
      await withWire(server.port, talk, { windowBytes: 0 });
    });
  });
});
