/** Pairs out of folders of seeded sizes: what is promised is counted. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { drawPairs } from '../../src/evaluate/drawn-pairs.js';
import type { PersonPhoto } from '../../src/evaluate/person-photos.js';
import type { PairList } from '../../src/evaluate/pairs.js';
import { makeRandom, shuffled } from '../../src/random.js';

function photosOf(counts: readonly number[]): readonly PersonPhoto[] {
  return counts.flatMap((count, person) =>
    Array.from({ length: count }, (_, i) => ({ person: `p${person}`, path: `/photos/p${person}/${i}.webp` })),
  );
}

const personOf = (photo: string): string => photo.slice(0, photo.indexOf('/'));

function check({ folds, pairsPerFold }: PairList): void {
  const peopleOf = folds.map((fold) => new Set(fold.flatMap(({ a, b }) => [personOf(a), personOf(b)])));
  for (const [i, people] of peopleOf.entries())
    for (const other of peopleOf.slice(i + 1))
      assert.ok(![...people].some((person) => other.has(person)), 'a person is in one fold only');
  for (const fold of folds) {
    for (const { a, b, genuine } of fold) {
      assert.equal(genuine, personOf(a) === personOf(b));
      assert.notEqual(a, b);
    }
    assert.equal(fold.filter(({ genuine }) => genuine).length, pairsPerFold);
    assert.equal(fold.length, 2 * pairsPerFold);
    const keys = fold.map(({ a, b }) => [a, b].toSorted().join(' '));
    assert.equal(new Set(keys).size, keys.length, 'no pair is there twice');
  }
}

describe('drawn pairs', () => {
  it('are in folds of different people, as many of either kind, none twice', () => {
    const random = makeRandom(7);
    for (let round = 0; round < 40; round++) {
      const counts = Array.from({ length: 4 + random.below(60) }, (_, i) => (i < 4 ? 2 : 1) + random.below(6));
      const pairs = drawPairs(photosOf(counts), { seed: round, pairsPerFoldMax: 1 + random.below(40) });
      check(pairs);
      assert.ok(pairs.folds.length >= 2 && pairs.folds.length <= 10 && pairs.pairsPerFold >= 1);
    }
  });

  it('do not depend on the order of a listing, and do on the seed', () => {
    const photos = photosOf([3, 4, 2, 5, 1, 1, 2, 2]);
    assert.deepEqual(drawPairs(shuffled(photos, makeRandom(2))), drawPairs(photos));
    assert.notDeepEqual(drawPairs(photos, { seed: 2 }), drawPairs(photos));
  });

  it('take a pair of everybody before a second one of anybody', () => {
    const [fold] = drawPairs(photosOf([40, 2, 2, 2, 2, 2, 2, 2]), { folds: 2, pairsPerFoldMax: 3 }).folds;
    assert.equal(new Set(fold?.filter(({ genuine }) => genuine).map(({ a }) => personOf(a))).size, 3);
  });

  it('are refused for fewer than four people with two photos', () => {
    assert.throws(() => drawPairs(photosOf([2, 2, 2, 1, 1])), /3 people have two photos; pairs can be drawn from four/);
  });
});
