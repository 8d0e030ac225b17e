/**
 * Method: a door on a real server whose gallery holds vectors; the first byte of a frame is the axis of the face on it. The relay fails when it is told to, and
 * what remains is read from the log that it left.
 */
import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { DecisionLog, parseLines } from '../../examples/door-controller/decision-log.js';
import { Door, type CameraFrame, type Relay } from '../../examples/door-controller/door.js';
import type { Rules } from '../../examples/door-controller/rules.js';
import { axis, makeVectorGallery, overriding, withServer, type Served, type ServedOptions } from '../server/served.js';
import { temporaryFolder } from '../support/database.js';

const rules: Rules = {
  agreement: { framesMin: 1, framesOf: 1, ageMsMax: 1_000 },
  holdMs: 10_000,
  openings: [{ group: 'staff', days: [0, 1, 2, 3, 4, 5, 6], from: '00:00', until: '24:00' }],
};

const seeing: ServedOptions['around'] = (database) =>
  overriding(database, {
    identify: ({ gallery, image }) => database.identify({ gallery, embedding: axis(image?.[0] ?? 0) }),
  });

async function withDoor(
  relay: Relay,
  around: ServedOptions['around'],
  work: (parts: { door: Door; log: DecisionLog; verdicts: () => Promise<unknown>; served: Served }) => Promise<void>,
): Promise<void> {
  const folder = temporaryFolder();
  const path = join(folder, 'decisions.jsonl');
  const log = await DecisionLog.open(path);
  try {
    await withServer(around ? { around } : {}, async (served) => {
      const gallery = await makeVectorGallery(served.database);
      await served.database.enroll({ gallery, identity: 'anna', groups: ['staff'], embeddings: [axis(0)] });
      const door = new Door({ name: 'north', database: served.remote, gallery, rules, relay, log });
      const verdicts = async (): Promise<unknown> =>
        parseLines(await readFile(path, 'utf8')).map(({ identity, verdict, reason }) => [identity, verdict, reason]);
      await work({ door, log, verdicts, served });
    });
  } finally {
    await log.close();
    await rm(folder, { recursive: true });
  }
}

/** One frame, at a second of some day. */
async function* frameAt(second: number): AsyncGenerator<CameraFrame> {
  yield { sequence: second, capturedAt: new Date(2026, 10, 25, 12, 0, second), image: Uint8Array.of(0) };
}

describe('a door', () => {
  it('whose relay fails says so, has let nobody in, and opens when it works again', () => {
    let isStuck = true;
    const relay: Relay = async () => {
      if (isStuck) throw new Error('the bolt is stuck');
    };
    return withDoor(relay, seeing, async ({ door, log, verdicts }) => {
      await door.watch(frameAt(1), 'in');
      assert.deepEqual(log.inside, new Set());
      isStuck = false;
      // Held: the person is told to wait, and the relay is left alone.
      await door.watch(frameAt(5), 'in');
      await door.watch(frameAt(11), 'in');
      assert.deepEqual(log.inside, new Set(['anna']));
      assert.deepEqual(await verdicts(), [
        ['anna', 'opened', undefined],
        ['anna', 'not-opened', 'Error: the bolt is stuck'],
        ['anna', 'opened', undefined],
      ]);
    });
  });

  it('stays shut when the line cannot be written', () => {
    let openings = 0;
    return withDoor(
      async () => void openings++,
      seeing,
      async ({ door, log }) => {
        await log.close();
        await assert.rejects(door.watch(frameAt(1), 'in'));
        assert.equal(openings, 0);
      },
    );
  });

  it('does not go on with what does not pass by itself', () =>
    withDoor(
      () => Promise.reject(new Error('nobody is let in')),
      undefined,
      // Without an embedder no frame can be searched, and none ever will be.
      ({ door }) => assert.rejects(door.watch(frameAt(1), 'in'), { code: 'EMBEDDER_MISSING' }),
    ));
});
