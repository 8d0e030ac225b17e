/** Parses lists written here by hand, after the description of LFW's format; expected pairs are written out. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { isHarmonidError } from '../../src/errors.js';
import { parsePairs, photosOf } from '../../src/evaluate/pairs.js';

const good = ['2\t1', 'Ann_Lee\t1\t12', 'Ann_Lee\t2\tBob\t1', 'Cy\t1\t2', 'Cy\t1\tDi\t3'];

describe('pairs', () => {
  it('reads folds, genuine and impostor pairs', () => {
    const { folds, pairsPerFold } = parsePairs(`${good.join('\n')}\n`, 'pairs.txt');
    assert.equal(pairsPerFold, 1);
    assert.deepEqual(folds, [
      [
        { a: 'Ann_Lee/Ann_Lee_0001', b: 'Ann_Lee/Ann_Lee_0012', genuine: true },
        { a: 'Ann_Lee/Ann_Lee_0002', b: 'Bob/Bob_0001', genuine: false },
      ],
      [
        { a: 'Cy/Cy_0001', b: 'Cy/Cy_0002', genuine: true },
        { a: 'Cy/Cy_0001', b: 'Di/Di_0003', genuine: false },
      ],
    ]);
  });

  it('names every photo once', () => {
    assert.deepEqual(photosOf(parsePairs(good.join('\n'), 'pairs.txt')), [
      'Ann_Lee/Ann_Lee_0001',
      'Ann_Lee/Ann_Lee_0012',
      'Ann_Lee/Ann_Lee_0002',
      'Bob/Bob_0001',
      'Cy/Cy_0001',
      'Cy/Cy_0002',
      'Di/Di_0003',
    ]);
  });

  it('reads Windows line ends, a byte order mark, blanks for tabs, and names with blanks between tabs', () => {
    const text = '\uFEFF2 1\r\nAnn 1 2\r\nAnn 1 Bob 1\r\nDi Lo\t1\t2\r\nDi Lo\t1\tEd\t1\r\n\r\n';
    assert.deepEqual(
      parsePairs(text, 'pairs.txt').folds[1]?.map(({ a }) => a),
      ['Di Lo/Di Lo_0001', 'Di Lo/Di Lo_0001'],
    );
  });

  const replaced = (line: number, text: string): string => good.with(line - 1, text).join('\n');
  const wrong: readonly [string, string, number, RegExp][] = [
    ['an empty file', '', 1, /folds<TAB>pairs per fold/],
    ['a header of one number', replaced(1, '1100'), 1, /found "1100"/],
    ['a single fold', '1\t1\nA\t1\t2\nA\t1\tB\t1', 1, /at least two folds/],
    ['a missing line', good.slice(0, -1).join('\n'), 5, /5 lines; the file has 4/],
    ['a line too many', [...good, 'A\t1\t2'].join('\n'), 6, /5 lines; the file has 6/],
    ['an impostor where a genuine pair belongs', replaced(2, 'A\t1\tB\t1'), 2, /expected a genuine pair/],
    ['a genuine pair where an impostor belongs', replaced(5, 'A\t1\t2'), 5, /expected an impostor pair/],
    ['photo 0', replaced(2, 'A\t0\t2'), 2, /start at 1/],
    ['a number with a sign', replaced(2, 'A\t1\t-2'), 2, /start at 1/],
    ['the same photo twice', replaced(4, 'A\t2\t2'), 4, /needs two photos/],
    ['an impostor pair of one person', replaced(3, 'A\t1\tA\t2'), 3, /needs two people/],
    ['a name that leaves the folder', replaced(4, '../A\t1\t2'), 4, /not a folder's name/],
    ['a name that is the parent folder', replaced(4, '..\t1\t2'), 4, /not a folder's name/],
  ];
  for (const [what, text, line, message] of wrong) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => parsePairs(text, 'my/pairs.txt'),
        (error: unknown) =>
          isHarmonidError(error) &&
          error.code === 'INVALID_ARGUMENT' &&
          error.message.startsWith(`my/pairs.txt, line ${line}: `) &&
          message.test(error.message),
      );
    });
  }
});
