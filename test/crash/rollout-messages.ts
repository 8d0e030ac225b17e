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

/** The vector of a person in a space: in the second it is the first, turned, with some components more that say nothing. */
export function makeFaces(): (person: number, space: string) => Float32Array {
  const random = makeRandom(5);
  const [old, fresh] = spaces;
  const turn: number[][] = [];
  // Orthonormal columns (Gram-Schmidt).
  while (turn.length < old.dimensions) {
    let column = Array.from({ length: fresh.dimensions }, () => random.normal());
    for (const other of turn) {
      const along = dot(column, other);
      column = column.map((value, i) => value - along * (other[i] as number));
    }
    turn.push([...unit(column)]);
  }
  return (person, space) => {
    const own = makeRandom(1_000 + person);
    const seen = [...unit(Array.from({ length: old.dimensions }, () => own.normal()))];
    if (space === old.space) return Float32Array.from(seen);
    return unit(
      Array.from({ length: fresh.dimensions }, (_, i) =>
        seen.reduce((sum, value, j) => sum + value * (turn[j]?.[i] as number), 0),
      ),
    );
  };
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
}

function unit(values: readonly number[]): Float32Array {
  const norm = Math.hypot(...values);
  return Float32Array.from(values, (value) => value / norm);
}
