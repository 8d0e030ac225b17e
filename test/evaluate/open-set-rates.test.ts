/**
 * Against a table worked out by hand, and against a model that lays out the searches of everybody who was drawn, as often as drawn, and tries every
 * threshold. Random distances lie on a grid, so that ties are common.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { openSetRates, replicates, type Outcome } from '../../src/evaluate/open-set-rates.js';
import { drawPeople } from '../../src/migrate/comparisons.js';
import { makeRandom } from '../../src/random.js';

const mated = (person: number, distance: number | null): Outcome => ({ kind: 'mated', person, distance });
const nonMated = (person: number, distance: number | null): Outcome => ({ kind: 'non-mated', person, distance });

function near(actual: number | null | undefined, expected: number): void {
  assert.ok(typeof actual === 'number' && Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);
}

/** The lowest FNIR of all thresholds whose FPIR is low enough. */
function bruteFnir(outcomes: readonly Outcome[], fpir: number): number {
  const of = (kind: Outcome['kind']): readonly number[] =>
    outcomes.filter((one) => one.kind === kind).map(({ distance }) => distance ?? 99);
  const [own, strangers] = [of('mated'), of('non-mated')];
  let best = Number.NaN;
  for (let threshold = -0.01; threshold < 4; threshold += 0.02) {
    const named = strangers.filter((distance) => distance <= threshold).length;
    if (named > fpir * strangers.length + 1e-9) break;
    best = own.filter((distance) => distance > threshold).length / own.length;
  }
  return best;
}

describe('rates of open-set searches', () => {
  const table = [
    mated(0, 0.1),
    mated(0, 0.5),
    mated(1, null),
    mated(2, 0.3),
    nonMated(3, 0.2),
    nonMated(3, 0.6),
    nonMated(4, 0.4),
    nonMated(5, null),
  ];
  const question = { fpirs: [0.5, 0.25, 0.1], threshold: 0.3, peopleCount: 6, seed: 1 };

  it('of the table', () => {
    const { rank1, atFpir, atThreshold, det } = openSetRates(table, question);
    // Three of four come first. Within 0.3 are 0.1 and 0.3 of the mated, and 0.2 of the four others.
    near(rank1.value, 0.75);
    near(atThreshold.fnir.value, 0.5);
    near(atThreshold.fpir.value, 0.25);
    // Two of four strangers may pass: below 0.6, and halfway to 0.5; one: below 0.4, halfway to 0.3.
    const [half, quarter, tenth] = atFpir;
    near(half?.fnir?.value, 0.25);
    near(half?.threshold, 0.55);
    near(quarter?.fnir?.value, 0.5);
    near(quarter?.threshold, 0.35);
    assert.deepEqual([half?.falsePositives, quarter?.falsePositives, half?.support], [2, 1, 'coarse']);
    assert.deepEqual(tenth, {
      fpir: 0.1,
      support: 'not-measurable',
      fnir: null,
      threshold: null,
      falsePositives: null,
    });
    // From 0.5 down to 1 of 4: 0.5, 0.375, 0.281.
    assert.deepEqual(
      det.map(({ fnir }) => fnir.value),
      [0.25, 0.5, 0.5],
    );
  });

  it('0.1 of 30 strangers are three, whatever the rounding', () => {
    const outcomes = [
      mated(0, 0.35),
      mated(0, 0.45),
      ...Array.from({ length: 30 }, (_, i) => nonMated(1, (i + 1) / 10)),
    ];
    const [tenth] = openSetRates(outcomes, { fpirs: [0.1], threshold: 1, peopleCount: 2, seed: 1 }).atFpir;
    assert.deepEqual([tenth?.falsePositives, tenth?.fnir?.value], [3, 0.5]);
  });

  it('agrees with the model, intervals too', () => {
    const random = makeRandom(20110620);
    const onGrid = (low: number): number | null =>
      random.below(10) === 0 ? null : Math.round((low + random.uniform()) * 25) / 25;
    for (let round = 0; round < 5; round++) {
      const peopleCount = 12;
      const outcomes = Array.from({ length: 60 }, (): Outcome => {
        const person = random.below(peopleCount);
        return person < 6 ? mated(person, onGrid(0)) : nonMated(person, onGrid(0.3));
      });
      const { atFpir } = openSetRates(outcomes, { fpirs: [0.3, 0.1], threshold: 0.5, peopleCount, seed: round });
      for (const { fpir, fnir } of atFpir) {
        near(fnir?.value, bruteFnir(outcomes, fpir));
        const draws = makeRandom(round);
        const drawn = Array.from({ length: replicates }, () => {
          const weights = drawPeople(peopleCount, draws);
          const laidOut = outcomes.flatMap((one) => Array.from({ length: weights[one.person] ?? 0 }, () => one));
          return bruteFnir(laidOut, fpir);
        });
        const shown = drawn.filter((value) => !Number.isNaN(value)).toSorted((a, b) => a - b);
        near(fnir?.interval[0], shown[Math.round(0.025 * (shown.length - 1))] ?? -1);
        near(fnir?.interval[1], shown[Math.round(0.975 * (shown.length - 1))] ?? -1);
      }
    }
  });
});
