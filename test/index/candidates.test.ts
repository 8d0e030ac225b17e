/** Method: a table of distances and the decision that follows from the definitions, worked out by hand. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { judge, rankCandidates } from '../../src/index/candidates.js';
import type { Decision } from '../../src/index/records.js';

describe('candidates', () => {
  const table: readonly [string, number[], number, number, Decision, number | null][] = [
    // name, distances, threshold, margin, decision, gap
    ['nobody', [], 0.2, 0.1, 'no-match', null],
    ['one, near', [0.1], 0.2, 0.1, 'match', null],
    ['one, at the threshold', [0.25], 0.25, 0.1, 'match', null],
    ['one, beyond', [0.3], 0.25, 0.1, 'no-match', null],
    ['a clear first', [0.125, 0.5], 0.25, 0.1, 'match', 0.375],
    ['the second within, but far enough', [0.125, 0.25], 0.25, 0.0625, 'match', 0.125],
    ['the second within and just at the margin', [0.125, 0.25], 0.25, 0.125, 'match', 0.125],
    ['the second within and too near', [0.1875, 0.25], 0.25, 0.125, 'ambiguous', 0.0625],
    ['the second too near, but beyond the threshold', [0.1875, 0.2501], 0.25, 0.125, 'match', 0.2501 - 0.1875],
    ['two equal', [0.125, 0.125], 0.25, 0.01, 'ambiguous', 0],
    ['two equal, no margin asked', [0.125, 0.125], 0.25, 0, 'match', 0],
    ['two near each other, both beyond', [0.5, 0.5], 0.25, 0.1, 'no-match', 0],
    ['the third does not matter', [0.125, 0.5, 0.5], 0.25, 0.1, 'match', 0.375],
  ];
  for (const [name, distances, threshold, margin, decision, gap] of table) {
    it(`${name}: ${decision}`, () => {
      assert.deepEqual(
        judge(
          distances.map((distance) => ({ distance })),
          threshold,
          margin,
        ),
        { decision, margin: gap },
      );
    });
  }

  it('ranks by distance, ties by the bytes of the id', () => {
    const candidate = (identity: string, distance: number) => ({
      identity,
      label: '',
      groups: [],
      distance,
      template: 1,
    });
    const ranked = rankCandidates([
      candidate('zoe', 0.1),
      candidate('\u{10000}', 0.1),
      candidate('\uffff', 0.1),
      candidate('bob', 0.05),
    ]);
    // UTF-16 order would put U+10000 before U+FFFF; UTF-8 does not.
    assert.deepEqual(
      ranked.map(({ identity }) => identity),
      ['bob', 'zoe', '\uffff', '\u{10000}'],
    );
  });
});
