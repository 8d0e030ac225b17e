/** How far cosines of two sets of vectors lie apart, from moments: no product of all with all. */
import type { Algebra } from './dense-algebra.js';
import { columnMeans, type Matrix } from './matrix.js';

/**
 * Standard deviation of the cosines of all rows of the one with all of the other: nearly all of them are of different people. The mean of (x·y)² is
 * the sum of the products of E[x xᵀ] and E[y yᵀ].
 * @param one unit rows; @param other unit rows
 */
export async function spreadOfCosines(algebra: Algebra, one: Matrix, other: Matrix): Promise<number> {
  const [products, others] = [await algebra.product(one, one, 'a'), await algebra.product(other, other, 'a')];
  const squares = dot(products.data, others.data) / (one.rows * other.rows);
  return Math.sqrt(squares - dot(columnMeans(one), columnMeans(other)) ** 2);
}

function dot(one: ArrayLike<number>, other: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < one.length; i++) sum += (one[i] as number) * (other[i] as number);
  return sum;
}
