/** Pairs of three people in one dimension of their own, decided by hand; the band of a ROC against pairs that are written down as often as their people were drawn. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { farsOf, histogramOf, pairedDifference, thresholdAtFar, valAtFar } from '../../src/evaluate/error-rates.js';
import {
  attemptedDistances,
  comparedDistances,
  comparePairs,
  wrongPairs,
  type ComparedPair,
} from '../../src/evaluate/pair-distances.js';
import { rocBand, valsAt } from '../../src/evaluate/roc-band.js';
import { makeRandom } from '../../src/random.js';
import { parseVector } from '../../src/vector.js';

const vector = (x: number, y: number) => parseVector([x, y], 2, 'test');

describe('pairs and their distances', () => {
  // Squared distances: A1-A2 0, A1-B1 2, A1-B2 4, B1-B2 2; nobody was found in A3.
  const vectors = new Map([
    ['A/A_0001', vector(1, 0)],
    ['A/A_0002', vector(1, 0)],
    ['A/A_0003', null],
    ['B/B_0001', vector(0, 1)],
    ['B/B_0002', vector(-1, 0)],
  ]);
  const pairs = {
    pairsPerFold: 2,
    folds: [
      [
        { a: 'A/A_0001', b: 'A/A_0002', genuine: true },
        { a: 'B/B_0001', b: 'B/B_0002', genuine: true },
        { a: 'A/A_0001', b: 'B/B_0002', genuine: false },
        { a: 'A/A_0003', b: 'B/B_0001', genuine: false },
      ],
    ],
  };

  it('a face that was not found is no distance, or an infinite one', () => {
    const folds = comparePairs(pairs, vectors);
    assert.deepEqual(comparedDistances(folds), [{ genuine: [0, 2], impostor: [4] }]);
    assert.deepEqual(attemptedDistances(folds), [{ genuine: [0, 2], impostor: [4, Infinity] }]);
  });

  it('no threshold accepts what is infinitely far', () => {
    const far = { genuine: [Infinity, 0.5], impostor: [Infinity, Infinity] };
    assert.equal(thresholdAtFar(far, 0.5), 0.5);
    assert.ok(thresholdAtFar({ genuine: [Infinity], impostor: [Infinity] }, 0.5) < 0);
    // One of two genuine pairs and no impostor: VAL 1/2 at FAR 0.
    const rates = valAtFar([far, far], 0.5);
    assert.deepEqual([rates.val?.mean, rates.realisedFar?.mean], [0.5, 0]);
  });

  it('wrong pairs: the nearest false accept and the farthest false reject first', () => {
    const pair = (b: string, genuine: boolean, distance: number | null): ComparedPair => ({
      a: 'A/A_0001',
      b,
      genuine,
      distance,
    });
    const folds = [
      [pair('near', false, 0.2), pair('right', true, 0.4), pair('far', true, 0.9), pair('nobody', true, null)],
      [pair('nearer', false, 0.1), pair('farther', true, 1.2), pair('equal', true, 0.7), pair('beyond', false, 0.8)],
    ];
    assert.deepEqual(
      wrongPairs(folds, [0.5, 0.7]).map(({ kind, b, threshold }) => [kind, b, threshold]),
      [
        ['false-accept', 'nearer', 0.7],
        ['false-accept', 'near', 0.5],
        ['false-reject', 'farther', 0.7],
        ['false-reject', 'far', 0.5],
      ],
    );
  });

  it('differences are taken fold by fold', () => {
    // 0.1 and 0.3: mean 0.2, standard error 0.1414 / sqrt 2 = 0.1.
    const { mean, standardError } = pairedDifference([0.6, 0.9], [0.5, 0.6]);
    assert.ok(Math.abs(mean - 0.2) < 1e-12 && Math.abs(standardError - 0.1) < 1e-12);
  });

  it('FARs go down to the first that cannot be told', () => {
    const fold = { genuine: [1], impostor: Array.from({ length: 100 }, () => 2) };
    // A threshold is chosen on 100 impostor pairs: 1e-2 is one of them, 1e-3 is none.
    assert.deepEqual(farsOf([fold, fold]), [0.1, 0.01, 0.001]);
  });

  it('a histogram has every distance once, the farthest of all in the last bin', () => {
    assert.deepEqual(histogramOf([0, 0.9, 1, 4], 4), [0.5, 0.25, 0, 0.25]);
  });
});

describe('the band of a ROC', () => {
  it('VAL of drawn people is that of pairs which are written down as often', () => {
    const random = makeRandom(5);
    for (let round = 0; round < 50; round++) {
      const sorted = Array.from({ length: 60 }, (_, i) => {
        const [one, other] = [random.below(8), random.below(8)];
        return { genuine: one === other || i % 3 === 0, distance: random.below(20) / 10, one, other };
      })
        .map((pair) => (pair.genuine ? { ...pair, other: pair.one } : pair))
        .toSorted((a, b) => a.distance - b.distance);
      const weights = Array.from({ length: 8 }, () => 1 + random.below(3));
      const written = sorted.flatMap((pair) => {
        const [one = 0, other = 0] = [weights[pair.one], weights[pair.other]];
        return Array.from({ length: pair.genuine ? one : one * other }, () => pair);
      });
      const distancesOf = (genuine: boolean): number[] =>
        written.filter((pair) => pair.genuine === genuine).map(({ distance }) => distance);
      const fold = { genuine: distancesOf(true), impostor: distancesOf(false) };
      const fars = [0, 0.05, 0.2, 0.5];
      assert.deepEqual(
        valsAt(sorted, fars, weights).map((val) => val.toFixed(9)),
        fars.map((far) => {
          const threshold = thresholdAtFar(fold, far);
          return (fold.genuine.filter((distance) => distance <= threshold).length / fold.genuine.length).toFixed(9);
        }),
      );
    }
  });

  it('lies around the VAL of all, and is the same for the same seed', () => {
    const random = makeRandom(9);
    const pairs = Array.from({ length: 400 }, (_, i): ComparedPair => {
      const genuine = i % 2 === 0;
      const [one, other] = genuine ? [i, i] : [random.below(400), random.below(400)];
      return { a: `P${one}/1`, b: `P${other}/2`, genuine, distance: (genuine ? 0.5 : 1.2) + random.normal() * 0.3 };
    });
    const band = rocBand(pairs, [0.01, 0.1], 3);
    assert.deepEqual(band, rocBand(pairs, [0.01, 0.1], 3));
    const fold = {
      genuine: pairs.filter(({ genuine }) => genuine).map(({ distance }) => distance ?? 0),
      impostor: pairs.filter(({ genuine }) => !genuine).map(({ distance }) => distance ?? 0),
    };
    for (const { far, low, high } of band) {
      const threshold = thresholdAtFar(fold, far);
      const val = fold.genuine.filter((distance) => distance <= threshold).length / fold.genuine.length;
      assert.ok(low < val && val < high, `${low} ${val} ${high} at ${far}`);
    }
  });
});
