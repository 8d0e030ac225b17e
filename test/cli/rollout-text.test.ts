/** Method: rollouts written by hand; what people must be able to read is looked for in the text, word by word. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'mocha';
import { reportFailure } from '../../src/cli/failure.js';
import { gatesText, refusedGateLines, reportText, rolloutText, statusText } from '../../src/cli/rollout-text.js';
import type { Paint, Terminal } from '../../src/cli/terminal.js';
import { HarmonidError } from '../../src/errors.js';
import { rolloutStates, type Gate } from '../../src/migrate/rollout.js';
import { draft, gates, grown, report } from '../support/rollouts.js';

const paint: Paint = (_, text) => text;

const refused: Gate = {
  gate: 'negative-flips',
  verdict: 'refused',
  message: '2.1 % of the searches are lost',
  remedy: 'collect pairs of more people',
  value: 0.0213,
  interval: [0.01, 0.03],
  wanted: 0.005,
  overruled: false,
};

describe('a rollout as text', () => {
  it('says in every state where it stands, and which command goes on', () => {
    const texts = Object.fromEntries(
      rolloutStates.map((state) => [state, rolloutText(paint, { ...draft, state, pairs: { pairs: 3, people: 2 } })]),
    );
    for (const state of rolloutStates)
      assert.match(texts[state] ?? '', new RegExp(`^gallery lobby: ${state}, from old to`));
    assert.match(
      rolloutText(paint, draft),
      /`harmonid rollout pairs lobby --images DIR`, or `harmonid rollout probes lobby --collect-pairs`$/,
    );
    assert.match(texts['draft'] ?? '', /`harmonid rollout fit lobby`$/);
    assert.match(texts['fitted'] ?? '', /`harmonid rollout shadow lobby --overrule GATE`$/);
    assert.match(texts['gated'] ?? '', /`harmonid rollout shadow lobby`$/);
    assert.match(texts['canary'] ?? '', /`harmonid rollout activate lobby`$/);
    assert.match(texts['active'] ?? '', /`harmonid rollout complete lobby`$/);
    assert.doesNotMatch(texts['rolled-back'] ?? '', /next/);
  });

  it('status has counts by origin, live probes, the alarm and the journal', () => {
    const text = statusText(paint, grown);
    assert.match(text, /^state +canary$/m);
    assert.match(text, /^to +arcface-r50: new, 512 dimensions$/m);
    assert.match(text, /^pairs +3000 of 700 people$/m);
    assert.match(text, /^templates +12 of 12 in the new space: 7 mapped, 2 native, 3 embedded again$/m);
    assert.match(text, /^canary +0\.0 % of the probes; groups: staff, night$/m);
    assert.match(text, /^shadow +90 probes compared, 80 found in both; 1 negative flip, 2 positive flips$/m);
    assert.match(text, /^distances +mean 0\.000 old, 0\.700 new$/m);
    assert.match(text, /^live probes +50\.0 % through both models, kept as pairs for 30 days$/m);
    assert.match(
      text,
      /^erased +2 people of this fit since; a rollback, another start and another fit takes them out/m,
    );
    assert.match(text, /^alarm +too many flips$/m);
    assert.match(text, /^1 +2026-11-23 22:34:13Z +draft +now draft$/m);
    assert.match(text, /^9 .* rolled-back +now rolled-back$/m);
    assert.doesNotMatch(statusText(paint, draft), /alarm|distances|canary|erased|live probes/);
  });

  it('gates stand in a table, and below it what would help those that refuse', () => {
    const text = gatesText(paint, [...gates, refused]);
    assert.match(text, /^enough-people +passed +0\.9 +0\.85 to 0\.95 +0\.8 /m);
    assert.match(text, /^collapse +refused, overruled +0 +0 to 0 +0 +Zürich$/m);
    assert.match(text, /^groups +not-measurable +- +- +-$/m);
    assert.match(text, /^negative-flips +refused +0\.0213 +0\.01 to 0\.03 +0\.005 +2\.1 % of the searches are lost$/m);
    assert.match(text, /\nnegative-flips: collect pairs of more people$/);
    // Overruled gates need no help.
    assert.doesNotMatch(text, /collapse: more pairs/);
  });

  it('a report has its figures, its gates, its estimators, its thresholds, and who is lost', () => {
    const text = reportText(paint, report);
    assert.match(text, /^VAL @ FAR 1e-3 +80\.0 % staying, 85\.0 % mapped$/m);
    assert.match(text, /^update gain +0\.50$/m);
    assert.match(text, /^people lost +anna \(1 of 3 searches\)$/m);
    assert.match(text, /^ridge +90\.0 % +10\.0 % +0\.0 % ± 1\.0 %$/m);
    assert.match(text, /^old +native +1\.250 +100000$/m);
    assert.match(text, /^old +old +not-measurable +100000$/m);
    assert.match(text, /^enough-people +passed/m);
  });
});

describe('a gate that refuses', () => {
  const error = new HarmonidError('GATE_REFUSED', 'gate negative-flips refuses', { details: { gates: [refused] } });

  it('is named with value, wanted value and remedy', () => {
    assert.deepEqual(refusedGateLines(error.details), [
      'negative-flips: 2.1 % of the searches are lost (value 0.0213, wanted 0.005)',
      '  collect pairs of more people',
    ]);
    const unknown = { gate: 'graph', message: 'the graph finds 91 % of them' };
    assert.deepEqual(refusedGateLines({ gates: [unknown] }), ['graph: the graph finds 91 % of them']);
    for (const details of [{}, { gates: 'all' }, { gates: [null, 3, { gate: 3 }] }]) {
      assert.deepEqual(refusedGateLines(details), []);
    }
  });

  it('is printed where a command fails, before what to do next; with --json it is in the details', async () => {
    for (const json of [false, true]) {
      const stderr = new PassThrough();
      const terminal = { stderr, colour: false, interrupt: new AbortController().signal } as unknown as Terminal;
      assert.equal(reportFailure(terminal, error, { json, verbose: false, command: 'harmonid rollout shadow' }), 1);
      stderr.end();
      const text = Buffer.concat(await stderr.toArray()).toString();
      if (json) {
        const printed = JSON.parse(text) as { error: { code: string; details: { gates: Gate[] }; next: string } };
        assert.equal(printed.error.code, 'GATE_REFUSED');
        assert.deepEqual(printed.error.details.gates, [refused]);
        assert.match(printed.error.next, /--overrule/);
      } else {
        assert.match(
          text,
          /^harmonid: gate negative-flips refuses \(GATE_REFUSED\)\n {2}negative-flips: .*\(value 0\.0213, wanted 0\.005\)\n {4}collect pairs of more people\n {2}`harmonid rollout report/,
        );
      }
    }
  });
});
