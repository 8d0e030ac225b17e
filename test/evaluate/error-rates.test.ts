/**
 * Against tables computed by hand, and against a brute-force model that tries every threshold on a fine grid and counts. The
 * random distances lie on a coarser grid, so ties are common and the model's thresholds cover every possible cut.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import {
  estimate,
  farSupport,
  foldedAccuracy,
  mostAccurateThreshold,
  rocCorners,
  thresholdAtFar,
  valAtFar,
  type FoldDistances,
} from '../../src/evaluate/error-rates.js';

/** Four genuine, four impostors; 0.3 and 0.5 occur in both. */
const table: FoldDistances = { genuine: [0.1, 0.3, 0.3, 0.5], impostor: [0.3, 0.5, 0.7, 0.9] };

function near(actual: number | undefined, expected: number): void {
  assert.ok(actual !== undefined && Math.abs(actual - expected) < 1e-12, `${actual} is not ${expected}`);
}

/** Multiplicative congruential generator (Park and Miller), so that a failure repeats. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48271) % 0x7fffffff) / 0x7fffffff;
}

function onGrid(value: number): number {
  return Math.round(value * 50) / 50;
}

/** Distances on the grid 0.00, 0.02, ... 1; impostors farther on average. */
function randomFold(random: () => number, count: number): FoldDistances {
  return {
    genuine: Array.from({ length: count }, () => onGrid(random() * 0.6)),
    impostor: Array.from({ length: count }, () => onGrid(0.3 + random() * 0.7)),
  };
}

/** -0.01, 0.01, 0.03 ... 1.01: between the distances, one cut each. */
const gridThresholds = Array.from({ length: 52 }, (_, step) => step / 50 - 0.01);

function share(distances: readonly number[], threshold: number): number {
  let accepted = 0;
  for (const distance of distances) if (distance <= threshold) accepted++;
  return accepted / distances.length;
}

