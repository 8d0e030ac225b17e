/**
 * Method: a rollout of a gallery of vectors from its start to both of its ends, through a real socket, against the embedded database behind
 * the same server: what the remote answers must be what the library answers to the same question. The pairs are made: the new space is the
 * old one, turned, so that an adapter can be right.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Database, PairResult, PairSample, Rollout, RolloutProgress } from '../../src/api.js';
import { isHarmonidError } from '../../src/errors.js';
import { gateNames } from '../../src/migrate/rollout.js';
import { isRefusing } from '../../src/migrate/gates.js';
import { madePairs, samplesOf } from '../migrate/made-pairs.js';
import { withServer } from './served.js';

const gallery = 'lobby';
const dimensions = 16;
const peopleCount = 120;
const imagesEach = 3;
const samples = samplesOf(madePairs({ people: peopleCount, imagesEach, dimensions, dimensionsTo: dimensions }));
const target = { space: 'new:1', dimensions, threshold: 0.6 };
const far = 1e-2;
const enrolledCount = 20;

/** A gallery of the first people, in the old space. */
async function enrollPeople(database: Database): Promise<void> {
  await database.createGallery({ gallery, space: 'old:1', dimensions, threshold: 0.6 });
  for (const [row, { person, vectors }] of samples.entries()) {
    const index = Math.floor(row / imagesEach);
    if (row % imagesEach > 0 || index >= enrolledCount || person === undefined || vectors === undefined) continue;
    const groups = index < 2 ? ['staff'] : [];
    const embeddings = [{ space: 'old:1', vector: vectors.from }];
    await database.enroll({ gallery, identity: person, groups, embeddings, duplicates: 'ignore' });
  }
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of source) all.push(each);
  return all;
}

/** Steps until the rollout, and how far they said that they were. */
async function follow(
  steps: AsyncGenerator<RolloutProgress, Rollout, void>,
): Promise<{ readonly progress: readonly RolloutProgress[]; readonly rollout: Rollout }> {
  const progress: RolloutProgress[] = [];
  for (;;) {
    const next = await steps.next();
    if (next.done) return { progress, rollout: next.value };
    progress.push(next.value);
  }
}

/** Fits through `database`, and opens the new space whatever the gates say. */
async function fitAndShadow(database: Database): Promise<Rollout> {
  await database.rollouts.start({ gallery, target });
  await collect(database.rollouts.addPairs({ gallery }, samples));
  const { rollout } = await follow(database.rollouts.fit({ gallery, far, estimators }));
  const overrule = rollout.fit?.gates.filter(({ verdict }) => verdict !== 'passed').map(({ gate }) => gate);
  return (await follow(database.rollouts.shadow({ gallery, overrule }))).rollout;
}

/** Those that take seconds. */
const estimators = ['procrustes', 'ridge'] as const;

