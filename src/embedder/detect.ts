/**
 * From an image to boxes around faces: what the detector sees, what its numbers mean, and which boxes to keep. Pure.
 *
 * The detector sees a square canvas. A view places the image on it, keeping its aspect ratio; by default the image fills
 * the canvas from the top left and the rest is black, as in the networks' training (face-api pads the same way).
 */
import type { Box } from './face.js';
import type { RgbImage } from './image.js';
import { applySimilarity, invertSimilarity, warpInto, type PlanarImage, type Similarity } from './resample.js';

/** A box with the detector's score, 0 to 1. */
export interface Detection {
  readonly box: Box;
  readonly score: number;
}

/** Where canvas coordinates lie in the image: scale and shift, no rotation. */
export type DetectionView = Similarity;

/** Size of the canvas, pixels. */
export interface CanvasSize {
  readonly width: number;
  readonly height: number;
}

/** The image as large as it fits, at the top left. */
export function wholeView(image: RgbImage, canvas: CanvasSize): DetectionView {
  return { a: Math.max(image.width / canvas.width, image.height / canvas.height), b: 0, tx: 0, ty: 0 };
}

/** The image in the middle of the canvas, with a black margin of `marginShare` of its size all around. */
export function marginView(image: RgbImage, canvas: CanvasSize, marginShare: number): DetectionView {
  const a = wholeView(image, canvas).a * (1 + 2 * marginShare);
  return { a, b: 0, tx: (image.width - a * canvas.width) / 2, ty: (image.height - a * canvas.height) / 2 };
}

/** Draws what the detector sees: RGB planes, 0 to 255. The canvas must be black where the image does not reach. */
export function drawView(canvas: PlanarImage, image: RgbImage, view: DetectionView): void {
  const toCanvas = invertSimilarity(view);
  const from = applySimilarity(toCanvas, 0, 0);
  const to = applySimilarity(toCanvas, image.width, image.height);
  const left = Math.max(0, Math.floor(from.x));
  const top = Math.max(0, Math.floor(from.y));
  const right = Math.min(canvas.width, Math.ceil(to.x));
  const bottom = Math.min(canvas.height, Math.ceil(to.y));
  if (right <= left || bottom <= top) return;
  warpInto(canvas, image, view, { left, top, width: right - left, height: bottom - top });
}

/** Boxes narrower than this are no faces to any network behind, image pixels. */
const sideMinPx = 4;

/**
 * The detector's relative boxes (left, top, right, bottom as shares of the canvas) above the threshold, in image pixels.
 * @param boxes shape [count, 4]
 * @param scores shape [count], 0 to 1
 */
export function readDetections(
  boxes: Float32Array,
  scores: Float32Array,
  view: DetectionView,
  canvas: CanvasSize,
  scoreMin: number,
): Detection[] {
  const found: Detection[] = [];
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] as number;
    // Written so that NaN is left out.
    if (!(score >= scoreMin)) continue;
    const [left, top, right, bottom] = boxes.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number];
    const leftTop = applySimilarity(view, left * canvas.width, top * canvas.height);
    const rightBottom = applySimilarity(view, right * canvas.width, bottom * canvas.height);
    const width = rightBottom.x - leftTop.x;
    const height = rightBottom.y - leftTop.y;
    if (!(width >= sideMinPx && height >= sideMinPx && Number.isFinite(width * height))) continue;
    found.push({ box: { left: leftTop.x, top: leftTop.y, width, height }, score });
  }
  return found;
}

/** Greedy non-maximum suppression: best score first, without those that overlap a kept box by more than `overlapMax`. */
export function suppressOverlaps(detections: readonly Detection[], overlapMax: number): Detection[] {
  const kept: Detection[] = [];
  for (const detection of detections.toSorted((one, other) => other.score - one.score)) {
    if (kept.every(({ box }) => overlap(box, detection.box) <= overlapMax)) kept.push(detection);
  }
  return kept;
}

/** Intersection over union, 0 to 1. */
export function overlap(one: Box, other: Box): number {
  const width = Math.min(one.left + one.width, other.left + other.width) - Math.max(one.left, other.left);
  const height = Math.min(one.top + one.height, other.top + other.height) - Math.max(one.top, other.top);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / (one.width * one.height + other.width * other.height - shared);
}
