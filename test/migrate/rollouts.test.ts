/**
 * Method: a gallery of vectors whose relation to those of the other space is known (made-pairs.ts) is moved by the library's calls through every
 * state, with people enrolled on the way, searched in both spaces, closed and opened in between. Fits use the linear rungs, so that they take
 * seconds.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, it } from 'mocha';
import type { Database, ExportedTemplate, FitReport, GateName, PairSample, Rollout } from '../../src/api.js';
import { openDatabase } from '../../src/database.js';
import { isHarmonidError } from '../../src/errors.js';
import type { PairSet } from '../../src/migrate/pair-set.js';
import { rowOf } from '../../src/migrate/matrix.js';
import { temporaryFolder } from '../support/database.js';
import { madePairs } from './made-pairs.js';

const gallery = 'lobby';
const [old, fresh] = ['old:1', 'new:1'];
const target = { space: fresh, dimensions: 512, threshold: 0.2 };
const estimators = ['procrustes', 'ridge'] as const;
/** What a few hundred made people cannot show. */
const overrule: readonly GateName[] = ['identification', 'negative-flips', 'collapse'];
const made: PairSet = madePairs({ people: 320, imagesEach: 2, dimensionsTo: 512, noise: 0.1, bend: 0 });
/** Beyond these are people who are in no pair. */
const pairPeople = 260;

interface Face {
  readonly person: string;
  readonly from: Float32Array;
  readonly to: Float32Array;
}

const faces: readonly Face[] = Array.from(made.personOf, (person, row) => ({
  person: made.people[person] ?? '',
  from: rowOf(made.vectorsFrom, row),
  to: rowOf(made.vectorsTo, row),
}));
const firsts = faces.filter((_, i) => i % 2 === 0);
const seconds = faces.filter((_, i) => i % 2 === 1);

async function last<T>(steps: AsyncGenerator<unknown, T, void>): Promise<T> {
  for (;;) {
    const next = await steps.next();
    if (next.done) return next.value;
  }
}

async function enrolled(path: string, more: { clock?: () => number } = {}): Promise<Database> {
  const db = await openDatabase({ path, embedder: false, exactMax: 100, ...more });
  await db.createGallery({ gallery, space: old, dimensions: 16, threshold: 0.12, duplicates: 'ignore' });
  await Promise.all(
    firsts.map(({ person, from }) =>
      db.enroll({ gallery, identity: person, embeddings: [{ space: old, vector: from }] }),
    ),
  );
  return db;
}

async function addPairs(db: Database, samples: Iterable<PairSample>): Promise<number> {
  let added = 0;
  for await (const result of db.rollouts.addPairs({ gallery }, samples)) {
    assert.equal(result.error, undefined);
    if (result.added) added++;
  }
  return added;
}

function pairSamples(people = pairPeople): readonly PairSample[] {
  return faces.slice(0, people * 2).map(({ person, from, to }) => ({ person, vectors: { from, to } }));
}

function exported(identity: string, vector: Float32Array): ExportedTemplate {
  const enrolledAt = new Date(Date.UTC(2025, 5, 1));
  return {
    gallery,
    identity,
    label: '',
    groups: [],
    attributes: {},
    template: { template: 1, space: old, origin: 'native', quality: null, imageDigest: null, enrolledAt },
    embedding: { space: old, vector },
  };
}

async function imported(db: Database, items: readonly ExportedTemplate[]): Promise<readonly string[]> {
  const results: string[] = [];
  for await (const { answer, error } of db.importTemplates(items)) {
    results.push(answer ? (answer.added ? 'added' : 'present') : String(error));
  }
  return results;
}

async function share(db: Database, space: string, probes: readonly Face[]): Promise<number> {
  const answers = await Promise.all(
    probes.map(({ from, to }) =>
      db.identify({ gallery, embedding: { space, vector: space === old ? from : to }, k: 1 }),
    ),
  );
  return answers.filter(({ candidates }, i) => candidates[0]?.identity === probes[i]?.person).length / probes.length;
}

