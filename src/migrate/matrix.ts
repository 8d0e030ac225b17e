/**
 * Dense matrices of float32, row-major: a row is a vector. Plain data that crosses threads, and what needs no product.
 */
import { assertInvariant } from '../errors.js';

export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** Shape [rows, columns], row-major. */
  readonly data: Float32Array;
}

export function zeros(rows: number, columns: number): Matrix {
  return { rows, columns, data: new Float32Array(rows * columns) };
}

/** @param data shape [rows, columns], not copied */
export function matrixOf(rows: number, columns: number, data: Float32Array): Matrix {
  assertInvariant(data.length === rows * columns, 'a matrix has as many values as its shape says');
  return { rows, columns, data };
}

/** All of one length. */
export function stackRows(vectors: readonly Float32Array[], columns: number): Matrix {
  const stacked = zeros(vectors.length, columns);
  vectors.forEach((vector, row) => stacked.data.set(vector, row * columns));
  return stacked;
}

/** A view. */
export function rowOf({ columns, data }: Matrix, row: number): Float32Array {
  return data.subarray(row * columns, (row + 1) * columns);
}

export function pickRows(matrix: Matrix, rows: ArrayLike<number>): Matrix {
  const picked = zeros(rows.length, matrix.columns);
  for (let i = 0; i < rows.length; i++) picked.data.set(rowOf(matrix, rows[i] as number), i * matrix.columns);
  return picked;
}

/** Columns `from` to `to`, a copy. */
export function pickColumns({ rows, columns, data }: Matrix, from: number, to: number): Matrix {
  const picked = zeros(rows, to - from);
  for (let row = 0; row < rows; row++)
    picked.data.set(data.subarray(row * columns + from, row * columns + to), row * picked.columns);
  return picked;
}

/** Rows `from` to `to`, a view. */
export function rowRange({ columns, data }: Matrix, from: number, to: number): Matrix {
  return { rows: to - from, columns, data: data.subarray(from * columns, to * columns) };
}

/** Shape [columns]. */
export function columnMeans({ rows, columns, data }: Matrix): Float64Array {
  const means = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++)
      means[column] = (means[column] as number) + (data[row * columns + column] as number) / rows;
  }
  return means;
}

/** Every row minus `offset`, shape [columns]. */
export function subtractFromRows({ rows, columns, data }: Matrix, offset: ArrayLike<number>): Matrix {
  return { rows, columns, data: data.map((value, i) => value - (offset[i % columns] as number)) };
}

/** Every row scaled to L2 norm 1; a row of zeros stays one. */
export function unitRows({ rows, columns, data }: Matrix): Matrix {
  const scaled = zeros(rows, columns);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) sum += (data[i] as number) ** 2;
    const factor = sum === 0 ? 0 : 1 / Math.sqrt(sum);
    for (let i = row * columns; i < (row + 1) * columns; i++) scaled.data[i] = (data[i] as number) * factor;
  }
  return scaled;
}

/** one + factor * other, of one shape. */
export function addScaled(one: Matrix, other: Matrix, factor: number): Matrix {
  assertInvariant(one.rows === other.rows && one.columns === other.columns, 'sums are of one shape');
  return { ...one, data: one.data.map((value, i) => value + factor * (other.data[i] as number)) };
}

/** Mean L2 norm of the rows. */
export function meanNorm(matrix: Matrix): number {
  let sum = 0;
  for (let row = 0; row < matrix.rows; row++) sum += Math.hypot(...rowOf(matrix, row));
  return sum / matrix.rows;
}
