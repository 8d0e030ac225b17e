/**
 * Covariance of a set of vectors, shrunk toward a multiple of the identity as far as there are too few of them to tell its directions apart.
 *
 * Ledoit & Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of Multivariate Analysis 88 (2004), section 3.3.
 */
import { CholeskyDecomposition, EigenvalueDecomposition, Matrix as Dense } from 'ml-matrix';
import { HarmonidError } from '../errors.js';
import type { Algebra } from './dense-algebra.js';
import { columnMeans, matrixOf, rowOf, subtractFromRows, type Matrix } from './matrix.js';

/** @param vectors shape [n, d], n at least 2; the answer is symmetric, shape [d, d], and positive definite unless all rows are the same */
export async function shrunkCovariance(algebra: Algebra, vectors: Matrix): Promise<Dense> {
  const centred = subtractFromRows(vectors, columnMeans(vectors));
  const { rows, columns } = centred;
  const products = await algebra.product(centred, centred, 'a');
  const sample = Dense.from1DArray(columns, columns, [...products.data]).div(rows);
  const variance = sample.trace() / columns;
  const squares = sumOfSquares(products.data) / (rows * rows);
  const apart = squares - columns * variance * variance;
  // The sum of |x xᵀ - sample|² is that of |x|⁴ less n |sample|².
  let fourth = 0;
  for (let row = 0; row < rows; row++) fourth += sumOfSquares(rowOf(centred, row)) ** 2;
  const error = (fourth / rows - squares) / rows;
  const share = apart > 0 ? Math.min(1, Math.max(0, error) / apart) : 1;
  return sample.mul(1 - share).add(Dense.eye(columns).mul(share * variance));
}

/** S to the power -1/2, symmetric, for a positive definite S. */
export function inverseRoot(covariance: Dense): Matrix {
  const { eigenvectorMatrix: axes, realEigenvalues } = new EigenvalueDecomposition(covariance, {
    assumeSymmetric: true,
  });
  const root = axes.mmul(Dense.diag(realEigenvalues.map((value) => 1 / Math.sqrt(value)))).mmul(axes.transpose());
  return matrixOf(root.rows, root.columns, Float32Array.from(root.to1DArray()));
}

/**
 * The lower triangular L with L·Lᵀ = S: what turns independent normal variates into ones of that covariance.
 * @throws INVALID_ARGUMENT when S is not positive definite
 */
export function choleskyFactor(covariance: Dense): Matrix {
  const decomposition = new CholeskyDecomposition(covariance);
  if (!decomposition.isPositiveDefinite())
    throw new HarmonidError('INVALID_ARGUMENT', 'the vectors do not vary: a covariance of theirs has no factor');
  const { lowerTriangularMatrix: factor } = decomposition;
  return matrixOf(factor.rows, factor.columns, Float32Array.from(factor.to1DArray()));
}

/** The orthonormal directions in which vectors vary most, as columns, shape [d, count]. */
export function leadingAxes(covariance: Dense, count: number): Matrix {
  // In ascending order of the eigenvalues.
  const { eigenvectorMatrix: axes } = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  const leading = axes.subMatrix(0, axes.rows - 1, axes.columns - count, axes.columns - 1);
  return matrixOf(leading.rows, leading.columns, Float32Array.from(leading.to1DArray()));
}

function sumOfSquares(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) ** 2;
  return sum;
}
