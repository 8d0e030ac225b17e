/** Unit vectors: expected values are computed in float64 by the definition, beside the float32 code under test. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { isHarmonidError, type ErrorCode } from '../src/errors.js';
import { parseVector, squaredDistance } from '../src/vector.js';
import { normal, randomFrom, runSeed } from './index/faces.js';

function refused(code: ErrorCode, pattern: RegExp): (error: unknown) => boolean {
  return (error) => isHarmonidError(error) && error.code === code && pattern.test(error.message);
}

describe('vector', () => {
  it('normalises, from any finite magnitude', () => {
    for (const scale of [1e-11, 1e-3, 1, 1e3, 1e30, 1e300]) {
      const unit = parseVector([3 * scale, 4 * scale, 0], 3, 'space "s"');
      assert.ok(
        Math.abs((unit[0] ?? 0) - 0.6) < 1e-6 && Math.abs((unit[1] ?? 0) - 0.8) < 1e-6,
        `scale ${scale}: ${unit.join()}`,
      );
    }
  });

  it('copies, so that the caller may reuse its buffer', () => {
    const given = Float32Array.of(1, 0);
    const unit = parseVector(given, 2, 'space "s"');
    given[0] = 7;
    assert.equal(unit[0], 1);
  });

  it('keeps a unit vector bit for bit, also over many rounds, and moves everything else to norm 1', () => {
    const random = randomFrom(runSeed('vector'));
    for (const dimensions of [2, 3, 128, 512, 4096]) {
      for (let run = 0; run < 40; run++) {
        const given = Array.from({ length: dimensions }, () => normal(random));
        const once = parseVector(given, dimensions, 'a test');
        assert.deepEqual(parseVector(once, dimensions, 'a test'), once);
        assert.deepEqual(parseVector(Array.from(once), dimensions, 'a test'), once);
        // A little longer than rounding could make it.
        const longer = parseVector(
          once.map((value) => value * (1 + 2 ** -21)),
          dimensions,
          'a test',
        );
        assert.ok(Math.abs(Math.sqrt(longer.reduce((sum, value) => sum + value * value, 0)) - 1) <= 2 ** -24 + 1e-12);
      }
    }
  });

  it('refuses what native code must never see, naming both sides', () => {
    assert.throws(
      () => parseVector([1, 2], 3, 'gallery "lobby"'),
      refused('VECTOR_WRONG_LENGTH', /2 dimensions, gallery "lobby" has 3/),
    );
    assert.throws(() => parseVector([], 3, 'gallery "lobby"'), refused('VECTOR_WRONG_LENGTH', /0 dimensions/));
    for (const bad of [NaN, Infinity, -Infinity]) {
      assert.throws(() => parseVector([1, bad, 0], 3, 'gallery "lobby"'), refused('VECTOR_NOT_FINITE', /value 1/));
    }
    const text = JSON.parse('[1, "2", null]') as number[];
    assert.throws(() => parseVector(text, 3, 'gallery "lobby"'), refused('VECTOR_NOT_FINITE', /value 1 is 2/));
    assert.throws(() => parseVector([0, 0, 0], 3, 'gallery "lobby"'), refused('VECTOR_ZERO_NORM', /norm zero/));
    assert.throws(() => parseVector([1e-300, 0, 0], 3, 'gallery "lobby"'), refused('VECTOR_ZERO_NORM', /norm zero/));
  });

  it('measures squared L2: 0 for the same, 2 for orthogonal, 4 for opposite directions', () => {
    const [a, b, c] = [
      [1, 0],
      [0, 1],
      [-1, 0],
    ].map((values) => parseVector(values, 2, 'space "s"'));
    assert.ok(a && b && c);
    assert.equal(squaredDistance(a, a), 0);
    assert.equal(squaredDistance(a, b), 2);
    assert.equal(squaredDistance(a, c), 4);
  });
});
