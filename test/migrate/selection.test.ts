/**
 * The choice on planted relations: a rotation wants the simplest rung, a bent one the kernel; shuffled pairs show that nothing can be learned. Small
 * ladders, so that it takes seconds. Then the evaluation as a whole, which must keep people apart.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import { isHarmonidError } from '../../src/errors.js';
import { evaluateRollout, type RolloutReport } from '../../src/evaluate/rollout.js';
import { formatRolloutReport } from '../../src/evaluate/rollout-table.js';
import { openAlgebra, type Algebra } from '../../src/migrate/dense-algebra.js';
import type { Rung } from '../../src/migrate/ladder.js';
import { pickRows } from '../../src/migrate/matrix.js';
import { foldOf, pairSetDigest, pairsOf, reversed, type PairSet } from '../../src/migrate/pair-set.js';
import { selectRung } from '../../src/migrate/selection.js';
import { makeRandom } from '../../src/random.js';
import { madePairs } from './made-pairs.js';

const rungs: readonly Rung[] = [
  { estimator: 'procrustes' },
  { estimator: 'ridge', ridge: 0.1 },
  { estimator: 'kernel', ridge: 0.01 },
];
const options = { rungs, folds: 3, far: 0.01, fpir: 0.1, seed: 1 };

function shuffled(pairs: PairSet): PairSet {
  const random = makeRandom(9);
  const rows = Array.from({ length: pairs.vectorsTo.rows }, (_, i) => i);
  for (let i = rows.length - 1; i > 0; i--) {
    const other = random.below(i + 1);
    [rows[i], rows[other]] = [rows[other] as number, rows[i] as number];
  }
  return { ...pairs, vectorsTo: pickRows(pairs.vectorsTo, rows) };
}

describe('selection', function () {
  this.timeout(120_000);
  let algebra: Algebra;
  before(async () => {
    algebra = await openAlgebra();
  });
  after(() => algebra.close());

  it('takes the simplest of those that do equally well', async () => {
    // The same model twice.
    const pairs = madePairs({ people: 150 });
    const { chosen, scores } = await selectRung(algebra, { ...pairs, vectorsTo: pairs.vectorsFrom }, options);
    assert.equal(chosen.name, 'procrustes');
    assert.equal(scores.length, 3);
  });

  it('takes the kernel where a linear map does not follow', async () => {
    const { chosen, scores } = await selectRung(algebra, madePairs({ people: 300, bend: 0.7 }), options);
    assert.equal(chosen.rung.estimator, 'kernel', JSON.stringify(scores));
    assert.equal(chosen.behindBest, 0);
  });

  it('says of shuffled pairs that hardly anybody is found', async () => {
    const { chosen } = await selectRung(algebra, shuffled(madePairs({ people: 150 })), options);
    assert.ok(chosen.val < 0.1, `VAL ${chosen.val}`);
  });

  it('ends when told to', async () => {
    await assert.rejects(
      selectRung(algebra, madePairs(), { ...options, signal: AbortSignal.abort() }),
      (error) => isHarmonidError(error) && error.code === 'CANCELLED',
    );
  });
});

describe('pair set', () => {
  it('puts a person into the same fold whoever else is there, and folds are about equal', () => {
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 2000; i++) {
      const fold = foldOf(`person ${i}`, 4);
      counts[fold] = (counts[fold] as number) + 1;
    }
    for (const count of counts) assert.ok(count > 400 && count < 600, counts.join());
  });

  it('has a digest that does not depend on the order, and on everything else', () => {
    const pairs = madePairs({ people: 5 });
    const turned = {
      ...pairs,
      personOf: pairs.personOf.toReversed(),
      vectorsFrom: pickRows(pairs.vectorsFrom, [...pairs.personOf.keys()].toReversed()),
      vectorsTo: pickRows(pairs.vectorsTo, [...pairs.personOf.keys()].toReversed()),
    };
    assert.equal(pairSetDigest(turned), pairSetDigest(pairs));
    const others = [
      reversed(pairs),
      pairsOf(pairs, (person) => person !== 'person 3'),
      { ...pairs, people: pairs.people.toReversed() },
      madePairs({ people: 5, seed: 2 }),
    ];
    assert.equal(new Set([pairs, ...others].map(pairSetDigest)).size, 5);
  });
});

describe('evaluation of a rollout', function () {
  this.timeout(300_000);
  let algebra: Algebra;
  let report: RolloutReport;
  const base = { far: 0.01, fpir: 0.1, selectionFolds: 2, probeMap: false, backfill: false, seed: 1 };
  before(async () => {
    algebra = await openAlgebra();
    const pairs = madePairs({ people: 60, imagesEach: 3 });
    report = await evaluateRollout(algebra, { ...base, backfill: true, split: { kind: 'folds', pairs, folds: 2 } });
  });
  after(() => algebra.close());

  it('tests everybody once, never in the fit, and says how it chose', () => {
    assert.equal(report.people, 60);
    assert.equal(report.images, 180);
    assert.equal(report.genuineComparisons, 60 * 3 * 2);
    assert.equal(
      report.fitPeople.reduce((sum, count) => sum + count, 0),
      60,
    );
    assert.deepEqual(
      report.rows.map(({ row }) => row),
      [
        'old',
        'mapped',
        'fused',
        'new',
        ...['uncertain', 'random'].flatMap((order) => [0.1, 0.3, 0.5].map((share) => `${order}-${share}`)),
      ],
    );
    assert.equal(report.selections.length, 2);
  });

  it('does not speak about a FAR that the comparisons cannot resolve', () => {
    const [row] = report.rows;
    const finest = row?.vals.find(({ far }) => far === 1e-5);
    assert.deepEqual([finest?.support, finest?.val], ['not-measurable', null]);
    assert.match(formatRolloutReport(report), /not measurable/);
    assert.match(formatRolloutReport(report), /mapped gallery, new probe/);
  });

  it('takes whoever is tested out of a given fit, and refuses when hardly anybody is left', async () => {
    const pairs = madePairs({ people: 40 });
    const split = { kind: 'given', fit: pairs, test: pairsOf(pairs, (person) => person.endsWith('7')) } as const;
    const given = await evaluateRollout(algebra, { ...base, split });
    assert.deepEqual([given.people, given.fitPeople], [4, [36]]);
    await assert.rejects(
      evaluateRollout(algebra, { ...base, split: { kind: 'given', fit: pairs, test: pairs } }),
      (error) =>
        isHarmonidError(error) && error.code === 'INVALID_ARGUMENT' && /0 people to fit on/.test(error.message),
    );
  });
});
