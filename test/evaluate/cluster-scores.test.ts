/** Scores against hand calculations, and against counting pairs and faces by brute force. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { scoreClusters } from '../../src/evaluate/cluster-scores.js';
import { makeRandom } from '../../src/random.js';

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-12, `${actual} is not ${expected}`);
}

describe('scores of clusters', () => {
  it('by hand: one stranger among three of a person, whose fourth is alone', () => {
    // Faces 0 to 3 are a, 4 is b. Clusters {0, 1, 2, 4} and {3}.
    const scores = scoreClusters([[0, 1, 2, 4], [3]], ['a', 'a', 'a', 'a', 'b']);
    // Together are 6 pairs, 3 of them right; a has 6 pairs.
    near(scores.pairwise.precision, 3 / 6);
    near(scores.pairwise.recall, 3 / 6);
    near(scores.pairwise.f, 1 / 2);
    // Precision of the faces: 3/4 three times, 1/4, 1. Recall: 3/4 three times, 1/4, 1.
    near(scores.bcubed.precision, (3 * 0.75 + 0.25 + 1) / 5);
    near(scores.bcubed.recall, (3 * 0.75 + 0.25 + 1) / 5);
    assert.deepEqual([scores.faceCount, scores.personCount, scores.clusterCount, scores.wholeCount], [5, 2, 2, 0]);
  });

  it('by hand: precision and recall differ', () => {
    // All in one: 1 of 3 pairs is right, and a's only pair is found.
    const scores = scoreClusters([[0, 1, 2]], ['a', 'a', 'b']);
    near(scores.pairwise.precision, 1 / 3);
    near(scores.pairwise.recall, 1);
    near(scores.pairwise.f, 1 / 2);
    near(scores.bcubed.precision, (2 / 3 + 2 / 3 + 1 / 3) / 3);
    near(scores.bcubed.recall, 1);
  });

  it('agrees with counting pairs and faces', () => {
    const random = makeRandom(5);
    const people = Array.from({ length: 60 }, () => `p${random.below(12)}`);
    const labels = people.map(() => random.below(15));
    const clusters = [...new Set(labels)].map((label) => labels.flatMap((one, i) => (one === label ? [i] : [])));
    const { pairwise, bcubed } = scoreClusters(clusters, people);
    const together = (i: number, j: number): boolean => labels[i] === labels[j];
    const same = (i: number, j: number): boolean => people[i] === people[j];
    const faces = people.map((_, i) => i);
    const count = (test: (i: number, j: number) => boolean, i: number): number =>
      faces.filter((j) => test(i, j)).length;
    const pairs = (test: (i: number, j: number) => boolean): number =>
      faces.reduce((sum, i) => sum + faces.filter((j) => j < i && test(i, j)).length, 0);
    const both = (i: number, j: number): boolean => together(i, j) && same(i, j);
    near(pairwise.precision, pairs(both) / pairs(together));
    near(pairwise.recall, pairs(both) / pairs(same));
    const mean = (value: (i: number) => number): number => faces.reduce((sum, i) => sum + value(i), 0) / faces.length;
    near(
      bcubed.precision,
      mean((i) => count(both, i) / count(together, i)),
    );
    near(
      bcubed.recall,
      mean((i) => count(both, i) / count(same, i)),
    );
  });

  it('of what is right, and of nothing, is 1', () => {
    for (const scores of [scoreClusters([[0, 1], [2]], ['a', 'a', 'b']), scoreClusters([], [])])
      assert.deepEqual([scores.pairwise.f, scores.bcubed.f], [1, 1]);
    assert.equal(scoreClusters([[0, 1], [2]], ['a', 'a', 'b']).wholeCount, 2);
  });
});
