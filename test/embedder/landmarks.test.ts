// Method: the symmetry of the 68 landmarks is told by where they lie in a symmetric face; frames are checked point by point.
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Point } from '../../src/embedder/face.js';
import {
  averageWithMirror,
  boxFrame,
  landmarkCount,
  landmarkFrame,
  mirrorTwin,
  readLandmarks,
} from '../../src/embedder/landmarks.js';
import { applySimilarity } from '../../src/embedder/resample.js';

const input = { width: 112, height: 112 };

describe('landmarks', () => {
  it('knows which landmark is which in a mirror image', () => {
    const twins = Array.from({ length: landmarkCount }, (_, i) => mirrorTwin(i));
    assert.deepEqual(
      [...twins].sort((a, b) => a - b),
      [...twins.keys()],
      'each is the twin of exactly one',
    );
    twins.forEach((twin, i) => assert.equal(twins[twin], i, 'and twins of each other'));
    // From the drawing of the iBUG 300-W mark-up: jaw, brows, nose, eyes, mouth.
    for (const [one, other] of [
      [0, 16],
      [8, 8],
      [17, 26],
      [21, 22],
      [27, 27],
      [30, 30],
      [31, 35],
      [33, 33],
      [36, 45],
      [37, 44],
      [39, 42],
      [41, 46],
      [48, 54],
      [51, 51],
      [57, 57],
      [59, 55],
      [60, 64],
      [62, 62],
      [67, 65],
    ]) {
      assert.equal(twins[one as number], other);
    }
  });

  it('averages an answer with that for the mirror image', () => {
    const shares = new Float32Array(136);
    const mirrored = new Float32Array(136);
    [shares[72], shares[73]] = [0.3, 0.4];
    [mirrored[90], mirrored[91]] = [0.68, 0.44];
    const mean = averageWithMirror(shares, mirrored);
    assert.ok(Math.abs((mean[72] as number) - (0.3 + 0.32) / 2) < 1e-6);
    assert.ok(Math.abs((mean[73] as number) - 0.42) < 1e-6);
  });

  it('looks first at the square around the box', () => {
    const frame = boxFrame({ left: 100, top: 50, width: 60, height: 120 }, input);
    assert.deepEqual(applySimilarity(frame, 0, 0), { x: 70, y: 50 });
    assert.deepEqual(applySimilarity(frame, 112, 112), { x: 190, y: 170 });
    const shares = new Float32Array(136).fill(0.5);
    assert.deepEqual(readLandmarks(shares, frame, input)[67], { x: 130, y: 110 });
  });

  it('looks again at the face turned upright, whatever its size and turn', () => {
    const upright = readLandmarks(
      Float32Array.from({ length: 136 }, (_, i) => ((i * 37) % 101) / 101),
      { a: 1, b: 0, tx: 0, ty: 0 },
      input,
    );
    const frame = landmarkFrame(upright, input);
    const turn = ({ x, y }: Point): Point => ({ x: 3 * (x * 0.6 - y * 0.8) + 500, y: 3 * (x * 0.8 + y * 0.6) - 40 });
    const turnedFrame = landmarkFrame(upright.map(turn), input);
    for (const corner of [
      { x: 0, y: 0 },
      { x: 112, y: 0 },
      { x: 30, y: 112 },
    ]) {
      const wanted = turn(applySimilarity(frame, corner.x, corner.y));
      const got = applySimilarity(turnedFrame, corner.x, corner.y);
      assert.ok(Math.hypot(got.x - wanted.x, got.y - wanted.y) < 1e-6, 'the frame turns with the face');
    }
  });
});
