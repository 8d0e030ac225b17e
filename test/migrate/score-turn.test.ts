/** Covariances against what they are made of, and what a turned map gives: no part along the mean, all directions alike, and the mean as far as it decides. */
import assert from 'node:assert/strict';
import { Matrix as Dense } from 'ml-matrix';
import { after, before, describe, it } from 'mocha';
import { mapThrough } from '../../src/migrate/adapter.js';
import { inverseRoot, leadingAxes, shrunkCovariance } from '../../src/migrate/covariance.js';
import { openAlgebra, type Algebra } from '../../src/migrate/dense-algebra.js';
import { valAt, compareAll } from '../../src/migrate/comparisons.js';
import { fitRidge } from '../../src/migrate/linear-fits.js';
import { columnMeans, rowOf, stackRows, subtractFromRows, unitRows, type Matrix } from '../../src/migrate/matrix.js';
import { makePairSet, pairsOf, type PairSet } from '../../src/migrate/pair-set.js';
import { turnedModel } from '../../src/migrate/score-turn.js';
import { makeRandom } from '../../src/random.js';
import { unit } from './made-pairs.js';

const spreads = [4, 2, 1, 1, 0.5, 0.5, 0.25, 0.25];
const uneven = Array.from({ length: 23 }, (_, i) => 2 ** (1.5 - i / 8));

/** Rows of a normal distribution with these deviations. */
function drawn(rows: number, deviations: readonly number[], seed = 1): Matrix {
  const random = makeRandom(seed);
  return stackRows(
    Array.from({ length: rows }, () => Float32Array.from(deviations, (deviation) => deviation * random.normal())),
    deviations.length,
  );
}

function dense({ rows, columns, data }: Matrix): Dense {
  return Dense.from1DArray(rows, columns, [...data]);
}

/** A second model whose vectors vary more in some directions than in others, tell people as well in all of them, and stand about a mean; the first one
 * sees people with more noise. */
function unevenPairs(people: number): PairSet {
  const random = makeRandom(7);
  const pairs = Array.from({ length: people }, (_, person) => {
    const face = uneven.map((spread) => spread * random.normal());
    const blurred = (values: readonly number[], noise: number): number[] =>
      values.map((value, i) => value + noise * (uneven[i] as number) * random.normal());
    return Array.from({ length: 3 }, () => {
      const seen = blurred(face, 0.3);
      const to = unit([3, ...seen]);
      const from = unit([...blurred(seen, 0.6), 1]);
      return { person: `person ${person}`, from: Float32Array.from(from), to: Float32Array.from(to) };
    });
  }).flat();
  const dimensions = uneven.length + 1;
  return makePairSet({ space: 'old:1', dimensions }, { space: 'new:1', dimensions }, pairs);
}

describe('turned scores', function () {
  this.timeout(60_000);
  let algebra: Algebra;
  before(async () => {
    algebra = await openAlgebra();
  });
  after(() => algebra.close());

  it('the covariance of many rows is theirs, of few it is nearer to that of noise, and always positive definite', async () => {
    const wanted = Dense.diag(spreads.map((spread) => spread ** 2));
    const many = await shrunkCovariance(algebra, drawn(20_000, spreads));
    assert.ok(Dense.sub(many, wanted).norm() < 0.05 * wanted.norm());
    // Four rows span three directions.
    const few = await shrunkCovariance(algebra, drawn(4, spreads));
    const axes = leadingAxes(few, 8);
    const smallest = dense(axes).transpose().mmul(few).mmul(dense(axes)).get(0, 0);
    assert.ok(smallest > 0.01 * few.trace(), `${smallest} of ${few.trace()}`);
    const even = await shrunkCovariance(algebra, drawn(40, [1, 1, 1, 1, 1, 1, 1, 1]));
    const off = Dense.sub(even, Dense.eye(8).mul(even.trace() / 8));
    assert.ok(off.norm() < 0.2 * even.norm(), 'what differs by chance is taken for chance');
  });

  it('the inverse root undoes a covariance, and the leading axes hold the most of it', async () => {
    const covariance = await shrunkCovariance(algebra, drawn(500, spreads));
    const root = dense(inverseRoot(covariance));
    assert.ok(Dense.sub(root.mmul(covariance).mmul(root), Dense.eye(8)).norm() < 1e-4);
    const axes = dense(leadingAxes(covariance, 2));
    assert.ok(Dense.sub(axes.transpose().mmul(axes), Dense.eye(2)).norm() < 1e-5);
    assert.ok(axes.transpose().mmul(covariance).mmul(axes).trace() > 0.8 * covariance.trace());
  });

  it('a turned map has no part along the mean but the one that it is given, and finds more people', async () => {
    const pairs = unevenPairs(400);
    const isTested = (person: string): boolean => Number(person.split(' ')[1]) % 2 === 0;
    const [fit, test] = [pairsOf(pairs, (person) => !isTested(person)), pairsOf(pairs, isTested)];
    const members = [{ map: await fitRidge(algebra, fit, 0.01), weight: 1 }];
    const model = await turnedModel(algebra, fit, members);
    const centre = columnMeans(fit.vectorsTo);
    const long = centre.reduce((sum, value) => sum + value * value, 0);
    const along = (row: ArrayLike<number>): number =>
      centre.reduce((sum, value, i) => sum + value * (row[i] as number), 0);
    const directions = await mapThrough({ ...model, mean: new Float32Array(24) }, fit.vectorsFrom, 24);
    for (let row = 0; row < directions.rows; row++) assert.ok(Math.abs(along(rowOf(directions, row))) < 1e-5);
    // The share of the mean is the cosine that about one stranger in a thousand reaches.
    const cosine = along(model.mean) / long;
    const cosines = dense(directions).mmul(dense(unitRows(subtractFromRows(fit.vectorsTo, centre))).transpose());
    const beyond = cosines.to1DArray().filter((value) => value > cosine).length / cosines.size;
    assert.ok(cosine > 0.3 && beyond < 0.02, `${cosine}, ${beyond} beyond`);

    const plain = { members, centre: model.centre, turn: null, mean: model.centre, radius: model.radius };
    const val = async (of: typeof plain | typeof model): Promise<number> => {
      const gallery = await mapThrough(of, test.vectorsFrom, 24);
      return valAt(await compareAll(algebra, [{ gallery, probes: test.vectorsTo, weight: 1 }], test), 0.01);
    };
    const [turned, unturned] = [await val(model), await val(plain)];
    assert.ok(turned > unturned + 0.05, `${turned} and ${unturned}`);
  });
});
