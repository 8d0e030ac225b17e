/**
 * From an image to boxes around faces: what the detector sees, what its numbers mean, and which boxes to keep. Pure.
 *
 * A detector knows faces of some sizes best: SSD at 512 finds faces 25 to 170 pixels wide reliably, and misses one in ten of
 * those that fill half of the canvas. So the canvas shows the image twice, in two sizes side by side, at the cost of one run;
 * what both views find is one face after non-maximum suppression. The rest of the canvas is black, as in training.
 */
import type { Box } from './face.js';
import type { RgbImage } from './image.js';
import { applySimilarity, resizeInto, type PlanarImage, type Similarity, type TargetArea } from './resample.js';

/** A box with the detector's score, 0 to 1. */
export interface Detection {
  readonly box: Box;
  readonly score: number;
}

/** Size of the canvas, pixels. */
export interface CanvasSize {
  readonly width: number;
  readonly height: number;
}

/** One drawing of the image on the canvas. */
export interface CanvasView {
  /** Canvas coordinates to image coordinates: scale and shift, no rotation. */
  readonly toImage: Similarity;
  /** Where the image lies on the canvas. */
  readonly area: TargetArea;
}

export interface CanvasViews {
  readonly large: CanvasView;
  readonly small: CanvasView;
}

/** Black columns or rows between the views, so that neither disturbs the other's faces. */
const gapPx = 8;
/** The small view's size as a share of the large one's: the first that leaves the large one as it is, else the last. */
const smallViewShares = [1 / 2, 1 / 3] as const;

/**
 * The image twice on one canvas. The large view fills the canvas as far as it can and shows small faces; the small one lies
 * in the strip that is left over, and shows those faces that are too large for the detector in the large view. An image that
 * leaves no strip, such as a square one, is drawn a quarter smaller to make one.
 */
export function layOutViews(image: RgbImage, canvas: CanvasSize): CanvasViews {
  // Across the strip: vertically when the image leaves rows free, else horizontally.
  const rowsFree = image.width / canvas.width >= image.height / canvas.height;
  const [across, canvasAcross] = rowsFree ? [image.height, canvas.height] : [image.width, canvas.width];
  const fit = Math.min(canvas.width / image.width, canvas.height / image.height);
  const fitting = (share: number): number => (canvasAcross - gapPx) / (1 + share) / across;
  const share = smallViewShares.find((candidate) => fitting(candidate) >= fit) ?? smallViewShares[1];
  const scale = Math.min(fit, fitting(share));
  const offset = across * scale + gapPx;
  return {
    large: viewAt(image, scale, 0, 0, canvas),
    small: viewAt(image, scale * share, rowsFree ? 0 : offset, rowsFree ? offset : 0, canvas),
  };
}

function viewAt(image: RgbImage, scale: number, left: number, top: number, canvas: CanvasSize): CanvasView {
  // Whole pixels of the canvas; the image's edge may end within the last one.
  const [x, y] = [Math.ceil(left), Math.ceil(top)];
  return {
    toImage: { a: 1 / scale, b: 0, tx: -x / scale, ty: -y / scale },
    area: {
      left: x,
      top: y,
      width: Math.min(canvas.width - x, Math.ceil(image.width * scale)),
      height: Math.min(canvas.height - y, Math.ceil(image.height * scale)),
    },
  };
}

/** Draws what the detector sees on a black canvas: RGB planes, 0 to 255. */
export function drawViews(canvas: PlanarImage, image: RgbImage, { large, small }: CanvasViews): void {
  resizeInto(canvas, image, large.toImage, large.area);
  // A whole number of the large view's pixels makes one of the small view's.
  shrinkInto(canvas, large.area, small.area, Math.round(small.toImage.a / large.toImage.a));
}

/** Means of blocks of `block` x `block` pixels of one area of the canvas into another. */
function shrinkInto({ width, height, data }: PlanarImage, from: TargetArea, to: TargetArea, block: number): void {
  const columns = Math.min(to.width, Math.floor(from.width / block));
  const rows = Math.min(to.height, Math.floor(from.height / block));
  for (let plane = 0; plane < 3 * width * height; plane += width * height) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let sum = 0;
        for (let y = 0; y < block; y++) {
          const at = plane + (from.top + row * block + y) * width + from.left + column * block;
          for (let x = 0; x < block; x++) sum += data[at + x] as number;
        }
        data[plane + (to.top + row) * width + to.left + column] = sum / (block * block);
      }
    }
  }
}

/** An image whose levels span less than this, of 255, is under- or overexposed or foggy. */
const levelRangeMin = 128;
/** Share of the pixels that may lie outside the span at either end: specular lights and dead pixels say nothing. */
const outlierShare = 0.01;

