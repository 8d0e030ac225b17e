/** Vectors of two and three dimensions, cut, projected and quantised by hand. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { compressorOf, learnedBytes, symmetricBytes } from '../../src/evaluate/compression.js';
import { openAlgebra, type Algebra } from '../../src/migrate/dense-algebra.js';
import { matrixOf, type Matrix } from '../../src/migrate/matrix.js';

function rows(columns: number, ...values: readonly number[]): Matrix {
  return matrixOf(values.length / columns, columns, Float32Array.from(values));
}

function near({ data }: Matrix, expected: readonly number[]): void {
  assert.equal(data.length, expected.length);
  data.forEach((value, i) => assert.ok(Math.abs(value - (expected[i] ?? NaN)) < 1e-5, `${[...data].join()} at ${i}`));
}

describe('compression', () => {
  let algebra: Algebra;
  before(async () => (algebra = await openAlgebra()));
  after(() => algebra.close());

  it('the first coordinates, with norm 1 again', async () => {
    const cut = await compressorOf(algebra, { kind: 'cut', dimensions: 2, bytes: 8 }, rows(3, 0, 0, 0));
    // (0.6, 0, 0.8) keeps (0.6, 0), which becomes (1, 0); (3, 4, 12) / 13 keeps (3, 4) / 13, which becomes (0.6, 0.8).
    near(await cut(rows(3, 0.6, 0, 0.8, 3 / 13, 4 / 13, 12 / 13)), [1, 0, 0.6, 0.8]);
  });

  it('the axes along which the fit is longest, in whichever direction they point', async () => {
    // The fit lies in the plane of the second and third axis; the first is where nothing happens.
    const fit = rows(3, 0, 1, 0, 0, -1, 0, 0, 0, 1, 0, 0, -1);
    const project = await compressorOf(algebra, { kind: 'projected', dimensions: 2, bytes: 8 }, fit);
    const { data } = await project(rows(3, 0, 1, 0, 0, 0, 1, 0.8, 0.6, 0));
    const dot = (i: number, j: number): number =>
      (data[2 * i] ?? 0) * (data[2 * j] ?? 0) + (data[2 * i + 1] ?? 0) * (data[2 * j + 1] ?? 0);
    for (const [i, j, expected] of [
      [0, 0, 1],
      [0, 1, 0],
      [0, 2, 1],
      [1, 2, 0],
    ] as const)
      assert.ok(Math.abs(dot(i, j) - expected) < 1e-5, `rows ${i} and ${j}: ${dot(i, j)}`);
  });

  it('symmetric bytes: steps of the largest magnitude / 127', () => {
    // 0.6 / 0.8 * 127 = 95.25, that is 95 of 127.
    const norm = Math.hypot(95, 127);
    near(symmetricBytes(rows(2, 0.6, -0.8)), [95 / norm, -127 / norm]);
  });

  it('learned bytes: steps from the mean of each dimension, and what reaches further is held at the last one', async () => {
    // Means (0.5, 0.6), reaches (0.1, 0.2): steps of 0.1 / 127 and 0.2 / 127.
    const compress = learnedBytes(rows(2, 0.4, 0.8, 0.6, 0.4));
    const beyond = await compress(rows(2, 0.9, 0.4));
    const norm = Math.hypot(0.6, 0.4);
    near(beyond, [0.6 / norm, 0.4 / norm]);
    // 0.503 is 3.81 steps from the mean, which are 4: 0.5 + 4 * 0.1 / 127.
    const one = 0.5 + 0.4 / 127;
    near(await compress(rows(2, 0.503, 0.6)), [one / Math.hypot(one, 0.6), 0.6 / Math.hypot(one, 0.6)]);
  });
});
