/**
 * Every estimator on pairs with a known relation: what was planted is found, the kernel is that of the textbook, and what runs as ONNX is what the
 * formula says.
 */
import assert from 'node:assert/strict';
import { CholeskyDecomposition, Matrix as Dense, QrDecomposition } from 'ml-matrix';
import { after, before, describe, it } from 'mocha';
import { mapThrough } from '../../src/migrate/adapter.js';
import type { AdapterMap, LinearMap } from '../../src/migrate/adapter-model.js';
import { openAlgebra, type Algebra } from '../../src/migrate/dense-algebra.js';
import { fitKernel } from '../../src/migrate/kernel-fit.js';
import { fitProcrustes, fitRidge } from '../../src/migrate/linear-fits.js';
import {
  columnMeans,
  matrixOf,
  meanNorm,
  rowOf,
  subtractFromRows,
  zeros,
  type Matrix,
} from '../../src/migrate/matrix.js';
import { makePairSet, pairsOf, type PairSet } from '../../src/migrate/pair-set.js';
import { fitResidual, tripletGradient } from '../../src/migrate/residual-fit.js';
import { makeRandom } from '../../src/random.js';
import { squaredDistance } from '../../src/vector.js';
import { madePairs, unit } from './made-pairs.js';

/** Through the ONNX graph of an adapter with one member. */
function mapped(map: AdapterMap, pairs: PairSet): Promise<Matrix> {
  const centre = Float32Array.from(columnMeans(pairs.vectorsTo));
  const radius = meanNorm(subtractFromRows(pairs.vectorsTo, centre));
  return mapThrough(
    { members: [{ map, weight: 1 }], centre, turn: null, mean: centre, radius },
    pairs.vectorsFrom,
    pairs.to.dimensions,
  );
}

/** Mean squared distance of mapped vectors from those of the same images. */
function error(rows: Matrix, pairs: PairSet): number {
  let sum = 0;
  for (let row = 0; row < rows.rows; row++) sum += squaredDistance(rowOf(rows, row), rowOf(pairs.vectorsTo, row));
  return sum / rows.rows;
}

const isFitted = (person: string): boolean => Number(person.split(' ')[1]) % 4 !== 0;
const isTested = (person: string): boolean => !isFitted(person);
/** Says the mean of everybody. */
function constant({ from, to, vectorsTo }: PairSet): LinearMap {
  return {
    kind: 'linear',
    weights: zeros(from.dimensions, to.dimensions),
    bias: Float32Array.from(columnMeans(vectorsTo)),
  };
}

const kernelRidge = 0.01;

