/**
 * The axes along which vectors vary most (principal component analysis): the eigenvectors of their covariance, most variance first.
 */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

/** Vectors that the covariance is taken from, at most: its error is far below what matters here. */
const countMax = 5_000;

/**
 * @param vectors shape [count x dimensions], at least one
 * @returns shape [dimensions x dimensions], an axis a row, orthonormal
 */
export function principalAxes(vectors: Float32Array, dimensions: number): Float32Array {
  const count = vectors.length / dimensions;
  const step = Math.max(1, Math.floor(count / countMax));
  const taken = Math.ceil(count / step);
  const mean = new Float64Array(dimensions);
  for (let row = 0; row < count; row += step)
    for (let i = 0; i < dimensions; i++)
      mean[i] = (mean[i] as number) + (vectors[row * dimensions + i] as number) / taken;
  const sums = new Float64Array(dimensions * dimensions);
  const centred = new Float64Array(dimensions);
  for (let row = 0; row < count; row += step) {
    for (let i = 0; i < dimensions; i++) centred[i] = (vectors[row * dimensions + i] as number) - (mean[i] as number);
    for (let i = 0; i < dimensions; i++) {
      const one = centred[i] as number;
      for (let j = 0; j <= i; j++) {
        const at = i * dimensions + j;
        sums[at] = (sums[at] as number) + one * (centred[j] as number);
      }
    }
  }
  const covariance = Matrix.zeros(dimensions, dimensions);
  for (let i = 0; i < dimensions; i++) {
    for (let j = 0; j <= i; j++) {
      const value = (sums[i * dimensions + j] as number) / taken;
      covariance.set(i, j, value);
      covariance.set(j, i, value);
    }
  }
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  const order = realEigenvalues
    .map((_, i) => i)
    .toSorted((a, b) => (realEigenvalues[b] ?? 0) - (realEigenvalues[a] ?? 0));
  const axes = new Float32Array(dimensions * dimensions);
  order.forEach((column, row) => axes.set(eigenvectorMatrix.getColumn(column), row * dimensions));
  return axes;
}
