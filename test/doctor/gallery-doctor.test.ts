/**
 * The doctor on a gallery of real photos with planted faults: a person under two names, a template under the wrong name, a person with one. What is to be
 * found is what was planted; what is to be kept is compared with what was there before, vector by vector.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'mocha';
import type { Database, ExportedTemplate } from '../../src/api.js';
import { examine, type ExaminedTemplate } from '../../src/doctor/examination.js';
import { examineGallery } from '../../src/doctor/gallery-doctor.js';
import { treat, type TreatedStep } from '../../src/doctor/treatment.js';
import { parsePlan, type TreatmentPlan } from '../../src/doctor/treatment-plan.js';
import { mapTemplates, templateMapPlot } from '../../src/doctor/template-map.js';
import { renderDoctorPage } from '../../src/doctor/doctor-page.js';
import type { Embedder } from '../../src/embedder/embedder.js';
import { isHarmonidError } from '../../src/errors.js';
import { makeRandom } from '../../src/random.js';
import { parseVector } from '../../src/vector.js';
import { keptOpen, openTestEmbedder, withDatabase } from '../support/database.js';
import { alterations, portrait, type Person } from '../support/photos.js';

const gallery = 'lobby';

/** Distances of these directions are easily told: 2 - 2 cos. */
function template(identity: string, number: number, degrees: number, quality: number | null = 0.8): ExaminedTemplate {
  const radians = (degrees * Math.PI) / 180;
  const vector = parseVector([Math.cos(radians), Math.sin(radians)], 2, 'the test');
  return { identity, template: number, quality, vector };
}

describe('a map of templates', () => {
  const random = makeRandom(3);
  const templates: readonly ExaminedTemplate[] = Array.from({ length: 40 }, (_, i) => ({
    identity: `p${i >> 1}`,
    template: i,
    quality: null,
    vector: parseVector(
      Array.from({ length: 16 }, () => random.normal()),
      16,
      'the test',
    ),
  }));
  const findings = {
    duplicates: [
      { a: 'p3', b: 'p17', mean: 0.1, nearest: 0.1, withinA: 0.1, withinB: 0.1, templatesA: 2, templatesB: 2 },
    ],
    mislabelled: [{ identity: 'p9', template: 18, other: 'p0', toOwn: 1, toOther: 0.1 }],
    weak: [],
  };

  it('shows all that a finding names, and of the others as many as there is room for', async () => {
    const named = [6, 7, 18, 34, 35];
    const all = await mapTemplates(templates, findings);
    assert.deepEqual(
      all.map((one) => one.template),
      templates.map((one) => one.template),
    );
    const part = await mapTemplates(templates, findings, { shownMax: 12 });
    assert.equal(part.length, 12);
    assert.deepEqual(
      named.filter((number) => !part.some((one) => one.template === number)),
      [],
    );
    assert.deepEqual(
      (await mapTemplates(templates, findings, { shownMax: 2 })).map((one) => one.template),
      named,
    );
  });

  it('is drawn: a dot a template, a line a pair', async () => {
    const plot = await templateMapPlot(await mapTemplates(templates, findings), findings);
    assert.equal(plot?.html.match(/fill-opacity="0.75"/g)?.length, 40);
    assert.equal(plot?.html.match(/<line /g)?.length, 1);
  });
});

describe('an examination', () => {
  const limits = { threshold: 0.1, duplicateMax: 0.1, margin: 0.02, qualityMin: 0.1 };

  it('by hand: duplicates nearest first, with what they are among their own', async () => {
    const templates = [
      template('a', 1, 0),
      template('a', 2, 4),
      template('b', 3, 9),
      template('c', 4, 100),
      template('d', 5, 101),
    ];
    const { duplicates, mislabelled } = await examine(['a', 'b', 'c', 'd'], templates, limits);
    const distance = (degrees: number): number => 2 - 2 * Math.cos((degrees * Math.PI) / 180);
    assert.deepEqual(
      duplicates.map(({ a, b }) => [a, b]),
      [
        ['c', 'd'],
        ['a', 'b'],
      ],
    );
    const [, ab] = duplicates;
    const near = (actual: number | null | undefined, expected: number): void =>
      assert.ok(Math.abs((actual ?? Number.NaN) - expected) < 1e-6);
    near(ab?.nearest, distance(5));
    near(ab?.mean, (distance(9) + distance(5)) / 2);
    near(ab?.withinA, distance(4));
    assert.equal(ab?.withinB, null);
    assert.deepEqual(mislabelled, []);
  });

  it('by hand: a mislabelled template makes no duplicates, and all kinds of weakness are told', async () => {
    const templates = [
      template('a', 1, 0),
      template('a', 2, 4),
      template('a', 3, 90),
      template('b', 4, 89),
      template('b', 5, 93),
      template('far', 6, 180),
      template('far', 7, 240),
      template('poor', 8, 300, 0.05),
    ];
    const found = await examine(['a', 'b', 'empty', 'far', 'poor'], templates, limits);
    assert.deepEqual(
      found.mislabelled.map(({ identity, template: number, other }) => [identity, number, other]),
      [['a', 3, 'b']],
    );
    assert.deepEqual(found.duplicates, []);
    assert.deepEqual(
      found.weak.map(({ identity, weaknesses }) => [identity, weaknesses]),
      [
        ['a', ['far-apart']],
        ['empty', ['no-template']],
        ['far', ['far-apart']],
        ['poor', ['single-template', 'low-quality']],
      ],
    );
  });
});

