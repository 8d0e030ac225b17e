/** Products and solutions against sums written out; a system that is not positive definite. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { isHarmonidError } from '../../src/errors.js';
import { openAlgebra, solvePositive, type Algebra } from '../../src/migrate/dense-algebra.js';
import { matrixOf, zeros, type Matrix } from '../../src/migrate/matrix.js';
import { makeRandom } from '../../src/random.js';

const random = makeRandom(3);
const draw = (rows: number, columns: number): Matrix =>
  matrixOf(
    rows,
    columns,
    Float32Array.from({ length: rows * columns }, () => random.normal()),
  );
const at = ({ columns, data }: Matrix, row: number, column: number): number => data[row * columns + column] as number;

function assertNear(
  actual: Matrix,
  rows: number,
  columns: number,
  expected: (row: number, column: number) => number,
): void {
  assert.deepEqual([actual.rows, actual.columns], [rows, columns]);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      assert.ok(Math.abs(at(actual, row, column) - expected(row, column)) < 1e-3, `at ${row}, ${column}`);
}

describe('dense algebra', () => {
  let algebra: Algebra;
  before(async () => {
    algebra = await openAlgebra();
  });
  after(() => algebra.close());

  it('multiplies, either factor transposed or none', async () => {
    const [a, b, c, d] = [draw(5, 7), draw(7, 3), draw(5, 3), draw(4, 7)];
    const sum = (count: number, term: (k: number) => number): number =>
      Array.from({ length: count }, (_, k) => term(k)).reduce((total, value) => total + value, 0);
    assertNear(await algebra.product(a, b), 5, 3, (i, j) => sum(7, (k) => at(a, i, k) * at(b, k, j)));
    assertNear(await algebra.product(a, c, 'a'), 7, 3, (i, j) => sum(5, (k) => at(a, k, i) * at(c, k, j)));
    assertNear(await algebra.product(a, d, 'b'), 5, 4, (i, j) => sum(7, (k) => at(a, i, k) * at(d, j, k)));
    assert.deepEqual(await algebra.product(zeros(0, 7), b), zeros(0, 3));
  });

  for (const n of [1, 50, 192, 193, 500, 1300]) {
    it(`solves a system of ${n}, so that the product with the solution is the right side`, async () => {
      const half = draw(n, n);
      const s = await algebra.product(half, half, 'b');
      const b = draw(n, 2);
      const ridge = n;
      const x = await solvePositive(algebra, matrixOf(n, n, s.data.slice()), ridge, b);
      const back = await algebra.product(s, x);
      assertNear(
        matrixOf(
          n,
          2,
          back.data.map((value, i) => value + ridge * (x.data[i] as number)),
        ),
        n,
        2,
        (row, column) => at(b, row, column),
      );
    });
  }

  it('refuses a system that is not positive definite', async () => {
    const s = matrixOf(2, 2, Float32Array.of(1, 2, 2, 1));
    await assert.rejects(
      solvePositive(algebra, s, 0.1, draw(2, 1)),
      (error) => isHarmonidError(error) && error.code === 'INVALID_ARGUMENT' && /larger ridge/.test(error.message),
    );
  });
});
