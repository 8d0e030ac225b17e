/** Held-out clustering on seeded people: those far apart are found whole, and what a half is scored at was chosen without it. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { linkages, type Linkage } from '../../src/cluster/agglomeration.js';
import { halvesOf, scoreLinkage, type LinkageScores } from '../../src/evaluate/clustering.js';
import { makeRandom } from '../../src/random.js';
import { parseVector } from '../../src/vector.js';

/** @param spread of a person's faces; 1 is that of people */
function faces(spread: number): { vectors: ReturnType<typeof parseVector>[]; people: string[] } {
  const random = makeRandom(3);
  const people = Array.from({ length: 20 }, (_, person) => Array.from({ length: 4 }, () => `p${person}`)).flat();
  const centres = new Map(
    [...new Set(people)].map((person) => [person, Array.from({ length: 32 }, () => random.normal())]),
  );
  const vectors = people.map((person) =>
    parseVector(
      (centres.get(person) ?? []).map((value) => value + spread * random.normal()),
      32,
      'the test',
    ),
  );
  return { vectors, people };
}

describe('held-out clustering', () => {
  it('finds people who are far apart, by every linkage', () => {
    for (const linkage of linkages) {
      const { pairwiseF, bcubedF, halves } = scoreOf(faces(0.2), linkage);
      assert.deepEqual([pairwiseF, bcubedF], [1, 1]);
      assert.deepEqual(
        halves.map(({ scores }) => scores.personCount),
        [10, 10],
      );
    }
  });

  it('does worse on people who are not, and each half by the cut of the other', () => {
    const { vectors, people } = faces(1);
    const before = scoreOf({ vectors, people });
    assert.ok(before.pairwiseF < 1 && before.pairwiseF > 0.2);
    // Everybody of the first half becomes one and the same vector: only the cut of the second half's scores can change.
    const firstPeople = new Set(halfOf(people, 1));
    const collapsed = vectors.map((vector, i) => (firstPeople.has(people[i] ?? '') ? (vectors[0] ?? vector) : vector));
    const after = scoreOf({ vectors: collapsed, people });
    assert.notEqual(after.halves[1]?.cut, before.halves[1]?.cut);
    assert.equal(after.halves[0]?.cut, before.halves[0]?.cut);
  });
});

function scoreOf({ vectors, people }: ReturnType<typeof faces>, linkage: Linkage = 'average'): LinkageScores {
  return scoreLinkage(halvesOf(vectors, people, 1), linkage);
}

/** The people of the first half: those with the smaller lots. */
function halfOf(people: readonly string[], seed: number): readonly string[] {
  const random = makeRandom(seed);
  const lots = [...new Set(people)].toSorted().map((person): [string, number] => [person, random.uniform()]);
  return lots
    .toSorted(([, a], [, b]) => a - b)
    .slice(0, lots.length >> 1)
    .map(([person]) => person);
}