describe('error rates', () => {
  it('mean and standard error', () => {
    // 2, 4, 6: mean 4, sample variance 4, standard error 2 / sqrt(3).
    const { mean, standardError } = estimate([2, 4, 6]);
    near(mean, 4);
    near(standardError, 2 / Math.sqrt(3));
  });

  it('the corners of the ROC of the table', () => {
    // Accepting up to 0.1: FMR 0, FNMR 3/4. Up to 0.3: 1/4, 1/4. Up to 0.5: 2/4, 0. Beyond only the FMR grows.
    assert.deepEqual(
      rocCorners(table).map(({ fmr, fnmr }) => [fmr, fnmr]),
      [
        [0, 0.75],
        [0.25, 0.25],
        [0.5, 0],
      ],
    );
    near(rocCorners(table)[0]?.threshold, 0.2);
    near(rocCorners(table)[1]?.threshold, 0.4);
    near(rocCorners(table)[2]?.threshold, 0.6);
  });

  it('separable distances have one corner, without errors', () => {
    const [corner, ...others] = rocCorners({ genuine: [0.1, 0.2], impostor: [0.4, 0.6] });
    assert.deepEqual([corner?.fmr, corner?.fnmr, others.length], [0, 0, 0]);
    near(corner?.threshold, 0.3);
  });

  it('thresholds at FARs of the table', () => {
    // No impostor: below 0.3. One of four: below 0.5. Three of four: below 0.9. All: the largest distance.
    near(thresholdAtFar(table, 0), 0.2);
    near(thresholdAtFar(table, 0.2), 0.2);
    near(thresholdAtFar(table, 0.25), 0.4);
    near(thresholdAtFar(table, 0.75), 0.8);
    near(thresholdAtFar(table, 1), 0.9);
  });

  it('tied impostors are accepted together or not at all', () => {
    // One of four would be allowed, but two are equally near.
    near(thresholdAtFar({ genuine: [0.1, 0.4], impostor: [0.2, 0.2, 0.6, 0.8] }, 0.25), 0.15);
  });

  it('identical photos of different people leave no threshold that accepts nobody', () => {
    assert.ok(thresholdAtFar({ genuine: [0, 0.1], impostor: [0, 0.5] }, 0) < 0);
  });

  it('0.1 of 30 pairs is three pairs, whatever the rounding', () => {
    const impostor = Array.from({ length: 30 }, (_, position) => (position + 1) / 10);
    near(thresholdAtFar({ genuine: [0], impostor }, 0.1), 0.35);
  });

  it('the most accurate threshold, and the middle of several', () => {
    // Right decisions by cut: refuse all 4; 0.2: 1 + 4; 0.4: 3 + 3; 0.6: 4 + 2; 0.8: 4 + 1; all: 4. Best: 0.4 and 0.6 (6).
    near(mostAccurateThreshold(table), 0.6);
    near(mostAccurateThreshold({ genuine: [0.1], impostor: [0.3] }), 0.2);
  });

  it('a fold is judged by the threshold of the others', () => {
    // Fold 1 chooses 0.3, fold 2 chooses 1.0, so fold 1 is judged at 1.0 (accepts an impostor at 0.4): 3 of 4 right,
    // and fold 2 at 0.3 (refuses its genuine pair at 0.8): 3 of 4 right.
    const folds: FoldDistances[] = [
      { genuine: [0.1, 0.2], impostor: [0.4, 1.5] },
      { genuine: [0.1, 0.8], impostor: [1.2, 1.6] },
    ];
    const { accuracy, foldThresholds, threshold } = foldedAccuracy(folds);
    near(foldThresholds[0], 1);
    near(foldThresholds[1], 0.3);
    near(threshold, 0.65);
    near(accuracy.mean, 0.75);
    near(accuracy.standardError, 0);
    // One pair of fold 1 could not be compared: 3 of 5.
    near(foldedAccuracy(folds, [1, 0]).accuracy.mean, (0.6 + 0.75) / 2);
  });

  it('VAL of held-out folds', () => {
    // At FAR 1/2 of two impostors, fold 1 chooses a cut below 1.5, halfway to 0.4: 0.95; fold 2 below 1.6, halfway to 1.2: 1.4.
    // Fold 1 at 1.4: VAL 1, FAR 1/2. Fold 2 at 0.95: VAL 1, FAR 0.
    const folds: FoldDistances[] = [
      { genuine: [0.1, 0.2], impostor: [0.4, 1.5] },
      { genuine: [0.1, 0.8], impostor: [1.2, 1.6] },
    ];
    const { val, realisedFar, threshold, pooledVal, support } = valAtFar(folds, 0.5);
    assert.equal(support, 'coarse');
    near(val?.mean, 1);
    near(realisedFar?.mean, 0.25);
    near(realisedFar?.standardError, 0.25);
    near(threshold ?? undefined, (0.95 + 1.4) / 2);
    near(pooledVal ?? undefined, 1);
  });

  it('says what cannot be measured', () => {
    const fold: FoldDistances = { genuine: [0.1], impostor: Array.from({ length: 150 }, () => 1) };
    const folds = Array.from({ length: 10 }, () => fold);
    // A threshold is chosen on 9 x 150 = 1,350 impostors.
    assert.deepEqual(valAtFar(folds, 1e-4), {
      far: 1e-4,
      support: 'not-measurable',
      val: null,
      realisedFar: null,
      threshold: null,
      pooledVal: null,
    });
    assert.equal(valAtFar(folds, 1e-3).support, 'coarse');
    assert.equal(farSupport(1e-3, 1000), 'coarse');
    assert.equal(farSupport(1e-3, 999), 'not-measurable');
    assert.equal(farSupport(1e-2, 3000), 'measured');
    assert.equal(farSupport(1e-2, 2999), 'coarse');
  });

  it('agrees with the brute-force model on 200 random folds', () => {
    const random = randomFrom(20150803);
    for (let round = 0; round < 200; round++) {
      const fold = randomFold(random, 1 + Math.floor(random() * 40));
      const { genuine, impostor } = fold;

      const rightAt = (threshold: number): number =>
        share(genuine, threshold) * genuine.length + (1 - share(impostor, threshold)) * impostor.length;
      const bestCount = Math.max(...gridThresholds.map(rightAt));
      near(rightAt(mostAccurateThreshold(fold)), bestCount);

      for (const far of [0, 0.03, 0.1, 0.5, 0.99]) {
        const possible = gridThresholds.filter((threshold) => share(impostor, threshold) <= far);
        const bestVal = Math.max(...possible.map((threshold) => share(genuine, threshold)));
        const threshold = thresholdAtFar(fold, far);
        assert.ok(share(impostor, threshold) <= far, `round ${round}: FAR beyond ${far}`);
        near(share(genuine, threshold), bestVal);
      }

      for (const corner of rocCorners(fold)) {
        near(share(impostor, corner.threshold), corner.fmr);
        near(1 - share(genuine, corner.threshold), corner.fnmr);
      }
      // Every threshold is matched or beaten by a corner, in both rates.
      for (const threshold of gridThresholds) {
        const [fmr, fnmr] = [share(impostor, threshold), 1 - share(genuine, threshold)];
        assert.ok(
          rocCorners(fold).some((corner) => corner.fmr <= fmr && corner.fnmr <= fnmr + 1e-12),
          `round ${round}: no corner dominates threshold ${threshold}`,
        );
      }
    }
  });
});