/**
 * Spreads the levels of a dark, overexposed or foggy image over the full range, in all views; leaves others as they are.
 * The detector hardly finds faces otherwise. Only it sees the result: recognition gets the pixels as they were.
 */
export function spreadLevels(canvas: PlanarImage, views: CanvasViews): void {
  const histogram = new Uint32Array(256);
  let count = 0;
  forRows(canvas, views.large.area, (from, to) => {
    // Every third value of every plane is sample enough.
    for (let i = from; i < to; i += 3, count++) {
      const level = Math.min(255, (canvas.data[i] as number) | 0);
      histogram[level] = (histogram[level] as number) + 1;
    }
  });
  const low = levelAtShare(histogram, count * outlierShare);
  const high = levelAtShare(histogram, count * (1 - outlierShare));
  if (high - low >= levelRangeMin || high <= low) return;
  const gain = 255 / (high - low);
  for (const { area } of [views.large, views.small]) {
    forRows(canvas, area, (from, to) => {
      for (let i = from; i < to; i++) {
        canvas.data[i] = Math.min(255, Math.max(0, ((canvas.data[i] as number) - low) * gain));
      }
    });
  }
}

/** The level up to which more than `share` values lie. */
function levelAtShare(histogram: Uint32Array, share: number): number {
  let below = 0;
  const level = histogram.findIndex((values) => (below += values) > share);
  return level === -1 ? 255 : level;
}

/** Each row of the area in each plane, as a range of positions. */
function forRows({ width, height }: PlanarImage, area: TargetArea, visit: (from: number, to: number) => void): void {
  for (let plane = 0; plane < 3; plane++) {
    for (let row = area.top; row < area.top + area.height; row++) {
      const from = (plane * height + row) * width + area.left;
      visit(from, from + area.width);
    }
  }
}

/** Boxes narrower than this are no faces to any network behind, image pixels. */
const sideMinPx = 4;

/**
 * The detector's relative boxes (left, top, right, bottom as shares of the canvas) above the threshold, in image pixels; boxes
 * whose centre lies in no view are dropped.
 * @param boxes shape [count, 4]
 * @param scores shape [count], 0 to 1
 */
export function readDetections(
  boxes: Float32Array,
  scores: Float32Array,
  views: CanvasViews,
  canvas: CanvasSize,
  scoreMin: number,
): Detection[] {
  const found: Detection[] = [];
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] as number;
    // Written so that NaN is left out.
    if (!(score >= scoreMin)) continue;
    const left = (boxes[4 * i] as number) * canvas.width;
    const top = (boxes[4 * i + 1] as number) * canvas.height;
    const right = (boxes[4 * i + 2] as number) * canvas.width;
    const bottom = (boxes[4 * i + 3] as number) * canvas.height;
    const view = [views.large, views.small].find(({ area }) => contains(area, (left + right) / 2, (top + bottom) / 2));
    if (!view) continue;
    const leftTop = applySimilarity(view.toImage, left, top);
    const rightBottom = applySimilarity(view.toImage, right, bottom);
    const width = rightBottom.x - leftTop.x;
    const height = rightBottom.y - leftTop.y;
    if (!(width >= sideMinPx && height >= sideMinPx && Number.isFinite(width * height))) continue;
    found.push({ box: { left: leftTop.x, top: leftTop.y, width, height }, score });
  }
  return found;
}

function contains({ left, top, width, height }: TargetArea, x: number, y: number): boolean {
  return x >= left && x < left + width && y >= top && y < top + height;
}

/** Of two boxes of which one holds more than this share of the other, one is a part of the same face. */
const insideMax = 0.65;

/**
 * Greedy non-maximum suppression: best score first, without those that overlap a kept box by more than `overlapMax`, or lie
 * in it or around it.
 */
export function suppressOverlaps(detections: readonly Detection[], overlapMax: number): Detection[] {
  const kept: Detection[] = [];
  for (const detection of detections.toSorted((one, other) => other.score - one.score)) {
    const isNew = kept.every(
      ({ box }) => overlap(box, detection.box) <= overlapMax && insideShare(box, detection.box) <= insideMax,
    );
    if (isNew) kept.push(detection);
  }
  return kept;
}

/** Intersection over union, 0 to 1. */
export function overlap(one: Box, other: Box): number {
  const shared = sharedArea(one, other);
  return shared / (one.width * one.height + other.width * other.height - shared);
}

/** Share of the smaller box that lies in the other, 0 to 1. */
function insideShare(one: Box, other: Box): number {
  return sharedArea(one, other) / Math.min(one.width * one.height, other.width * other.height);
}

function sharedArea(one: Box, other: Box): number {
  const width = Math.min(one.left + one.width, other.left + other.width) - Math.max(one.left, other.left);
  const height = Math.min(one.top + one.height, other.top + other.height) - Math.max(one.top, other.top);
  return Math.max(0, width) * Math.max(0, height);
}