describe('fits', function () {
  this.timeout(60_000);
  let algebra: Algebra;
  before(async () => {
    algebra = await openAlgebra();
  });
  after(() => algebra.close());

  it('Procrustes finds a planted rotation', async () => {
    const pairs = rotated(madePairs({ people: 60 }));
    const map = await fitProcrustes(algebra, pairsOf(pairs, isFitted));
    const test = pairsOf(pairs, isTested);
    for (let row = 0; row < test.vectorsFrom.rows; row++)
      assert.ok(squared(applied(map, rowOf(test.vectorsFrom, row)), [...rowOf(test.vectorsTo, row)]) < 1e-8);
  });

  it('Procrustes between different dimensions keeps distances as far as there is room', async () => {
    for (const dimensionsTo of [8, 40]) {
      const pairs = madePairs({ dimensionsTo });
      const map = await fitProcrustes(algebra, pairs);
      assert.deepEqual([map.weights.rows, map.weights.columns], [16, dimensionsTo]);
      const rows = await mapped(map, pairs);
      assert.deepEqual([rows.rows, rows.columns], [pairs.vectorsFrom.rows, dimensionsTo]);
      assert.ok(error(rows, pairs) < 1, 'nearer than a stranger');
    }
  });

  it('a large ridge is Procrustes, a small one follows the pairs', async () => {
    const pairs = madePairs();
    const [turned, stiff, free] = [
      await fitProcrustes(algebra, pairs),
      await fitRidge(algebra, pairs, 1e6),
      await fitRidge(algebra, pairs, 1e-6),
    ];
    turned.weights.data.forEach((value, i) => assert.ok(Math.abs(value - (stiff.weights.data[i] as number)) < 1e-4));
    assert.ok(error(await mapped(free, pairs), pairs) < 0.5 * error(await mapped(stiff, pairs), pairs));
  });

  for (const dimensions of [15, 16, 150]) {
    it(`the quadratic map of ${dimensions} dimensions is kernel ridge regression as in the textbook`, async () => {
      const made = madePairs({ people: 50, bend: 0.5, dimensions: Math.min(dimensions, 16) });
      const pairs = padded(made, dimensions);
      const [fit, test] = [pairsOf(pairs, isFitted), pairsOf(pairs, isTested)];
      const actual = await mapped(await fitKernel(algebra, fit, constant(fit), kernelRidge), test);
      // Written out, with the kernel itself: (K + ridge I)^-1 applied to the centred targets.
      const rowsOf = ({ rows, columns, data }: Matrix): Dense => Dense.from1DArray(rows, columns, [...data]);
      const inputs = columnMeans(fit.vectorsFrom);
      const x = rowsOf(subtractFromRows(fit.vectorsFrom, inputs));
      const y = rowsOf(fit.vectorsTo);
      const means = y.mean('column');
      const variance = x.norm() ** 2 / (x.rows - 1);
      const k = (a: readonly number[], b: readonly number[]): number => {
        const s = a.reduce((sum, value, i) => sum + value * (b[i] as number), 0) / variance;
        return s + 0.3 * s * s;
      };
      const gram = Dense.zeros(x.rows, x.rows);
      for (let i = 0; i < x.rows; i++)
        for (let j = 0; j < x.rows; j++) gram.set(i, j, k(x.getRow(i), x.getRow(j)) + (i === j ? kernelRidge : 0));
      const weights = new CholeskyDecomposition(gram).solve(y.clone().subRowVector(means));
      const centre = columnMeans(test.vectorsTo);
      const radius = meanNorm(subtractFromRows(test.vectorsTo, centre));
      for (let row = 0; row < test.vectorsFrom.rows; row++) {
        const probe = [...rowOf(test.vectorsFrom, row)].map((value, i) => value - (inputs[i] as number));
        const near = Dense.rowVector(Array.from({ length: x.rows }, (_, i) => k(probe, x.getRow(i))));
        const shifted = near
          .mmul(weights)
          .getRow(0)
          .map((value, i) => value + (means[i] as number) - (centre[i] as number));
        const expected = unit(unit(shifted).map((value, i) => radius * value + (centre[i] as number)));
        assert.ok(squared(expected, [...rowOf(actual, row)]) < 1e-7);
      }
    });
  }

  it('the kernel follows a bent relation where a linear map cannot, on other people', async () => {
    const pairs = madePairs({ people: 400, bend: 1 });
    const [fit, test] = [pairsOf(pairs, isFitted), pairsOf(pairs, isTested)];
    const bent = error(
      await mapped(await fitKernel(algebra, fit, await fitProcrustes(algebra, fit), kernelRidge), test),
      test,
    );
    const linear = error(await mapped(await fitRidge(algebra, fit, 0.01), test), test);
    assert.ok(bent < 0.8 * linear, `${bent} and ${linear}`);
  });

  it('the residual network starts from its base, and training brings the same people nearer to each other', async () => {
    const pairs = madePairs({ people: 200, bend: 1 });
    const base = await fitRidge(algebra, pairs, 0.01);
    const settings = { hidden: 64, steps: 0, batch: 300, learningRate: 0.02, margin: 0.2, seed: 1 };
    const start = await mapped(base, pairs);
    const untrained = await mapped(await fitResidual(algebra, pairs, base, settings), pairs);
    start.data.forEach((value, i) => assert.ok(Math.abs(value - (untrained.data[i] as number)) < 1e-5));
    const trained = await mapped(await fitResidual(algebra, pairs, base, { ...settings, steps: 150 }), pairs);
    assert.ok(error(trained, pairs) < 0.9 * error(start, pairs), `${error(trained, pairs)} of ${error(start, pairs)}`);
  });

  it('the gradient of a triplet is that of its distances', async () => {
    // One person with one image, one stranger: the triplets are known. Coordinates on a circle, 0.2 apart, so that the stranger is semi-hard.
    const angle = (radians: number): number[] => [Math.cos(radians), Math.sin(radians)];
    const rows = (values: readonly number[][]): Matrix => matrixOf(values.length, 2, Float32Array.from(values.flat()));
    const [a, p, m, q] = [angle(0), angle(0.2), angle(0.3), angle(0.5)];
    const gradient = await tripletGradient(
      algebra,
      rows([a, m]),
      rows([p, q]),
      Uint32Array.of(0, 1),
      0.1,
      makeRandom(1),
    );
    // Anchor a: positive p, semi-hard m (0.09 against 0.04). Anchor p: a is 0.04 away, m 0.01 is too near, q 0.089 is semi-hard.
    // Anchor m: positive q (0.04), semi-hard a (0.09); p is too near. Anchor q: positive m (0.04), semi-hard p (0.089).
    const minus = (x: readonly number[], y: readonly number[]): number[] =>
      x.map((value, i) => value - (y[i] as number));
    const plus = (...all: readonly number[][]): number[] =>
      [0, 1].map((i) => all.reduce((sum, x) => sum + (x[i] as number), 0));
    const twice = (x: readonly number[]): number[] => x.map((value) => (2 * value) / 2);
    const expected = [
      plus(twice(minus(m, p)), twice(minus(a, p)), twice(minus(m, a))),
      plus(twice(minus(a, m)), twice(minus(a, q)), twice(minus(m, q))),
    ].flat();
    gradient.data.forEach((value, i) =>
      assert.ok(Math.abs(value - (expected[i] as number)) < 1e-5, `${i}: ${value}, ${expected[i]}`),
    );
  });

  it('an ensemble weighs directions, turns them and gives them a mean, and its vectors have the norm 1', async () => {
    const pairs = madePairs({ people: 20 });
    const [one, other] = [await fitProcrustes(algebra, pairs), await fitRidge(algebra, pairs, 0.01)];
    const centre = Float32Array.from(columnMeans(pairs.vectorsTo));
    const random = makeRandom(4);
    const turn = matrixOf(
      16,
      16,
      Float32Array.from({ length: 256 }, () => random.normal()),
    );
    const mean = centre.map((value) => 0.4 * value);
    const members = [
      { map: one, weight: 1 },
      { map: other, weight: 0.5 },
    ];
    const rows = await mapThrough({ members, centre, turn, mean, radius: 0.7 }, pairs.vectorsFrom, 16);
    const apply = (map: typeof one, x: Float32Array): number[] =>
      applied(map, x).map((value, i) => value - (centre[i] as number));
    for (let row = 0; row < rows.rows; row++) {
      const x = rowOf(pairs.vectorsFrom, row);
      const [u, v] = [unit(apply(one, x)), unit(apply(other, x))];
      const sum = u.map((value, i) => value + 0.5 * (v[i] as number));
      const turned = sum.map((_, j) =>
        sum.reduce((total, value, i) => total + value * (turn.data[i * 16 + j] as number), 0),
      );
      const expected = unit(unit(turned).map((value, i) => 0.7 * value + (mean[i] as number)));
      assert.ok(squared(expected, [...rowOf(rows, row)]) < 1e-8);
      assert.ok(Math.abs(Math.hypot(...rowOf(rows, row)) - 1) < 1e-5);
    }
  });
});

