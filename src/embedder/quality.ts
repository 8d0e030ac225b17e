/**
 * What is measured on a face and which limits it misses. Pure.
 *
 * The measures follow ISO/IEC 29794-5 in spirit; the reasons carry the names that users know from cloud services. The
 * default limits are set on photos: people in LFW and in group photos pass, the same faces strongly blurred, darkened or
 * cut off are refused for that reason (the tests hold both). They are limits for enrolment, not for searching.
 */
import { leftEye, meanPoint, pick, rightEye } from './align.js';
import type { FaceQuality, Point, QualityMeasures, QualityReason } from './face.js';
import type { PlanarImage } from './resample.js';

/** One limit per reason. A face that just meets a limit is accepted. */
export interface QualityLimits {
  /** TOO_SMALL: least distance between the eye centres, pixels. Larger refuses distant faces, whose vectors are noisy. */
  readonly eyeDistanceMinPx: number;
  /** TOO_BLURRY: least variance of the Laplacian, at a contrast of 30 levels. Larger refuses soft photos, also those of large smooth faces. */
  readonly sharpnessMin: number;
  /** TOO_DARK, TOO_BRIGHT: least and largest mean luminance, 0 to 255. */
  readonly brightnessMin: number;
  readonly brightnessMax: number;
  /** LOW_CONTRAST: least standard deviation of the luminance. */
  readonly contrastMin: number;
  /** EXTREME_POSE: largest rotation to either side, degrees. Smaller refuses half profiles. */
  readonly yawMaxDegrees: number;
  /** LOW_CONFIDENCE: least score of the detector, 0 to 1. */
  readonly detectionScoreMin: number;
  /** CUT_OFF: least share of the chip that must lie inside the image, 0 to 1. */
  readonly insideShareMin: number;
}

export const defaultQualityLimits: QualityLimits = {
  eyeDistanceMinPx: 20,
  sharpnessMin: 9,
  brightnessMin: 40,
  brightnessMax: 225,
  contrastMin: 10,
  yawMaxDegrees: 45,
  detectionScoreMin: 0.6,
  insideShareMin: 0.85,
};

