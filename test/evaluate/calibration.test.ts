/** Method: people made by a seeded model, written into files; what the evaluation says came is held against what was asked, and its refusals against their words. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { isHarmonidError } from '../../src/errors.js';
import { renderCalibrationEvaluationPage } from '../../src/evaluate/calibration-evaluation-page.js';
import { evaluateCalibration, type CalibrationEvaluation } from '../../src/evaluate/calibration.js';
import { formatCalibrationEvaluation } from '../../src/evaluate/calibration-table.js';
import type { PersonPhoto } from '../../src/evaluate/person-photos.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { temporaryFolder } from '../support/database.js';
import { openWrittenFaces } from './written-faces.js';

const dimensions = 24;

describe('evaluate calibration', () => {
  let folder: string;
  const photos: PersonPhoto[] = [];
  let report: CalibrationEvaluation;
  before(async () => {
    folder = temporaryFolder();
    const maker = makeFaces(randomFrom(8), { dimensions, spread: 0.1 });
    const add = (person: string, number: number, name = 'a'): void => {
      mkdirSync(join(folder, person), { recursive: true });
      const path = join(folder, person, `${name}.txt`);
      writeFileSync(path, JSON.stringify([{ box: [40, 40, 20, 20], vector: Array.from(maker.face(number)) }]));
      photos.push({ person, path });
    };
    for (let i = 0; i < 400; i++) {
      add(`p${i}`, i);
      if (i % 3 === 0) add(`p${i}`, i, 'b');
    }
    // One of them under another name.
    add('alias', 5);
    report = await evaluateCalibration({
      embedder: openWrittenFaces(dimensions),
      photos,
      sizes: [200],
      draws: 8,
      same: [['alias', 'p5']],
    });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('finds the rates that were asked for in people who were not enrolled', () => {
    const [gallery] = report.galleries;
    assert.ok(gallery);
    assert.deepEqual([report.people, report.photos, gallery.size, gallery.strangers], [401, 535, 200, 201]);
    const rateOf = (kind: string, asked: number) =>
      gallery.rates.find((rate) => rate.kind === kind && rate.asked === asked);
    for (const [kind, asked, factor] of [
      ['fpir', 0.1, 1.5],
      ['fpir', 0.01, 3],
      ['fmr', 1e-3, 1.5],
    ] as const) {
      const rate = rateOf(kind, asked);
      assert.ok(rate && rate.low <= rate.realised.mean && rate.realised.mean <= rate.high);
      const ratio = rate.realised.mean / asked;
      assert.ok(ratio > 1 / factor && ratio < factor, `${kind} ${asked}: ${ratio} of it`);
    }
    assert.ok(gallery.samePairs.found <= gallery.samePairs.there);
    const text = formatCalibrationEvaluation(report);
    assert.match(text, /^200 people enrolled, 201 strangers/m);
    assert.match(text, /^FPIR 0\.01 +\S+ ± \S+ +\d\.\d\d +\S+ to \S+ +0\.\d{4}$/m);
  });

  it('tells each rate on a page, and the reliability rises with what was asked', async () => {
    const [gallery] = report.galleries;
    const page = await renderCalibrationEvaluationPage(report);
    for (const { kind, asked } of gallery?.rates ?? [])
      assert.ok(page.includes(`${kind.toUpperCase()} ${asked.toExponential()}`), `${kind} ${asked}`);
    assert.ok(page.includes('200 people enrolled, 201 strangers') && page.includes('<svg '));
    const realised = gallery?.reliability.map((rate) => rate.realised.mean) ?? [];
    assert.ok(realised.length > 20);
    assert.deepEqual(
      realised,
      realised.toSorted((one, other) => one - other),
    );
  });

  it('draws the same from the same seed, and refuses galleries of everybody or of hardly anybody', async () => {
    const again = (sizes: readonly number[], seed: number) =>
      evaluateCalibration({ embedder: openWrittenFaces(dimensions), photos, sizes, draws: 2, seed, fmrs: [] });
    assert.deepEqual(await again([150], 4), await again([150], 4));
    assert.notDeepEqual(await again([150], 4), await again([150], 5));
    for (const size of [401, 99]) {
      await assert.rejects(
        again([size], 1),
        (error) => isHarmonidError(error) && error.code === 'INVALID_ARGUMENT' && /401 people/.test(error.message),
      );
    }
  });
});
