/**
 * People who do not exist, to fill a gallery with: unit vectors drawn from a Gaussian that is fitted to the mean vectors of real people.
 *
 * They are easier than as many real strangers. A Gaussian knows mean and covariance: no relatives, no twins, none of the clusters in which a model
 * puts people whom it can hardly tell apart, and these are whom a threshold is about. So what a gallery of them shows of the errors is a lower bound
 * of those among so many people. For a graph they may well be harder: they fill all dimensions evenly, and nobody is near anybody.
 */
import { choleskyFactor, shrunkCovariance } from '../migrate/covariance.js';
import type { Algebra } from '../migrate/dense-algebra.js';
import { columnMeans, rowOf, stackRows, zeros, type Matrix } from '../migrate/matrix.js';
import type { Random } from '../random.js';
import { parseVector, type UnitVector } from '../vector.js';

export interface SyntheticStrangers {
  /** The next so many; the same numbers give the same people, in whatever portions they are drawn. */
  draw(count: number): Promise<readonly UnitVector[]>;
}

/**
 * @param people mean vector of each, at least two that differ
 * @throws INVALID_ARGUMENT when they do not
 */
export async function fitStrangers(
  algebra: Algebra,
  people: readonly Float32Array[],
  dimensions: number,
  random: Random,
): Promise<SyntheticStrangers> {
  const means = stackRows(people, dimensions);
  const centre = columnMeans(means);
  const factor = choleskyFactor(await shrunkCovariance(algebra, means));
  return {
    async draw(count) {
      const normal = zeros(count, dimensions);
      for (let i = 0; i < normal.data.length; i++) normal.data[i] = random.normal();
      const spread: Matrix = await algebra.product(normal, factor, 'b');
      return Array.from({ length: count }, (_, row) =>
        parseVector(
          rowOf(spread, row).map((value, i) => value + (centre[i] as number)),
          dimensions,
          'the gallery',
        ),
      );
    },
  };
}
