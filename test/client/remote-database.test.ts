/** Method: the client against no server, a closed one, and one that comes back; on real sockets. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it } from 'mocha';
import { connectDatabase } from '../../src/client/remote-database.js';
import { isHarmonidError } from '../../src/errors.js';
import { startServer } from '../../src/server/server.js';
import { axis, makeVectorGallery, withServer } from '../server/served.js';

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  assert.ok(address && typeof address === 'object');
  await new Promise((resolve) => probe.close(resolve));
  return address.port;
}

describe('connectDatabase', function () {
  this.timeout(15_000);

  it('says UNAVAILABLE and which server when there is none', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const remote = connectDatabase({ address });
    await assert.rejects(remote.stats(), (error) => {
      assert.ok(isHarmonidError(error));
      assert.equal(error.code, 'UNAVAILABLE');
      assert.ok(error.message.includes(address), error.message);
      return true;
    });
    await assert.rejects(
      async () => {
        for await (const result of remote.importAll([{ identity: 'anna', embeddings: [axis(0)] }])) {
          assert.fail(`${result.index} was answered by nobody`);
        }
      },
      { code: 'UNAVAILABLE' },
    );
    await remote.close();
  });

  it('says CLOSED after close', () =>
    withServer({}, async ({ remote }) => {
      await remote.listGalleries();
      await remote.close();
      await assert.rejects(remote.listGalleries(), { code: 'CLOSED' });
      await assert.rejects(remote.exportTemplates()[Symbol.asyncIterator]().next(), { code: 'CLOSED' });
      await remote.close();
    }));

  it('finds a server that came back at the same address', () =>
    withServer({}, async ({ database, server, remote }) => {
      await makeVectorGallery(remote);
      await server.close();
      await assert.rejects(remote.listGalleries(), { code: 'UNAVAILABLE' });
      const again = await startServer({ database, address: server.address });
      try {
        for (;;) {
          try {
            assert.equal((await remote.listGalleries()).length, 1);
            break;
          } catch (error) {
            assert.ok(isHarmonidError(error) && error.code === 'UNAVAILABLE');
          }
        }
      } finally {
        await remote.close();
        await again.close();
      }
    }));

  it('refuses what the wire would change silently, by code', () =>
    withServer({}, async ({ remote }) => {
      const gallery = await makeVectorGallery(remote);
      const text = 'a path' as unknown as Uint8Array;
      await assert.rejects(remote.identify({ gallery, image: text }), { code: 'INVALID_ARGUMENT' });
      await assert.rejects(remote.enroll({ gallery, identity: 'anna', images: [text] }), { code: 'INVALID_ARGUMENT' });
      await assert.rejects(remote.identify({ gallery, embedding: axis(0), k: 1.5 }), { code: 'INVALID_ARGUMENT' });
      await assert.rejects(remote.identify({ gallery, embedding: axis(0), groups: [] }), { code: 'INVALID_ARGUMENT' });
      const mixed = ['1', 0, 0, 0, 0, 0, 0, 0] as unknown as number[];
      await assert.rejects(remote.identify({ gallery, embedding: { ...axis(0), vector: mixed } }), {
        code: 'VECTOR_NOT_FINITE',
      });
      const huge = [1e300, 0, 0, 0, 0, 0, 0, 0];
      await assert.rejects(remote.identify({ gallery, embedding: { ...axis(0), vector: huge } }), {
        code: 'VECTOR_NOT_FINITE',
      });
    }));
});
