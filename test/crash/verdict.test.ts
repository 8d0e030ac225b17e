/**
 * Method: a ledger and findings made by hand, one fault in each; the crash test's judgement must name it, and must pass what a crash may
 * leave. Otherwise a run that finds nothing would prove nothing.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { parseVector, type UnitVector } from '../../src/vector.js';
import { Ledger, type Person, type PersonState } from './ledger.js';
import type { Found } from './testimony.js';
import { judge, outcomesInFlight } from './verdict.js';

const [east, north, west] = [vector(1, 0), vector(0, 1), vector(-1, 0)];

function vector(...values: readonly number[]): UnitVector {
  return parseVector(values, 2, 'a test');
}

function person(version: number, templates: readonly (readonly [number | null, UnitVector])[]): Person {
  return {
    label: 'someone',
    groups: ['day'],
    attributes: {},
    version,
    templates: templates.map(([template, vector]) => ({ template, vector })),
  };
}

/** ann has template 1; bob was erased; cid is being given two templates more, beside 3. */
function writtenLedger(): Ledger {
  const ledger = new Ledger();
  ledger.begin('ann', 'enroll', person(1, [[null, east]]));
  ledger.acknowledge('ann', 1, [1]);
  ledger.begin('bob', 'enroll', person(1, [[null, north]]));
  ledger.acknowledge('bob', 2, [2]);
  ledger.begin('bob', 'erase', null);
  ledger.acknowledge('bob', 3);
  ledger.begin('cid', 'enroll', person(1, [[null, west]]));
  ledger.acknowledge('cid', 4, [3]);
  ledger.begin(
    'cid',
    'add templates',
    person(2, [
      [3, west],
      [null, north],
      [null, east],
    ]),
  );
  return ledger;
}

const ann = person(1, [[1, east]]);
const cid = person(1, [[3, west]]);
const cidAfter = person(2, [
  [3, west],
  [4, north],
  [5, east],
]);

/** What a directory with these people shows when nothing else is wrong with it. */
function found(people: Readonly<Record<string, Person>>, change: Partial<Found> = {}): Found {
  const templates = Object.entries(people).flatMap(([identity, each]) =>
    each.templates.flatMap(({ template }) => (template === null ? [] : { identity, template })),
  );
  return {
    openedFrom: 'checkpoint',
    sequence: 4,
    identityCount: Object.keys(people).length,
    templateCount: templates.length,
    people: new Map(Object.entries(people)),
    exported: new Map(templates.map(({ identity, template }) => [template, identity])),
    members: new Map([['day', Object.keys(people)]]),
    searches: templates.map((each) => ({ ...each, exact: { ...each, distance: 0 }, graph: { ...each, distance: 0 } })),
    broughtUp: new Map([['bob', ['ann']]]),
    strayFiles: [],
    warnings: [],
    ...change,
  };
}

function faults(people: Readonly<Record<string, Person>>, change: Partial<Found> = {}): string[] {
  return judge(writtenLedger().page(), found(people, change));
}

describe('verdict of the crash test', () => {
  it('passes the acknowledged state, and that with the attempt in flight done', () => {
    assert.deepEqual(faults({ ann, cid }), []);
    assert.deepEqual(faults({ ann, cid: cidAfter }), []);
    const page = writtenLedger().page();
    const outcome = (state: Person): unknown => outcomesInFlight(page, found({ ann, cid: state }));
    assert.deepEqual(outcome(cid), [{ kind: 'add templates', isApplied: false }]);
    assert.deepEqual(outcome(cidAfter), [{ kind: 'add templates', isApplied: true }]);
  });

  const wrongPeople: Readonly<Record<string, readonly [Readonly<Record<string, Person>>, RegExp]>> = {
    'a person lost': [{ cid }, /^ann is lost: acknowledged/],
    'a person resurrected': [{ ann, bob: person(1, [[2, north]]), cid }, /^bob is resurrected/],
    'a person from nowhere': [{ ann, cid, dan: person(1, [[9, east]]) }, /^dan was never enrolled/],
    'an enrolment done twice': [
      {
        ann: person(2, [
          [1, east],
          [6, east],
        ]),
        cid,
      },
      /^ann is doubled/,
    ],
    'half an enrolment': [
      {
        ann,
        cid: person(2, [
          [3, west],
          [4, north],
        ]),
      },
      /^cid is neither/,
    ],
    'an update lost': [{ ann: { ...ann, label: 'other' }, cid }, /^ann is neither/],
    'a vector changed': [{ ann: person(1, [[1, north]]), cid }, /^ann is neither/],
  };
  for (const [name, [people, expected]] of Object.entries(wrongPeople)) {
    it(`names ${name}`, () => assert.match(faults(people)[0] ?? 'nothing', expected));
  }

  const wrongRest: Readonly<Record<string, readonly [Partial<Found>, RegExp]>> = {
    'a sequence that went back': [{ sequence: 3 }, /sequence is 3, 4 was acknowledged/],
    'identities counted wrongly': [{ identityCount: 3 }, /3 identities are counted, 2 listed/],
    'templates counted wrongly': [{ templateCount: 9 }, /9 templates are counted, 2 exported/],
    'a template exported for another': [
      {
        exported: new Map([
          [1, 'cid'],
          [3, 'cid'],
        ]),
      },
      /exported for cid/,
    ],
    'a group that lacks somebody': [{ members: new Map([['day', ['cid']]]) }, /group day lists cid/],
    'a person whom the graph does not find': [
      {
        searches: [{ identity: 'ann', template: 1, exact: { identity: 'ann', template: 1, distance: 0 }, graph: null }],
      },
      /graph search for ann 1 finds null/,
    ],
    'an erased person in an answer': [{ broughtUp: new Map([['bob', ['bob']]]) }, /bob, which was erased, names bob/],
    'a file left over': [{ strayFiles: ['graphs/.part-1'] }, /stray file/],
    'a warning': [{ warnings: ['a graph file cannot be used'] }, /opening warned/],
  };
  for (const [name, [change, expected]] of Object.entries(wrongRest)) {
    it(`names ${name}`, () => assert.match(faults({ ann, cid }, change)[0] ?? 'nothing', expected));
  }

  it('names a template number that is used again', () => {
    const ledger = writtenLedger();
    const reused: PersonState = person(2, [
      [3, west],
      [2, east],
      [5, east],
    ]);
    ledger.settle('cid', cid);
    ledger.begin(
      'cid',
      'add templates',
      person(2, [
        [3, west],
        [null, east],
        [null, east],
      ]),
    );
    const [first] = judge(ledger.page(), found({ ann, cid: reused }));
    assert.match(first ?? 'nothing', /template 2 of cid has another vector/);
  });
});
