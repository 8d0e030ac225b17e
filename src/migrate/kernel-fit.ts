/**
 * Kernel ridge regression (Saunders, Gammerman & Vovk, ICML 1998) with a polynomial kernel of degree two, of what a linear map leaves.
 *
 * k(x, y) = s + share · s² with s = (x - centre)·(y - centre) / mean |x - centre|². Its functions are all quadratic ones, and are written as such: the
 * map holds sums over all pairs, where a kernel otherwise keeps every vector of the fit. A Gaussian kernel wide enough to be of use here is the
 * same up to terms that no fit of some thousand pairs can tell: exp(-g|x - y|²) = exp(-g|x|²)·exp(-g|y|²)·(1 + 2g x·y + 2g² (x·y)² + ...).
 * Solved in pairs, not in the 8,256 products of two coordinates.
 */
import { openSession } from '../embedder/onnx-session.js';
import type { LinearMap, QuadraticMap } from './adapter-model.js';
import { adapterInput, adapterOutput, rowProductsNetwork } from './adapter-network.js';
import { leadingAxes, shrunkCovariance } from './covariance.js';
import { solvePositive, type Algebra } from './dense-algebra.js';
import { applyLinear } from './linear-fits.js';
import { addScaled, columnMeans, matrixOf, rowRange, subtractFromRows, zeros, type Matrix } from './matrix.js';
import type { PairSet } from './pair-set.js';

/** What the kernel gives to products of two coordinates beside the coordinates themselves. */
const quadraticShare = 0.3;
/** Products are taken of so many coordinates at most, the ones that vary most: their number grows with the square. */
const axesMax = 128;
const batchRows = 1024;

/**
 * @param base what the map is where there is nothing near, and shrinks toward; the kernel learns what it leaves
 * @param ridge added to the kernel's diagonal, which is about 1.3. Larger is smoother
 */
export async function fitKernel(
  algebra: Algebra,
  { vectorsFrom, vectorsTo }: PairSet,
  base: LinearMap,
  ridge: number,
): Promise<QuadraticMap> {
  const centre = Float32Array.from(columnMeans(vectorsFrom));
  const inputs = subtractFromRows(vectorsFrom, centre);
  const axes = inputs.columns > axesMax ? leadingAxes(await shrunkCovariance(algebra, vectorsFrom), axesMax) : null;
  const coordinates = axes ? await algebra.product(inputs, axes) : inputs;
  const variance = inputs.data.reduce((sum, value) => sum + value * value, 0) / Math.max(1, inputs.rows - 1);
  const gram = await gramMatrix(algebra, inputs, axes && coordinates, variance);
  const targets = addScaled(vectorsTo, await applyLinear(algebra, base, vectorsFrom), -1);
  const shares = await solvePositive(algebra, gram, ridge, targets);
  const linear = await algebra.product(inputs, shares, 'a');
  return {
    kind: 'quadratic',
    base: shifted(base, linear, 1 / variance, centre),
    centre,
    axes,
    weights: await productWeights(algebra, coordinates, shares, quadraticShare / variance ** 2),
  };
}

/** The kernel of all pairs with all, shape [n, n]. */
async function gramMatrix(
  algebra: Algebra,
  inputs: Matrix,
  coordinates: Matrix | null,
  variance: number,
): Promise<Matrix> {
  const gram = await algebra.product(inputs, inputs, 'b');
  const within = coordinates ? (await algebra.product(coordinates, coordinates, 'b')).data : gram.data;
  for (let i = 0; i < gram.data.length; i++) {
    const s = (within[i] as number) / variance;
    gram.data[i] = (gram.data[i] as number) / variance + quadraticShare * s * s;
  }
  return gram;
}

/** base(x) + factor · (x - centre)·weights */
function shifted(base: LinearMap, weights: Matrix, factor: number, centre: Float32Array): LinearMap {
  const sum = addScaled(base.weights, weights, factor);
  const bias = base.bias.map((start, column) => {
    let shift = 0;
    for (let row = 0; row < weights.rows; row++)
      shift += (centre[row] as number) * (weights.data[row * weights.columns + column] as number);
    return start - factor * shift;
  });
  return { kind: 'linear', weights: sum, bias };
}

/** factor · (z·z_n)² summed over the pairs with their shares, as weights of the products of z's coordinates. */
async function productWeights(algebra: Algebra, coordinates: Matrix, shares: Matrix, factor: number): Promise<Matrix> {
  const { rows, columns: width } = coordinates;
  const session = await openSession(rowProductsNetwork(width), { provider: 'cpu', threads: 0 });
  const places = Math.floor(width / 2) + 1;
  let weights = zeros(places * width, shares.columns);
  try {
    for (let from = 0; from < rows; from += batchRows) {
      const to = Math.min(rows, from + batchRows);
      const batch = rowRange(coordinates, from, to);
      const output = (await session.run({ [adapterInput]: { data: batch.data, dims: [batch.rows, width] } }))[
        adapterOutput
      ];
      const products = matrixOf(batch.rows, places * width, output?.data ?? new Float32Array(0));
      weights = addScaled(weights, await algebra.product(products, rowRange(shares, from, to), 'a'), 1);
    }
  } finally {
    await session.close();
  }
  // Moved by s places or by width - s, the products are the same ones: all but those of 0 and of the half count twice.
  const data = weights.data.map((value, i) => {
    const place = Math.floor(i / (width * weights.columns));
    return factor * (place === 0 || 2 * place === width ? 1 : 2) * value;
  });
  return { ...weights, data };
}
