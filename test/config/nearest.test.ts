/** Method: distances that the literature gives, and names that people mistype. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { editDistance, nearest } from '../../src/config/nearest.js';

describe('the nearest name', () => {
  it('goes by the distance of Damerau, with neighbours swapped', () => {
    // The first two are the textbook examples of Levenshtein; of "ca" and "abc" optimal string alignment makes 3.
    for (const [a, b, distance] of [
      ['kitten', 'sitting', 3],
      ['saturday', 'sunday', 3],
      ['ca', 'abc', 3],
      ['levle', 'level', 1],
      ['', 'abc', 3],
      ['abc', 'abc', 0],
    ] as const) {
      assert.equal(editDistance(a, b), distance, `${a}, ${b}`);
      assert.equal(editDistance(b, a), distance, `${b}, ${a}`);
    }
  });

  it('is none where none is near', () => {
    const names = ['data', 'listen', 'log'];
    assert.equal(nearest('lisen', names), 'listen');
    assert.equal(nearest('LISTEN', names), 'listen');
    assert.equal(nearest('zebra', names), undefined);
    assert.equal(nearest('', names), undefined);
    assert.equal(nearest('log', []), undefined);
  });
});
