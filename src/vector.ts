/**
 * Unit vectors: the only numbers that are ever compared.
 *
 * `parseVector` is the only maker of a `UnitVector`; behind it nothing validates again, and nothing native ever sees
 * a wrong length, NaN, an infinity or a zero norm. Distances are squared L2, in [0, 4] between unit vectors (FaceNet,
 * CVPR 2015, section 3).
 */
import { HarmonidError } from './errors.js';

declare const unit: unique symbol;

/** A float32 vector of L2 norm 1 (to float32 precision). */
export type UnitVector = Float32Array & { readonly [unit]: true };

/** A vector with the name of the space in which it may be compared. Shape [dimensions]; norm 1. */
export interface Embedding {
  /** The space's name: see `EmbedderInfo.space`. Vectors of different spaces are never compared. */
  readonly space: string;
  /** The values; anything of the right length with a direction is accepted and normalised. */
  readonly vector: ArrayLike<number>;
}

/** The most dimensions that a space may have. */
export const dimensionsMax = 4096;

/** Below this norm a vector has no usable direction. */
const normMin = 1e-12;
/** Rounding to float32 moves a unit vector's norm by at most half of this. */
const normTolerance = 2 ** -23;

/**
 * Checks and normalises `values` into a unit vector of `dimensions` dimensions. Always copies. What was a unit vector before is the same
 * bit for bit, so that a template that leaves and comes back is the template that it was.
 * @param owner names the other side of a disagreement in messages, e.g. `gallery "lobby"`.
 * @throws VECTOR_WRONG_LENGTH, VECTOR_NOT_FINITE, VECTOR_ZERO_NORM
 */
export function parseVector(values: ArrayLike<number>, dimensions: number, owner: string): UnitVector {
  if (values.length !== dimensions) {
    throw new HarmonidError(
      'VECTOR_WRONG_LENGTH',
      `vector has ${values.length} dimensions, ${owner} has ${dimensions}`,
      { details: { vectorDimensions: values.length, spaceDimensions: dimensions } },
    );
  }
  // A first pass finds the largest magnitude, so that neither huge nor tiny vectors over- or underflow when squared.
  let largest = 0;
  for (let i = 0; i < dimensions; i++) {
    const value: unknown = values[i];
    if (typeof value !== 'number' || !Number.isFinite(value)) {
      throw new HarmonidError(
        'VECTOR_NOT_FINITE',
        `vector value ${i} is ${String(value)}; ${owner} takes finite numbers only`,
        {
          details: { position: i },
        },
      );
    }
    largest = Math.max(largest, Math.abs(value));
  }
  if (largest < normMin) {
    throw new HarmonidError('VECTOR_ZERO_NORM', `vector has norm zero; ${owner} needs a direction`);
  }
  let sum = 0;
  for (let i = 0; i < dimensions; i++) sum += ((values[i] ?? 0) / largest) ** 2;
  const unitVector = new Float32Array(values);
  const isUnit = Math.abs(largest * Math.sqrt(sum) - 1) <= normTolerance;
  if (isUnit && unitVector.every((value, i) => value === values[i])) return unitVector as UnitVector;
  const scale = 1 / Math.sqrt(sum);
  for (let i = 0; i < dimensions; i++) unitVector[i] = ((values[i] ?? 0) / largest) * scale;
  return unitVector as UnitVector;
}

/** Takes vectors back that this project stored after `parseVector`: no check, no copy. Only for the codec. */
export function trustUnitVector(values: Float32Array): UnitVector {
  return values as UnitVector;
}

/** Squared L2 distance between two vectors of the same length. */
export function squaredDistance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    sum += difference * difference;
  }
  return sum;
}
