/**
 * Method: every RPC once through a real socket, against the embedded database behind the same server. What the remote answers must
 * be what the library answers to the same question, except for clocks.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { CheckCounts, Database, EnrollRequest, Finding, Identification, Verification } from '../../src/api.js';
import { requestLimits } from '../../src/requests.js';
import { version } from '../../src/version.js';
import { axis, dimensions, makeVectorGallery, overriding, scattered, space, withServer } from './served.js';

/** Everything but the timings. */
function timeless<T extends Identification | Verification>(answer: T): Omit<T, 'timings'> {
  const { timings, ...rest } = answer;
  for (const [name, ms] of Object.entries(timings)) assert.ok(ms >= 0 && ms < 60_000, `${name} is ${ms}`);
  return rest;
}

async function enrollAxes(database: Database, gallery: string): Promise<void> {
  for (const [number, identity] of ['anna', 'bert', 'cleo'].entries()) {
    await database.enroll({
      gallery,
      identity,
      label: identity.toUpperCase(),
      groups: number === 0 ? ['staff', 'night'] : ['visitors'],
      attributes: { badge: `${number}` },
      embeddings: [axis(number), axis(number, 0.1)],
    });
  }
}

async function checked(
  findings: AsyncGenerator<Finding, CheckCounts, void>,
): Promise<{ readonly findings: readonly Finding[]; readonly counts: CheckCounts }> {
  const found: Finding[] = [];
  for (;;) {
    const next = await findings.next();
    if (next.done) return { findings: found, counts: next.value };
    found.push(next.value);
  }
}

