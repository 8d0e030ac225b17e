/** Method: counts and distances written by hand around the limits, which docs/MIGRATION.md states. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { alarmOf, recallAlarm, shiftAlarm } from '../../src/migrate/alarm.js';
import { ScoreWatch } from '../../src/migrate/score-watch.js';

const counts = (bothFound: number, negativeFlips: number) => ({
  compared: 1_000,
  bothFound,
  negativeFlips,
  positiveFlips: 0,
  meanOld: null,
  meanNew: null,
});

describe('alarms of a rollout', () => {
  it('negative flips: more than 5 % of at least 200', () => {
    assert.equal(alarmOf(counts(190, 10)), null);
    assert.match(alarmOf(counts(189, 11)) ?? '', /^11 of 200 live probes/);
    assert.equal(alarmOf(counts(0, 199)), null);
  });

  it('distances that grow by a quarter, not those that fall, once there are enough', () => {
    for (const [factor, isAlarm] of [
      [1.2, false],
      [1.3, true],
      [0.85, false],
      [0.6, false],
    ] as const) {
      const watch = new ScoreWatch(20);
      for (let i = 0; i < 20; i++) watch.add(0.5 + 0.01 * (i % 3));
      for (let i = 0; i < 19; i++) watch.add(factor * (0.5 + 0.01 * (i % 3)));
      assert.equal(shiftAlarm(watch.ratio), null, 'too few yet');
      for (let i = 0; i < 60; i++) watch.add(factor * (0.5 + 0.01 * (i % 3)));
      assert.equal(shiftAlarm(watch.ratio) !== null, isAlarm, `times ${factor}`);
    }
  });

  it('a graph that misses more than a fifth of 50 sampled searches', () => {
    assert.equal(recallAlarm({ recall: null, recallSamples: 0 }), null);
    assert.equal(recallAlarm({ recall: 0.5, recallSamples: 49 }), null);
    assert.equal(recallAlarm({ recall: 0.8, recallSamples: 50 }), null);
    assert.match(recallAlarm({ recall: 0.79, recallSamples: 50 }) ?? '', /79\.0 %/);
  });
});