describe('a plan', () => {
  const read = (steps: readonly unknown[]): TreatmentPlan => parsePlan(JSON.stringify({ gallery, steps }), 'plan.json');
  const refused = (steps: readonly unknown[], says: RegExp): void =>
    assert.throws(
      () => read(steps),
      (error) => isHarmonidError(error) && error.code === 'INVALID_ARGUMENT' && says.test(error.message),
    );

  it('is read as it was written, and refused with the step that is wrong', () => {
    const steps = [
      { action: 'move', identity: 'a', template: 3, into: 'b' },
      { action: 'merge', identity: 'c', into: 'b' },
      { action: 'describe', identity: 'b', label: '', groups: ['staff'], attributes: { office: 'B2' } },
    ];
    assert.deepEqual(read(steps), { gallery, steps });
    refused([{ action: 'erase', identity: 'a' }], /step 1/);
    refused([steps[0], { action: 'move', identity: 'a', template: '3', into: 'b' }], /step 2/);
    refused([{ action: 'merge', identity: 'a', into: 'a' }], /both sides/);
    refused(
      [
        { action: 'merge', identity: 'a', into: 'b' },
        { action: 'merge', identity: 'b', into: 'c' },
      ],
      /"b" is merged/,
    );
    assert.throws(() => parsePlan('{', 'plan.json'), /not JSON/);
    assert.throws(() => parsePlan('[]', 'plan.json'), /"gallery" and "steps"/);
  });
});