describe('the services', () => {
  it('CreateGallery, GetGallery, ListGalleries, UpdateGallery and DeleteGallery', () =>
    withServer({}, async ({ database, remote }) => {
      const made = await remote.createGallery({
        gallery: 'lobby',
        space,
        dimensions,
        threshold: 0.25,
        margin: 0.01,
        duplicates: 'report',
        refuseReasons: [],
        templatesPerIdentityMax: 7,
        description: 'the front door, Zürich',
      });
      assert.deepEqual(made, await database.getGallery({ gallery: 'lobby' }));
      assert.deepEqual(
        [made.threshold, made.margin, made.duplicates, made.refuseReasons, made.templatesPerIdentityMax],
        [0.25, 0.01, 'report', [], 7],
      );
      assert.deepEqual(await remote.getGallery({ gallery: 'lobby' }), made);

      const changed = await remote.updateGallery({ gallery: 'lobby', refuseReasons: ['TOO_DARK', 'CUT_OFF'] });
      assert.deepEqual([...changed.refuseReasons].toSorted(), ['CUT_OFF', 'TOO_DARK']);
      assert.equal(changed.description, 'the front door, Zürich');
      assert.deepEqual(await remote.listGalleries(), await database.listGalleries());

      assert.equal(await remote.deleteGallery({ gallery: 'lobby' }), true);
      assert.equal(await remote.deleteGallery({ gallery: 'lobby' }), false);
      assert.deepEqual(await database.listGalleries(), []);
    }));

  it('Enroll, also with an idempotency key and with duplicates reported', () =>
    withServer({}, async ({ database, remote }) => {
      const gallery = await makeVectorGallery(remote);
      const request: EnrollRequest = {
        gallery,
        identity: 'anna',
        label: 'Anna Ä.',
        groups: ['staff', 'night'],
        attributes: { badge: '17', floor: '' },
        embeddings: [axis(0), axis(0, 0.2)],
        idempotencyKey: 'once',
      };
      const first = await remote.enroll(request);
      assert.equal(first.created, true);
      assert.equal(first.templates.length, 2);
      assert.equal(first.replayed, false);
      assert.deepEqual(await remote.enroll(request), { ...first, replayed: true });

      const identity = await remote.getIdentity({ gallery, identity: 'anna' });
      assert.deepEqual(identity, await database.getIdentity({ gallery, identity: 'anna' }));
      assert.deepEqual(identity.templates, first.templates);
      assert.deepEqual([...identity.groups].toSorted(), ['night', 'staff']);
      assert.deepEqual({ ...identity.attributes }, { badge: '17', floor: '' });
      assert.deepEqual(
        identity.templates.map(({ origin, quality, imageDigest }) => [origin, quality, imageDigest]),
        [
          ['native', null, null],
          ['native', null, null],
        ],
      );

      const twin = await remote.enroll({ gallery, identity: 'twin', embeddings: [axis(0)], duplicates: 'report' });
      assert.deepEqual(
        twin.duplicates.map((candidate) => [candidate.identity, candidate.label]),
        [['anna', 'Anna Ä.']],
      );
    }));

  it('Identify by vector, with every search option', () =>
    withServer({}, async ({ database, remote }) => {
      const gallery = await makeVectorGallery(remote);
      await enrollAxes(database, gallery);
      const questions = [
        {},
        { k: 1 },
        { k: 3, exact: true },
        { groups: ['visitors'] },
        { threshold: 0.001 },
        { ef: 4096, k: 1000 },
      ];
      for (const options of questions) {
        const question = { gallery, embedding: axis(0, 0.05), ...options };
        const answer = timeless(await remote.identify(question));
        assert.deepEqual(answer, timeless(await database.identify(question)), JSON.stringify(options));
      }
      const answer = await remote.identify({ gallery, embedding: axis(0) });
      assert.equal(answer.decision, 'match');
      assert.equal(answer.candidates[0]?.identity, 'anna');
      assert.equal(answer.face, null);
    }));

  it('Identify of nobody: no candidates, no margin', () =>
    withServer({}, async ({ remote }) => {
      const gallery = await makeVectorGallery(remote);
      const answer = await remote.identify({ gallery, embedding: axis(0) });
      assert.deepEqual([answer.decision, answer.candidates, answer.margin], ['no-match', [], null]);
    }));

  it('Verify by vector', () =>
    withServer({}, async ({ database, remote }) => {
      const gallery = await makeVectorGallery(remote);
      await enrollAxes(database, gallery);
      for (const [number, decision] of [[0, 'match'] as const, [1, 'no-match'] as const]) {
        const question = { gallery, identity: 'anna', embedding: axis(number) };
        const answer = timeless(await remote.verify(question));
        assert.equal(answer.decision, decision);
        assert.deepEqual(answer, timeless(await database.verify(question)));
      }
    }));

  it('ListIdentities, page by page and by group', () =>
    withServer({}, async ({ database, remote }) => {
      const gallery = await makeVectorGallery(remote);
      await enrollAxes(database, gallery);
      const names: string[] = [];
      let pageToken: string | undefined;
      do {
        const page = await remote.listIdentities({ gallery, pageSize: 2, pageToken });
        assert.deepEqual(page, await database.listIdentities({ gallery, pageSize: 2, pageToken }));
        names.push(...page.identities.map(({ identity }) => identity));
        pageToken = page.nextPageToken;
      } while (pageToken !== undefined);
      assert.deepEqual(names, ['anna', 'bert', 'cleo']);
      const staff = await remote.listIdentities({ gallery, groups: ['staff'] });
      assert.deepEqual(
        staff.identities.map(({ identity }) => identity),
        ['anna'],
      );
    }));

  it('UpdateIdentity changes what is given, also to nothing, and leaves the rest', () =>
    withServer({}, async ({ database, remote }) => {
      const gallery = await makeVectorGallery(remote);
      await enrollAxes(database, gallery);
      const before = await remote.getIdentity({ gallery, identity: 'anna' });
      const relabelled = await remote.updateIdentity({
        gallery,
        identity: 'anna',
        label: '',
        expectedVersion: before.version,
      });
      assert.equal(relabelled.label, '');
      assert.deepEqual(relabelled.groups, before.groups);
      const cleared = await remote.updateIdentity({ gallery, identity: 'anna', groups: [], attributes: {} });
      assert.deepEqual([cleared.groups, { ...cleared.attributes }], [[], {}]);
      assert.deepEqual(cleared, await database.getIdentity({ gallery, identity: 'anna' }));
    }));

  it('RemoveTemplate and EraseIdentity', () =>
    withServer({}, async ({ database, remote }) => {
      const gallery = await makeVectorGallery(remote);
      await enrollAxes(database, gallery);
      const { templates } = await remote.getIdentity({ gallery, identity: 'bert' });
      const [first, second] = templates;
      assert.ok(first && second);
      const left = await remote.removeTemplate({ gallery, identity: 'bert', template: first.template });
      assert.deepEqual(left.templates, [second]);
      const erased = await remote.eraseIdentity({ gallery, identity: 'bert' });
      assert.deepEqual([erased.existed, erased.templatesErased], [true, 1]);
      assert.equal((await remote.eraseIdentity({ gallery, identity: 'bert' })).existed, false);
      const answer = await remote.identify({ gallery, embedding: axis(1) });
      assert.ok(answer.candidates.every(({ identity }) => identity !== 'bert'));
    }));

  it('ExportTemplates: every template with its vector', () =>
    withServer({}, async ({ database, remote }) => {
      const gallery = await makeVectorGallery(remote);
      await enrollAxes(database, gallery);
      const [fromRemote, fromLibrary] = await Promise.all(
        [remote, database].map(async (source) => {
          const all = [];
          for await (const exported of source.exportTemplates({ gallery })) all.push(exported);
          return all;
        }),
      );
      assert.equal(fromRemote?.length, 6);
      assert.deepEqual(fromRemote, fromLibrary);
    }));

  it('GetInfo, GetStats and Checkpoint', () =>
    withServer({ messageBytesMax: 12_345_678 }, async ({ database, remote }) => {
      const gallery = await makeVectorGallery(remote);
      await remote.enroll({ gallery, identity: 'anna', embeddings: [scattered(1)] });
      await remote.checkpoint({ gallery });
      await remote.checkpoint();
      const { residentBytes, ...stats } = await remote.stats();
      const { residentBytes: _clock, ...expected } = await database.stats();
      assert.deepEqual(stats, expected);
      assert.ok(residentBytes > 10_000_000);
      const info = await remote.info();
      assert.equal(info.version, version);
      assert.equal(info.embedder, null);
      assert.equal(info.limits.messageBytesMax, 12_345_678);
      assert.equal(info.limits.samplesMax, requestLimits.samplesMax);
    }));

  it('Check: the same findings as the library, and what was looked at', () =>
    withServer({}, async ({ database, remote }) => {
      const gallery = await makeVectorGallery(remote);
      await enrollAxes(database, gallery);
      assert.deepEqual(await checked(remote.check()), await checked(database.check()));
      const healthy = await checked(remote.check());
      assert.deepEqual([healthy.findings, healthy.counts.templates, healthy.counts.files], [[], 6, 1]);
      assert.ok(healthy.counts.records > 20);
      const { counts } = await checked(remote.check({ records: false }));
      assert.deepEqual(counts, { records: 0, templates: 6, files: 0 });
      assert.equal((await checked(remote.check({ searches: false }))).counts.templates, 0);
    }));

  it('Check: a finding crosses the wire whole', async () => {
    const finding: Finding = {
      severity: 'warning',
      kind: 'graph-miss',
      where: 'templates 00000001',
      message: 'gallery "lobby": Zürich',
      repair: 'none',
    };
    const counts = { records: 3, templates: 2, files: 1 };
    const around = (database: Database): Database =>
      overriding(database, {
        async *check() {
          yield finding;
          yield { ...finding, severity: 'error', kind: 'record', repair: 'quarantined' };
          yield { ...finding, severity: 'error', kind: 'counter', repair: 'rebuilt' };
          return counts;
        },
      });
    await withServer({ around }, async ({ remote }) => {
      const answer = await checked(remote.check());
      assert.deepEqual(answer.findings[0], finding);
      assert.deepEqual(
        answer.findings.map(({ severity, kind, repair }) => [severity, kind, repair]),
        [
          ['warning', 'graph-miss', 'none'],
          ['error', 'record', 'quarantined'],
          ['error', 'counter', 'rebuilt'],
        ],
      );
      assert.deepEqual(answer.counts, counts);
    });
  });

  it('a name left out is the default gallery; an empty name is refused as the library refuses it', () =>
    withServer({}, async ({ remote }) => {
      await makeVectorGallery(remote, 'default');
      assert.equal((await remote.enroll({ identity: 'anna', embeddings: [axis(0)] })).gallery, 'default');
      assert.equal((await remote.identify({ embedding: axis(0) })).gallery, 'default');
      await assert.rejects(remote.identify({ gallery: '', embedding: axis(0) }), { code: 'INVALID_IDENTIFIER' });
    }));
});
