/**
 * How the numbers of a vector become bytes: turned so that they lie along the axes on which vectors vary most, then a centre and a scale for each, all learned from vectors.
 *
 * A byte is (value - centre) / scale, to the nearest, cut at 127. The scale covers four standard deviations on either side: of normally distributed
 * numbers one in 16,000 is cut.
 *
 * Turned vectors have their largest numbers first, so that the first 64 bytes of a code, one line of cache, mostly tell that somebody is far away. The 64th byte is not a number of the vector but the length
 * of what comes behind it, from which a bound follows (assembly/distance.ts); the axis of the least variance has no byte of its own.
 */
import { principalAxes } from './principal-axes.js';

/** Of a code: a line of cache. */
export const headBytes = 64;
/** Beyond, turning would cost more than it saves. */
const turnedMax = 256;

export interface Quantiser {
  /** Shape [stored dimensions]. */
  readonly centre: Float32Array;
  /** Shape [stored dimensions]; 0 where all vectors have the same number. */
  readonly scale: Float32Array;
  /** What queries are multiplied by before they become whole numbers: as much as 16 bits for each of them and 31 for the sum of products bear. */
  readonly step: number;
  /** Shape [stored dimensions x dimensions]: what vectors are multiplied by first, orthonormal but for a row of zeros; null where they stay as they are. */
  readonly turn: Float32Array | null;
}

const deviations = 4;
const byteMax = 127;

/** Vectors are stored with so many dimensions: a multiple of 16. */
export function storedDimensions(dimensions: number): number {
  return Math.ceil(dimensions / 16) * 16;
}

/** @param vectors shape [count x dimensions], unit vectors, at least one */
export function learnQuantiser(vectors: Float32Array, dimensions: number): Quantiser {
  const count = vectors.length / dimensions;
  const stored = storedDimensions(dimensions);
  const isTurned = dimensions > headBytes && dimensions <= turnedMax && count >= dimensions;
  const turn = isTurned ? turnOf(principalAxes(vectors, dimensions), dimensions) : null;
  const [sums, squares] = [new Float64Array(stored), new Float64Array(stored)];
  for (let row = 0; row < count; row++) {
    const values = turned(vectors.subarray(row * dimensions, (row + 1) * dimensions), turn, stored);
    for (let i = 0; i < stored; i++) {
      const value = values[i] as number;
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
  return { centre, scale, step, turn };
}

/** The axes as rows, with a row of zeros for the byte that is the length of the tail; that of the least variance has no place where there is none to spare. */
function turnOf(axes: Float32Array, dimensions: number): Float32Array {
  const stored = storedDimensions(dimensions);
  const turn = new Float32Array(stored * dimensions);
  for (let row = 0; row < stored; row++) {
    const axis = row < headBytes - 1 ? row : row - 1;
    if (row === headBytes - 1 || axis >= dimensions) continue;
    turn.set(axes.subarray(axis * dimensions, (axis + 1) * dimensions), row * dimensions);
  }
  return turn;
}

function turned(vector: Float32Array, turn: Float32Array | null, stored: number): Float32Array {
  const values = new Float32Array(stored);
  if (!turn) {
    values.set(vector);
    return values;
  }
  for (let row = 0; row < stored; row++) {
    let sum = 0;
    for (let i = 0; i < vector.length; i++) sum += (turn[row * vector.length + i] as number) * (vector[i] as number);
    values[row] = sum;
  }
  return values;
}

/** What the code of a vector stands for. @param vector shape [dimensions] @returns the same */
export function decoded(vector: Float32Array, { centre, scale, turn }: Quantiser): Float32Array {
  const values = turned(vector, turn, centre.length).map((value, i) => {
    const [middle, step] = [centre[i] as number, scale[i] as number];
    return step === 0
      ? middle
      : middle + step * Math.max(-byteMax, Math.min(byteMax, Math.round((value - middle) / step)));
  });
  if (!turn) return values.slice(0, vector.length);
  const back = new Float32Array(vector.length);
  values.forEach((value, row) => {
    for (let i = 0; i < back.length; i++)
      back[i] = (back[i] as number) + value * (turn[row * back.length + i] as number);
  });
  return back;
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
