/**
 * What an adapter is fitted on: the same face through two models, many times. Plain immutable data.
 *
 * A pair belongs to a person, known or not: a pair whose person has no name is a person of its own. People are never split between a fit and
 * its test, and which fold somebody falls into depends on the id alone, so that pairs that come or go move nobody else.
 */
import { createHash } from 'node:crypto';
import { HarmonidError } from '../errors.js';
import { pickRows, stackRows, type Matrix } from './matrix.js';

/** One side of a pair set: what its vectors are comparable with. */
export interface PairSpace {
  readonly space: string;
  readonly dimensions: number;
}

export interface Pair {
  readonly person: string;
  readonly from: Float32Array;
  readonly to: Float32Array;
}

export interface PairSet {
  readonly from: PairSpace;
  readonly to: PairSpace;
  /** Ids, each once. */
  readonly people: readonly string[];
  /** Position in `people` of each pair. */
  readonly personOf: Uint32Array;
  /** Unit rows, one a pair, shape [pairs, from.dimensions]. */
  readonly vectorsFrom: Matrix;
  /** Shape [pairs, to.dimensions]. */
  readonly vectorsTo: Matrix;
}

/** @throws INVALID_ARGUMENT naming both sides when a vector is not of its space's dimensions */
export function makePairSet(from: PairSpace, to: PairSpace, pairs: readonly Pair[]): PairSet {
  const people = new Map<string, number>();
  const personOf = Uint32Array.from(pairs, ({ person }) => {
    const known = people.get(person);
    if (known !== undefined) return known;
    people.set(person, people.size);
    return people.size - 1;
  });
  for (const pair of pairs) {
    refuseOtherLength(pair.from, from);
    refuseOtherLength(pair.to, to);
  }
  return {
    from,
    to,
    people: [...people.keys()],
    personOf,
    vectorsFrom: stackRows(
      pairs.map((pair) => pair.from),
      from.dimensions,
    ),
    vectorsTo: stackRows(
      pairs.map((pair) => pair.to),
      to.dimensions,
    ),
  };
}

function refuseOtherLength(vector: Float32Array, { space, dimensions }: PairSpace): void {
  if (vector.length === dimensions) return;
  throw new HarmonidError(
    'INVALID_ARGUMENT',
    `a vector of a pair has ${vector.length} dimensions, space "${space}" has ${dimensions}`,
    { details: { vectorDimensions: vector.length, spaceDimensions: dimensions, space } },
  );
}

/** The fold of a person, 0 to count - 1: by the id alone. */
export function foldOf(person: string, count: number): number {
  return createHash('sha256').update('harmonid fold\n').update(person).digest().readUInt32BE(0) % count;
}

/** The pairs of the people that `isWanted`. */
export function pairsOf(set: PairSet, isWanted: (person: string) => boolean): PairSet {
  const wanted = set.people.map(isWanted);
  const rows: number[] = [];
  set.personOf.forEach((person, row) => {
    if (wanted[person]) rows.push(row);
  });
  const positions = new Map<number, number>();
  set.people.forEach((_, person) => {
    if (wanted[person]) positions.set(person, positions.size);
  });
  return {
    ...set,
    people: set.people.filter((_, person) => wanted[person]),
    personOf: Uint32Array.from(rows, (row) => positions.get(set.personOf[row] as number) as number),
    vectorsFrom: pickRows(set.vectorsFrom, rows),
    vectorsTo: pickRows(set.vectorsTo, rows),
  };
}

/** The same pairs the other way round: a map of what came later to what was before. */
export function reversed({ from, to, vectorsFrom, vectorsTo, ...rest }: PairSet): PairSet {
  return { ...rest, from: to, to: from, vectorsFrom: vectorsTo, vectorsTo: vectorsFrom };
}

/** SHA-256 over spaces, people and vectors, hex: names exactly what an adapter was fitted on, in any order of the pairs. */
export function pairSetDigest(set: PairSet): string {
  const rows = [...set.personOf].map((person, row) => {
    const hash = createHash('sha256').update(`${set.people[person]}\n`);
    for (const { data, columns } of [set.vectorsFrom, set.vectorsTo]) {
      const bytes = Buffer.alloc(columns * 4);
      for (let i = 0; i < columns; i++) bytes.writeFloatLE(data[row * columns + i] as number, i * 4);
      hash.update(bytes);
    }
    return hash.digest('hex');
  });
  const hash = createHash('sha256').update(`${set.from.space}\n${set.to.space}\n`);
  for (const row of rows.toSorted()) hash.update(row);
  return hash.digest('hex');
}