describe('a gallery with planted faults', function () {
  this.timeout(60_000);
  let embedder: Embedder;
  before(async () => {
    embedder = await openTestEmbedder();
  });
  after(async () => {
    await embedder.close();
  });

  it('is seen through, mended after a plan, and as before after the plan that takes it back', async () => {
    await withDatabase({ embedder: keptOpen(embedder) }, async (database) => {
      await plant(database);
      const before = await contentOf(database);
      const report = await examineGallery(database, { gallery });

      assert.deepEqual(
        report.duplicates.map(({ a, b }) => [a, b]),
        [['green', 'green-again']],
      );
      assert.deepEqual(
        report.mislabelled.map(({ identity, other }) => [identity, other]),
        [['blonde', 'burgundy']],
      );
      const single = report.weak.filter(({ weaknesses }) => weaknesses.includes('single-template'));
      assert.deepEqual(
        single.map(({ identity }) => identity),
        ['bow', 'green-again'],
      );
      assert.deepEqual([report.identityCount, report.templateCount], [5, 9]);
      const wrong = report.mislabelled[0]?.template;
      assert.deepEqual(report.plan.steps, [
        { action: 'move', identity: 'blonde', template: wrong, into: 'burgundy' },
        { action: 'merge', identity: 'green-again', into: 'green' },
      ]);
      assert.match(await renderDoctorPage(report), /green-again/);

      const treated = await applyAll(database, report.plan);
      const mended = await contentOf(database);
      assert.deepEqual(mended.get('green')?.length, 3);
      assert.deepEqual(mended.get('burgundy')?.length, 3);
      assert.deepEqual(mended.get('blonde')?.length, 2);
      assert.equal(mended.get('green-again'), undefined);
      assert.deepEqual([...mended.values()].flat().toSorted(), [...before.values()].flat().toSorted());
      const merged = await database.getIdentity({ gallery, identity: 'green' });
      assert.deepEqual([merged.label, [...merged.groups].toSorted()], ['Greta', ['night', 'staff']]);
      assert.deepEqual(merged.attributes, { office: 'B2', badge: '7' });
      assert.deepEqual(
        treated.flatMap(({ lost }) => lost),
        ['attribute office=C3 of green-again: green has office=B2'],
      );
      const again = await examineGallery(database, { gallery });
      assert.deepEqual([again.duplicates, again.mislabelled], [[], []]);
      assert.deepEqual(again.weak.find(({ identity }) => identity === 'green-again')?.weaknesses, ['no-template']);

      const undo = treated.toReversed().flatMap(({ undo: steps }) => steps);
      await applyAll(database, parsePlan(JSON.stringify({ gallery, steps: undo }), 'undo.json'));
      assert.deepEqual(await contentOf(database), before);
      const { label, groups, attributes } = await database.getIdentity({ gallery, identity: 'green' });
      assert.deepEqual([label, groups, attributes], ['', ['staff'], { office: 'B2' }]);
      for await (const finding of database.check()) assert.fail(JSON.stringify(finding));
    });
  });

  it('loses nothing where a step is refused', async () => {
    await withDatabase({ embedder: keptOpen(embedder) }, async (database) => {
      await plant(database);
      await database.updateGallery({ gallery, templatesPerIdentityMax: 3 });
      const before = await contentOf(database);
      const refused = async (steps: TreatmentPlan['steps'], code: string): Promise<void> => {
        await assert.rejects(
          applyAll(database, { gallery, steps }),
          (error) => isHarmonidError(error) && error.code === code,
        );
        assert.deepEqual(await contentOf(database), before);
      };
      await refused([{ action: 'merge', identity: 'burgundy', into: 'blonde' }], 'LIMIT_EXCEEDED');
      await refused([{ action: 'merge', identity: 'green', into: 'nobody' }], 'IDENTITY_NOT_FOUND');
      await refused([{ action: 'move', identity: 'green', template: 999_999, into: 'bow' }], 'TEMPLATE_NOT_FOUND');
      // A plan that was carried out changes nothing when it is applied again.
      const plan = { gallery, steps: [{ action: 'merge', identity: 'green-again', into: 'green' }] } as const;
      await applyAll(database, plan);
      const once = await contentOf(database);
      await applyAll(database, plan);
      assert.deepEqual(await contentOf(database), once);
    });
  });
});

/** green is enrolled twice, one of burgundy's photos is under blonde, bow has one photo. */
async function plant(database: Database): Promise<void> {
  await database.createGallery({ gallery });
  const enroll = async (identity: string, photos: readonly Buffer[], more: object = {}): Promise<void> => {
    const request = {
      gallery,
      identity,
      images: photos,
      refuseReasons: [],
      duplicates: 'ignore',
      faces: 'largest',
    } as const;
    await database.enroll({ ...request, ...more });
  };
  const shots = async (person: Person): Promise<readonly [Buffer, Buffer, Buffer]> => {
    const photo = await portrait(person);
    return [photo, await alterations.darkened(photo), await alterations['JPEG quality 20'](photo)];
  };
  const [green, burgundy, blonde] = [await shots('green'), await shots('burgundy'), await shots('blonde')];
  await enroll('green', [green[0], green[1]], { groups: ['staff'], attributes: { office: 'B2' } });
  await enroll('green-again', [green[2]], {
    label: 'Greta',
    groups: ['night'],
    attributes: { office: 'C3', badge: '7' },
  });
  await enroll('burgundy', [burgundy[0], burgundy[1]]);
  await enroll('blonde', [blonde[0], blonde[1], burgundy[2]]);
  await enroll('bow', [await portrait('bow')]);
}

async function applyAll(database: Database, plan: TreatmentPlan): Promise<readonly TreatedStep[]> {
  const treated: TreatedStep[] = [];
  for await (const step of treat(database, plan)) treated.push(step);
  return treated;
}

/** Who has which vectors with which provenance, without the numbers, which are never used twice. */
async function contentOf(database: Database): Promise<ReadonlyMap<string, readonly string[]>> {
  const content = new Map<string, string[]>();
  for await (const item of database.exportTemplates({ gallery })) {
    content.set(item.identity, [...(content.get(item.identity) ?? []), fingerprint(item)].toSorted());
  }
  return content;
}

function fingerprint({ template: { origin, quality, imageDigest, enrolledAt }, embedding }: ExportedTemplate): string {
  return JSON.stringify([origin, quality, imageDigest, enrolledAt, embedding.space, ...Array.from(embedding.vector)]);
}
