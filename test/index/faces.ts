/**
 * Synthetic faces for tests: seeded Gaussian clusters around identity centres that share a large mean, as real embeddings do
 * (random directions without it would make every search easy). No database code but the maker of unit vectors.
 */
import { env } from 'node:process';
import { parseVector, type UnitVector } from '../../src/vector.js';

/** Uniform numbers in [0, 1) from a seed (mulberry32): the same seed gives the same run. */
export type Random = () => number;

export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed of this run: HARMONID_TEST_SEED to replay one, else a new one; printed either way. */
export function runSeed(test: string): number {
  const given = env['HARMONID_TEST_SEED'];
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  console.log(`      ${test}: seed ${seed} (replay with HARMONID_TEST_SEED=${seed})`);
  return seed;
}

export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

export interface FaceMaker {
  readonly dimensions: number;
  /** One more face of the person with this number. */
  face(person: number): UnitVector;
}

/** @param spread of a person's faces; 0.05 keeps people well apart, 0.3 mixes them */
export function makeFaces(random: Random, { dimensions = 32, spread = 0.05 } = {}): FaceMaker {
  const mean = Array.from({ length: dimensions }, () => normal(random));
  const centres = new Map<number, number[]>();
  const centreOf = (person: number): number[] => {
    const known = centres.get(person);
    if (known) return known;
    const made = mean.map((value) => value + 0.5 * normal(random));
    centres.set(person, made);
    return made;
  };
  return {
    dimensions,
    face: (person) =>
      parseVector(
        centreOf(person).map((value) => value + spread * normal(random)),
        dimensions,
        'a test',
      ),
  };
}

export function pick<T>(random: Random, from: readonly T[]): T | undefined {
  return from[Math.floor(random() * from.length)];
}
