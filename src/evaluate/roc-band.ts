/**
 * A band of confidence around a ROC: VAL at a FAR when the people are drawn anew (bootstrap, Bickel & Freedman 1981). Pure but for the seed.
 *
 * A genuine pair counts as often as its person was drawn, an impostor pair as often as both were, their product: pairs of one person stand and fall
 * together. A band is pointwise: at each FAR by itself it holds the true VAL with 95 %.
 */
import { drawPeople } from '../migrate/comparisons.js';
import { makeRandom } from '../random.js';
import { personOf, type ComparedPair } from './pair-distances.js';

export interface BandPoint {
  readonly far: number;
  readonly low: number;
  readonly high: number;
}

interface WeighedPair {
  readonly genuine: boolean;
  readonly distance: number;
  /** Positions of the two people; the same twice for a genuine pair. */
  readonly one: number;
  readonly other: number;
}

const replicates = 400;

/**
 * @param pairs of all folds; those that were not compared are left out
 * @param fars ascending
 */
export function rocBand(pairs: readonly ComparedPair[], fars: readonly number[], seed: number): readonly BandPoint[] {
  const people = new Map<string, number>();
  const positionOf = (person: string): number => {
    const known = people.get(person) ?? people.size;
    people.set(person, known);
    return known;
  };
  const sorted = pairs
    .flatMap(({ a, b, genuine, distance }): WeighedPair[] =>
      distance === null ? [] : [{ genuine, distance, one: positionOf(personOf(a)), other: positionOf(personOf(b)) }],
    )
    .toSorted((one, other) => one.distance - other.distance);
  const random = makeRandom(seed);
  const draws = Array.from({ length: replicates }, () => valsAt(sorted, fars, drawPeople(people.size, random)));
  return fars.map((far, i) => {
    const vals = draws.map((drawn) => drawn[i] ?? 0).toSorted((a, b) => a - b);
    const at = (share: number): number => vals[Math.round(share * (vals.length - 1))] ?? 0;
    return { far, low: at(0.025), high: at(0.975) };
  });
}

/** VAL at each FAR, ascending, when each person counts so often. @param sorted by distance, nearest first */
export function valsAt(
  sorted: readonly WeighedPair[],
  fars: readonly number[],
  weights: ArrayLike<number>,
): readonly number[] {
  const weightOf = ({ genuine, one, other }: WeighedPair): number =>
    genuine ? (weights[one] ?? 0) : (weights[one] ?? 0) * (weights[other] ?? 0);
  let [genuines, impostors] = [0, 0];
  for (const pair of sorted) {
    if (pair.genuine) genuines += weightOf(pair);
    else impostors += weightOf(pair);
  }
  const vals: number[] = [];
  let [accepted, falsely, position] = [0, 0, 0];
  for (const far of fars) {
    // The same small addend as in error-rates.ts.
    const allowed = far * impostors + 1e-9;
    while (position < sorted.length) {
      // Equal distances are accepted together or not at all.
      let [end, more, moreFalsely] = [position, 0, 0];
      for (let pair = sorted[end]; pair && pair.distance === sorted[position]?.distance; pair = sorted[++end]) {
        if (pair.genuine) more += weightOf(pair);
        else moreFalsely += weightOf(pair);
      }
      if (falsely + moreFalsely > allowed) break;
      [accepted, falsely, position] = [accepted + more, falsely + moreFalsely, end];
    }
    vals.push(genuines === 0 ? 0 : accepted / genuines);
  }
  return vals;
}
