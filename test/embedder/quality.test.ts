// Method: chips are drawn from functions whose mean, deviation and Laplacian are known on paper; limits are met exactly and just missed.
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Point, QualityMeasures } from '../../src/embedder/face.js';
import {
  defaultQualityLimits,
  innerFace,
  judgeQuality,
  measureLight,
  measurePose,
} from '../../src/embedder/quality.js';

function grey(width: number, height: number, level: (x: number, y: number) => number) {
  const plane = Float32Array.from({ length: width * height }, (_, i) => level(i % width, Math.floor(i / width)));
  const data = new Float32Array(3 * plane.length);
  for (let channel = 0; channel < 3; channel++) data.set(plane, channel * plane.length);
  return { width, height, data };
}

const area = { left: 10, top: 10, width: 40, height: 40 };
const near = (got: number, wanted: number, within = 1e-2): void =>
  assert.ok(Math.abs(got - wanted) <= within, `${got} instead of ${wanted}`);

/** A face with the eyes 100 apart and the nose tip `aside` to the image's right of their middle, turned by `roll`. */
function face(aside: number, roll: number): Point[] {
  const turn = (x: number, y: number): Point => ({
    x: 300 + x * Math.cos(roll) - y * Math.sin(roll),
    y: 200 + x * Math.sin(roll) + y * Math.cos(roll),
  });
  return Array.from({ length: 68 }, (_, i) => {
    if (i >= 36 && i < 42) return turn(-50, 0);
    if (i >= 42 && i < 48) return turn(50, 0);
    return i === 30 ? turn(aside, 60) : turn(0, 0);
  });
}

const good: QualityMeasures = {
  eyeDistancePx: 200,
  sharpness: 1000,
  brightness: 130,
  contrast: 60,
  yawDegrees: 0,
  rollDegrees: 80,
  detectionScore: 1,
  insideShare: 1,
  presentationScore: null,
};

describe('quality', () => {
  it('measures brightness, contrast and sharpness of drawn chips', () => {
    const flat = measureLight(
      grey(60, 60, () => 77),
      area,
    );
    near(flat.brightness, 77);
    near(flat.contrast, 0);
    near(flat.sharpness, 0);
    // A ramp has a mean and a deviation, and no curvature at all.
    const ramp = measureLight(
      grey(60, 60, (x) => 2 * x),
      area,
    );
    near(ramp.brightness, 2 * 29.5);
    near(ramp.contrast, 2 * Math.sqrt((40 ** 2 - 1) / 12));
    near(ramp.sharpness, 0);
    // A chessboard of 100 ± 20: the Laplacian is ∓160 everywhere, so its variance is 160², at a contrast of 30 that is 240².
    const chessboard = measureLight(
      grey(60, 60, (x, y) => 100 + ((x + y) % 2 === 0 ? 20 : -20)),
      area,
    );
    near(chessboard.contrast, 20);
    near(chessboard.sharpness, 240 ** 2, 1);
    // The same board in the dark is as sharp.
    const dark = measureLight(
      grey(60, 60, (x, y) => 10 + ((x + y) % 2 === 0 ? 2 : -2)),
      area,
    );
    near(dark.sharpness, 240 ** 2, 1);
  });

  it('weighs colours as luminance', () => {
    const chip = grey(60, 60, () => 0);
    chip.data.fill(100, 3600, 7200);
    near(measureLight(chip, area).brightness, 58.7);
  });

  it('looks at the part of the chip that the template covers', () => {
    const points = [
      { x: 30.2, y: 40 },
      { x: 70, y: 40 },
      { x: 50, y: 90.5 },
    ];
    assert.deepEqual(innerFace(points, 100, 100), { left: 30, top: 40, width: 40, height: 51 });
  });

  it('tells yaw and roll apart', () => {
    for (const roll of [-2, -0.5, 0, 0.7]) {
      const straight = measurePose(face(0, roll));
      near(straight.eyeDistancePx, 100);
      near(straight.yawDegrees, 0);
      near(straight.rollDegrees, (roll * 180) / Math.PI);
      // Half the distance between the eyes is the nose's depth: as far aside as deep is 45 degrees.
      near(measurePose(face(50, roll)).yawDegrees, 45);
      near(measurePose(face(-50, roll)).yawDegrees, -45);
    }
  });

  it('gives exactly the reason whose limit is missed, and none at the limit', () => {
    const limits = defaultQualityLimits;
    assert.deepEqual(judgeQuality(good, limits, null).reasons, []);
    assert.equal(judgeQuality(good, limits, null).score, 1);
    const cases = [
      ['TOO_SMALL', 'eyeDistancePx', limits.eyeDistanceMinPx, -0.1],
      ['TOO_BLURRY', 'sharpness', limits.sharpnessMin, -0.1],
      ['TOO_DARK', 'brightness', limits.brightnessMin, -0.1],
      ['TOO_BRIGHT', 'brightness', limits.brightnessMax, 0.1],
      ['LOW_CONTRAST', 'contrast', limits.contrastMin, -0.1],
      ['EXTREME_POSE', 'yawDegrees', limits.yawMaxDegrees, 0.1],
      ['EXTREME_POSE', 'yawDegrees', -limits.yawMaxDegrees, -0.1],
      ['LOW_CONFIDENCE', 'detectionScore', limits.detectionScoreMin, -0.01],
      ['CUT_OFF', 'insideShare', limits.insideShareMin, -0.01],
    ] as const;
    for (const [reason, measure, limit, beyond] of cases) {
      assert.deepEqual(
        judgeQuality({ ...good, [measure]: limit }, limits, null).reasons,
        [],
        `${measure} at its limit`,
      );
      const missed = judgeQuality({ ...good, [measure]: limit + beyond }, limits, null);
      assert.deepEqual(missed.reasons, [reason]);
      assert.ok(missed.score < 0.5 && missed.score > 0);
    }
  });

  it('calls an attack what is below the least presentation score, whatever the quality', () => {
    const reasonsAt = (presentationScore: number | null, least: number | null) =>
      judgeQuality({ ...good, presentationScore }, defaultQualityLimits, least);
    assert.deepEqual(reasonsAt(0.7, 0.7).reasons, []);
    assert.deepEqual(reasonsAt(0.69, 0.7).reasons, ['PRESENTATION_ATTACK']);
    assert.equal(reasonsAt(0, 0.7).score, 1);
    assert.deepEqual(reasonsAt(null, 0.7).reasons, []);
    assert.deepEqual(reasonsAt(0, null).reasons, []);
  });

  it('scores between unusable and ideal, by the worst measure', () => {
    assert.equal(judgeQuality({ ...good, eyeDistancePx: 0 }, defaultQualityLimits, null).score, 0);
    const middling = judgeQuality(
      { ...good, eyeDistancePx: 1.5 * defaultQualityLimits.eyeDistanceMinPx },
      defaultQualityLimits,
      null,
    );
    near(middling.score, 0.75, 1e-9);
    const worse = judgeQuality({ ...good, eyeDistancePx: 30, yawDegrees: 44 }, defaultQualityLimits, null);
    assert.ok(worse.score < middling.score);
  });
});