/** A rectangle of the chip, whole pixels. */
export interface ChipArea {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The part of the chip that shows skin, eyes, nose and mouth: where the alignment's template points lie. */
export function innerFace(templatePoints: readonly Point[], width: number, height: number): ChipArea {
  const xs = templatePoints.map(({ x }) => x);
  const ys = templatePoints.map(({ y }) => y);
  // One pixel of rim stays free for the Laplacian's neighbours.
  const left = Math.max(1, Math.floor(Math.min(...xs)));
  const top = Math.max(1, Math.floor(Math.min(...ys)));
  const right = Math.min(width - 1, Math.ceil(Math.max(...xs)));
  const bottom = Math.min(height - 1, Math.ceil(Math.max(...ys)));
  return { left, top, width: Math.max(1, right - left), height: Math.max(1, bottom - top) };
}

/** Sharpness is given as if every chip had this contrast: a dark or foggy photo need not be a blurred one. */
const referenceContrast = 30;

/** Sharpness, brightness and contrast of the inner face; luminance after ITU-R BT.601. */
export function measureLight(
  chip: PlanarImage,
  area: ChipArea,
): Pick<QualityMeasures, 'sharpness' | 'brightness' | 'contrast'> {
  // One row and column more on each side: the Laplacian looks at its four neighbours.
  const width = area.width + 2;
  const luminance = new Float32Array(width * (area.height + 2));
  const plane = chip.width * chip.height;
  for (let row = 0; row < area.height + 2; row++) {
    let from = (area.top - 1 + row) * chip.width + area.left - 1;
    for (let column = 0; column < width; column++, from++) {
      luminance[row * width + column] =
        0.299 * (chip.data[from] ?? 0) +
        0.587 * (chip.data[from + plane] ?? 0) +
        0.114 * (chip.data[from + 2 * plane] ?? 0);
    }
  }
  let [sum, squares, laplacianSum, laplacianSquares] = [0, 0, 0, 0];
  for (let row = 1; row <= area.height; row++) {
    for (let at = row * width + 1; at <= row * width + area.width; at++) {
      const value = luminance[at] as number;
      const laplacian =
        (luminance[at - 1] as number) +
        (luminance[at + 1] as number) +
        (luminance[at - width] as number) +
        (luminance[at + width] as number) -
        4 * value;
      sum += value;
      squares += value * value;
      laplacianSum += laplacian;
      laplacianSquares += laplacian * laplacian;
    }
  }
  const count = area.width * area.height;
  const brightness = sum / count;
  const variance = Math.max(0, squares / count - brightness ** 2);
  const laplacianVariance = Math.max(0, laplacianSquares / count - (laplacianSum / count) ** 2);
  return {
    brightness,
    contrast: Math.sqrt(variance),
    sharpness: variance < 1e-6 ? 0 : (laplacianVariance * referenceContrast ** 2) / variance,
  };
}

/** How far the nose tip stands out before the line through the eye centres, in distances between the eyes. */
const noseDepth = 0.5;
const noseTip = 30;

/**
 * Pose and eye distance from the 68 landmarks. Yaw is an estimate of about ±10 degrees: with the head turned by t, the nose
 * tip moves sideways by depth·sin t while the eyes come nearer by cos t, so their ratio is noseDepth·tan t.
 */
export function measurePose(
  landmarks: readonly Point[],
): Pick<QualityMeasures, 'eyeDistancePx' | 'yawDegrees' | 'rollDegrees'> {
  const left = meanPoint(pick(landmarks, leftEye));
  const right = meanPoint(pick(landmarks, rightEye));
  const nose = meanPoint(pick(landmarks, [noseTip]));
  const dx = right.x - left.x;
  const dy = right.y - left.y;
  const eyeDistancePx = Math.hypot(dx, dy);
  if (eyeDistancePx === 0) return { eyeDistancePx: 0, yawDegrees: 90, rollDegrees: 0 };
  const alongEyes =
    ((nose.x - (left.x + right.x) / 2) * dx + (nose.y - (left.y + right.y) / 2) * dy) / eyeDistancePx ** 2;
  return {
    eyeDistancePx,
    yawDegrees: degrees(Math.atan(alongEyes / noseDepth)),
    rollDegrees: degrees(Math.atan2(dy, dx)),
  };
}

/**
 * The measures held against the limits.
 * @param presentationMin PRESENTATION_ATTACK: least presentation score, the pack's; null without a network.
 */
export function judgeQuality(
  measures: QualityMeasures,
  limits: QualityLimits,
  presentationMin: number | null,
): FaceQuality {
  const margins: readonly (readonly [QualityReason, number])[] = [
    ['TOO_SMALL', marginAbove(measures.eyeDistancePx, limits.eyeDistanceMinPx)],
    ['TOO_BLURRY', marginAbove(measures.sharpness, limits.sharpnessMin)],
    ['TOO_DARK', marginAbove(measures.brightness, limits.brightnessMin)],
    ['TOO_BRIGHT', marginAbove(255 - measures.brightness, 255 - limits.brightnessMax)],
    ['LOW_CONTRAST', marginAbove(measures.contrast, limits.contrastMin)],
    ['EXTREME_POSE', marginBelow(Math.abs(measures.yawDegrees), limits.yawMaxDegrees)],
    ['LOW_CONFIDENCE', marginBelow(1 - measures.detectionScore, 1 - limits.detectionScoreMin)],
    ['CUT_OFF', marginBelow(1 - measures.insideShare, 1 - limits.insideShareMin)],
  ];
  const reasons = margins.filter(([, margin]) => margin < marginAtLimit).map(([reason]) => reason);
  const { presentationScore } = measures;
  const isAttack = presentationScore !== null && presentationMin !== null && presentationScore < presentationMin;
  return {
    score: Math.min(...margins.map(([, margin]) => margin)),
    reasons: isAttack ? [...reasons, 'PRESENTATION_ATTACK'] : reasons,
    measures,
  };
}

/** Each measure's margin is 0 at its worst, this at its limit, and 1 at twice the limit (or at half of what it allows). */
const marginAtLimit = 0.5;

function marginAbove(value: number, least: number): number {
  if (least <= 0) return 1;
  return Math.min(1, Math.max(0, (value / least) * marginAtLimit));
}

function marginBelow(value: number, most: number): number {
  if (value <= 0) return 1;
  if (most <= 0) return 0;
  return Math.max(0, 1 - (value / most) * (1 - marginAtLimit));
}

function degrees(radians: number): number {
  return (radians * 180) / Math.PI;
}
