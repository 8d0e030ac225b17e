/** Method: vectors of made people in real databases; rates are held against strangers who were never seen. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { Database, EnrollRequest } from '../../src/api.js';
import { distanceAtRate } from '../../src/calibration/calibration-report.js';
import { openDatabase } from '../../src/database.js';
import { isHarmonidError } from '../../src/errors.js';
import { makeFaces, randomFrom, type FaceMaker } from '../index/faces.js';
import { withServer } from '../server/served.js';
import { withDatabase } from '../support/database.js';

const space = 'made:1';
const dimensions = 24;
const gallery = 'lobby';

interface People {
  readonly maker: FaceMaker;
  /** Enrolls people with these numbers. */
  readonly enroll: (database: Database, from: number, to: number, into?: string) => Promise<void>;
}

function makePeople(seed: number): People {
  const maker = makeFaces(randomFrom(seed), { dimensions, spread: 0.1 });
  return {
    maker,
    enroll: async (database, from, to, into = gallery) => {
      const requests = Array.from({ length: to - from }, (_, i): EnrollRequest => ({
        gallery: into,
        identity: `person-${from + i}`,
        groups: (from + i) % 20 === 0 ? ['night'] : ['day'],
        embeddings: [0, 1].map(() => ({ space, vector: maker.face(from + i) })),
        duplicates: 'ignore',
      }));
      for await (const { error } of database.importAll(requests)) if (error) throw error;
    },
  };
}

async function withPeople(
  count: number,
  work: (database: Database, people: People, path: string) => Promise<void>,
): Promise<void> {
  await withDatabase({ embedder: false }, async (database, path) => {
    const people = makePeople(5);
    await database.createGallery({ gallery, space, dimensions, threshold: 0.1 });
    await people.enroll(database, 0, count);
    await work(database, people, path);
  });
}

const strangersOf = ({ maker }: People, count: number) =>
  Array.from({ length: count }, (_, i) => ({ space, vector: maker.face(100_000 + i) }));

