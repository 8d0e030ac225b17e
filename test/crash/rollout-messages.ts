/** What a rollout that is killed tells, and the people of whom both processes know. */
import type { RolloutState } from '../../src/database.js';
import { makeRandom } from '../../src/random.js';

export type RolloutReport =
  | { readonly opened: true }
  /** A step was acknowledged. */
  | { readonly done: RolloutState }
  /** So was an enrolment of the person with this number. */
  | { readonly enrolled: number }
  | { readonly trouble: string };

export const gallery = 'door';
export const spaces = [
  { space: 'old:1', dimensions: 16 },
  { space: 'new:1', dimensions: 20 },
] as const;
/** Those who are enrolled from the beginning. */
export const peopleFirst = 150;
export const peopleOfPairs = 30;

/** The vector of a person in a space: the second is the first, turned and longer. */
export function makeFaces(): (person: number, space: string) => Float32Array {
  const random = makeRandom(5);
  const [old, fresh] = spaces;
  const turn = Array.from({ length: fresh.dimensions }, () =>
    Array.from({ length: old.dimensions }, () => random.normal()),
  );
  return (person, space) => {
    const own = makeRandom(1_000 + person);
    const seen = Array.from({ length: old.dimensions }, () => own.normal());
    if (space === old.space) return unit(seen);
    return unit(turn.map((row) => row.reduce((sum, value, i) => sum + value * (seen[i] as number), 0)));
  };
}

function unit(values: readonly number[]): Float32Array {
  const norm = Math.hypot(...values);
  return Float32Array.from(values, (value) => value / norm);
}