/** x·weights + bias, written out. */
function applied({ weights, bias }: LinearMap, x: Float32Array): number[] {
  return [...bias].map((start, j) =>
    x.reduce((sum, value, i) => sum + value * (weights.data[i * weights.columns + j] as number), start),
  );
}

/** The same pairs, their vectors in a subspace of more dimensions. */
function padded(pairs: PairSet, dimensions: number): PairSet {
  const random = makeRandom(2);
  const { from, vectorsFrom } = pairs;
  const normals = Dense.from1DArray(
    dimensions,
    dimensions,
    Array.from({ length: dimensions ** 2 }, () => random.normal()),
  );
  const axes = new QrDecomposition(normals).orthogonalMatrix;
  const rows = Dense.from1DArray(vectorsFrom.rows, from.dimensions, [...vectorsFrom.data]).mmul(
    axes.subMatrix(0, from.dimensions - 1, 0, dimensions - 1),
  );
  return {
    ...pairs,
    from: { ...from, dimensions },
    vectorsFrom: matrixOf(rows.rows, dimensions, Float32Array.from(rows.to1DArray())),
  };
}

/** The same people; the other model turns every vector by one rotation. */
function rotated(pairs: PairSet): PairSet {
  const angle = 0.7;
  return makePairSet(
    pairs.from,
    pairs.to,
    [...pairs.personOf].map((person, row) => {
      const from = rowOf(pairs.vectorsFrom, row).slice();
      const to = from.map((value, i) => {
        const partner = from[i % 2 === 0 ? i + 1 : i - 1] as number;
        return Math.cos(angle) * value + (i % 2 === 0 ? -1 : 1) * Math.sin(angle) * partner;
      });
      return { person: pairs.people[person] as string, from, to };
    }),
  );
}

function squared(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + (value - (b[i] as number)) ** 2, 0);
}
