/**
 * Smaller embeddings: fewer dimensions, or one byte for each (FaceNet, section 5.5 and "128 bytes a face without loss of accuracy"). Pure but for products.
 *
 * Every way gives unit vectors again: what a compressed template is worth when it is read back and compared with others that were.
 */
import { decoded, learnQuantiser } from '../engine/quantiser.js';
import type { Algebra } from '../migrate/dense-algebra.js';
import { leadingAxes, shrunkCovariance } from '../migrate/covariance.js';
import {
  columnMeans,
  matrixOf,
  pickColumns,
  rowOf,
  stackRows,
  subtractFromRows,
  unitRows,
  type Matrix,
} from '../migrate/matrix.js';

/** What was learned from some vectors and is done to any. Rows in, unit rows out. */
export type Compressor = (vectors: Matrix) => Promise<Matrix>;

export const compressionKinds = {
  float32: 'as they are',
  cut: 'first coordinates',
  projected: 'principal components',
  'int8-symmetric': 'int8, scale of each vector',
  'int8-learned': 'int8, centre and scale of each dimension',
  'int8-engine': 'int8, as graphs keep them',
} as const;
export type CompressionKind = keyof typeof compressionKinds;

export interface Compression {
  readonly kind: CompressionKind;
  /** That are left. */
  readonly dimensions: number;
  /** Of one vector. */
  readonly bytes: number;
}

/** Largest magnitude of a signed byte that has its opposite. */
const byteMax = 127;

/** Whether something is learned, from vectors of people who are not judged. */
export function isLearned({ kind }: Compression): boolean {
  return kind === 'projected' || kind === 'int8-learned' || kind === 'int8-engine';
}

/** @param fit vectors to learn from, shape [n, d], n at least 2; what learns nothing does not look at it */
export async function compressorOf(algebra: Algebra, compression: Compression, fit: Matrix): Promise<Compressor> {
  switch (compression.kind) {
    case 'float32':
      return async (vectors) => vectors;
    case 'cut':
      return async (vectors) => unitRows(pickColumns(vectors, 0, compression.dimensions));
    case 'projected':
      return projection(algebra, fit, compression.dimensions);
    case 'int8-symmetric':
      return async (vectors) => symmetricBytes(vectors);
    case 'int8-learned':
      return learnedBytes(fit);
    case 'int8-engine':
      return engineBytes(fit);
  }
}

/**
 * Onto the axes along which the fit's vectors are longest, from zero and not from their mean: distances of unit vectors are angles at zero. (About the mean, the default
 * pack's VAL at FAR 1e-3 on LFW falls from 98 % to 89 % with all dimensions kept.) With all dimensions it is a rotation.
 */
async function projection(algebra: Algebra, fit: Matrix, dimensions: number): Promise<Compressor> {
  // Beside its opposites, a set has the mean zero, so that its covariance is its second moment.
  const both = stackRows(
    [fit.data, fit.data.map((value) => -value)].flatMap((data) =>
      Array.from({ length: fit.rows }, (_, row) => rowOf({ ...fit, data }, row)),
    ),
    fit.columns,
  );
  const axes = leadingAxes(await shrunkCovariance(algebra, both), dimensions);
  return async (vectors) => unitRows(await algebra.product(vectors, axes));
}

/** Every vector in steps of its largest magnitude / 127: zero stays zero, and as the norm is made 1 again the scale need not be kept. */
export function symmetricBytes({ rows, columns, data }: Matrix): Matrix {
  const steps = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    let largest = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) largest = Math.max(largest, Math.abs(data[i] as number));
    for (let i = row * columns; i < (row + 1) * columns; i++)
      steps[i] = Math.round(((data[i] as number) / largest) * byteMax);
  }
  return unitRows(matrixOf(rows, columns, steps));
}

/** Every dimension in steps of (largest distance from its mean in the fit) / 127; what lies beyond becomes the last step. */
export function learnedBytes(fit: Matrix): Compressor {
  const means = columnMeans(fit);
  const centred = subtractFromRows(fit, means);
  const reach = new Float64Array(fit.columns);
  centred.data.forEach((value, i) => {
    const column = i % fit.columns;
    reach[column] = Math.max(reach[column] as number, Math.abs(value));
  });
  return async ({ rows, columns, data }) => {
    const read = data.map((value, i) => {
      const [mean, step] = [means[i % columns] as number, (reach[i % columns] as number) / byteMax];
      if (step === 0) return mean;
      return mean + step * Math.max(-byteMax, Math.min(byteMax, Math.round((value - mean) / step)));
    });
    return unitRows(matrixOf(rows, columns, read));
  };
}

/** The codes that searches walk by. */
export function engineBytes(fit: Matrix): Compressor {
  const quantiser = learnQuantiser(Float32Array.from(fit.data), fit.columns);
  return async ({ rows, columns, data }) => {
    const read = new Float32Array(rows * columns);
    for (let at = 0; at < data.length; at += columns)
      read.set(decoded(Float32Array.from(data.subarray(at, at + columns)), quantiser), at);
    return unitRows(matrixOf(rows, columns, read));
  };
}
