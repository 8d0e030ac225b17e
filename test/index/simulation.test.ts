/**
 * Method: thousands of seeded random operations on an index and on a plain map, compared after each search and in full after every
 * restart. `exactMax` is lowered, so that the graph is built, grows, loses entries and is rebuilt all along. One print of
 * the seed replays a run.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { isHarmonidError } from '../../src/errors.js';
import { openIdentityIndex, type IdentityIndex } from '../../src/index/identity-index.js';
import { makeFaces, pick, randomFrom, runSeed, type FaceMaker, type Random } from './faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder, testSpace } from './folders.js';
import { assertSame, nearestIn, type Model } from './model.js';

const gallery = 'lobby';
const groupNames = ['staff', 'visitors', 'night shift', 'école'];
const personCount = 150;
const templatesMax = 6;

interface Run {
  readonly random: Random;
  readonly faces: FaceMaker;
  readonly model: Model;
  found: number;
  wanted: number;
}

function someGroups(random: Random): string[] {
  return groupNames.filter(() => random() < 0.3);
}

async function enroll(index: IdentityIndex, { random, faces, model }: Run): Promise<void> {
  const person = Math.floor(random() * personCount);
  const identity = `person ${person}`;
  const vectors = Array.from({ length: 1 + Math.floor(random() * 3) }, () => faces.face(person));
  const before = model.get(identity);
  const groups = random() < 0.5 ? someGroups(random) : undefined;
  const label = random() < 0.3 ? `label ${random()}` : undefined;
  const attributes = random() < 0.2 ? { badge: String(random()) } : undefined;
  const draft = enrollDraft(gallery, identity, vectors, { groups, label, attributes, duplicates: 'ignore' });
  if ((before?.templates.size ?? 0) + vectors.length > templatesMax) {
    await assert.rejects(index.enroll(draft), { code: 'LIMIT_EXCEEDED' });
    return;
  }
  const answer = await index.enroll(draft);
  assert.equal(answer.created, before === undefined);
  const entry = before ?? { label: '', groups: [], attributes: {}, version: 0, templates: new Map() };
  entry.label = label ?? entry.label;
  entry.groups = groups ?? entry.groups;
  entry.attributes = attributes ?? entry.attributes;
  entry.version++;
  answer.templates.forEach(({ template }, i) => {
    const vector = vectors[i];
    if (vector) entry.templates.set(template, vector);
  });
  model.set(identity, entry);
}

async function change(index: IdentityIndex, { random, model }: Run): Promise<void> {
  const identity = pick(random, [...model.keys()]) ?? 'nobody';
  const entry = model.get(identity);
  const dice = random();
  if (!entry) {
    await assert.rejects(index.updateIdentity({ gallery, identity, label: 'x' }), { code: 'IDENTITY_NOT_FOUND' });
  } else if (dice < 0.3) {
    const groups = someGroups(random);
    const expectedVersion = random() < 0.3 ? entry.version - 1 : entry.version;
    const update = index.updateIdentity({ gallery, identity, groups, expectedVersion });
    if (expectedVersion !== entry.version) {
      await assert.rejects(update, { code: 'VERSION_CONFLICT' });
      return;
    }
    entry.groups = groups;
    entry.version++;
    assert.deepEqual((await update).groups, groups);
  } else if (dice < 0.65) {
    const template = pick(random, [...entry.templates.keys()]);
    if (template === undefined) {
      await assert.rejects(index.removeTemplate(gallery, identity, 4_000_000), { code: 'TEMPLATE_NOT_FOUND' });
      return;
    }
    entry.templates.delete(template);
    entry.version++;
    await index.removeTemplate(gallery, identity, template);
  } else {
    const answer = await index.eraseIdentity(gallery, identity);
    assert.deepEqual([answer.existed, answer.templatesErased], [true, entry.templates.size]);
    model.delete(identity);
    assert.equal((await index.eraseIdentity(gallery, identity)).existed, false);
  }
}

async function search(index: IdentityIndex, run: Run): Promise<void> {
  const { random, faces, model } = run;
  const probe = faces.face(Math.floor(random() * personCount));
  const k = 1 + Math.floor(random() * 12);
  const groups = random() < 0.4 ? [pick(random, groupNames) ?? '', 'no such group'] : undefined;
  const exact = random() < 0.4;
  const answer = await index.search({ gallery, space: testSpace, probe, k, groups, exact, ef: 64 });
  const truth = nearestIn(model, probe, k, groups);
  assert.equal(answer.candidates.length, truth.length, 'complete');
  if (exact) assert.ok(answer.exact);
  if (answer.exact) {
    assert.deepEqual(
      answer.candidates.map(({ identity, distance, template }) => ({ identity, distance, template })),
      truth,
    );
  }
  for (const { identity, label, groups: own, distance, template } of answer.candidates) {
    const entry = model.get(identity);
    assert.ok(entry, 'no ghosts');
    assert.ok(entry.templates.has(template), 'no ghosts');
    assert.deepEqual([label, own], [entry.label, entry.groups]);
    assert.ok(distance >= (truth[0]?.distance ?? 0));
  }
  const names = new Set(answer.candidates.map(({ identity }) => identity));
  run.found += truth.filter(({ identity }) => names.has(identity)).length;
  run.wanted += truth.length;
}

function verify(index: IdentityIndex, { random, faces, model }: Run): void {
  const person = Math.floor(random() * personCount);
  const identity = `person ${person}`;
  const probe = faces.face(person);
  const entry = model.get(identity);
  const [truth] = entry ? nearestIn(new Map([[identity, entry]]), probe, 1) : [];
  const ask = (): unknown => index.verify({ gallery, space: testSpace, identity, probe, threshold: 0.04 });
  if (truth) {
    const { distance, template } = truth;
    assert.deepEqual(ask(), { decision: distance <= 0.04 ? 'match' : 'no-match', distance, template, threshold: 0.04 });
  } else {
    assert.throws(
      ask,
      (error) =>
        isHarmonidError(error) && error.code === (model.has(identity) ? 'TEMPLATE_NOT_FOUND' : 'IDENTITY_NOT_FOUND'),
    );
  }
}

describe('identity index: simulation', () => {
  for (const { exactMax, operations } of [
    { exactMax: 60, operations: 2_000 },
    { exactMax: 100_000, operations: 800 },
  ]) {
    it(`does what a plain map does, exactMax ${exactMax}`, async function () {
      this.timeout(60_000);
      const random = randomFrom(runSeed(`simulation ${exactMax}`));
      await inTemporaryFolder(async (path) => {
        const warnings: unknown[] = [];
        const open = (): Promise<IdentityIndex> =>
          openIdentityIndex({
            path,
            exactMax,
            checkpointEvery: 400,
            // Durability has its own tests; here it would only cost time.
            durability: 'committed',
            onWarning: (message, facts) => warnings.push([message, facts]),
          });
        let index = await open();
        const run: Run = { random, faces: makeFaces(random, { spread: 0.15 }), model: new Map(), found: 0, wanted: 0 };
        await index.createGallery(
          galleryDraft(gallery, run.faces.dimensions, { templatesPerIdentityMax: templatesMax }),
        );
        for (let step = 0; step < operations; step++) {
          const dice = random();
          if (dice < 0.4) await enroll(index, run);
          else if (dice < 0.6) await change(index, run);
          else if (dice < 0.9) await search(index, run);
          else if (dice < 0.98) verify(index, run);
          else if (dice < 0.99) await index.checkpoint(gallery);
          else if (dice < 0.995) await index.settle();
          else {
            await index.close();
            index = await open();
            assertSame(index, gallery, run.model);
          }
        }
        await index.close();
        index = await open();
        assertSame(index, gallery, run.model);
        await index.close();
        assert.deepEqual(warnings, []);
        assert.ok(run.found / run.wanted > 0.98, `recall ${run.found / run.wanted}`);
      });
    });
  }
});