describe('a rollout over the wire', function () {
  this.timeout(300_000);

  it('begins, takes pairs, is fitted, reports, shadows, orders, and goes back; each answer is the library’s', () =>
    withServer({}, async ({ database, remote }) => {
      await enrollPeople(database);
      const { rollouts } = remote;
      const isAsStored = async (rollout: Rollout): Promise<void> => {
        assert.deepEqual(rollout, await database.rollouts.get({ gallery }));
        assert.deepEqual(rollout, await rollouts.get({ gallery }));
      };

      const started = await rollouts.start({ gallery, target });
      assert.deepEqual([started.state, started.from.space, started.from.pack], ['draft', 'old:1', null]);
      assert.deepEqual(started.to, { ...target, pack: null });
      assert.equal(started.fit, null);
      await isAsStored(started);

      const results = await collect(rollouts.addPairs({ gallery }, samples));
      assert.deepEqual(
        results.map(({ index }) => index).toSorted((a, b) => a - b),
        [...samples.keys()],
      );
      assert.ok(results.every(({ error }) => error === undefined));
      const { pairs: kept } = await rollouts.get({ gallery });
      assert.deepEqual(kept, { pairs: imagesEach * peopleCount, people: peopleCount });

      const fitted = await follow(rollouts.fit({ gallery, far, seed: 5, estimators }));
      assert.ok(['fitted', 'gated'].includes(fitted.rollout.state));
      assert.ok(fitted.progress.length > 0);
      for (const { done, total } of fitted.progress) assert.ok(done >= 0 && done <= total, `${done} of ${total}`);
      const { fit } = fitted.rollout;
      assert.ok(fit);
      assert.deepEqual([fit.far, fit.forward.seed, fit.forward.people], [far, 5, peopleCount]);
      assert.deepEqual(fit.gates.map(({ gate }) => gate).toSorted(), [...gateNames].toSorted());
      await isAsStored(fitted.rollout);

      const probing = await rollouts.probes({ gallery, share: 0.5 });
      assert.deepEqual(probing.probes, { share: 0.5, retentionDays: null });
      await isAsStored(probing);

      const report = await rollouts.report({ gallery });
      assert.deepEqual(report, await database.rollouts.report({ gallery }));
      assert.deepEqual(report.gates, fit.gates);
      assert.ok(report.curves.length > 0);

      const overrule = fit.gates.filter(isRefusing).map(({ gate }) => gate);
      const shadowed = await follow(rollouts.shadow({ gallery, overrule }));
      assert.equal(shadowed.rollout.state, 'shadow');
      assert.equal(shadowed.rollout.templates.mapped, enrolledCount);
      assert.deepEqual(
        shadowed.rollout.fit?.gates.filter(({ overruled }) => overruled).map(({ gate }) => gate),
        overrule,
      );
      await isAsStored(shadowed.rollout);
      assert.equal((await remote.getGallery({ gallery })).beside?.space, 'new:1');

      const order = await rollouts.backfillOrder({ gallery, limit: 5 });
      assert.equal(order.length, 5);
      assert.deepEqual(order, await database.rollouts.backfillOrder({ gallery, limit: 5 }));

      const canary = await rollouts.canary({ gallery, share: 0, groups: ['staff'] });
      assert.deepEqual([canary.state, canary.canary], ['canary', { share: 0, groups: ['staff'] }]);
      await isAsStored(canary);

      const back = await rollouts.rollback({ gallery });
      assert.equal(back.state, 'rolled-back');
      await isAsStored(back);
      assert.equal((await remote.getGallery({ gallery })).space, 'old:1');
      assert.deepEqual(
        back.journal.map(({ number }) => number),
        back.journal.map((_, i) => i + 1),
      );
    }));

  it('is activated and completed, and the gallery is in the new space alone', () =>
    withServer({}, async ({ database, remote }) => {
      await enrollPeople(database);
      await fitAndShadow(database);
      const { rollouts } = remote;
      const active = await rollouts.activate({ gallery });
      assert.equal(active.state, 'active');
      await assert.rejects(rollouts.complete({ gallery }), { code: 'ROLLOUT_STATE' });
      const complete = await rollouts.complete({ gallery, now: true });
      assert.equal(complete.state, 'complete');
      assert.deepEqual(complete, await database.rollouts.get({ gallery }));
      const { space, beside } = await remote.getGallery({ gallery });
      assert.deepEqual([space, beside], ['new:1', null]);
    }));

  it('pairs that are refused are refused one by one, as the library refuses them', () =>
    withServer({}, async ({ database, remote }) => {
      await enrollPeople(database);
      await remote.rollouts.start({ gallery, target });
      const [good] = samples;
      assert.ok(good?.vectors);
      const { from } = good.vectors;
      const bad: readonly PairSample[] = [
        good,
        { person: 'short', vectors: { from: [1], to: [1] } },
        { person: 'not a number', vectors: { from, to: Array.from(from, () => Number.NaN) } },
        { person: 'nothing' },
        { person: 'a photo', image: Buffer.from('a photo') },
        { ...good, image: Buffer.from('a photo') },
        { person: 'a path', image: 'a path' as unknown as Uint8Array },
        good,
      ];
      const codesOf = (results: readonly PairResult[]): readonly unknown[] =>
        results
          .toSorted((a, b) => a.index - b.index)
          .map(({ added, error }) => (isHarmonidError(error) ? error.code : (error ?? added)));
      const codes = codesOf(await collect(remote.rollouts.addPairs({ gallery }, bad)));
      assert.deepEqual(codes.slice(1, 7), [
        'VECTOR_WRONG_LENGTH',
        'VECTOR_NOT_FINITE',
        'INVALID_ARGUMENT',
        'EMBEDDER_MISSING',
        'INVALID_ARGUMENT',
        'INVALID_ARGUMENT',
      ]);
      assert.ok(codes.includes(true));
      assert.deepEqual(
        codesOf(await collect(database.rollouts.addPairs({ gallery }, bad))).slice(1, 7),
        codes.slice(1, 7),
      );
    }));

  it('photos for a backfill are refused one by one, each with its person', () =>
    withServer({}, async ({ database, remote }) => {
      await enrollPeople(database);
      await fitAndShadow(database);
      const image = Buffer.from('a photo');
      const results = await collect(
        remote.rollouts.backfill({ gallery }, [
          { identity: 'person 1', image },
          { identity: 'person 2', image: 'a path' as unknown as Uint8Array },
        ]),
      );
      assert.deepEqual(
        results
          .toSorted((a, b) => a.index - b.index)
          .map(({ identity, error }) => [identity, isHarmonidError(error) && error.code]),
        [
          ['person 1', 'EMBEDDER_MISSING'],
          ['person 2', 'INVALID_ARGUMENT'],
        ],
      );
    }));

  it('what cannot be done is refused by code, in the words of the library', () =>
    withServer({}, async ({ database, remote, logged }) => {
      await enrollPeople(database);
      const never = 'nowhere';
      const draftless: readonly [code: string, ask: (database: Database) => Promise<unknown>][] = [
        ['GALLERY_NOT_FOUND', ({ rollouts }) => rollouts.get({ gallery: never })],
        ['GALLERY_NOT_FOUND', ({ rollouts }) => rollouts.start({ gallery: never, target })],
        ['ROLLOUT_NOT_FOUND', ({ rollouts }) => rollouts.get({ gallery })],
        ['INVALID_ARGUMENT', ({ rollouts }) => rollouts.start({ gallery })],
        ['EMBEDDER_MISSING', ({ rollouts }) => rollouts.start({ gallery, pack: 'no-such-pack' })],
        ['SPACE_MISMATCH', ({ rollouts }) => rollouts.start({ gallery, target: { ...target, space: 'old:1' } })],
      ];
      const inDraft: typeof draftless = [
        ['ROLLOUT_STATE', ({ rollouts }) => rollouts.start({ gallery, target })],
        ['ROLLOUT_STATE', ({ rollouts }) => rollouts.report({ gallery })],
        ['ROLLOUT_STATE', ({ rollouts }) => follow(rollouts.shadow({ gallery }))],
        ['ROLLOUT_STATE', ({ rollouts }) => rollouts.canary({ gallery, share: 0.5 })],
        ['ROLLOUT_STATE', ({ rollouts }) => rollouts.activate({ gallery })],
        ['ROLLOUT_STATE', ({ rollouts }) => rollouts.complete({ gallery, now: true })],
        ['INVALID_ARGUMENT', ({ rollouts }) => follow(rollouts.fit({ gallery, far: 7 }))],
      ];
      const ask = async (questions: typeof draftless): Promise<void> => {
        for (const [code, question] of questions) {
          const refusals = await Promise.all(
            [remote, database].map((each) =>
              question(each).then(
                () => assert.fail(code),
                (error: unknown) => error,
              ),
            ),
          );
          const [far, near] = refusals;
          assert.ok(isHarmonidError(far) && isHarmonidError(near), `${code}: ${String(far)}, ${String(near)}`);
          assert.deepEqual([far.code, far.message], [code, near.message]);
          assert.equal(near.code, code);
        }
      };
      await ask(draftless);
      await database.rollouts.start({ gallery, target });
      await ask(inDraft);
      assert.equal((await remote.rollouts.get({ gallery })).state, 'draft');
      assert.deepEqual(logged, []);
    }));

  it('a shadow that a gate refuses says which gates, and leaves everything as it was', () =>
    withServer({}, async ({ database, remote }) => {
      await enrollPeople(database);
      await database.rollouts.start({ gallery, target });
      // Too few people for the gates: whatever the adapter is worth, it cannot be known.
      await collect(database.rollouts.addPairs({ gallery }, samples.slice(0, imagesEach * 40)));
      const { rollout } = await follow(remote.rollouts.fit({ gallery, far, estimators }));
      assert.equal(rollout.state, 'fitted');
      await assert.rejects(follow(remote.rollouts.shadow({ gallery })), { code: 'GATE_REFUSED' });
      assert.deepEqual(await remote.rollouts.get({ gallery }), rollout);
    }));

  it('a fit ends with its signal, and changes nothing', () =>
    withServer({}, async ({ database, remote }) => {
      await enrollPeople(database);
      await database.rollouts.start({ gallery, target });
      await collect(database.rollouts.addPairs({ gallery }, samples));
      const controller = new AbortController();
      await assert.rejects(
        async () => {
          for await (const _ of remote.rollouts.fit({ gallery, far, estimators, signal: controller.signal }))
            controller.abort();
        },
        { code: 'CANCELLED' },
      );
      assert.equal((await remote.rollouts.get({ gallery })).state, 'draft');
    }));
});