describe('calibration', () => {
  it('gives searches the FPIR that is wanted, and every decision the rate of its distance', () =>
    withPeople(400, async (database, people) => {
      const [stranger] = strangersOf(people, 1);
      assert.ok(stranger);
      assert.equal((await database.identify({ gallery, embedding: stranger })).fpir, null);
      assert.equal(await database.getCalibration({ gallery }), null);

      await database.updateGallery({ gallery, fpirTarget: 0.05, fmrTarget: 0.001 });
      const shares: number[] = [];
      const { calibration, samePeople } = await database.calibrate({
        gallery,
        onProgress: (share) => shares.push(share),
      });
      assert.ok(calibration);
      assert.deepEqual(samePeople, []);
      assert.ok(shares.length > 0 && shares.every((share, i) => share > (shares[i - 1] ?? 0) && share <= 1));
      assert.deepEqual(
        [calibration.identityCount, calibration.templateCount, calibration.probeCount, calibration.searchedCount],
        [400, 800, 400, 400],
      );
      const target = calibration.thresholds.find(({ kind, rate }) => kind === 'fpir' && rate === 0.05);
      assert.ok(target);
      // Read off the points, which travel, and found in the curve by bisection, which does not.
      for (const { kind, rate, threshold, low, high } of calibration.thresholds) {
        const read = distanceAtRate(calibration.points, kind, rate);
        assert.ok(Math.abs(read.distance - threshold) < 1e-6, `${kind} ${rate}: ${read.distance}, ${threshold}`);
        // Rates that even the nearest point is over have no interval.
        if (read.distance === 0) continue;
        for (const [one, other] of [
          [read.low, low],
          [read.high, high],
        ] as const)
          assert.ok(Math.abs(one - other) < 1e-3 * other + 1e-12, `${kind} ${rate}: ${one}, ${other}`);
      }
      const { threshold, thresholdSource } = await database.getGallery({ gallery });
      assert.equal(threshold, target.threshold);
      assert.match(thresholdSource, /FPIR 0.05 among 400/);

      let [within, nearer] = [0, 0];
      const probes = strangersOf(people, 1000);
      for (const embedding of probes) {
        const answer = await database.identify({ gallery, embedding, k: 1 });
        assert.equal(answer.threshold, target.threshold);
        assert.ok(answer.fpir !== null && answer.fpir >= 0 && answer.fpir <= 1);
        const isWithin = answer.decision !== 'no-match';
        assert.equal(answer.fpir <= 0.05, isWithin, `${answer.fpir} at ${answer.candidates[0]?.distance}`);
        if (isWithin) within++;
        // Of strangers half are nearer than the distance whose FPIR is a half.
        if (answer.fpir < 0.5) nearer++;
      }
      assert.ok(within > 20 && within < 100, `${within} of 1000 strangers are within, 50 are wanted`);
      assert.ok(nearer > 430 && nearer < 570, `${nearer} of 1000 strangers are nearer than half of them`);

      const own = { space, vector: people.maker.face(7) };
      const found = await database.identify({ gallery, embedding: own });
      assert.equal(found.candidates[0]?.identity, 'person-7');
      const verified = await database.verify({ gallery, identity: 'person-7', embedding: own });
      assert.equal(
        verified.threshold,
        calibration.thresholds.find(({ kind, rate }) => kind === 'fmr' && rate === 0.001)?.threshold,
      );
      assert.ok(verified.fmr !== null && verified.fmr < 1e-3 && verified.decision === 'match');
      assert.ok(found.fpir !== null && found.fpir > verified.fmr, 'among many, one so near is likelier');

      // A group of twenty may be judged more mildly, and is; a caller's own threshold stands.
      const night = await database.identify({ gallery, embedding: own, groups: ['night'] });
      assert.ok(night.threshold > target.threshold);
      assert.equal((await database.identify({ gallery, embedding: own, threshold: 0.07 })).threshold, 0.07);
    }));

  it('stays over a restart, and is gone with its gallery', () =>
    withPeople(150, async (database, people, path) => {
      await database.calibrate({ gallery });
      const before = await database.getCalibration({ gallery });
      await database.close();
      const again = await openDatabase({ path, embedder: false });
      try {
        assert.deepEqual(await again.getCalibration({ gallery }), before);
        const [embedding] = strangersOf(people, 1);
        assert.ok(embedding && (await again.identify({ gallery, embedding })).fpir !== null);
        // It tells rates; without a target the threshold is the operator's.
        assert.equal((await again.identify({ gallery, embedding })).threshold, 0.1);
        await again.deleteGallery({ gallery });
        await again.createGallery({ gallery, space, dimensions, threshold: 0.1 });
        assert.equal(await again.getCalibration({ gallery }), null);
      } finally {
        await again.close();
      }
    }));

  it('says that there are too few people, and changes nothing', () =>
    withPeople(60, async (database) => {
      await database.updateGallery({ gallery, fpirTarget: 0.01 });
      const { calibration, probeCount } = await database.calibrate({ gallery });
      assert.deepEqual([calibration, probeCount], [null, 60]);
      assert.equal((await database.getGallery({ gallery })).threshold, 0.1);
    }));

  it('of 200 people promises 1 in 100, and not 1 in 10,000', () =>
    withPeople(200, async (database) => {
      const { calibration } = await database.calibrate({ gallery });
      const supportOf = (rate: number) =>
        calibration?.thresholds.find((each) => each.kind === 'fpir' && each.rate === rate)?.support;
      assert.equal(supportOf(1e-2), 'extrapolated');
      assert.equal(supportOf(1e-4), 'too-few');
    }));

  it('takes probes that are known, and names who seems to be one person', () =>
    withPeople(500, async (database, people) => {
      // The same photo under another name.
      for await (const { identity, embedding } of database.exportTemplates({ gallery })) {
        if (identity !== 'person-11') continue;
        await database.enroll({ gallery, identity: 'double', embeddings: [embedding], duplicates: 'ignore' });
        break;
      }
      const probes = [
        ...strangersOf(people, 30).map((embedding) => ({ embedding })),
        { identity: 'person-3', embedding: { space, vector: people.maker.face(3) } },
      ];
      const { calibration, samePeople } = await database.calibrate({ gallery, probes });
      assert.deepEqual([calibration?.givenCount, calibration?.probeCount], [31, 532]);
      assert.deepEqual(
        samePeople.map(({ identities }) => identities.toSorted()),
        [['double', 'person-11']],
      );
      for (const wanted of ['other:1', 'a'.repeat(1_000_000)]) {
        for (const call of [
          database.getCalibration({ gallery, space: wanted }),
          database.calibrate({ gallery, space: wanted }),
        ]) {
          await assert.rejects(call, (error) => isHarmonidError(error) && error.code === 'SPACE_MISMATCH');
        }
      }
      const [probe] = probes;
      assert.ok(probe);
      const foreign = { ...probe, embedding: { ...probe.embedding, space: 'other:1' } };
      await assert.rejects(
        database.calibrate({ gallery, probes: [foreign] }),
        (error) => isHarmonidError(error) && error.code === 'SPACE_MISMATCH' && /other:1.*made:1/.test(error.message),
      );
    }));

  it('is made again when the gallery has grown by a quarter', () =>
    withPeople(120, async (database, people) => {
      await database.updateGallery({ gallery, fpirTarget: 0.05 });
      const first = (await database.calibrate({ gallery })).calibration;
      await people.enroll(database, 120, 145);
      assert.equal((await database.getCalibration({ gallery }))?.identityCount, 120);
      await people.enroll(database, 145, 155);
      // The test's time limit is the only one.
      for (;;) {
        const now = await database.getCalibration({ gallery });
        if (now && now.identityCount >= 150) break;
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.match((await database.getGallery({ gallery })).thresholdSource, /among 15\d identities/);
      assert.ok(first);
    }));

  it('is made again when templates that came back have made it grow', () =>
    withPeople(120, async (database, people) => {
      await database.createGallery({ gallery: 'other', space, dimensions, threshold: 0.1 });
      await people.enroll(database, 120, 160, 'other');
      await database.updateGallery({ gallery, fpirTarget: 0.05 });
      await database.calibrate({ gallery });
      for await (const { error } of database.importTemplates(database.exportTemplates({ gallery: 'other' }), {
        gallery,
      }))
        assert.ifError(error);
      for (;;) {
        const now = await database.getCalibration({ gallery });
        if (now && now.identityCount >= 150) break;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }));

  it('a threshold that is named stands, and ends the target', () =>
    withPeople(150, async (database) => {
      await database.updateGallery({ gallery, fpirTarget: 0.05 });
      await database.calibrate({ gallery });
      const named = await database.updateGallery({ gallery, threshold: 0.2 });
      assert.deepEqual([named.threshold, named.fpirTarget, named.thresholdSource], [0.2, null, 'set by the operator']);
      // Known rates are in force as soon as they are wanted.
      const wanted = await database.updateGallery({ gallery, fpirTarget: 0.1 });
      assert.notEqual(wanted.threshold, 0.2);
      for (const settings of [
        { fpirTarget: 0 },
        { fpirTarget: 1 },
        { fmrTarget: Number.NaN },
        { fpirTarget: 0.1, threshold: 0.2 },
      ]) {
        await assert.rejects(
          database.updateGallery({ gallery, ...settings }),
          (error) => isHarmonidError(error) && error.code === 'INVALID_ARGUMENT',
        );
      }
    }));

  it('crosses the wire whole', () =>
    withServer({}, async ({ database, remote }) => {
      const people = makePeople(9);
      await remote.createGallery({ gallery, space, dimensions, threshold: 0.1, fpirTarget: 0.05 });
      await people.enroll(remote, 0, 130);
      assert.equal(await remote.getCalibration({ gallery }), null);
      const [stranger] = strangersOf(people, 1);
      assert.ok(stranger);
      const answer = await remote.calibrate({ gallery, probes: [{ embedding: stranger }] });
      assert.ok(answer.calibration && answer.probeCount === 131);
      assert.deepEqual(answer.calibration, await database.getCalibration({ gallery }));
      assert.deepEqual(await remote.getCalibration({ gallery }), answer.calibration);
      const { timings: _mine, ...fromRemote } = await remote.identify({ gallery, embedding: stranger });
      const { timings: _yours, ...fromLibrary } = await database.identify({ gallery, embedding: stranger });
      assert.ok(fromRemote.fpir !== null);
      assert.deepEqual(fromRemote, fromLibrary);
      const identity = 'person-1';
      assert.equal(
        (await remote.verify({ gallery, identity, embedding: stranger })).fmr,
        (await database.verify({ gallery, identity, embedding: stranger })).fmr,
      );
      assert.deepEqual((await remote.updateGallery({ gallery, fpirTarget: null, fmrTarget: 0.001 })).fpirTarget, null);
      await assert.rejects(
        remote.calibrate({ gallery: 'nowhere' }),
        (error) => isHarmonidError(error) && error.code === 'GALLERY_NOT_FOUND',
      );
    }));
});
