/** Method: two points whose hazards are powers of ten, so that what lies between them is known by hand. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { distanceAtRate, type CalibrationPoint } from '../../src/calibration/calibration-report.js';

/** Of H = -ln(1 - rate). */
const rateOf = (hazard: number): number => -Math.expm1(-hazard);

function point(distance: number, hazard: number): CalibrationPoint {
  const [fmr, fmrLow, fmrHigh] = [hazard, hazard / 10, hazard * 4].map(rateOf) as [number, number, number];
  const [fpir, fpirLow, fpirHigh] = [hazard * 100, hazard * 10, hazard * 400].map(rateOf) as [number, number, number];
  return { distance, fmr, fmrLow, fmrHigh, fpir, fpirLow, fpirHigh };
}

const near = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected)), `${actual}, expected ${expected}`);

describe('the distance at a rate', () => {
  const points = [point(0.1, 1e-5), point(0.2, 1e-3), point(0.4, 1e-1)];

  it('lies between two points where ln H does, with the interval of there', () => {
    const { distance, low, high } = distanceAtRate(points, 'fmr', rateOf(1e-4));
    near(distance, 0.15);
    near(low, rateOf(1e-5));
    near(high, rateOf(4e-4));
    near(distanceAtRate(points, 'fmr', rateOf(1e-2)).distance, 0.3);
    near(distanceAtRate(points, 'fpir', rateOf(1e-2)).distance, 0.15);
  });

  it('of the points is theirs', () => {
    for (const { distance, fmr, fpir, fpirHigh } of points) {
      near(distanceAtRate(points, 'fmr', fmr).distance, distance);
      near(distanceAtRate(points, 'fpir', fpir).distance, distance);
      // A rate of 1 is as good as 1 - 1e-9.
      near(distanceAtRate(points, 'fpir', fpir).high, Math.min(fpirHigh, 1 - 1e-9));
    }
  });

  it('goes no farther than the points', () => {
    assert.equal(distanceAtRate(points, 'fmr', 1e-7).distance, 0);
    assert.equal(distanceAtRate(points, 'fmr', 0.9).distance, 0.4);
    assert.equal(distanceAtRate([], 'fmr', 0.1).distance, 0);
  });
});
