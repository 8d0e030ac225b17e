/**
 * The 68 landmarks of a face: what the landmark network sees, and what its numbers mean. Pure.
 *
 * The network looks at a square image and answers with 68 points as shares of it (order of iBUG 300-W). It looks twice:
 * first at the detector's box, whose framing varies from face to face; then at the face that the first answer found,
 * turned upright and framed as the network knows faces best.
 */
import { fitSimilarity } from './align.js';
import type { Box, Point } from './face.js';
import { applySimilarity, type Similarity } from './resample.js';

export const landmarkCount = 68;

/** Size of the network's input, pixels. */
export interface InputSize {
  readonly width: number;
  readonly height: number;
}

/** First look: the square around a box's centre that just holds it. Maps the network's input to the image. */
export function boxFrame({ left, top, width, height }: Box, input: InputSize): Similarity {
  const a = Math.max(width / input.width, height / input.height);
  return { a, b: 0, tx: left + (width - a * input.width) / 2, ty: top + (height - a * input.height) / 2 };
}

/** Second look: upright, with the landmarks where the network expects them on average. */
export function landmarkFrame(landmarks: readonly Point[], input: InputSize): Similarity {
  return fitSimilarity(
    meanLandmarks.map(([x, y]) => ({ x: x * input.width, y: y * input.height })),
    landmarks,
  );
}

/** The network's 68 pairs of shares, in image coordinates. */
export function readLandmarks(shares: Float32Array, frame: Similarity, input: InputSize): Point[] {
  return Array.from({ length: landmarkCount }, (_, i) =>
    applySimilarity(frame, (shares[2 * i] as number) * input.width, (shares[2 * i + 1] as number) * input.height),
  );
}

/** PLACEHOLDER until measured */
const meanLandmarks: readonly (readonly [number, number])[] = [];
