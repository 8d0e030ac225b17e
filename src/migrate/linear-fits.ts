/**
 * Linear adapters: centred orthogonal Procrustes with scale, and ridge regression shrunk toward it.
 *
 * Procrustes: Schönemann, Psychometrika 31 (1966); the scale as in Gower & Dijksterhuis, Procrustes Problems (2004), 4.2. Different
 * dimensions give a semi-orthogonal map. The ridge penalises what differs from the Procrustes map, so that with few pairs it is that map.
 */
import { CholeskyDecomposition, Matrix as Dense, SingularValueDecomposition } from 'ml-matrix';
import type { LinearMap } from './adapter-model.js';
import type { Algebra } from './dense-algebra.js';
import { columnMeans, matrixOf, subtractFromRows, type Matrix } from './matrix.js';
import type { PairSet } from './pair-set.js';

/** What both fits need of the pairs: means, and the centred vectors' products. */
interface Moments {
  readonly meanFrom: Float64Array;
  readonly meanTo: Float64Array;
  /** Sums of products, shapes [from, from] and [from, to]. */
  readonly within: Dense;
  readonly between: Dense;
}

export async function fitProcrustes(algebra: Algebra, pairs: PairSet): Promise<LinearMap> {
  const moments = await momentsOf(algebra, pairs);
  return affineMap(procrustes(moments), moments);
}

/** @param ridge of the mean variance of the vectors: larger stays nearer to Procrustes. */
export async function fitRidge(algebra: Algebra, pairs: PairSet, ridge: number): Promise<LinearMap> {
  const moments = await momentsOf(algebra, pairs);
  const { within, between } = moments;
  const start = procrustes(moments);
  const penalty = Dense.eye(within.rows).mul((ridge * within.trace()) / within.rows);
  const change = new CholeskyDecomposition(Dense.add(within, penalty)).solve(Dense.sub(between, within.mmul(start)));
  return affineMap(Dense.add(start, change), moments);
}

/** vectors·weights + bias */
export async function applyLinear(algebra: Algebra, { weights, bias }: LinearMap, vectors: Matrix): Promise<Matrix> {
  return subtractFromRows(
    await algebra.product(vectors, weights),
    bias.map((value) => -value),
  );
}

async function momentsOf(algebra: Algebra, { vectorsFrom, vectorsTo }: PairSet): Promise<Moments> {
  const [meanFrom, meanTo] = [columnMeans(vectorsFrom), columnMeans(vectorsTo)];
  const [from, to] = [subtractFromRows(vectorsFrom, meanFrom), subtractFromRows(vectorsTo, meanTo)];
  return {
    meanFrom,
    meanTo,
    within: dense(await algebra.product(from, from, 'a')),
    between: dense(await algebra.product(from, to, 'a')),
  };
}

function procrustes({ within, between }: Moments): Dense {
  const svd = new SingularValueDecomposition(between, { autoTranspose: true });
  const rank = Math.min(between.rows, between.columns);
  const left = svd.leftSingularVectors.subMatrix(0, between.rows - 1, 0, rank - 1);
  const right = svd.rightSingularVectors.subMatrix(0, between.columns - 1, 0, rank - 1);
  const scale = svd.diagonal.reduce((sum, value) => sum + value, 0) / within.trace();
  return left.mmul(right.transpose()).mul(scale);
}

/** x -> (x - meanFrom)·weights + meanTo */
function affineMap(weights: Dense, { meanFrom, meanTo }: Moments): LinearMap {
  const shift = Dense.rowVector([...meanFrom]).mmul(weights);
  return {
    kind: 'linear',
    weights: matrixOf(weights.rows, weights.columns, Float32Array.from(weights.to1DArray())),
    bias: Float32Array.from(meanTo, (mean, i) => mean - shift.get(0, i)),
  };
}

function dense({ rows, columns, data }: Matrix): Dense {
  return Dense.from1DArray(rows, columns, [...data]);
}
