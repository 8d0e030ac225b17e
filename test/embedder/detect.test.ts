// Method: boxes are laid out by hand, so overlaps and positions are plain arithmetic; suppression is compared with a slower model.
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import {
  drawViews,
  layOutViews,
  overlap,
  readDetections,
  spreadLevels,
  suppressOverlaps,
  type CanvasView,
  type Detection,
} from '../../src/embedder/detect.js';

const box = (left: number, top: number, width: number, height: number) => ({ left, top, width, height });

/** Whether two boxes show the same face, counted pixel by pixel (the boxes of the lattice have whole coordinates). */
function explains(one: ReturnType<typeof box>, other: ReturnType<typeof box>): boolean {
  let shared = 0;
  for (let y = one.top; y < one.top + one.height; y++) {
    for (let x = one.left; x < one.left + one.width; x++) {
      if (x >= other.left && x < other.left + other.width && y >= other.top && y < other.top + other.height) shared++;
    }
  }
  const [areaOne, areaOther] = [one.width * one.height, other.width * other.height];
  return shared > 0.4 * (areaOne + areaOther - shared) || shared > 0.65 * Math.min(areaOne, areaOther);
}

describe('detect', () => {
  it('measures overlap as intersection over union', () => {
    assert.equal(overlap(box(0, 0, 10, 10), box(0, 0, 10, 10)), 1);
    assert.equal(overlap(box(0, 0, 10, 10), box(10, 0, 10, 10)), 0);
    assert.equal(overlap(box(0, 0, 10, 10), box(5, 0, 10, 10)), 50 / 150);
    assert.equal(overlap(box(0, 0, 10, 10), box(2, 2, 5, 5)), 0.25);
  });

  it('keeps the best of each heap of boxes', () => {
    const heap: Detection[] = [
      { box: box(0, 0, 100, 100), score: 0.7 },
      { box: box(4, 4, 100, 100), score: 0.9 },
      { box: box(300, 0, 50, 50), score: 0.6 },
      { box: box(0, 60, 100, 100), score: 0.8 },
    ];
    assert.deepEqual(
      suppressOverlaps(heap, 0.5).map(({ score }) => score),
      [0.9, 0.8, 0.6],
      'the third overlaps by about 0.28 only, the first by 0.85',
    );
    assert.deepEqual(suppressOverlaps([], 0.5), []);
    // A part of a face: its overlap is 0.25 only, but it lies inside.
    const nested = [
      { box: box(0, 0, 100, 100), score: 0.8 },
      { box: box(20, 20, 50, 50), score: 0.9 },
    ];
    assert.deepEqual(
      suppressOverlaps(nested, 0.5).map(({ score }) => score),
      [0.9],
    );
  });

  it('suppresses what no kept box explains, whatever the layout', () => {
    // Boxes on a fixed pseudo-random lattice; the property is checked pair by pair.
    const detections = Array.from({ length: 200 }, (_, i) => ({
      box: box((i * 37) % 101, (i * 53) % 97, 20 + ((i * 7) % 13), 20 + ((i * 11) % 17)),
      score: ((i * 71) % 199) / 199,
    }));
    const kept = suppressOverlaps(detections, 0.4);
    for (const one of kept) {
      for (const other of kept) assert.ok(one === other || overlap(one.box, other.box) <= 0.4);
    }
    for (const dropped of detections.filter((detection) => !kept.includes(detection))) {
      assert.ok(
        kept.some(({ box: other, score }) => score >= dropped.score && explains(other, dropped.box)),
        'something kept explains it',
      );
    }
  });

  const square = { width: 512, height: 512 };
  const imageOf = (width: number, height: number) => ({ width, height, data: new Uint8Array(width * height * 3) });

  it('shows the image twice on the canvas, whole, apart from each other, at their own scales', () => {
    for (const [width, height] of [
      [250, 250],
      [1920, 1280],
      [1280, 1920],
      [1600, 900],
      [640, 480],
      [4000, 300],
      [30, 5000],
      [1, 1],
    ] as const) {
      const { large, small } = layOutViews(imageOf(width, height), square);
      for (const { toImage, area } of [large, small]) {
        assert.ok(area.left >= 0 && area.left + area.width <= 512 && area.top >= 0 && area.top + area.height <= 512);
        assert.equal(toImage.b, 0);
        // The far corner of the area is the far corner of the image, to within the last pixel.
        const right = toImage.a * (area.left + area.width) + toImage.tx;
        const bottom = toImage.a * (area.top + area.height) + toImage.ty;
        assert.ok(Math.abs(right - width) <= toImage.a && Math.abs(bottom - height) <= toImage.a, `${width}x${height}`);
      }
      assert.equal(overlap(large.area, small.area), 0);
      const ratio = small.toImage.a / large.toImage.a;
      assert.ok(Math.abs(ratio - 2) < 1e-6 || Math.abs(ratio - 3) < 1e-6, `the small view is ${ratio} times smaller`);
      // The large view loses a quarter at most of what a view alone would have.
      assert.ok(large.toImage.a <= (Math.max(width, height) / 512) * 1.36);
    }
    // A 3:2 photo has room enough: nothing is lost.
    const photo = layOutViews(imageOf(1920, 1200), square);
    assert.ok(Math.abs(photo.large.toImage.a - 1920 / 512) < 1e-9);
  });

  it('maps boxes of each view back to the image, where they may leave it, and drops what lies between the views', () => {
    const view = (a: number, top: number): CanvasView => ({
      toImage: { a, b: 0, tx: 0, ty: -top * a },
      area: { left: 0, top, width: 100, height: 40 },
    });
    const views = { large: view(10, 0), small: view(20, 50) };
    const canvas = { width: 100, height: 100 };
    const boxes = new Float32Array([
      // In the first view, over its right edge by half its width.
      0.9, 0.1, 1.09, 0.3,
      // In the second.
      0.1, 0.6, 0.2, 0.7,
      // Between both.
      0.1, 0.42, 0.2, 0.48,
      // A hundredth of a pixel is no face.
      0.1, 0.1, 0.1001, 0.1001,
    ]);
    const found = readDetections(boxes, new Float32Array(4).fill(0.9), views, canvas, 0.5);
    assert.equal(found.length, 2);
    for (const [got, wanted] of [
      [found[0]?.box, box(900, 100, 190, 200)],
      [found[1]?.box, box(200, 200, 200, 200)],
    ] as const) {
      assert.ok(got);
      for (const key of ['left', 'top', 'width', 'height'] as const) {
        assert.ok(Math.abs(got[key] - wanted[key]) < 1e-3, `${key}: ${got[key]}`);
      }
    }
  });

  it('leaves out low scores and numbers that are none', () => {
    const canvas = { width: 100, height: 100 };
    const boxes = new Float32Array(16).map((_, i) => (i % 4 < 2 ? 0.1 : 0.9));
    boxes[12] = Number.NaN;
    const whole = { toImage: { a: 1, b: 0, tx: 0, ty: 0 }, area: { left: 0, top: 0, ...canvas } };
    const found = readDetections(
      boxes,
      new Float32Array([0.49, 0.51, Number.NaN, 0.9]),
      { large: whole, small: whole },
      canvas,
      0.5,
    );
    assert.deepEqual(
      found.map(({ score }) => score.toFixed(2)),
      ['0.51'],
    );
  });

  it('draws both views and leaves the rest black', () => {
    const image = { width: 80, height: 40, data: new Uint8Array(80 * 40 * 3).fill(200) };
    const canvas = { width: 64, height: 64, data: new Float32Array(3 * 64 * 64) };
    drawViews(canvas, image, layOutViews(image, canvas));
    const level = (x: number, y: number): number | undefined => canvas.data[y * 64 + x];
    // 64 x 32 at the top, 8 black rows, 32 x 16 below.
    for (const [x, y] of [
      [2, 2],
      [61, 29],
      [2, 42],
      [29, 53],
    ] as const) {
      assert.equal(level(x, y), 200, `${x},${y} is in a view`);
    }
    for (const [x, y] of [
      [2, 36],
      [61, 36],
      [40, 48],
      [2, 60],
    ] as const) {
      assert.equal(level(x, y), 0, `${x},${y} is in none`);
    }
  });

  it('spreads narrow levels over the full range for the detector, and leaves wide ones alone', () => {
    const canvas = { width: 64, height: 64, data: new Float32Array(3 * 64 * 64) };
    // A ramp from 20 to 60, as in a photo that is far too dark.
    const ramp = (x: number): number => 20 + (40 * x) / 79;
    const image = { width: 80, height: 40, data: new Uint8Array(80 * 40 * 3).map((_, i) => ramp(((i / 3) % 80) | 0)) };
    const views = layOutViews(image, canvas);
    drawViews(canvas, image, views);
    const before = canvas.data.slice();
    spreadLevels(canvas, views);
    const [dark, bright] = [canvas.data[64 * 10 + 2] as number, canvas.data[64 * 10 + 61] as number];
    assert.ok(dark < 20 && bright > 235, `${dark} to ${bright}`);
    assert.equal(canvas.data[64 * 36 + 30], 0, 'the gap stays black');
    assert.ok((canvas.data[64 * 45 + 16] as number) > (before[64 * 45 + 16] as number) * 2, 'the small view, too');

    const wide = { ...image, data: image.data.map((level) => (level - 20) * 4 + 50) };
    canvas.data.fill(0);
    drawViews(canvas, wide, views);
    const untouched = canvas.data.slice();
    spreadLevels(canvas, views);
    assert.deepEqual(canvas.data, untouched);
    const flat = { ...image, data: image.data.fill(90) };
    drawViews(canvas, flat, views);
    spreadLevels(canvas, views);
    assert.ok(
      canvas.data.every((level) => level <= 90),
      'a flat image has nothing to spread',
    );
  });
});
