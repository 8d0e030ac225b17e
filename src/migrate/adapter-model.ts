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

/**
 * f(x) = base(x) + [z_i z_i, z_i z_(i+1), z_i z_(i+2), ...]·weights with z = (x - centre)·axes: every quadratic function. Places are counted round, modulo
 * the width of z, up to half of it: all products of two coordinates.
 */
export interface QuadraticMap {
  readonly kind: 'quadratic';
  readonly base: LinearMap;
  /** Shape [dimensions from]. */
  readonly centre: Float32Array;
  /** Shape [dimensions from, width]; null takes all coordinates as they are. */
  readonly axes: Matrix | null;
  /** Shape [(floor(width / 2) + 1) · width, dimensions to]. */
  readonly weights: Matrix;
}

/** f(x) = base(x) + gelu(z·inner + innerBias)·outer + z·direct with z = (x - centre)·scale. */
export interface ResidualMap {
  readonly kind: 'residual';
  readonly base: LinearMap;
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

export type AdapterMap = LinearMap | QuadraticMap | ResidualMap;

export interface AdapterMember {
  readonly map: AdapterMap;
  readonly weight: number;
}

/**
 * g(x) = unit(mean + radius · unit(turn(sum of weight · unit(f(x) - centre) over the members)))
 *
 * A regression shrinks what it is unsure of toward the mean, and what lies near the mean is near to everybody. So only the direction from the mean
 * is taken from it: every mapped vector is as far from the mean as vectors of the space are. score-turn.ts says what `turn` and `mean` are for.
 */
export interface AdapterModel {
  readonly members: readonly AdapterMember[];
  /** Mean of the other space's vectors, shape [dimensions to]. */
  readonly centre: Float32Array;
  /** Rows times this, shape [dimensions to, dimensions to]; null leaves them. */
  readonly turn: Matrix | null;
  /** Shape [dimensions to]. */
  readonly mean: Float32Array;
  /** Mean distance (L2) of the other space's vectors from their mean. */
  readonly radius: number;
}
