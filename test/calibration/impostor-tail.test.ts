/** Method: depths drawn from a distribution whose tail is known exactly; the predicted rates are held against the exact ones. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { fitTail, shareIntervalWithin, shareWithin } from '../../src/calibration/impostor-tail.js';
import { makeRandom } from '../../src/random.js';

/** Distances end - X with X of a generalised Pareto distribution, so that the share below d is (1 + shape (start - d) / scale)^(-1 / shape) of those below the start. */
function drawn(count: number, shape: number, seed: number): Float64Array {
  const random = makeRandom(seed);
  return Float64Array.from({ length: count }, () => {
    const u = 1 - random.uniform();
    return 1 - (shape === 0 ? -Math.log(u) : (u ** -shape - 1) / shape) * 0.05;
  }).toSorted();
}

/** The distance below which so many are, exactly. */
function quantile(share: number, shape: number): number {
  return 1 - (shape === 0 ? -Math.log(share) : (share ** -shape - 1) / shape) * 0.05;
}

describe('the tail of impostors', () => {
  for (const shape of [-0.25, -0.1, 0]) {
    it(`of shape ${shape}: rates a hundredth of what was seen are within a factor of two on the mean, and mostly in their intervals`, () => {
      const ratios: number[] = [];
      let held = 0;
      for (let seed = 1; seed <= 20; seed++) {
        const tail = fitTail(drawn(1000, shape, seed));
        assert.ok(tail);
        assert.ok(Math.abs(tail.share - 0.2) < 1e-9);
        const distance = quantile(1e-3, shape);
        const { rate, low, high } = shareIntervalWithin(tail, distance);
        assert.equal(rate, shareWithin(tail, distance));
        assert.ok(low <= rate && rate <= high);
        ratios.push(rate / 1e-3);
        if (low <= 1e-3 && 1e-3 <= high) held++;
      }
      const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
      assert.ok(mean > 0.5 && mean < 2, `mean ratio ${mean}`);
      assert.ok(held >= 14, `${held} of 20 intervals hold the rate`);
    });
  }

  it('begins with the share that it holds, and falls with the distance', () => {
    const tail = fitTail(drawn(500, -0.1, 7));
    assert.ok(tail);
    assert.ok(Math.abs(shareWithin(tail, tail.start) - tail.share) < 1e-12);
    let before = Infinity;
    for (let distance = tail.start; distance > tail.start - 0.5; distance -= 0.01) {
      const share = shareWithin(tail, distance);
      assert.ok(share < before && share >= 0);
      before = share;
    }
  });

  it('is not shaped by what is doubted', () => {
    const clean = drawn(1000, -0.1, 3);
    const planted = Float64Array.from([0.2, 0.21, 0.22, ...clean]).toSorted();
    const [honest, trusting, doubting] = [fitTail(clean), fitTail(planted), fitTail(planted, 10)];
    assert.ok(honest && trusting && doubting);
    const distance = quantile(1e-4, -0.1);
    assert.ok(shareWithin(trusting, distance) > 2 * shareWithin(honest, distance));
    assert.ok(shareWithin(doubting, distance) < 2 * shareWithin(honest, distance));
  });

  it('says nothing of few, or of distances without any spread', () => {
    assert.equal(fitTail(drawn(97, -0.1, 1)), null);
    assert.ok(fitTail(drawn(100, -0.1, 1)));
    assert.equal(fitTail(new Float64Array(1000).fill(0.7)), null);
  });
});
