/**
 * What an adapter computes, as numbers: the output of a fit and the input of the ONNX writer. Plain data.
 *
 * Every map takes unit rows of the one space and gives rows near the other one; an adapter makes unit rows of what its members say. None of them holds a vector of anybody: sums over all pairs, and random numbers.
 */
import type { Matrix } from './matrix.js';

/** f(x) = x·weights + bias */
export interface LinearMap {
  readonly kind: 'linear';
  /** Shape [dimensions from, dimensions to]. */
  readonly weights: Matrix;
  /** Shape [dimensions to]. */
  readonly bias: Float32Array;
}

/** f(x) = [cos z, sin z]·weights + bias with z = (x - centre)·frequencies: random Fourier features (Rahimi & Recht, NIPS 2007). */
export interface FeatureMap {
  readonly kind: 'features';
  /** Shape [dimensions from]. */
  readonly centre: Float32Array;
  /** Shape [dimensions from, m]. */
  readonly frequencies: Matrix;
  /** Shape [2m, dimensions to]; the features' scale is in it. */
  readonly weights: Matrix;
  readonly bias: Float32Array;
}

/** f(x) = base(x) + gelu(z·inner + innerBias)·outer + z·direct with z = (x - centre)·scale. */
export interface ResidualMap {
  readonly kind: 'residual';
  readonly base: LinearMap | FeatureMap;
  /** Shape [dimensions from]. */
  readonly centre: Float32Array;
  readonly scale: number;
  /** Shape [dimensions from, hidden]. */
  readonly inner: Matrix;
  readonly innerBias: Float32Array;
  /** Shape [hidden, dimensions to]. */
  readonly outer: Matrix;
  /** Shape [dimensions from, dimensions to]. */
  readonly direct: Matrix;
}

export type AdapterMap = LinearMap | FeatureMap | ResidualMap;

export interface AdapterMember {
  readonly map: AdapterMap;
  readonly weight: number;
}

/**
 * g(x) = unit(centre + radius · unit(sum of weight · unit(f(x) - centre) over the members))
 *
 * A regression shrinks what it is unsure of toward the mean, and what lies near the mean is near to everybody. So only the direction from the mean
 * is taken from it: every mapped vector is as far from the mean as vectors of the space are.
 */
export interface AdapterModel {
  readonly members: readonly AdapterMember[];
  /** Mean of the other space's vectors, shape [dimensions to]. */
  readonly centre: Float32Array;
  /** Their mean distance (L2) from it. */
  readonly radius: number;
}
