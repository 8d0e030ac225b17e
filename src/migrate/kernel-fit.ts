/**
 * Kernel ridge regression with a Gaussian kernel, through orthogonal random features.
 *
 * Rahimi & Recht, NIPS 2007, with the frequencies of Yu et al., "Orthogonal Random Features", NIPS 2016: blocks of orthogonal directions
 * with the lengths of normal vectors, which come as near to the kernel with fewer features. The map holds sums over all pairs and random
 * numbers only, where the kernel itself would need every vector of the fit. Solved in pairs or in features, whichever are fewer.
 */
import { Matrix as Dense, QrDecomposition } from 'ml-matrix';
import { openSession } from '../embedder/onnx-session.js';
import { makeRandom, type Random } from '../random.js';
import type { FeatureMap, LinearMap } from './adapter-model.js';
import { adapterInput, adapterOutput, featureNetwork } from './adapter-network.js';
import { solvePositive, type Algebra } from './dense-algebra.js';
import { addScaled, columnMeans, matrixOf, subtractFromRows, zeros, type Matrix } from './matrix.js';
import type { PairSet } from './pair-set.js';

export interface KernelSettings {
  /** k(x, y) = exp(-sharpness · |x - y|² / mean |x - y|²). Larger follows single pairs, smaller is nearer to linear. */
  readonly sharpness: number;
  /** Added to the kernel's diagonal of 1. Larger is smoother. */
  readonly ridge: number;
  /** Random frequencies; each gives two features. More come nearer to the kernel and cost size and time. */
  readonly frequencies: number;
  readonly seed: number;
}

/** @param base what the map is where there is nothing near, and shrinks toward; the kernel learns what it leaves */
export async function fitKernel(
  algebra: Algebra,
  pairs: PairSet,
  base: LinearMap,
  settings: KernelSettings,
): Promise<FeatureMap> {
  const { vectorsFrom, vectorsTo, from } = pairs;
  const centre = Float32Array.from(columnMeans(vectorsFrom));
  const explained = await algebra.product(vectorsFrom, base.weights);
  const targets = addScaled(subtractFromRows(vectorsTo, base.bias), explained, -1);
  const frequencies = drawFrequencies(from.dimensions, settings, meanSquaredDistance(vectorsFrom, centre));
  const features = await featuresOf(vectorsFrom, centre, frequencies);
  // The features of a row have the norm sqrt(frequencies), the kernel's diagonal is 1.
  const ridge = settings.ridge * settings.frequencies;
  const weights =
    features.rows < features.columns
      ? await algebra.product(
          features,
          await solvePositive(algebra, await algebra.product(features, features, 'b'), ridge, targets),
          'a',
        )
      : await solvePositive(
          algebra,
          await algebra.product(features, features, 'a'),
          ridge,
          await algebra.product(features, targets, 'a'),
        );
  return { kind: 'features', base, centre, frequencies, weights };
}

/** Of two different rows, from the variance: 2 · mean |x - centre|². */
function meanSquaredDistance(vectors: Matrix, centre: Float32Array): number {
  const { data, rows } = subtractFromRows(vectors, centre);
  return (2 * data.reduce((sum, value) => sum + value * value, 0)) / Math.max(1, rows - 1);
}

async function featuresOf(vectors: Matrix, centre: Float32Array, frequencies: Matrix): Promise<Matrix> {
  const session = await openSession(featureNetwork(centre, frequencies), { provider: 'cpu', threads: 0 });
  try {
    const feeds = { [adapterInput]: { data: vectors.data, dims: [vectors.rows, vectors.columns] } };
    const output = (await session.run(feeds))[adapterOutput];
    return matrixOf(vectors.rows, 2 * frequencies.columns, output?.data ?? new Float32Array(0));
  } finally {
    await session.close();
  }
}

/** Shape [dimensions, frequencies]. exp(-g·|x - y|²) is the mean of cos(w·(x - y)) over normal w of variance 2g. */
function drawFrequencies(dimensions: number, settings: KernelSettings, meanDistance: number): Matrix {
  const { sharpness, frequencies, seed } = settings;
  const random = makeRandom(seed);
  const scale = Math.sqrt((2 * sharpness) / meanDistance);
  const drawn = zeros(dimensions, frequencies);
  for (let from = 0; from < frequencies; from += dimensions) {
    const directions = orthogonalMatrix(dimensions, random);
    for (let column = from; column < Math.min(frequencies, from + dimensions); column++) {
      const length = scale * Math.hypot(...normals(dimensions, random));
      for (let row = 0; row < dimensions; row++)
        drawn.data[row * frequencies + column] = length * directions.get(row, column - from);
    }
  }
  return drawn;
}

function orthogonalMatrix(size: number, random: Random): Dense {
  return new QrDecomposition(Dense.from1DArray(size, size, normals(size * size, random))).orthogonalMatrix;
}

function normals(count: number, random: Random): number[] {
  return Array.from({ length: count }, () => random.normal());
}
