// Method: images are drawn from analytic functions, so that the right value at any point is known without resampling.
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { RgbImage } from '../../src/embedder/image.js';
import {
  applySimilarity,
  averageBlocks,
  composeSimilarities,
  insideShare,
  invertSimilarity,
  resizeInto,
  warp,
  type Similarity,
} from '../../src/embedder/resample.js';

/** An image whose channels are functions of the pixel centre's coordinates. */
function draw(width: number, height: number, colour: (x: number, y: number) => [number, number, number]): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      colour(x + 0.5, y + 0.5).forEach((value, channel) => {
        data[(y * width + x) * 3 + channel] = Math.round(value);
      });
    }
  }
  return { width, height, data };
}

function turned(scale: number, degrees: number, tx: number, ty: number): Similarity {
  const angle = (degrees * Math.PI) / 180;
  return { a: scale * Math.cos(angle), b: scale * Math.sin(angle), tx, ty };
}

describe('resample', () => {
  it('warps linear ramps exactly, at any turn and scale', () => {
    const colour = (x: number, y: number): [number, number, number] => [x * 0.5, y * 0.5, 200 - x * 0.25 - y * 0.25];
    const image = draw(400, 360, colour);
    for (const [scale, degrees] of [
      [0.4, 10],
      [1, 0],
      [1.7, -25],
      [2, 0],
      [3.3, 40],
      [5.8, 90],
    ] as const) {
      const size = 40;
      // The middle of the target falls on the middle of the image.
      const { a, b } = turned(scale, degrees, 0, 0);
      const toSource = { a, b, tx: 200 - (a - b) * (size / 2), ty: 180 - (a + b) * (size / 2) };
      const chip = warp(image, toSource, size, size);
      for (let y = 0; y < size; y += 3) {
        for (let x = 0; x < size; x += 3) {
          const source = applySimilarity(toSource, x + 0.5, y + 0.5);
          colour(source.x, source.y).forEach((value, channel) => {
            const got = chip.data[channel * size * size + y * size + x] as number;
            // Half a level from rounding the image, half a level from rounding block means.
            assert.ok(Math.abs(got - value) <= 1.01, `scale ${scale}: ${got} instead of ${value} at ${x},${y}`);
          });
        }
      }
    }
  });

  it('averages fine detail away when shrinking, where plain interpolation would alias', () => {
    // Stripes of one pixel: every area mean over several pixels is near 127.5.
    const stripes = draw(300, 300, (x) => (Math.floor(x) % 2 === 0 ? [255, 255, 255] : [0, 0, 0]));
    const chip = warp(stripes, { a: 4.1, b: 0, tx: 10, ty: 10 }, 60, 60);
    for (const value of chip.data) assert.ok(Math.abs(value - 127.5) < 2, `level ${value}`);
  });

  it('shows black outside the image and leaves nothing of the array unread or misread at the rim', () => {
    const white = draw(10, 10, () => [255, 255, 255]);
    for (const scale of [0.5, 1, 3]) {
      const chip = warp(white, { a: scale, b: 0, tx: -10 * scale, ty: -10 * scale }, 40, 40);
      for (let y = 0; y < 40; y++) {
        for (let x = 0; x < 40; x++) {
          const sourceX = (x + 0.5 - 10) * scale;
          const sourceY = (y + 0.5 - 10) * scale;
          const distance = Math.max(-sourceX, -sourceY, sourceX - 10, sourceY - 10);
          const got = chip.data[y * 40 + x] as number;
          if (distance > Math.max(1, scale)) assert.equal(got, 0, `outside at ${x},${y}, scale ${scale}`);
          if (distance < -Math.max(1, scale)) assert.equal(got, 255, `inside at ${x},${y}, scale ${scale}`);
        }
      }
    }
    const farAway = warp(white, { a: 3, b: 0, tx: 500, ty: 500 }, 8, 8);
    assert.ok(farAway.data.every((value) => value === 0));
  });

  it('resizes linear ramps exactly up to the rim, and shows the edge beyond it', () => {
    const colour = (x: number, y: number): [number, number, number] => [x * 0.5, y * 0.5, 200 - x * 0.25 - y * 0.25];
    const image = draw(400, 360, colour);
    for (const scale of [0.7, 1, 1.6, 2.5, 4]) {
      const [width, height] = [Math.floor(400 / scale), Math.floor(360 / scale)];
      const target = {
        width: width + 7,
        height: height + 3,
        data: new Float32Array(3 * (width + 7) * (height + 3)).fill(-1),
      };
      resizeInto(target, image, { a: scale, b: 0, tx: -5 * scale, ty: -2 * scale }, { left: 5, top: 2, width, height });
      const at = (channel: number, x: number, y: number): number =>
        target.data[(channel * target.height + y) * target.width + x] as number;
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          colour((x + 0.5) * scale, (y + 0.5) * scale).forEach((value, channel) => {
            // Rounding as above; at the rim, half a source pixel or a partial block of a slope of a half.
            const rim = x === 0 || y === 0 || x === width - 1 || y === height - 1 ? scale / 2 : 0;
            assert.ok(Math.abs(at(channel, x + 5, y + 2) - value) <= 1.01 + rim, `scale ${scale} at ${x},${y}`);
          });
        }
      }
      assert.equal(at(0, 4, 2), -1, 'what is not the area is not touched');
      assert.equal(at(2, 5 + width, 2), -1);
      assert.equal(at(1, 5, 2 + height), -1);
    }
    const dot = draw(1, 1, () => [9, 90, 200]);
    const target = { width: 4, height: 4, data: new Float32Array(48) };
    resizeInto(target, dot, { a: 0.25, b: 0, tx: 0, ty: 0 }, { left: 0, top: 0, width: 4, height: 4 });
    assert.ok(target.data.subarray(16, 32).every((value) => value === 90));
  });

  it('averages whole blocks, and partial ones at the edge over the pixels that exist', () => {
    const image = draw(5, 4, (x, y) => [Math.floor(x) * 10, Math.floor(y) * 10, 7]);
    const averaged = averageBlocks(image, { left: 0, top: 0, columns: 3, rows: 2 }, 2);
    const plane = (channel: number): number[] => Array.from(averaged.data.filter((_, i) => i % 3 === channel));
    assert.deepEqual(plane(0), [5, 25, 40, 5, 25, 40]);
    assert.deepEqual(plane(1), [5, 5, 5, 25, 25, 25]);
    assert.ok(plane(2).every((value) => value === 7));
  });

  it('inverts and composes similarities', () => {
    const one = turned(2.5, 33, 12, -7);
    const other = turned(0.3, -80, -40, 9);
    const point = { x: 3.25, y: -1.5 };
    const there = applySimilarity(one, point.x, point.y);
    const back = applySimilarity(invertSimilarity(one), there.x, there.y);
    assert.ok(Math.hypot(back.x - point.x, back.y - point.y) < 1e-9);
    const inner = applySimilarity(other, point.x, point.y);
    const expected = applySimilarity(one, inner.x, inner.y);
    const composed = applySimilarity(composeSimilarities(one, other), point.x, point.y);
    assert.ok(Math.hypot(composed.x - expected.x, composed.y - expected.y) < 1e-9);
  });

  it('tells how much of a chip lies inside the image', () => {
    const image = draw(100, 100, () => [0, 0, 0]);
    assert.equal(insideShare(image, { a: 1, b: 0, tx: 0, ty: 0 }, 100, 100), 1);
    assert.equal(insideShare(image, { a: 1, b: 0, tx: 50, ty: 0 }, 100, 100), 0.5);
    assert.equal(insideShare(image, { a: 1, b: 0, tx: -75, ty: -50 }, 100, 100), 0.125);
  });
});
