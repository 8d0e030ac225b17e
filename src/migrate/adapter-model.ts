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

/** f(x) = base(x) + [cos z, sin z]·weights with z = (x - centre)·frequencies: random Fourier features (Rahimi & Recht, NIPS 2007). */
export interface FeatureMap {
  readonly kind: 'features';
  readonly base: LinearMap;
  /** Shape [dimensions from]. */
  readonly centre: Float32Array;
  /** Shape [dimensions from, m]. */
  readonly frequencies: Matrix;
  /** Shape [2m, dimensions to]; the features' scale is in it. */
  readonly weights: Matrix;
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

/** What of the mean of the other space's vectors a mapped vector has: see `AdapterModel`. */
export type MeanPart = 'own' | 'same' | 'none';

/**
 * g(x) = unit(mean + radius · unit(P(sum of weight · unit(f(x) - centre) over the members)))
 *
 * A regression shrinks what it is unsure of toward the mean, and what lies near the mean is near to everybody. So only the direction from the mean
 * is taken from it: every mapped vector is as far from the mean as vectors of the space are.
 *
 * `meanPart` 'own': mean = centre and P does nothing, which is right of a map that hits what it aims at. Of one that errs by much, in every
 * direction alike, what a vector v of the space says for being of the same face is (v - centre)·(f(x) - centre), up to what is the same for all
 * templates (two-covariance model: Brümmer & de Villiers, Odyssey 2010). So P takes away what the direction has along the centre, whose product
 * with v is not of v - centre; then mean = 0 ('none'), or = centre ('same') where the centre is longer than the vectors are far from it: there the
 * length of v - centre varies, and the mean stands for it.
 */
export interface AdapterModel {
  readonly members: readonly AdapterMember[];
  /** Mean of the other space's vectors, shape [dimensions to]. */
  readonly centre: Float32Array;
  /** Their mean distance (L2) from it. */
  readonly radius: number;
  readonly meanPart: MeanPart;
}
