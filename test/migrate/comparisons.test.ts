/** Error rates against comparisons that are listed and counted one by one. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import {
  compareAll,
  fnirAt,
  poolComparisons,
  thresholdAt,
  valAt,
  weightedValAt,
  type Comparisons,
} from '../../src/migrate/comparisons.js';
import { openAlgebra, type Algebra } from '../../src/migrate/dense-algebra.js';
import { rowOf } from '../../src/migrate/matrix.js';
import { squaredDistance } from '../../src/vector.js';
import { madePairs } from './made-pairs.js';

describe('comparisons', () => {
  let algebra: Algebra;
  before(async () => {
    algebra = await openAlgebra();
  });
  after(() => algebra.close());

  const pairs = madePairs({ people: 40, noise: 0.6 });
  const compare = (): Promise<Comparisons> =>
    compareAll(algebra, [{ gallery: pairs.vectorsTo, probes: pairs.vectorsTo, weight: 1 }], pairs);

  /** Every comparison, both ways round. */
  function listed(): { genuine: number[]; impostors: number[] } {
    const all = { genuine: [] as number[], impostors: [] as number[] };
    for (let i = 0; i < pairs.vectorsTo.rows; i++)
      for (let j = 0; j < pairs.vectorsTo.rows; j++) {
        if (i === j) continue;
        const distance = squaredDistance(rowOf(pairs.vectorsTo, i), rowOf(pairs.vectorsTo, j));
        (pairs.personOf[i] === pairs.personOf[j] ? all.genuine : all.impostors).push(distance);
      }
    return all;
  }

  it('are all of them, and VAL at FAR is what counting says', async () => {
    const comparisons = await compare();
    const { genuine, impostors } = listed();
    assert.equal(comparisons.genuine.length, genuine.length);
    assert.equal(comparisons.impostorCount, impostors.length);
    for (const far of [0.02, 0.01, 0.001]) {
      const threshold = impostors.toSorted((a, b) => a - b)[Math.floor(far * impostors.length)] as number;
      const expected = genuine.filter((distance) => distance < threshold - 1e-5).length / genuine.length;
      assert.ok(Math.abs(valAt(comparisons, far) - expected) < 0.01, `at ${far}`);
      assert.ok(thresholdAt(comparisons, far) < threshold + 1e-5);
    }
    assert.ok(Number.isNaN(thresholdAt(comparisons, 0.5)), 'nothing is said beyond what was kept');
  });

  it('weigh people: everybody once is everybody, and somebody twice counts twice', async () => {
    const comparisons = await compare();
    const once = new Float64Array(comparisons.peopleCount).fill(1);
    assert.equal(weightedValAt(comparisons, 0.01, once), valAt(comparisons, 0.01));
    const some = once.map((_, person) => (person < 20 ? 2 : 0));
    const half = weightedValAt(comparisons, 0.01, some);
    const few = madeOf(comparisons, (person) => person < 20);
    // Two times twice as many comparisons of half of the people: a FAR of the half alone.
    assert.ok(Math.abs(half - valAt(few, 0.01)) < 0.05, `${half} and ${valAt(few, 0.01)}`);
  });

  it('of several ways are their weighted mean', async () => {
    const channel = { gallery: pairs.vectorsTo, probes: pairs.vectorsTo };
    const split = await compareAll(
      algebra,
      [
        { ...channel, weight: 0.25 },
        { ...channel, weight: 0.75 },
      ],
      pairs,
    );
    const one = await compare();
    one.genuine.forEach((distance, i) => assert.ok(Math.abs(distance - (split.genuine[i] as number)) < 1e-5));
  });

  it('of folds are pooled, and nobody of one fold is somebody of another', async () => {
    const one = await compare();
    const pooled = poolComparisons([one, one]);
    assert.equal(pooled.peopleCount, 2 * one.peopleCount);
    assert.equal(pooled.impostorCount, 2 * one.impostorCount);
    assert.equal(valAt(pooled, 0.01), valAt(one, 0.01));
    assert.equal(new Set(pooled.genuinePeople).size, 2 * one.peopleCount);
  });

  it('tell strangers from the enrolled: FNIR at FPIR, counted by hand', () => {
    const searches = [
      { person: 0, own: 0.1, other: 0.5 },
      { person: 0, own: 0.3, other: 0.2 },
      { person: 1, own: 0.35, other: 0.9 },
      { person: 2, own: 0.7, other: 0.9 },
      { person: 3, own: Infinity, other: 0.4 },
      { person: 4, own: Infinity, other: 0.6 },
    ];
    const comparisons = { searches } as unknown as Comparisons;
    // Nobody unknown may be named: below 0.4. Missed: the second (somebody else is nearer) and the fourth (too far).
    assert.equal(fnirAt(comparisons, 0), 0.5);
    // One of two may: below 0.6.
    assert.equal(fnirAt(comparisons, 0.5), 0.5);
  });
});

function madeOf(all: Comparisons, isKept: (person: number) => boolean): Comparisons {
  const genuine = [...all.genuine.keys()].filter((i) => isKept(all.genuinePeople[i] as number));
  const impostors = [...all.impostors.keys()].filter(
    (i) => isKept(all.impostorPeople[2 * i] as number) && isKept(all.impostorPeople[2 * i + 1] as number),
  );
  return {
    ...all,
    genuine: Float32Array.from(genuine, (i) => all.genuine[i] as number),
    genuinePeople: Uint32Array.from(genuine, (i) => all.genuinePeople[i] as number),
    impostors: Float32Array.from(impostors, (i) => all.impostors[i] as number),
    impostorPeople: Uint32Array.from(
      impostors.flatMap((i) => [all.impostorPeople[2 * i] as number, all.impostorPeople[2 * i + 1] as number]),
    ),
    impostorCount: all.impostorCount / 4,
  };
}
