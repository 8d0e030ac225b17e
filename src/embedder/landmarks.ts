/**
 * The 68 landmarks of a face: what the landmark network sees, and what its numbers mean. Pure.
 *
 * The network looks at a square image and answers with 68 points as shares of it (order of iBUG 300-W). It looks twice:
 * first at the detector's box, whose framing varies from face to face; then at the face that the first answer found,
 * turned upright and framed as the network knows faces best. Each look is at the image and at its mirror image, and the mean
 * of both counts: the network's errors are not symmetric, so half of them go.
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

/** The mean of what the network says of an image and, turned back, of its mirror image. */
export function averageWithMirror(shares: Float32Array, mirroredShares: Float32Array): Float32Array {
  const mean = new Float32Array(2 * landmarkCount);
  for (let i = 0; i < landmarkCount; i++) {
    const twin = 2 * mirrorTwin(i);
    mean[2 * i] = ((shares[2 * i] as number) + 1 - (mirroredShares[twin] as number)) / 2;
    mean[2 * i + 1] = ((shares[2 * i + 1] as number) + (mirroredShares[twin + 1] as number)) / 2;
  }
  return mean;
}

/**
 * Features of iBUG 300-W that are numbered from one side to the other, so that first and last are twins. Some run along an
 * outline: upper and lower half of a lip each for itself; an eye's halves run towards the other eye's.
 */
const symmetricRuns = [
  [0, 16],
  [17, 26],
  [31, 35],
  [36, 45],
  [37, 44],
  [38, 43],
  [39, 42],
  [40, 47],
  [41, 46],
  [48, 54],
  [55, 59],
  [60, 64],
  [65, 67],
] as const;

/** The landmark that takes the place of landmark `i` in a mirror image; those on the bridge of the nose keep theirs. */
export function mirrorTwin(i: number): number {
  // An eye's twins are pairs: only the two ends of such a run are meant, not what lies between them.
  const eye = i >= 36 && i < 48;
  const run = symmetricRuns.find(([first, last]) => (eye ? i === first || i === last : i >= first && i <= last));
  return run ? run[0] + run[1] - i : i;
}

/** The network's 68 pairs of shares, in image coordinates. */
export function readLandmarks(shares: Float32Array, frame: Similarity, input: InputSize): Point[] {
  return Array.from({ length: landmarkCount }, (_, i) =>
    applySimilarity(frame, (shares[2 * i] as number) * input.width, (shares[2 * i + 1] as number) * input.height),
  );
}

/**
 * Where the network puts the landmarks in a detector's box, as shares of the input: the mean over frontal photos of many people,
 * made symmetric.
 */
// prettier-ignore
const meanLandmarks: readonly (readonly [number, number])[] = [
  [0.084, 0.367], [0.091, 0.477], [0.109, 0.578], [0.129, 0.670], [0.166, 0.770], [0.223, 0.849],
  [0.290, 0.900], [0.373, 0.952], [0.500, 0.985], [0.627, 0.952], [0.710, 0.900], [0.777, 0.849],
  [0.834, 0.770], [0.871, 0.670], [0.891, 0.578], [0.909, 0.477], [0.916, 0.367], [0.180, 0.268],
  [0.228, 0.236], [0.291, 0.224], [0.348, 0.229], [0.398, 0.246], [0.602, 0.246], [0.652, 0.229],
  [0.709, 0.224], [0.772, 0.236], [0.820, 0.268], [0.500, 0.363], [0.500, 0.435], [0.500, 0.501],
  [0.500, 0.563], [0.434, 0.603], [0.462, 0.612], [0.500, 0.621], [0.538, 0.612], [0.566, 0.603],
  [0.262, 0.352], [0.297, 0.336], [0.349, 0.335], [0.395, 0.359], [0.354, 0.373], [0.300, 0.374],
  [0.605, 0.359], [0.651, 0.335], [0.703, 0.336], [0.738, 0.352], [0.700, 0.374], [0.646, 0.373],
  [0.351, 0.737], [0.403, 0.710], [0.468, 0.689], [0.500, 0.696], [0.532, 0.689], [0.597, 0.710],
  [0.649, 0.737], [0.596, 0.784], [0.549, 0.806], [0.500, 0.813], [0.451, 0.806], [0.404, 0.784],
  [0.361, 0.737], [0.454, 0.725], [0.500, 0.724], [0.546, 0.725], [0.639, 0.737], [0.544, 0.760],
  [0.500, 0.764], [0.456, 0.760],
];
