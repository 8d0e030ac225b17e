// Method: a known transform moves the points; the fit must find it again. With noise, no other nearby transform may fit better.
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { arcface112, centredFace, chipToCrop, fitSimilarity, fivePoints } from '../../src/embedder/align.js';
import type { Point } from '../../src/embedder/face.js';
import { applySimilarity, type Similarity } from '../../src/embedder/resample.js';
import { isHarmonidError } from '../../src/errors.js';

const template: readonly Point[] = [
  { x: 45.5, y: 43 },
  { x: 104.5, y: 43 },
  { x: 75, y: 80 },
  { x: 55, y: 110 },
  { x: 95, y: 112 },
];

function squaredError(fit: Similarity, from: readonly Point[], to: readonly Point[]): number {
  return from.reduce((sum, { x, y }, i) => {
    const mapped = applySimilarity(fit, x, y);
    const wanted = to[i] as Point;
    return sum + (mapped.x - wanted.x) ** 2 + (mapped.y - wanted.y) ** 2;
  }, 0);
}

describe('align', () => {
  it('finds a known similarity exactly', () => {
    for (const known of [
      { a: 1, b: 0, tx: 0, ty: 0 },
      { a: 0.3, b: -1.9, tx: 812.25, ty: -31 },
      { a: -2, b: 0.001, tx: 1e4, ty: 5 },
    ]) {
      const fit = fitSimilarity(
        template,
        template.map(({ x, y }) => applySimilarity(known, x, y)),
      );
      for (const key of ['a', 'b', 'tx', 'ty'] as const) {
        assert.ok(Math.abs(fit[key] - known[key]) < 1e-8, `${key} is ${fit[key]}, not ${known[key]}`);
      }
    }
  });

  it('has the least squared error of all similarities nearby when the points are noisy', () => {
    const noise = [2, -1, 0.5, -3, 1.5, 2.5, -2, 1, -0.5, 3];
    const to = template.map(({ x, y }, i) => ({
      x: 1.4 * x - 0.2 * y + 30 + (noise[2 * i] as number),
      y: 0.2 * x + 1.4 * y - 12 + (noise[2 * i + 1] as number),
    }));
    const fit = fitSimilarity(template, to);
    const best = squaredError(fit, template, to);
    for (const [key, step] of [
      ['a', 1e-3],
      ['b', 1e-3],
      ['tx', 0.1],
      ['ty', 0.1],
    ] as const) {
      for (const sign of [-1, 1]) {
        assert.ok(squaredError({ ...fit, [key]: fit[key] + sign * step }, template, to) > best, `${key} can improve`);
      }
    }
  });

  it('refuses points that have no direction', () => {
    const wrong = (error: unknown): boolean => isHarmonidError(error) && error.code === 'INVALID_ARGUMENT';
    assert.throws(() => fitSimilarity([{ x: 1, y: 1 }], [{ x: 2, y: 2 }]), wrong);
    assert.throws(() => fitSimilarity(template, template.slice(1)), wrong);
    assert.throws(
      () =>
        fitSimilarity(
          template.map(() => ({ x: 3, y: 3 })),
          template,
        ),
      wrong,
    );
  });

  it('takes the five points of ArcFace from the 68 of iBUG 300-W', () => {
    const landmarks = Array.from({ length: 68 }, (_, i) => ({ x: i, y: 100 + i }));
    assert.deepEqual(fivePoints(landmarks), [
      { x: 38.5, y: 138.5 },
      { x: 44.5, y: 144.5 },
      { x: 30, y: 130 },
      { x: 48, y: 148 },
      { x: 54, y: 154 },
    ]);
  });

  it('cuts the chip of a five-point pack out of an ArcFace crop without moving a pixel when it is that crop', () => {
    const centre = (x: number, y: number): { x: number; y: number } => ({ x, y });
    const alignment = {
      kind: 'five-points',
      leftEye: centre(38.2946 - 8, 51.6963),
      rightEye: centre(73.5318 - 8, 51.5014),
      nose: centre(56.0252 - 8, 71.7366),
      mouthLeft: centre(41.5493 - 8, 92.3655),
      mouthRight: centre(70.7299 - 8, 92.2041),
    } as const;
    const { a, b, tx, ty } = chipToCrop(alignment, arcface112);
    for (const [actual, expected] of [
      [a, 1],
      [b, 0],
      [tx, 8],
      [ty, 0],
    ] as const)
      assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}, ${expected} is wanted`);
  });

  it('needs the five points in the template of a pack of 68 landmarks', () => {
    const alignment = { kind: 'landmarks68', points: [{ landmark: 30, x: 10, y: 10 }] } as const;
    assert.throws(
      () => chipToCrop({ ...alignment, points: [...alignment.points] }, arcface112),
      /landmark 36 is wanted/,
    );
  });

  it('the face in the middle of a photo is upright, and the crop of it the same share of photos of all sizes', () => {
    for (const side of [100, 250, 1000]) {
      // ArcFace's template is a little askew itself: its eyes are 0.19 uneven over 35, 0.3 degrees.
      const { a, b, tx } = fitSimilarity(arcface112.points, centredFace(side, side).points);
      assert.ok(Math.abs(b / a) < 0.19 / 35 + 0.001, `turned by ${b / a}`);
      assert.ok(Math.abs((arcface112.width * Math.hypot(a, b)) / side - 0.51) < 0.005);
      assert.ok(Math.abs((tx + 56 * a) / side - 0.5) < 0.01, 'from side to side it is in the middle');
    }
    // Of a wide photo it is the middle square's.
    const [wide, square] = [centredFace(400, 250).points, centredFace(250, 250).points];
    wide.forEach(({ x, y }, i) => assert.deepEqual([x - 75, y], [square[i]?.x, square[i]?.y]));
  });
});
