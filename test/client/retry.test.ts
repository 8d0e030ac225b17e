/**
 * Method: what is tried again, and how often, is counted in the server, which refuses a given number of calls with its own code or is really closed and started
 * again on its port. The length of waits is compared with numbers worked out by hand.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Database } from '../../src/api.js';
import { connectDatabase, type RemoteDatabase } from '../../src/client/remote-database.js';
import { isPassing, waitBeforeRetryMs } from '../../src/client/retry.js';
import { HarmonidError } from '../../src/errors.js';
import { startServer } from '../../src/server/server.js';
import { axis, makeVectorGallery, overriding, withServer } from '../server/served.js';

const unavailable = new HarmonidError('UNAVAILABLE', 'not now');
const overloaded = (retryAfterMs?: number): HarmonidError =>
  new HarmonidError('OVERLOADED', 'too many', retryAfterMs === undefined ? {} : { details: { retryAfterMs } });

/** Refuses the first `count` calls of every method with `error`, and keeps the names of all that were made. */
function refusing(error: HarmonidError, count: number, made: string[]): (database: Database) => Database {
  const names = ['identify', 'identifyFaces', 'verify', 'embed', 'enroll', 'getIdentity', 'eraseIdentity'] as const;
  return (database) => {
    const refuse =
      (name: (typeof names)[number]) =>
      async (request: never): Promise<never> => {
        made.push(name);
        if (made.filter((each) => each === name).length <= count) throw error;
        return database[name](request) as Promise<never>;
      };
    return overriding(database, Object.fromEntries(names.map((name) => [name, refuse(name)])));
  };
}

async function withClient(
  { error, count, retries }: { error: HarmonidError; count: number; retries?: number },
  work: (remote: RemoteDatabase, made: string[]) => Promise<void>,
): Promise<void> {
  const made: string[] = [];
  await withServer({ around: refusing(error, count, made) }, async ({ database, server }) => {
    await makeVectorGallery(database);
    await database.enroll({ gallery: 'lobby', identity: 'anna', embeddings: [axis(0)] });
    const remote = connectDatabase({ address: server.address, retries });
    try {
      await work(remote, made);
    } finally {
      await remote.close();
    }
  });
}

const probe = { gallery: 'lobby', embedding: axis(0) };
const anna = { gallery: 'lobby', identity: 'anna' };
const bea = { gallery: 'lobby', identity: 'bea', embeddings: [axis(3)] };

describe('retries of a client', function () {
  this.timeout(30_000);

  it('ask again what changes nothing, and what has a key', () =>
    withClient({ error: unavailable, count: 2 }, async (remote, made) => {
      assert.equal((await remote.identify(probe)).candidates[0]?.identity, 'anna');
      assert.equal((await remote.verify({ ...probe, identity: 'anna' })).decision, 'match');
      assert.equal((await remote.getIdentity(anna)).identity, 'anna');
      assert.equal((await remote.enroll({ ...bea, idempotencyKey: 'bea-1' })).created, true);
      const thrice = (name: string): string[] => [name, name, name];
      assert.deepEqual(made, ['identify', 'verify', 'getIdentity', 'enroll'].flatMap(thrice));
    }));

  it('never make a write without a key twice', () =>
    withClient({ error: unavailable, count: 1 }, async (remote, made) => {
      await assert.rejects(remote.enroll(bea), { code: 'UNAVAILABLE', message: 'not now' });
      await assert.rejects(remote.eraseIdentity(anna), { code: 'UNAVAILABLE' });
      assert.deepEqual(made, ['enroll', 'eraseIdentity']);
    }));

  it('end with the number of tries, and there are none with 0', async () => {
    await withClient({ error: unavailable, count: 100, retries: 2 }, async (remote, made) => {
      await assert.rejects(remote.identify(probe), { code: 'UNAVAILABLE', message: 'not now' });
      assert.equal(made.length, 3);
    });
    await withClient({ error: unavailable, count: 100, retries: 0 }, async (remote, made) => {
      await assert.rejects(remote.identify(probe), { code: 'UNAVAILABLE' });
      assert.equal(made.length, 1);
    });
  });

  it('leave other refusals alone', async () => {
    for (const error of [overloaded(), new HarmonidError('DISK_FULL', 'full'), new HarmonidError('INTERNAL', 'bug')]) {
      await withClient({ error, count: 100 }, async (remote, made) => {
        await assert.rejects(remote.identify(probe), { code: error.code });
        assert.equal(made.length, 1, error.code);
      });
    }
  });

  it('come when the server asks, and not at all when that is after the deadline', async () => {
    await withClient({ error: overloaded(300), count: 1 }, async (remote, made) => {
      const startedMs = performance.now();
      await remote.identify(probe);
      // A timer may fire a millisecond early.
      assert.ok(performance.now() - startedMs >= 299);
      assert.equal(made.length, 2);
    });
    await withClient({ error: overloaded(10_000), count: 1 }, async (remote, made) => {
      const deadlineAt = Date.now() + 5_000;
      await assert.rejects(remote.identify({ ...probe, deadlineAt }), { code: 'OVERLOADED' });
      assert.ok(Date.now() < deadlineAt);
      assert.equal(made.length, 1);
    });
  });

  it('stop waiting when the caller gives up, and when the client is closed', () =>
    withClient({ error: overloaded(20_000), count: 100 }, async (remote) => {
      const controller = new AbortController();
      const given = remote.identify({ ...probe, signal: controller.signal });
      const closed = remote.identify(probe);
      // Both have been refused before this is answered, on the same connection.
      await remote.listGalleries();
      controller.abort();
      await assert.rejects(given, { code: 'CANCELLED' });
      await remote.close();
      await assert.rejects(closed, { code: 'CLOSED' });
    }));

  it('reach a server that was stopped and started again on its port', () =>
    withServer({}, async ({ database, server }) => {
      await makeVectorGallery(database);
      const remote = connectDatabase({ address: server.address, retries: 10 });
      try {
        await remote.listGalleries();
        await server.close();
        const asked = remote.listGalleries();
        const again = await startServer({ database, address: server.address });
        try {
          assert.equal((await asked).length, 1);
        } finally {
          await again.close();
        }
      } finally {
        await remote.close();
      }
    }));
});

describe('the wait before a retry', () => {
  const waits = (error: HarmonidError, random: number): number[] =>
    [1, 2, 3, 6, 50].map((failures) => waitBeforeRetryMs(error, failures, () => random));

  it('doubles from 200 ms up to 5 s, and is half to all of that', () => {
    assert.deepEqual(waits(unavailable, 0), [100, 200, 400, 2500, 2500]);
    assert.deepEqual(waits(unavailable, 0.5), [150, 300, 600, 3750, 3750]);
  });

  it('comes on top of what the server asks for', () => {
    assert.deepEqual(waits(overloaded(1000), 0), [1100, 1200, 1400, 3500, 3500]);
    // The longest that a timer of Node takes, as its documentation has it.
    assert.equal(
      waitBeforeRetryMs(overloaded(1e12), 1, () => 0),
      2_147_483_647,
    );
  });

  it('is for UNAVAILABLE, and for OVERLOADED that says when', () => {
    assert.deepEqual(
      [unavailable, overloaded(5), overloaded(), new HarmonidError('DEADLINE_EXCEEDED', ''), new Error('x')].map(
        isPassing,
      ),
      [true, true, false, false, false],
    );
  });
});
