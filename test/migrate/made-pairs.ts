/**
 * Pairs with a known relation: people are points of a normal distribution, every image is its person with noise, and each model sees it through a map of
 * its own: a rotation, or one that bends.
 */
import type { PairSample } from '../../src/api.js';
import { makePairSet, type PairSet } from '../../src/migrate/pair-set.js';
import { makeRandom } from '../../src/random.js';

export interface MadePairs {
  readonly people: number;
  readonly imagesEach: number;
  readonly dimensions: number;
  readonly dimensionsTo: number;
  /** 0 is a rotation; larger bends more. */
  readonly bend: number;
  readonly noise: number;
  readonly seed: number;
}

export function madePairs(made: Partial<MadePairs> = {}): PairSet {
  const { people, imagesEach, dimensions, dimensionsTo, bend, noise, seed } = {
    people: 120,
    imagesEach: 3,
    dimensions: 16,
    dimensionsTo: 16,
    bend: 0,
    noise: 0.15,
    seed: 1,
    ...made,
  };
  const random = makeRandom(seed);
  const normals = (count: number): number[] => Array.from({ length: count }, () => random.normal());
  const directions = Array.from({ length: dimensionsTo }, () => normals(dimensions));
  const bends = Array.from({ length: dimensionsTo }, () => normals(dimensions));
  const dot = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
  const pairs = Array.from({ length: people }, (_, person) => {
    const centre = normals(dimensions);
    return Array.from({ length: imagesEach }, () => {
      const seen = unit(centre.map((value) => value + noise * random.normal()));
      const through = directions.map(
        (direction, i) => dot(direction, seen) + bend * (dot(bends[i] as number[], seen) ** 2 - 1),
      );
      return { person: `person ${person}`, from: Float32Array.from(seen), to: Float32Array.from(unit(through)) };
    });
  }).flat();
  return makePairSet({ space: 'old:1', dimensions }, { space: 'new:1', dimensions: dimensionsTo }, pairs);
}

/** As a rollout takes them, one a pair. */
export function samplesOf({ people, personOf, from, to, vectorsFrom, vectorsTo }: PairSet): readonly PairSample[] {
  return Array.from(personOf, (person, row) => ({
    person: people[person],
    vectors: {
      from: vectorsFrom.data.subarray(row * from.dimensions, (row + 1) * from.dimensions),
      to: vectorsTo.data.subarray(row * to.dimensions, (row + 1) * to.dimensions),
    },
  }));
}

export function unit(values: readonly number[]): number[] {
  const norm = Math.hypot(...values);
  return values.map((value) => value / norm);
}
