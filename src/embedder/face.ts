/**
 * A face found in an image, and what is known of its quality. Plain data, no behaviour.
 *
 * Coordinates are pixels of the upright image (after EXIF orientation), origin at its top left corner, fractions allowed.
 */

/** A point in the upright image, pixels. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** An axis-aligned box in the upright image, pixels; it may reach beyond the image where a face is cut off. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Why a face is a poor sample; the names follow what users know from cloud services. */
export const qualityReasons = [
  'TOO_SMALL',
  'TOO_BLURRY',
  'TOO_DARK',
  'TOO_BRIGHT',
  'LOW_CONTRAST',
  'EXTREME_POSE',
  'LOW_CONFIDENCE',
  'CUT_OFF',
  'PRESENTATION_ATTACK',
] as const;
export type QualityReason = (typeof qualityReasons)[number];

/** What was measured on one face. */
export interface QualityMeasures {
  /** Distance between the eye centres in the image as given, pixels. */
  readonly eyeDistancePx: number;
  /** Variance of the Laplacian of the inner face's luminance, scaled to a contrast of 30 levels; larger is sharper. */
  readonly sharpness: number;
  /** Mean luminance of the inner face, 0 (black) to 255. */
  readonly brightness: number;
  /** Standard deviation of the inner face's luminance, 0 to 127.5. */
  readonly contrast: number;
  /** Head rotation to the side, degrees, from landmarks: 0 is frontal, sign is the image's left (-) or right (+). */
  readonly yawDegrees: number;
  /** Rotation in the image plane, degrees: 0 is upright. Alignment removes it; it is reported, never refused. */
  readonly rollDegrees: number;
  /** The detector's score, 0 to 1. */
  readonly detectionScore: number;
  /** Share of the aligned chip that lies inside the image, 0 to 1. */
  readonly insideShare: number;
  /** How surely a person is before the camera, 0 to 1, after the pack's network; null when it has none, or saw no more than an aligned crop. */
  readonly presentationScore: number | null;
}

/** Quality of a face as a biometric sample (ISO/IEC 29794-5 speaks of "unified quality score" for `score`). */
export interface FaceQuality {
  /**
   * 0 (unusable) to 1 (ideal): the smallest of the measures' margins to their limits; for ordering, not for decisions. Whether it is a person
   * or the picture of one has no part in it: a good picture is a good sample.
   */
  readonly score: number;
  /** Limits that were missed; empty for a good face. */
  readonly reasons: readonly QualityReason[];
  readonly measures: QualityMeasures;
}

/** A detected face. */
export interface Face {
  readonly box: Box;
  /** 68 landmarks in the order of the iBUG 300-W annotation; empty when the image was given as an aligned crop. */
  readonly landmarks: readonly Point[];
  readonly quality: FaceQuality;
}
