/**
 * Method: a door on a real server whose gallery holds vectors; the first byte of a frame is the axis of the face on it. The relay fails when it is told to, and
 * what remains is read from the log that it left.
 */
import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { DecisionLog, parseLines, type DecisionLine } from '../../examples/door-controller/decision-log.js';
import { Door, type CameraFrame, type Relay } from '../../examples/door-controller/door.js';
import type { Rules } from '../../examples/door-controller/rules.js';
import {
  axis,
  makeVectorGallery,
  overriding,
  scattered,
  withServer,
  type Served,
  type ServedOptions,
} from '../server/served.js';
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
  work: (parts: {
    door: Door;
    log: DecisionLog;
    gallery: string;
    lines: () => Promise<readonly DecisionLine[]>;
    served: Served;
  }) => Promise<void>,
): Promise<void> {
  const folder = temporaryFolder();
  const path = join(folder, 'decisions.jsonl');
  const log = await DecisionLog.open(path);
  try {
    await withServer(around ? { around } : {}, async (served) => {
      const gallery = await makeVectorGallery(served.database);
      await served.database.enroll({ gallery, identity: 'anna', groups: ['staff'], embeddings: [axis(0)] });
      const door = new Door({ name: 'north', database: served.remote, gallery, rules, relay, log });
      const lines = async (): Promise<readonly DecisionLine[]> => parseLines(await readFile(path, 'utf8'));
      await work({ door, log, gallery, lines, served });
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
    return withDoor(relay, seeing, async ({ door, log, lines }) => {
      await door.watch(frameAt(1), 'in');
      assert.deepEqual(log.inside, new Set());
      isStuck = false;
      // Held: the person is told to wait, and the relay is left alone.
      await door.watch(frameAt(5), 'in');
      await door.watch(frameAt(11), 'in');
      assert.deepEqual(log.inside, new Set(['anna']));
      const told = (await lines()).map(({ identity, verdict, reason }) => [identity, verdict, reason]);
      assert.deepEqual(told, [
        ['anna', 'opened', undefined],
        ['anna', 'not-opened', 'Error: the bolt is stuck'],
        ['anna', 'opened', undefined],
      ]);
    });
  });

  it('writes the rate of a decision once the gallery is calibrated', () =>
    withDoor(
      async () => undefined,
      seeing,
      async ({ door, gallery, lines, served: { database } }) => {
        await door.watch(frameAt(1), 'out');
        for (let i = 0; i < 120; i++)
          await database.enroll({ gallery, identity: `p${i}`, embeddings: [scattered(i + 1)], duplicates: 'ignore' });
        await database.calibrate({ gallery });
        await door.watch(frameAt(20), 'out');
        const { fpir } = await database.identify({ gallery, embedding: axis(0) });
        assert.ok(fpir !== null && fpir < 0.5);
        const [before, after] = await lines();
        assert.ok(before && !('fpir' in before));
        assert.deepEqual([after?.identity, after?.fpir], ['anna', fpir]);
      },
    ));

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
