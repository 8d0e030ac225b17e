// Method: boxes are laid out by hand, so overlaps and positions are plain arithmetic; suppression is compared with a slower model.
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import {
  drawView,
  marginView,
  overlap,
  readDetections,
  suppressOverlaps,
  wholeView,
  type Detection,
} from '../../src/embedder/detect.js';

const box = (left: number, top: number, width: number, height: number) => ({ left, top, width, height });

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
      assert.ok(kept.some(({ box: other, score }) => score >= dropped.score && overlap(other, dropped.box) > 0.4));
    }
  });

  it('maps boxes back to the image they were found in, and may leave it', () => {
    const image = { width: 1000, height: 500, data: new Uint8Array(1000 * 500 * 3) };
    const canvas = { width: 500, height: 500 };
    const boxes = new Float32Array([0.1, 0.2, 0.3, 0.4, 0.9, 0, 1.1, 0.2, 0.5, 0.5, 0.501, 0.501]);
    const scores = new Float32Array([0.9, 0.8, 0.99]);
    const whole = readDetections(boxes, scores, wholeView(image, canvas), canvas, 0.5);
    assert.equal(whole.length, 2, 'a box of one pixel is dropped');
    for (const [found, wanted] of [
      [whole[0]?.box, box(100, 200, 200, 200)],
      [whole[1]?.box, box(900, 0, 200, 200)],
    ] as const) {
      assert.ok(found);
      for (const key of ['left', 'top', 'width', 'height'] as const) assert.ok(Math.abs(found[key] - wanted[key]) < 1e-3);
    }
    // A margin of 0.5 on each side halves the image: its centre stays the canvas's centre.
    const margin = readDetections(
      new Float32Array([0.4, 0.4, 0.6, 0.6]),
      new Float32Array([0.7]),
      marginView(image, canvas, 0.5),
      canvas,
      0.5,
    );
    const [centred] = margin;
    assert.ok(centred);
    assert.ok(Math.abs(centred.box.left + centred.box.width / 2 - 500) < 1e-3);
    assert.ok(Math.abs(centred.box.top + centred.box.height / 2 - 250) < 1e-3);
    assert.ok(Math.abs(centred.box.width - 400) < 1e-2);
  });

  it('leaves out low scores and numbers that are none', () => {
    const canvas = { width: 100, height: 100 };
    const boxes = new Float32Array(16).map((_, i) => (i % 4 < 2 ? 0.1 : 0.9));
    boxes[12] = Number.NaN;
    const found = readDetections(
      boxes,
      new Float32Array([0.49, 0.51, Number.NaN, 0.9]),
      { a: 1, b: 0, tx: 0, ty: 0 },
      canvas,
      0.5,
    );
    assert.deepEqual(
      found.map(({ score }) => score.toFixed(2)),
      ['0.51'],
    );
  });

  it('draws the image with its aspect ratio kept and leaves the rest black', () => {
    const image = { width: 80, height: 40, data: new Uint8Array(80 * 40 * 3).fill(200) };
    const canvas = { width: 20, height: 20, data: new Float32Array(3 * 400) };
    drawView(canvas, image, wholeView(image, canvas));
    assert.ok(canvas.data.subarray(20, 20 * 9).every((value, i) => (i % 20 === 0 || i % 20 === 19) || value === 200));
    assert.ok(canvas.data.subarray(20 * 10, 400).every((value) => value === 0));
  });
});
