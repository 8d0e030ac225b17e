/**
 * How uncertain an adapter is of a vector: how far it comes back from itself when it is mapped there and back. What the one space does not
 * tell of a face cannot come back (FastFill, Jaeckle et al., ICLR 2023, orders by an estimate of the same kind that is learned).
 */
import { assertInvariant } from '../errors.js';
import type { Matrix } from './matrix.js';

/** Squared L2 of each row to the row that came back, in the order of the rows. */
export function cycleErrors(vectors: Matrix, back: Matrix): Float64Array {
  const { rows, columns, data } = vectors;
  assertInvariant(
    back.rows === rows && back.columns === columns,
    'what comes back is as many vectors of the same space',
  );
  return Float64Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) {
      sum += ((data[i] as number) - (back.data[i] as number)) ** 2;
    }
    return sum;
  });
}

/** Positions, the most uncertain first. */
export function byUncertainty(errors: Float64Array): readonly number[] {
  return Array.from(errors.keys()).toSorted((one, other) => (errors[other] as number) - (errors[one] as number));
}
