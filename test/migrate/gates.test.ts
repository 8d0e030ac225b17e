/** Gates on comparisons made by hand: what lets an adapter pass, what refuses it, and what is not known. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { histogramBins, type Comparisons, type Search } from '../../src/migrate/comparisons.js';
import { askGates, isRefusing, type GateQuestion } from '../../src/migrate/gates.js';
import type { Gate, GateName } from '../../src/migrate/rollout.js';
import { makeRandom } from '../../src/random.js';

const peopleCount = 200;

interface Made {
  /** Searches of a stranger and of somebody enrolled, each. */
  readonly searches: number;
  /** Nearest template of the own person, from 0.2 on, and how far these spread. */
  readonly spread: number;
  /** Share of the enrolled who are as far as strangers. */
  readonly missed: number;
  /** Share of the strangers who are as near as the enrolled. */
  readonly intruders: number;
}

/** Strangers lie from 1 to 2; genuine and impostor comparisons as the searches. */
function made({ searches: count, spread, missed, intruders }: Made): Comparisons {
  const random = makeRandom(5);
  const searches: Search[] = [];
  const stranger = (i: number): number => (i < intruders * count ? 0.25 : 1 + random.uniform());
  for (let i = 0; i < count; i++) {
    const person = i % peopleCount;
    const own = i < missed * count ? 1.9 : 0.2 + spread * random.uniform();
    searches.push({ person, own, other: 2 }, { person, own: Infinity, other: stranger(i) });
  }
  const people = Uint32Array.from({ length: count }, (_, i) => i % peopleCount);
  const impostors = Float32Array.from({ length: count }, (_, i) => stranger(i)).toSorted();
  return {
    genuine: Float32Array.from(searches.filter(({ own }) => own < Infinity).map(({ own }) => own)).toSorted(),
    genuinePeople: people,
    impostors,
    impostorPeople: Uint32Array.from({ length: 2 * count }, (_, i) => (i * 7 + (i % 2)) % peopleCount),
    impostorCount: count,
    impostorHistogram: new Float64Array(histogramBins),
    searches,
    peopleCount,
  };
}

const good: Made = { searches: 4_000, spread: 0.1, missed: 0.1, intruders: 0 };

function ask(
  gate: GateName,
  old: Partial<Made>,
  mapped: Partial<Made>,
  changes: Partial<GateQuestion> = {},
): Gate | undefined {
  const [before, after] = [made({ ...good, ...old }), made({ ...good, ...mapped })];
  const people = Array.from({ length: peopleCount }, (_, i) => `person ${i}`);
  const question: GateQuestion = {
    compared: { old: before, mapped: after, fused: after, new: after },
    people,
    participation: 0.9,
    oldShare: 0.5,
    far: 0.01,
    fpir: 0.01,
    seed: 1,
    groupsOf: () => [],
    belonging: 1,
    ...changes,
  };
  return askGates(question).find((one) => one.gate === gate);
}

describe('gates', () => {
  it('identification: no worse at FPIR 1 % passes, worse is refused', () => {
    assert.equal(ask('identification', {}, {})?.verdict, 'passed');
    assert.equal(ask('identification', {}, { missed: 0.05 })?.verdict, 'passed');
    const worse = ask('identification', {}, { missed: 0.2 });
    assert.equal(worse?.verdict, 'refused');
    assert.match(worse.message, /FNIR at FPIR 0\.01 is 20\.00 % mapped and 10\.00 % when staying/);
    assert.notEqual(worse.remedy, '');
  });

  it('identification: also at FPIR 0.1 %, where there are searches enough', () => {
    // Half a percent of intruders: nothing at FPIR 1 %, everybody at 0.1 %.
    const [hidden, many] = [{ intruders: 0.005 }, { searches: 31_000 }];
    const strict = ask('identification', many, { ...many, ...hidden });
    assert.equal(strict?.verdict, 'refused');
    assert.match(strict.message, /FNIR at FPIR 0\.001 /);
    const unknown = ask('identification', {}, hidden);
    assert.equal(unknown?.verdict, 'passed');
    assert.match(unknown.message, /at FPIR 0\.001 it is not known with 4000 searches of strangers, 30000 are wanted/);
  });

  it('identification: is not measurable with few searches, and that refuses', () => {
    const few = { searches: 2_000 };
    const gate = ask('identification', few, few);
    assert.equal(gate?.verdict, 'not-measurable');
    assert.ok(isRefusing(gate));
    assert.ok(!isRefusing({ ...gate, overruled: true }));
  });

  it('compatibility: better than staying passes, as good by chance or worse is refused', () => {
    assert.equal(ask('compatibility', {}, { missed: 0.05 })?.verdict, 'passed');
    assert.equal(ask('compatibility', {}, { missed: 0.2 })?.verdict, 'refused');
  });

  it('negative flips: few who are lost pass, more than one in two hundred do not', () => {
    assert.equal(ask('negative-flips', {}, { missed: 0.104 })?.verdict, 'passed');
    const lost = ask('negative-flips', {}, { missed: 0.11 });
    assert.equal(lost?.verdict, 'refused');
    assert.match(lost.message, /^40 of 4000 searches find somebody when staying and not when mapped/);
  });

  it('collapse, belonging and people are limits', () => {
    assert.equal(ask('collapse', {}, {}, { participation: 0.79 })?.verdict, 'refused');
    assert.equal(ask('collapse', {}, {}, { participation: 0.8 })?.verdict, 'passed');
    assert.equal(ask('belonging', {}, {}, { belonging: 0.5 })?.verdict, 'refused');
    assert.equal(ask('belonging', {}, {}, { belonging: null })?.verdict, 'not-applicable');
    assert.equal(ask('enough-people', {}, {}, { people: ['one'] })?.verdict, 'not-measurable');
  });

  it('groups: one whose misses grow beside those of all is refused by name', () => {
    const groupsOf = (person: string): readonly string[] => (Number(person.split(' ')[1]) < 100 ? ['night'] : ['day']);
    assert.equal(ask('groups', {}, {}, { groupsOf })?.verdict, 'passed');
    assert.equal(ask('groups', {}, {})?.verdict, 'not-applicable');
  });
});
