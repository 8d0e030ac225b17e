/**
 * From landmarks to the chip that the recognition network was trained on: a similarity by least squares. Pure.
 *
 * The fit is the closed form of Umeyama, "Least-squares estimation of transformation parameters between two point
 * patterns" (IEEE PAMI 13(4), 1991), in two dimensions, without reflection. As in dlib, it maps the chip to the image
 * and minimises the error there.
 */
import { HarmonidError } from '../errors.js';
import type { Point } from './face.js';
import type { Alignment } from './model-pack.js';
import type { Similarity } from './resample.js';

/** The chip's coordinates mapped to the image, such that the landmarks come to lie on the pack's template. */
export function chipToImage(alignment: Alignment, landmarks: readonly Point[]): Similarity {
  const wanted =
    alignment.kind === 'five-points'
      ? fivePoints(landmarks)
      : pick(
          landmarks,
          alignment.points.map(({ landmark }) => landmark),
        );
  return fitSimilarity(templatePoints(alignment), wanted);
}

/** A crop whose five points (as in `fivePoints`) lie at known places, so that the chip of any pack can be cut out of it. */
export interface CropTemplate {
  readonly width: number;
  readonly height: number;
  /** In our coordinates. */
  readonly points: readonly Point[];
}

/** InsightFace's crop of 112x112 (Deng et al., "ArcFace", CVPR 2019, and its reference code), as many data sets have it. */
export const arcface112: CropTemplate = {
  width: 112,
  height: 112,
  points: templatePoints({
    kind: 'five-points',
    leftEye: { x: 38.2946, y: 51.6963 },
    rightEye: { x: 73.5318, y: 51.5014 },
    nose: { x: 56.0252, y: 71.7366 },
    mouthLeft: { x: 41.5493, y: 92.3655 },
    mouthRight: { x: 70.7299, y: 92.2041 },
  }),
};

/**
 * Five points of a face in the middle of a photo, from the middle and as shares of its shorter side: medians over 134 photos of LFW (250x250) of people whom the
 * pairs of our part of its View 2 do not name, made symmetric. By them ArcFace's crop of 112x112 is 51 % of the side, dlib's chip 47 %.
 */
const centredPoints = [
  { x: -0.0835, y: -0.0535 },
  { x: 0.0835, y: -0.0535 },
  { x: 0, y: 0.046 },
  { x: -0.0705, y: 0.1265 },
  { x: 0.0705, y: 0.1265 },
] as const;

/** A photo in whose middle a face is expected; nobody has looked whether there is one. @param width pixels @param height pixels */
export function centredFace(width: number, height: number): CropTemplate {
  const side = Math.min(width, height);
  return {
    width,
    height,
    points: centredPoints.map(({ x, y }) => ({ x: width / 2 + side * x, y: height / 2 + side * y })),
  };
}

/**
 * The chip's coordinates mapped to a crop of which only the five points are known.
 * @throws INVALID_ARGUMENT when the pack's template lacks one of them
 */
export function chipToCrop(alignment: Alignment, crop: CropTemplate): Similarity {
  return fitSimilarity(templateFivePoints(alignment), crop.points);
}

function templateFivePoints(alignment: Alignment): readonly Point[] {
  const points = templatePoints(alignment);
  if (alignment.kind === 'five-points') return points;
  const byLandmark: Point[] = [];
  alignment.points.forEach(({ landmark }, i) => (byLandmark[landmark] = points[i] as Point));
  return fivePoints(byLandmark);
}

/** The template in our coordinates: manifests count from the centre of the first pixel, we count from its corner. */
export function templatePoints(alignment: Alignment): Point[] {
  const points =
    alignment.kind === 'five-points'
      ? [alignment.leftEye, alignment.rightEye, alignment.nose, alignment.mouthLeft, alignment.mouthRight]
      : alignment.points;
  return points.map(({ x, y }) => ({ x: x + 0.5, y: y + 0.5 }));
}

/** Distance between the eye centres in a chip, pixels; of its outermost points where the template has no eyes. */
export function templateEyeDistance(alignment: Alignment): number {
  if (alignment.kind === 'five-points') return distance(alignment.leftEye, alignment.rightEye);
  const eye = (positions: readonly number[]): Point[] =>
    alignment.points.filter(({ landmark }) => positions.includes(landmark));
  const [left, right] = [eye(leftEye), eye(rightEye)];
  if (left.length > 0 && right.length > 0) return distance(meanPoint(left), meanPoint(right));
  const xs = alignment.points.map(({ x }) => x);
  return Math.max(...xs) - Math.min(...xs);
}

/**
 * The similarity that maps `from` to `to` with the least sum of squared errors.
 *
 * In two dimensions the closed form needs no singular values: with centred points p, q as complex numbers the best
 * a + bi is sum(conj(p)·q) / sum(|p|²).
 * @throws INVALID_ARGUMENT fewer than two points, different counts, or all points of `from` the same
 */
export function fitSimilarity(from: readonly Point[], to: readonly Point[]): Similarity {
  if (from.length !== to.length || from.length < 2) {
    throw new HarmonidError(
      'INVALID_ARGUMENT',
      `a similarity needs two or more pairs of points, got ${from.length} and ${to.length}`,
    );
  }
  const fromMean = meanPoint(from);
  const toMean = meanPoint(to);
  let dot = 0;
  let cross = 0;
  let spread = 0;
  for (let i = 0; i < from.length; i++) {
    const px = (from[i] as Point).x - fromMean.x;
    const py = (from[i] as Point).y - fromMean.y;
    const qx = (to[i] as Point).x - toMean.x;
    const qy = (to[i] as Point).y - toMean.y;
    dot += px * qx + py * qy;
    cross += px * qy - py * qx;
    spread += px * px + py * py;
  }
  if (spread === 0) throw new HarmonidError('INVALID_ARGUMENT', 'a similarity needs two different points');
  const a = dot / spread;
  const b = cross / spread;
  return { a, b, tx: toMean.x - (a * fromMean.x - b * fromMean.y), ty: toMean.y - (b * fromMean.x + a * fromMean.y) };
}

/** Positions of the 68 landmarks of iBUG 300-W that make up a feature. */
export const leftEye = [36, 37, 38, 39, 40, 41] as const;
export const rightEye = [42, 43, 44, 45, 46, 47] as const;
const noseTip = 30;
const mouthCorners = [48, 54] as const;

/**
 * The five points of ArcFace's template out of the 68: both eye centres, nose tip, mouth corners; left and right are the
 * image's.
 */
export function fivePoints(landmarks: readonly Point[]): Point[] {
  return [
    meanPoint(pick(landmarks, leftEye)),
    meanPoint(pick(landmarks, rightEye)),
    ...pick(landmarks, [noseTip, ...mouthCorners]),
  ];
}

export function pick(points: readonly Point[], positions: readonly number[]): Point[] {
  return positions.map((position) => {
    const point = points[position];
    if (!point) {
      throw new HarmonidError('INVALID_ARGUMENT', `landmark ${position} is wanted, there are ${points.length}`);
    }
    return point;
  });
}

export function meanPoint(points: readonly Point[]): Point {
  let x = 0;
  let y = 0;
  for (const point of points) {
    x += point.x;
    y += point.y;
  }
  return { x: x / points.length, y: y / points.length };
}

function distance(one: Point, other: Point): number {
  return Math.hypot(one.x - other.x, one.y - other.y);
}
