/**
 * Method: turns of the event loop that are kept busy on purpose, by themselves and in front of a real server's database. That some calls are refused is a matter of
 * arithmetic, how many is the machine's: each is answered once, and those that were refused at the door did not reach the database.
 */
import assert from 'node:assert/strict';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { describe, it } from 'mocha';
import type { Database } from '../../src/api.js';
import { isHarmonidError } from '../../src/errors.js';
import { BusyTurn } from '../../src/server/busy-turn.js';
import { Metrics } from '../../src/server/metrics.js';
import { axis, makeVectorGallery, overriding, withServer } from './served.js';

function keepBusy(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

describe('a busy turn', () => {
  it('takes calls for a share of what they have left, and anew in the next turn', async () => {
    const turn = new BusyTurn();
    assert.equal(turn.isTooLateToKnock(1), false);
    keepBusy(11);
    // A sixteenth for who knocks, an eighth for who has knocked.
    assert.equal(turn.isTooLateToKnock(160), true);
    assert.equal(turn.isTooLateToBegin(80), true);
    // In good time, however slow this machine is.
    for (const leftMs of [3_600_000, Infinity])
      assert.deepEqual([turn.isTooLateToKnock(leftMs), turn.isTooLateToBegin(leftMs)], [false, false]);
    await nextTurn();
    assert.equal(turn.isTooLateToKnock(3_000), false);
  });

  it('is stricter in a crowd that does not end, and not in a burst', async () => {
    const turn = new BusyTurn();
    // A sixteenth is 135 ms, a forty-eighth 45.
    const isTooLate = async (): Promise<boolean> => {
      turn.isTooLateToKnock(Infinity);
      keepBusy(50);
      const answer = turn.isTooLateToKnock(2160);
      await nextTurn();
      return answer;
    };
    assert.equal(await isTooLate(), false);
    let rounds = 1;
    while (!(await isTooLate()) && rounds < 100) rounds++;
    assert.ok(rounds < 100);
    await pause(150);
    assert.equal(await isTooLate(), false);
  });

  it('tells what share of the event loop those who were let in take', async () => {
    const turn = new BusyTurn();
    const startedMs = performance.now();
    while (performance.now() - startedMs < 700) {
      turn.isTooLateToKnock(Infinity);
      turn.isTooLateToBegin(Infinity);
      keepBusy(10);
      await pause(10);
    }
    const { callMs, share } = turn.load;
    assert.ok(callMs > 2 && share > 0.1 && share <= 1, `${callMs} ms, ${share}`);
    await pause(300);
    assert.equal(turn.load.share < share, true);
    await pause(300);
    assert.equal(turn.load.share, 0);
  });

  it('reckons with those who knocked and have not begun', async () => {
    const turn = new BusyTurn();
    // Each takes 40 ms of its turn.
    for (let round = 0; round < 10; round++) {
      turn.isTooLateToKnock(Infinity);
      turn.isTooLateToBegin(Infinity);
      keepBusy(40);
      await nextTurn();
    }
    await nextTurn();
    // A turn may take 20 ms of theirs: one has time, and who comes while he waits has not.
    assert.deepEqual(
      Array.from({ length: 3 }, () => turn.isTooLateToKnock(320)),
      [false, true, true],
    );
    assert.equal(turn.isTooLateToKnock(100_000), false);
  });

  it('learns that calls have become quick again from the few that it lets in', async () => {
    const turn = new BusyTurn();
    const knock = (): readonly boolean[] => Array.from({ length: 4 }, () => turn.isTooLateToKnock(320));
    turn.isTooLateToKnock(Infinity);
    keepBusy(1_000);
    await nextTurn();
    assert.deepEqual(knock(), [false, true, true, true]);
    for (let round = 0; round < 100; round++) {
      await nextTurn();
      knock();
    }
    await nextTurn();
    assert.deepEqual(knock(), [false, false, false, false]);
  });

  it('a server refuses at the door what it could not begin in time, and tells when to come again', async () => {
    const metrics = new Metrics();
    // Each call holds the event loop, so that what a turn can begin is known.
    let begun = 0;
    const around = (database: Database): Database =>
      overriding(database, {
        identify: (request) => {
          begun++;
          keepBusy(20);
          return database.identify(request);
        },
      });
    await withServer({ metrics, around }, async ({ remote }) => {
      const gallery = await makeVectorGallery(remote);
      await remote.enroll({ gallery, identity: 'anna', embeddings: [axis(0)] });
      const ask = async (leftMs: number): Promise<unknown> => {
        try {
          const { candidates } = await remote.identify({
            gallery,
            embedding: axis(0),
            deadlineAt: Date.now() + leftMs,
          });
          return candidates[0]?.identity;
        } catch (error) {
          assert.ok(isHarmonidError(error), String(error));
          if (error.code === 'OVERLOADED') assert.equal(error.details['retryAfterMs'], 1000);
          return error.code;
        }
      };
      // Two seconds of work at once: an eighth of a second of it is begun, or a little more where they come in several turns.
      const outcomes = await Promise.all(Array.from({ length: 100 }, () => ask(2000)));
      const count = (outcome: string): number => outcomes.filter((each) => each === outcome).length;
      assert.equal(count('anna') + count('OVERLOADED') + count('DEADLINE_EXCEEDED'), 100);
      assert.ok(count('OVERLOADED') > 0, JSON.stringify(outcomes));
      // None of those that were refused reached the database.
      assert.ok(begun + count('OVERLOADED') <= 100, `${begun} begun`);
      const told = /^harmonid_refused_at_door_total\{code="OVERLOADED"\} (\d+)$/m.exec(await metrics.text())?.[1];
      assert.equal(Number(told), count('OVERLOADED'));
      // What has time is taken, however busy the turn.
      assert.deepEqual(await Promise.all(Array.from({ length: 20 }, () => ask(3_600_000))), Array(20).fill('anna'));
    });
  });
});
