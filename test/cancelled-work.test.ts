/**
 * Method: a real embedder behind a gate, so that "waiting" and "in work" are facts. That cancelled work was not done is told by the counters of the embedder's thread and of the
 * lanes, not by the answers.
 */
import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { after, before, describe, it } from 'mocha';
import type { Database, IdentifyRequest } from '../src/api.js';
import { defaultAdmissionLimits } from '../src/admission.js';
import { connectDatabase } from '../src/client/remote-database.js';
import type { Embedder } from '../src/embedder/embedder.js';
import { isHarmonidError } from '../src/errors.js';
import { startServer } from '../src/server/server.js';
import { Gate } from './server/served.js';
import { keptOpen, openTestEmbedder, withDatabase } from './support/database.js';
import { portrait } from './support/photos.js';

const many = 12;

describe('cancelled work is not done', () => {
  let embedder: Embedder;
  let photo: Buffer;
  before(async () => {
    embedder = await openTestEmbedder();
    photo = await portrait('green');
  });
  after(() => embedder.close());

  /** Every image waits at the gate before the embedder sees it. */
  const gated = (gate: Gate): Embedder => ({
    ...keptOpen(embedder),
    embedImage: async (image, options) => {
      await gate.pass();
      return embedder.embedImage(image, options);
    },
  });

  /** One call at work, `many` that wait for it, all of them over gRPC when there is a client. */
  async function cancelWaiting(database: Database, caller: Database, gate: Gate): Promise<void> {
    const { images } = embedder.stats();
    const first = caller.identify(wanted(photo));
    await gate.arrivals(1);
    const abort = cancelOfMany();
    const waiting = Array.from({ length: many }, () =>
      codeOf(caller.identify({ ...wanted(photo), signal: abort.signal })),
    );
    await untilWaiting(database, many);
    abort.abort();
    assert.deepEqual(
      await Promise.all(waiting),
      waiting.map(() => 'CANCELLED'),
    );
    // Over gRPC the server hears of it a moment later.
    await untilWaiting(database, 0);
    gate.open();
    assert.equal((await first).candidates[0]?.identity, 'green');
    const lane = await imageLane(database);
    // The enrolment and the first.
    assert.deepEqual([lane.admitted, lane.running, lane.waiting], [2, 0, 0]);
    assert.equal(embedder.stats().images - images, 1);
  }

  const admission = { ...defaultAdmissionLimits, image: { runningMax: 1, waitingMax: 100 } };

  it('while it waits for its turn', async () => {
    const gate = new Gate();
    await withEnrolled(gate, async (database) => cancelWaiting(database, database, gate));
  });

  it('while it waits for its turn, over gRPC', async () => {
    const gate = new Gate();
    await withEnrolled(gate, async (database) => {
      const server = await startServer({ database });
      const remote = connectDatabase({ address: server.address });
      try {
        await cancelWaiting(database, remote, gate);
      } finally {
        await remote.close();
        await server.close();
      }
    });
  });

  it('when it has begun and its image is not looked at yet', async () => {
    const { images } = embedder.stats();
    await withDatabase({ embedder: keptOpen(embedder) }, async (database) => {
      await database.createGallery({ gallery: 'default' });
      const abort = cancelOfMany();
      const begun = Array.from({ length: many }, () =>
        codeOf(database.identify({ ...wanted(photo), signal: abort.signal })),
      );
      // Everything up to the embedder's thread happens in this turn's microtasks.
      await new Promise<void>((resolve) => setImmediate(resolve));
      assert.equal((await imageLane(database)).running, many);
      abort.abort();
      assert.deepEqual(
        await Promise.all(begun),
        begun.map(() => 'CANCELLED'),
      );
      // Behind them in the thread: when it is done, their turn has passed.
      await codeOf(database.identify(wanted(photo)));
    });
    // The thread may have looked at a few before it heard.
    assert.ok(embedder.stats().images - images <= many / 2, `${embedder.stats().images - images} images`);
  });

  /** A database in which one is enrolled, before the gate is shut. */
  async function withEnrolled(gate: Gate, work: (database: Database) => Promise<void>): Promise<void> {
    let isShut = false;
    const door = gated(gate);
    const turnstile: Embedder = {
      ...door,
      embedImage: (image, options) => (isShut ? door : embedder).embedImage(image, options),
    };
    await withDatabase({ embedder: turnstile, admission }, async (database) => {
      await database.createGallery({ gallery: 'default', refuseReasons: [] });
      await database.enroll({ identity: 'green', images: [photo] });
      isShut = true;
      await work(database);
    });
  }
});

/** One for many calls, each of which listens. */
function cancelOfMany(): AbortController {
  const abort = new AbortController();
  setMaxListeners(0, abort.signal);
  return abort;
}

function wanted(image: Uint8Array): IdentifyRequest {
  return { image, faces: 'largest' };
}

async function imageLane(database: Database) {
  const lane = (await database.stats()).lanes.find((each) => each.lane === 'image');
  assert.ok(lane);
  return lane;
}

/** The test's time limit is the only one. */
async function untilWaiting(database: Database, count: number): Promise<void> {
  while ((await imageLane(database)).waiting !== count) await new Promise<void>((resolve) => setImmediate(resolve));
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'OK';
  } catch (error) {
    return isHarmonidError(error) ? error.code : String(error);
  }
}
