/**
 * How the numbers of a vector become bytes: a centre and a scale for each dimension, learned from vectors.
 *
 * A byte is (value - centre) / scale, to the nearest, cut at 127. The scale covers four standard deviations on either side: of normally distributed
 * numbers one in 16,000 is cut.
 */
import { codeBytes } from './stored-vector.js';

export interface Quantiser {
  /** Shape [dimensions]. */
  readonly centre: Float32Array;
  /** Shape [dimensions]; 0 where all vectors have the same number. */
  readonly scale: Float32Array;
  /** What queries are multiplied by before they become whole numbers: as much as 16 bits for each of them and 31 for the sum of products bear. */
  readonly step: number;
}

const deviations = 4;
const byteMax = 127;

/** What the code of a vector stands for. @param vector shape [dimensions] @returns the same */
export function decoded(vector: Float32Array, quantiser: Quantiser): Float32Array {
  const { centre, scale } = quantiser;
  return Float32Array.from(
    codeBytes(vector, quantiser),
    (code, i) => (centre[i] as number) + (scale[i] as number) * code,
  );
}

/** Mean of the squared distances (L2) between vectors and what their codes stand for. @param vectors shape [count x dimensions], at least one */
export function codeError(vectors: Float32Array, quantiser: Quantiser, dimensions: number): number {
  let sum = 0;
  for (let at = 0; at < vectors.length; at += dimensions) {
    const vector = vectors.subarray(at, at + dimensions);
    decoded(vector, quantiser).forEach((value, i) => (sum += (value - (vector[i] as number)) ** 2));
  }
  return sum / (vectors.length / dimensions);
}

/** @param vectors shape [count x dimensions], unit vectors, at least one */
export function learnQuantiser(vectors: Float32Array, dimensions: number): Quantiser {
  const count = vectors.length / dimensions;
  const [sums, squares] = [new Float64Array(dimensions), new Float64Array(dimensions)];
  for (let at = 0; at < vectors.length; at += dimensions) {
    for (let i = 0; i < dimensions; i++) {
      const value = vectors[at + i] as number;
      sums[i] = (sums[i] as number) + value;
      squares[i] = (squares[i] as number) + value * value;
    }
  }
  const centre = Float32Array.from(sums, (sum) => sum / count);
  const scale = Float32Array.from(squares, (square, i) => {
    const mean = (sums[i] as number) / count;
    return (deviations * Math.sqrt(Math.max(0, square / count - mean * mean))) / byteMax;
  });
  const length = Math.hypot(...scale);
  const largest = Math.max(...scale);
  // No number of a unit vector is above 1. A single vector has no scale, and any step will do.
  const step = Math.min(32_767 / Math.max(largest, 1e-9), 2 ** 29 / Math.max(byteMax * length, 1));
  return { centre, scale, step };
}
