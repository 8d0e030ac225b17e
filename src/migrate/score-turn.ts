/**
 * How directions that a map gives are turned, so that their product with a vector of the space says best whose it is.
 *
 * What a vector v of the space says for being of the face that a map puts at f(x) is, by the two-covariance model (Brümmer & de Villiers, Odyssey
 * 2010), (v - centre)ᵀ S⁻¹ (f(x) - centre) up to what is the same for all templates, S the covariance of v around f(x). Where a map errs by much, S is
 * nearly that of v itself. v is stored and compared as it is; so half of S⁻¹, its root, goes to the template, and the other half is what a comparison by
 * angles leaves out. Measured beside the whole of it and none: docs/ARCHITECTURE.md.
 *
 * Of v - centre the direction counts, too: (v - centre)·d / |v - centre|. What the mean says of v's length is v·mean, since v is of norm 1:
 * |v - centre|² = 1 + |centre|² - 2 v·centre. At the cosine c that decides, 1/|v - centre| changes with v·centre as c·v·centre does. So a template is
 * d without its part along the mean, and c times the mean; where the mean is short, as it mostly is, that is next to nothing.
 */
import { mapThrough } from './adapter.js';
import type { AdapterModel } from './adapter-model.js';
import { spreadOfCosines } from './cosine-spread.js';
import { inverseRoot, shrunkCovariance } from './covariance.js';
import type { Algebra } from './dense-algebra.js';
import { columnMeans, matrixOf, meanNorm, subtractFromRows, unitRows, zeros, type Matrix } from './matrix.js';
import type { PairSet } from './pair-set.js';

/** Standard deviations of a normal distribution beyond which one in a thousand lies: strangers that are let in. */
const deciding = 3.09;

/** @param members of an adapter, fitted on `pairs` */
export async function turnedModel(
  algebra: Algebra,
  { vectorsFrom, vectorsTo, to }: PairSet,
  members: AdapterModel['members'],
): Promise<AdapterModel> {
  const centre = Float32Array.from(columnMeans(vectorsTo));
  const away = subtractFromRows(vectorsTo, centre);
  const turn = without(inverseRoot(await shrunkCovariance(algebra, vectorsTo)), centre);
  const radius = meanNorm(away);
  const turned: AdapterModel = { members, centre, turn, mean: new Float32Array(to.dimensions), radius };
  const directions = await mapThrough(turned, vectorsFrom, to.dimensions);
  const cosine = deciding * (await spreadOfCosines(algebra, directions, unitRows(away)));
  return { ...turned, mean: centre.map((value) => cosine * value) };
}

/** A matrix whose products with rows have nothing along an axis. */
function without(matrix: Matrix, axis: Float32Array): Matrix {
  const square = axis.reduce((sum, value) => sum + value * value, 0);
  if (square === 0) return matrix;
  const { rows, columns, data } = matrix;
  const projected = zeros(rows, columns).data;
  for (let row = 0; row < rows; row++) {
    let along = 0;
    for (let i = 0; i < columns; i++) along += ((data[row * columns + i] as number) * (axis[i] as number)) / square;
    for (let i = 0; i < columns; i++)
      projected[row * columns + i] = (data[row * columns + i] as number) - along * (axis[i] as number);
  }
  return matrixOf(rows, columns, projected);
}
