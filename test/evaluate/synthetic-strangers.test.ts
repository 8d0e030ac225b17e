/** Against the definition: the factor times its transpose, and the moments of many draws from a Gaussian that is written down. */
import assert from 'node:assert/strict';
import { Matrix as Dense } from 'ml-matrix';
import { after, before, describe, it } from 'mocha';
import { isHarmonidError } from '../../src/errors.js';
import { fitStrangers } from '../../src/evaluate/synthetic-strangers.js';
import { choleskyFactor } from '../../src/migrate/covariance.js';
import { openAlgebra, type Algebra } from '../../src/migrate/dense-algebra.js';
import { makeRandom } from '../../src/random.js';

describe('synthetic strangers', () => {
  let algebra: Algebra;
  before(async () => {
    algebra = await openAlgebra();
  });
  after(() => algebra.close());

  it('the factor of a covariance is lower triangular, and times its transpose it is the covariance', () => {
    // Cholesky's own example by hand: [[4, 2], [2, 5]] = [[2, 0], [1, 2]] times its transpose.
    const { data } = choleskyFactor(
      new Dense([
        [4, 2],
        [2, 5],
      ]),
    );
    assert.deepEqual([...data], [2, 0, 1, 2]);
    assert.throws(
      () =>
        choleskyFactor(
          new Dense([
            [0, 0],
            [0, 0],
          ]),
        ),
      (error) => isHarmonidError(error) && error.code === 'INVALID_ARGUMENT',
    );
  });

  it('have the mean and the covariance of the people, and norm 1', async () => {
    const random = makeRandom(7);
    // Far from the origin in the first dimension, so that scaling to norm 1 changes the others little: about (1, y, z) with
    // variances 0.01 and 0.0025, covariance 0.003.
    const people = Array.from({ length: 4000 }, () => {
      const [a, b] = [random.normal(), random.normal()];
      return Float32Array.of(1, 0.1 * a, 0.03 * a + 0.04 * b);
    });
    const strangers = await (await fitStrangers(algebra, people, 3, makeRandom(1))).draw(20_000);
    const mean = (of: (vector: Float32Array) => number): number =>
      strangers.reduce((sum, vector) => sum + of(vector), 0) / strangers.length;
    // Divided by the first value, as projected back onto its plane.
    const y = (vector: Float32Array): number => (vector[1] ?? 0) / (vector[0] ?? 1);
    const z = (vector: Float32Array): number => (vector[2] ?? 0) / (vector[0] ?? 1);
    const near = (actual: number, expected: number, tolerance: number): void =>
      assert.ok(Math.abs(actual - expected) < tolerance, `${actual} is not ${expected}`);
    near(mean(y), 0, 0.005);
    near(mean(z), 0, 0.005);
    near(
      mean((vector) => y(vector) ** 2),
      0.01,
      0.001,
    );
    near(
      mean((vector) => z(vector) ** 2),
      0.0025,
      0.0003,
    );
    near(
      mean((vector) => y(vector) * z(vector)),
      0.003,
      0.0003,
    );
    for (const vector of strangers.slice(0, 100)) near(Math.hypot(...vector), 1, 1e-6);
  });

  it('are the same in whatever portions they are drawn', async () => {
    const people = [Float32Array.of(1, 0), Float32Array.of(0, 1), Float32Array.of(0.6, 0.8)];
    const whole = await (await fitStrangers(algebra, people, 2, makeRandom(3))).draw(7);
    const parts = await fitStrangers(algebra, people, 2, makeRandom(3));
    const drawn = [...(await parts.draw(3)), ...(await parts.draw(4))];
    drawn.forEach((vector, i) => {
      for (const j of [0, 1]) assert.ok(Math.abs((vector[j] ?? 9) - (whole[i]?.[j] ?? 0)) < 1e-6);
    });
  });
});
