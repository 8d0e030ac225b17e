/** Method: days at a door, written by hand; the week of Monday, 23 November 2026, in the time zone of the process. */
import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { DecisionLog, verdictText, type DecisionLine } from '../../examples/door-controller/decision-log.js';
import { agreedOn, counted, isHeld, isOpenTo, judge } from '../../examples/door-controller/rules.js';
import type { Opening, Sighting } from '../../examples/door-controller/rules.js';

const monday = 23;
/** A time in the week, local. */
const on = (day: number, hour: number, minute = 0, second = 0): Date => new Date(2026, 10, day, hour, minute, second);

const ada = { identity: 'ada', groups: ['staff'] };
const bea = { identity: 'bea', groups: ['cleaners'] };
const seen = (...who: Sighting['who'][]): Sighting[] =>
  who.map((each, second) => ({ at: on(monday, 8, 0, second), who: each }));

describe('agreement of frames', () => {
  it('takes as many as are wanted, in any order and with others between', () => {
    assert.equal(agreedOn(seen(ada, ada), 3), undefined);
    assert.equal(agreedOn(seen(ada, ada, ada), 3), ada);
    assert.equal(agreedOn(seen(ada, 'nobody', ada, bea, ada), 3), ada);
    assert.equal(agreedOn(seen('stranger', 'stranger', ada, 'stranger'), 3), 'stranger');
  });

  it('is never on nobody', () => {
    assert.equal(agreedOn([], 1), undefined);
    assert.equal(agreedOn(seen('nobody', 'nobody', 'nobody'), 1), undefined);
  });

  it('of two people is on whom the newest frames show', () => {
    assert.equal(agreedOn(seen(ada, ada, bea, bea), 2), bea);
  });

  it('counts the newest frames only, and no old ones', () => {
    const agreement = { framesMin: 2, framesOf: 3, ageMsMax: 2_000 };
    const sightings = seen(ada, ada, bea, 'nobody', bea);
    assert.deepEqual(counted(sightings, on(monday, 8, 0, 4), agreement), sightings.slice(2));
    assert.deepEqual(counted(sightings, on(monday, 8, 0, 5), agreement), sightings.slice(3));
    assert.deepEqual(counted(sightings, on(monday, 9), agreement), []);
  });
});

describe('a hold', () => {
  it('lasts its time, to the millisecond', () => {
    const at = on(monday, 8);
    assert.equal(isHeld(undefined, at, 5_000), false);
    assert.equal(isHeld(at, new Date(at.getTime() + 4_999), 5_000), true);
    assert.equal(isHeld(at, new Date(at.getTime() + 5_000), 5_000), false);
  });
});

describe('opening hours', () => {
  const openings: Opening[] = [
    { group: 'staff', days: [1, 2, 3, 4, 5], from: '07:00', until: '19:00' },
    { group: 'guards', days: [5], from: '22:00', until: '06:00' },
    { group: 'always', days: [0, 1, 2, 3, 4, 5, 6], from: '00:00', until: '24:00' },
  ];

  it('hold from their first minute to before their last, on their days', () => {
    const open = (day: number, hour: number, minute = 0): boolean =>
      isOpenTo(['staff'], openings, on(day, hour, minute));
    assert.deepEqual(
      [open(monday, 6, 59), open(monday, 7), open(monday, 18, 59), open(monday, 19)],
      [false, true, true, false],
    );
    assert.equal(open(monday - 1, 12), false);
  });

  it('go past midnight into the day after', () => {
    const friday = monday + 4;
    const open = (day: number, hour: number): boolean => isOpenTo(['guards'], openings, on(day, hour));
    assert.deepEqual(
      [open(friday, 21), open(friday, 22), open(friday + 1, 5), open(friday + 1, 6)],
      [false, true, true, false],
    );
    assert.deepEqual([open(friday, 5), open(friday + 1, 22)], [false, false]);
  });

  it('are those of any of the groups, and of no other', () => {
    assert.equal(isOpenTo(['visitors', 'always'], openings, on(monday, 3)), true);
    assert.equal(isOpenTo(['visitors'], openings, on(monday, 12)), false);
    assert.equal(isOpenTo([], openings, on(monday, 12)), false);
  });

  it('that are none are refused', () => {
    const wrong: Opening = { group: 'staff', days: [1], from: '7 am', until: '19:00' };
    assert.throws(() => isOpenTo(['staff'], [wrong], on(monday, 12)), /7 am/);
  });
});

describe('the verdict', () => {
  const openings: Opening[] = [{ group: 'staff', days: [1], from: '07:00', until: '19:00' }];
  const at = on(monday, 12);
  const [empty, inside] = [new Set<string>(), new Set(['ada'])];

  it('lets in who may come and is not inside', () => {
    assert.equal(judge(ada, 'in', { inside: empty, openings, at }), 'opened');
    assert.equal(judge(ada, 'in', { inside, openings, at }), 'already-inside');
    assert.equal(judge(ada, 'in', { inside: empty, openings, at: on(monday, 20) }), 'not-permitted');
    assert.equal(judge(bea, 'in', { inside: empty, openings, at }), 'not-permitted');
  });

  it('lets everybody out who is known, at any time', () => {
    assert.equal(judge(ada, 'out', { inside, openings, at: on(monday, 23) }), 'opened');
    assert.equal(judge(bea, 'out', { inside: empty, openings, at }), 'opened');
  });

  it('opens to no stranger', () => {
    assert.equal(judge('stranger', 'in', { inside: empty, openings, at }), 'stranger');
    assert.equal(judge('stranger', 'out', { inside: empty, openings, at }), 'stranger');
  });
});

describe('the log of decisions', () => {
  const line = (
    identity: string,
    direction: 'in' | 'out',
    verdict: DecisionLine['verdict'] = 'opened',
  ): DecisionLine => ({
    at: on(monday, 8).toISOString(),
    door: 'north',
    direction,
    identity,
    verdict,
    sequence: 1,
  });

  it('tells people the rate of a decision where there is one', () => {
    assert.equal(verdictText(line('ada', 'in')), 'opened');
    assert.equal(verdictText({ ...line('ada', 'in'), fpir: 0.000_212 }), 'opened, FPIR 0.0002');
    assert.equal(verdictText({ ...line('bea', 'in', 'not-permitted'), fpir: 0 }), 'not-permitted, FPIR 0');
  });

  it('tells who is inside when it is opened again, without a last line that was cut', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'harmonid-door-'));
    try {
      const path = join(folder, 'decisions.jsonl');
      const first = await DecisionLog.open(path);
      for (const each of [
        line('ada', 'in'),
        line('bea', 'in', 'not-permitted'),
        line('cleo', 'in'),
        line('cleo', 'in', 'not-opened'),
        line('dora', 'in'),
        line('dora', 'out'),
        line('eve', 'in'),
        line('eve', 'out'),
        line('eve', 'out', 'not-opened'),
        // Nobody saw her come in.
        line('fay', 'out'),
        line('fay', 'out', 'not-opened'),
      ]) {
        await first.append(each);
      }
      await first.close();
      await appendFile(path, '{"at":"2026-11-2');
      const again = await DecisionLog.open(path);
      assert.deepEqual(again.inside, new Set(['ada', 'eve']));
      await again.append(line('ada', 'out'));
      assert.deepEqual(again.inside, new Set(['eve']));
      await again.close();
      const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
      assert.deepEqual(JSON.parse(lines.at(-1) ?? ''), line('ada', 'out'));
      assert.equal(lines.length, 12);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