describe('rollouts', function () {
  this.timeout(120_000);
  let path: string;
  let nowMs = Date.UTC(2026, 0, 1);
  const clock = (): number => nowMs;
  let db: Database;
  let report: FitReport;

  before(async () => {
    path = temporaryFolder();
    db = await enrolled(path, { clock });
  });
  after(async () => {
    await db.close();
    rmSync(path, { recursive: true, force: true });
  });

  const reopen = async (): Promise<void> => {
    await db.close();
    db = await openDatabase({ path, embedder: false, exactMax: 100, clock });
  };
  const refuses = (call: Promise<unknown>, code: string, says: RegExp): Promise<void> =>
    assert.rejects(call, (error: unknown) => {
      assert.ok(isHarmonidError(error), String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, says);
      return true;
    });

  it('begin as a draft, which changes nothing for anybody', async () => {
    await refuses(db.rollouts.get({ gallery }), 'ROLLOUT_NOT_FOUND', /lobby/);
    await refuses(
      db.rollouts.start({ gallery, target: { ...target, space: old } }),
      'SPACE_MISMATCH',
      /is in space "old:1" already/,
    );
    await refuses(db.rollouts.start({ gallery, pack: 'no-such-pack' }), 'EMBEDDER_MISSING', /no-such-pack/);
    const before = await db.getGallery({ gallery });
    const rollout = await db.rollouts.start({ gallery, target });
    assert.deepEqual([rollout.state, rollout.to.space, rollout.from.space], ['draft', fresh, old]);
    assert.deepEqual({ ...(await db.getGallery({ gallery })), sequence: 0 }, { ...before, sequence: 0 });
    await refuses(db.rollouts.start({ gallery, target }), 'ROLLOUT_STATE', /in state draft/);
    await refuses(last(db.rollouts.shadow({ gallery })), 'ROLLOUT_STATE', /is in state draft; this wants fitted/);
    await refuses(db.rollouts.report({ gallery }), 'ROLLOUT_STATE', /no fit/);
  });

  it('refuse a fit on 20 people, and gates refuse one on shuffled pairs and one of another model', async () => {
    assert.equal(await addPairs(db, pairSamples(20)), 40);
    await refuses(last(db.rollouts.fit({ gallery, estimators })), 'INVALID_ARGUMENT', /20 people.*at least 24/);

    const cases: readonly [string, readonly PairSample[], GateName][] = [
      [
        'shuffled',
        faces.slice(0, 400).map(({ person, from }, i) => ({
          person,
          vectors: { from, to: faces[(i * 7 + 13) % 400]?.to ?? from },
        })),
        'compatibility',
      ],
      [
        'of a wrong model',
        faces.slice(0, 400).map(({ person, from, to }) => ({ person, vectors: { from: from.toReversed(), to } })),
        'belonging',
      ],
    ];
    for (const [what, samples, gate] of cases) {
      const folder = temporaryFolder();
      const other = await enrolled(folder);
      await other.rollouts.start({ gallery, target });
      await addPairs(other, samples);
      const { state, fit } = await last(other.rollouts.fit({ gallery, far: 0.01, estimators }));
      assert.equal(state, 'fitted', what);
      assert.equal(fit?.gates.find((one) => one.gate === gate)?.verdict, 'refused', what);
      await assert.rejects(last(other.rollouts.shadow({ gallery })), (error: unknown) => {
        assert.ok(isHarmonidError(error) && error.code === 'GATE_REFUSED');
        const { gates } = error.details as { gates: { gate: string; remedy: string }[] };
        assert.ok(gates.some((one) => one.gate === gate && one.remedy !== ''));
        return true;
      });
      assert.equal((await other.getGallery({ gallery })).beside, null);
      await other.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('refuse a fit on pairs of a model that says the same of everybody', async () => {
    const folder = temporaryFolder();
    const other = await enrolled(folder);
    await other.rollouts.start({ gallery, target });
    const [{ to } = { to: new Float32Array(0) }] = faces;
    await addPairs(
      other,
      faces.slice(0, 100).map(({ person, from }) => ({ person, vectors: { from, to } })),
    );
    await refuses(
      last(other.rollouts.fit({ gallery, estimators })),
      'INVALID_ARGUMENT',
      /space "new:1" are all the same/,
    );
    assert.equal((await other.rollouts.get({ gallery })).state, 'draft');
    await other.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('are fitted on pairs, with progress, and say what they found', async () => {
    await addPairs(db, pairSamples());
    // Whoever is erased meanwhile is in no adapter.
    const [stranger] = faces.slice(-1);
    assert.ok(stranger);
    assert.equal(await addPairs(db, [{ person: 'guest', vectors: stranger }]), 1);
    const fitting = db.rollouts.fit({ gallery, far: 0.01, estimators });
    assert.equal((await fitting.next()).done, false);
    await db.eraseIdentity({ gallery, identity: 'guest' });
    await refuses(last(fitting), 'ROLLOUT_STATE', /lost 1 of the people it was fitted on/);
    const stages = new Set<string>();
    const steps = db.rollouts.fit({ gallery, far: 0.01, estimators });
    let rollout: Rollout | undefined;
    for (;;) {
      const next = await steps.next();
      if (next.done) {
        rollout = next.value;
        break;
      }
      stages.add(next.value.stage);
      assert.ok(next.value.done <= next.value.total);
    }
    assert.ok(stages.has('select'));
    report = await db.rollouts.report({ gallery });
    assert.deepEqual(rollout.pairs.people, pairPeople);
    assert.equal(report.forward.people, pairPeople);
    assert.ok(report.val.mapped > 0.9, `VAL mapped ${report.val.mapped}`);
    assert.equal(report.gates.find(({ gate }) => gate === 'belonging')?.verdict, 'passed');
    assert.equal(report.gates.find(({ gate }) => gate === 'enough-people')?.verdict, 'passed');
    const cell = report.cells.find(({ probe, template }) => probe === 'new' && template === 'mapped');
    assert.equal(cell?.support, 'measured');
    await reopen();
    assert.deepEqual(await db.rollouts.report({ gallery }), report);
  });

  it('say who of their fit was erased since, until another fit', async () => {
    assert.equal((await db.rollouts.get({ gallery })).erasedSinceFit, 0);
    const [stranger] = faces.slice(-1);
    assert.equal(await addPairs(db, [{ person: 'another guest', vectors: stranger }]), 1);
    const fit = (): Promise<Rollout> => last(db.rollouts.fit({ gallery, far: 0.01, estimators: ['procrustes'] }));
    assert.equal((await fit()).erasedSinceFit, 0);
    await db.eraseIdentity({ gallery, identity: 'another guest' });
    await reopen();
    const { erasedSinceFit, pairs } = await db.rollouts.get({ gallery });
    assert.deepEqual([erasedSinceFit, pairs.people], [1, pairPeople]);
    const again = await last(db.rollouts.fit({ gallery, far: 0.01, estimators }));
    assert.deepEqual([again.erasedSinceFit, again.fit?.forward.people], [0, pairPeople]);
    report = await db.rollouts.report({ gallery });
  });

  it('in shadow are mapped, and whoever comes or goes does so in both spaces', async () => {
    await assert.rejects(db.identify({ gallery, embedding: { space: fresh, vector: faces[0]?.to ?? [] } }), {
      code: 'SPACE_MISMATCH',
    });
    // Whoever leaves ends the mapping; until it is done, new probes are mapped back.
    const mapping = db.rollouts.shadow({ gallery, overrule });
    const { value: progress } = await mapping.next();
    assert.ok(progress && 'done' in progress && progress.done < progress.total, JSON.stringify(progress));
    await mapping.return(undefined as never);
    const cell = report.cells.find(({ probe }) => probe === 'mapped-back');
    let right = 0;
    for (const { person, to } of seconds.slice(0, 12)) {
      const answer = await db.identify({ gallery, embedding: { space: fresh, vector: to }, k: 1 });
      assert.deepEqual([answer.space, answer.threshold], [old, cell?.threshold]);
      if (answer.candidates[0]?.identity === person) right++;
    }
    assert.ok(right > 8, `${right} of 12`);
    const verified = await db.verify({
      gallery,
      identity: 'person 3',
      embedding: { space: fresh, vector: faces[7]?.to ?? [] },
    });
    assert.deepEqual([verified.space, verified.threshold], [old, cell?.threshold]);
    const rollout = await last(db.rollouts.shadow({ gallery }));
    assert.equal(rollout.state, 'shadow');
    assert.deepEqual(rollout.templates, { templates: 320, mapped: 320, native: 0, reEmbedded: 0 });
    // Of people who are in no pair, too.
    assert.ok((await share(db, fresh, seconds)) > 0.9);
    assert.ok((await share(db, old, seconds)) > 0.9);
    await db.enroll({ gallery, identity: 'late', embeddings: [{ space: old, vector: negated(faces[2]?.from) }] });
    await db.eraseIdentity({ gallery, identity: 'person 7' });
    await reopen();
    const { beside, templateCount } = await db.getGallery({ gallery });
    assert.deepEqual([beside?.templateCount, templateCount], [320, 320]);
    // An imported template stands in both spaces, so that the new one goes on to be whole.
    assert.deepEqual(await imported(db, [exported('imported', negated(faces[6]?.from))]), ['added']);
    assert.deepEqual(await imported(db, [exported('imported', negated(faces[6]?.from))]), ['present']);
    assert.equal((await db.getGallery({ gallery })).beside?.templateCount, 321);
    await db.eraseIdentity({ gallery, identity: 'imported' });
    const late = await db.identify({ gallery, embedding: { space: old, vector: negated(faces[2]?.from) }, k: 1 });
    assert.equal(late.candidates[0]?.identity, 'late');
  });

  it('are activated by one switch, go back by another, and forward again', async () => {
    const active = await db.rollouts.activate({ gallery });
    assert.equal(active.state, 'active');
    assert.equal((await db.getGallery({ gallery })).space, fresh);
    const living = seconds.filter(({ person }) => person !== 'person 7');
    assert.ok((await share(db, fresh, living)) > 0.9);
    assert.ok((await share(db, old, living)) > 0.9);
    // In the new space, and mapped back into the old one.
    await db.enroll({ gallery, identity: 'newest', embeddings: [{ space: fresh, vector: negated(faces[4]?.to) }] });
    // An export of before the switch comes in, and comes in once.
    assert.deepEqual(await imported(db, [exported('imported late', negated(faces[8]?.from))]), ['added']);
    assert.deepEqual(await imported(db, [exported('imported late', negated(faces[8]?.from))]), ['present']);
    assert.ok((await share(db, fresh, living)) > 0.9);
    await reopen();
    const rolledBack = await db.rollouts.rollback({ gallery });
    assert.deepEqual([rolledBack.state, rolledBack.alarm], ['rolled-back', null]);
    const after = await db.getGallery({ gallery });
    assert.deepEqual([after.space, after.beside], [old, null]);
    assert.ok(
      (await db.listIdentities({ gallery, pageSize: 1000 })).identities.some(({ identity }) => identity === 'newest'),
    );
    assert.ok((await share(db, old, living)) > 0.9);
    await refuses(db.rollouts.rollback({ gallery }), 'ROLLOUT_STATE', /is in state rolled-back/);
    assert.deepEqual(
      rolledBack.journal.map(({ state }) => state),
      ['draft', 'gated', 'gated', 'gated', 'shadow', 'active', 'rolled-back'].map((state) =>
        state === 'gated'
          ? report.gates.every(({ verdict }) => verdict === 'passed' || verdict === 'not-applicable')
            ? 'gated'
            : 'fitted'
          : state,
      ),
    );
  });

  it('are completed after a grace period, and then hold nothing of the old space', async () => {
    // Of the one who came while the new space served.
    await refuses(
      db.rollouts.start({ gallery, target }),
      'ROLLOUT_STATE',
      /1 templates were mapped from a former model/,
    );
    await db.rollouts.start({ gallery, target, mapMapped: true });
    await addPairs(db, pairSamples());
    await last(db.rollouts.fit({ gallery, far: 0.01, estimators }));
    await last(db.rollouts.shadow({ gallery, overrule }));
    await db.rollouts.canary({ gallery, share: 0.5 });
    const order = await db.rollouts.backfillOrder({ gallery, limit: 5 });
    assert.equal(order.length, 5);
    assert.ok(order.every(({ uncertainty }, i) => i === 0 || uncertainty <= (order[i - 1]?.uncertainty ?? 0)));
    await db.rollouts.activate({ gallery });
    await refuses(db.rollouts.complete({ gallery }), 'ROLLOUT_STATE', /kept until 2026-01-08/);
    nowMs += 8 * 24 * 60 * 60 * 1000;
    const complete = await db.rollouts.complete({ gallery });
    assert.equal(complete.state, 'complete');
    assert.deepEqual(complete.pairs, { pairs: 0, people: 0 });
    await reopen();
    assert.equal((await db.getGallery({ gallery })).beside, null);
    const living = seconds.filter(({ person }) => person !== 'person 7');
    assert.ok((await share(db, fresh, living)) > 0.9);
    await assert.rejects(share(db, old, living.slice(0, 1)), { code: 'SPACE_MISMATCH' });
    const findings: string[] = [];
    const check = db.check();
    for (let next = await check.next(); !next.done; next = await check.next()) findings.push(next.value.message);
    assert.deepEqual(findings, []);
  });

  it('refuse what makes no sense', async () => {
    await refuses(db.rollouts.start({ gallery }), 'INVALID_ARGUMENT', /exactly one of pack and target/);
    await refuses(db.rollouts.canary({ gallery, share: 2 }), 'INVALID_ARGUMENT', /share is 2, 0 to 1/);
    await refuses(db.rollouts.get({ gallery: 'nowhere' }), 'GALLERY_NOT_FOUND', /nowhere/);
  });
});

/** A face far from everybody's. */
function negated(vector: Float32Array | undefined): Float32Array {
  return Float32Array.from(vector ?? [], (value) => -value);
}
