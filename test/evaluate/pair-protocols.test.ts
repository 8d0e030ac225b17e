/**
 * Each protocol on pairs once, from end to end, on four portraits out of the repository's own photos, through the real pipeline; and their figures on faces that are
 * written down, where they can be worked out by hand. Pages are read by a strict reader.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { after, before, describe, it } from 'mocha';
import type { Embedder } from '../../src/embedder/embedder.js';
import { openOnnxEmbedder } from '../../src/embedder/onnx-embedder.js';
import { isHarmonidError } from '../../src/errors.js';
import { evaluateDimensions } from '../../src/evaluate/dimensions.js';
import { renderDimensionsPage } from '../../src/evaluate/dimensions-page.js';
import { formatDimensionsReport } from '../../src/evaluate/dimensions-table.js';
import { comparePacks } from '../../src/evaluate/pack-comparison.js';
import { renderPackComparisonPage } from '../../src/evaluate/pack-comparison-page.js';
import { formatPackComparison } from '../../src/evaluate/pack-comparison-table.js';
import { parsePairs } from '../../src/evaluate/pairs.js';
import { evaluateRobustness } from '../../src/evaluate/robustness.js';
import { renderRobustnessPage } from '../../src/evaluate/robustness-page.js';
import { formatRobustnessReport } from '../../src/evaluate/robustness-table.js';
import { evaluateVerification } from '../../src/evaluate/verification.js';
import { formatVerificationReport } from '../../src/evaluate/verification-table.js';
import { renderVerificationPage } from '../../src/evaluate/verification-page.js';
import { readPhoto } from '../../src/evaluate/photo-vectors.js';
import { openAlgebra, type Algebra } from '../../src/migrate/dense-algebra.js';
import { keptOpen, modelsPath, openTestEmbedder, temporaryFolder } from '../support/database.js';
import { alterations, everyPerson, portrait } from '../support/photos.js';
import { elementsOf, readPage, tableOf, textOf } from './page-reader.js';
import { openWrittenFaces } from './written-faces.js';

const [one, two, three, four] = everyPerson;
const pairs = parsePairs(
  [
    '2\t2',
    `${one}\t1\t2\n${two}\t1\t2\n${one}\t1\t${two}\t1\n${one}\t2\t${two}\t2`,
    `${three}\t1\t2\n${four}\t1\t2\n${three}\t1\t${four}\t1\n${three}\t2\t${four}\t2`,
  ].join('\n'),
  'pairs',
);

describe('protocols on pairs', function () {
  this.timeout(120_000);
  let folder = '';
  let embedder: Embedder;
  let algebra: Algebra;
  before(async () => {
    folder = temporaryFolder();
    for (const person of [one, two, three, four]) {
      if (!person) continue;
      const photo = await sharp(await portrait(person))
        .resize(250, 250, { fit: 'fill' })
        .jpeg()
        .toBuffer();
      mkdirSync(join(folder, person));
      writeFileSync(join(folder, person, `${person}_0001.jpg`), photo);
      writeFileSync(join(folder, person, `${person}_0002.jpg`), await alterations.darkened(photo));
    }
    [embedder, algebra] = [await openTestEmbedder(), await openAlgebra()];
  });
  after(async () => {
    await embedder.close();
    await algebra.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const protocol = () => ({ imagesPath: folder, pairs, cachePath: join(folder, 'cache.jsonl') });

  it('verification: a fixed crop is another one than that which detection finds, and misses nobody', async () => {
    const report = await evaluateVerification({ ...protocol(), embedder, mode: 'centre' });
    assert.deepEqual([report.mode, report.photos, report.facesNotFound.count], ['centre', 8, 0]);
    assert.match(formatVerificationReport(report), /fixed crop of the middle/);
    const found = await evaluateVerification({ ...protocol(), embedder });
    assert.notEqual(found.threshold, report.threshold);
  });

  it('verification: the page shows a pair that was decided wrongly, with both names and its distance', async () => {
    // Pairs that say that two people are one: they are refused.
    const wrong = parsePairs(
      `2\t1\n${one}\t1\t2\n${one}\t1\t${two}\t1\n${three}\t1\t2\n${three}\t1\t${four}\t1`,
      'pairs',
    );
    const [, fold] = wrong.folds;
    const mislabelled = {
      ...wrong,
      folds: [wrong.folds[0] ?? [], (fold ?? []).map((pair) => ({ ...pair, genuine: !pair.genuine }))],
    };
    const report = await evaluateVerification({ ...protocol(), pairs: mislabelled, embedder });
    // The first fold's threshold is right, so that both labels of the second are wrong.
    const ofSecond = report.wronglyClassified.filter(({ a }) => a.startsWith(three ?? '-'));
    assert.deepEqual(
      ofSecond.map(({ kind }) => kind),
      ['false-accept', 'false-reject'],
    );
    const root = readPage(await renderVerificationPage(report, (photo) => readPhoto(folder, photo)));
    const pictures = elementsOf(root, 'img').map((image) => image.attributes.get('alt'));
    assert.deepEqual(
      pictures,
      report.wronglyClassified.flatMap(({ a, b }) => [a, b]),
    );
    const captions = elementsOf(root, 'figcaption').map(textOf);
    for (const { distance } of report.wronglyClassified)
      assert.ok(captions.some((caption) => caption.includes(`distance ${distance.toFixed(3)}`)));
  });

  it('robustness: hardly compressed is hardly worse, nearly black shows nobody', async () => {
    const report = await evaluateRobustness({
      ...protocol(),
      embedder,
      far: 0.5,
      degradations: [
        { kind: 'jpeg', level: 95 },
        { kind: 'brightness', level: 0.001 },
        { kind: 'eyes', level: 0.2 },
        { kind: 'size', level: 65_536 },
      ],
    });
    const [good, jpeg, black, eyes, size] = report.rows;
    assert.deepEqual([good?.val?.mean, good?.facesNotFound.count], [1, 0]);
    assert.deepEqual([jpeg?.val?.mean, jpeg?.valInService?.mean], [1, 1]);
    assert.deepEqual(
      [black?.facesNotFound.count, black?.val?.mean, black?.valDifference?.mean, black?.farInService?.mean],
      [8, 0, -1, 0],
    );
    assert.equal(black?.accuracy.mean, 0);
    assert.notEqual(eyes, undefined);
    // 250 x 250 are fewer than 65,536.
    assert.deepEqual([size?.photosUnchanged, size?.val], [8, good?.val]);
    assert.match(formatRobustnessReport(report), /brightness, times: 0.001/);
    const root = readPage(await renderRobustnessPage(report));
    assert.equal(tableOf(root, 'All levels').length, 1 + report.rows.length);
    assert.equal(elementsOf(root, 'svg').length, 4);
    // A second run knows all photos, good or degraded.
    const entries = readFileSync(join(folder, 'cache.jsonl'), 'utf8');
    await evaluateRobustness({ ...protocol(), embedder, far: 0.5, degradations: [{ kind: 'jpeg', level: 95 }] });
    assert.equal(readFileSync(join(folder, 'cache.jsonl'), 'utf8'), entries);
  });

  it('robustness: where the eyes are in a crop of the chip is not known', async () => {
    await assert.rejects(
      evaluateRobustness({ ...protocol(), embedder, mode: 'aligned', degradations: [{ kind: 'eyes', level: 0.2 }] }),
      (error) => isHarmonidError(error) && error.code === 'INVALID_ARGUMENT',
    );
  });

  it('dimensions: all of them, cut, turned or in a byte each, decide the same', async () => {
    const report = await evaluateDimensions({ ...protocol(), embedder, algebra, dimensions: [1, 64, 128] });
    const row = (kind: string, dimensions: number) =>
      report.rows.find((one) => one.kind === kind && one.dimensions === dimensions);
    assert.deepEqual(row('float32', 128)?.accuracy.mean, 1);
    assert.deepEqual(row('int8-symmetric', 128)?.accuracyDifference, { mean: 0, standardError: 0 });
    // Four vectors do not tell how far a dimension reaches: only its cost is looked at.
    assert.deepEqual(
      (['int8-symmetric', 'int8-learned', 'int8-engine'] as const).map((kind) => row(kind, 128)?.bytes),
      [128, 128, 128],
    );
    // All coordinates, and a rotation of all, change no distance.
    for (const kind of ['cut', 'projected'])
      assert.deepEqual(row(kind, 128)?.accuracyDifference, { mean: 0, standardError: 0 });
    // What is left of one coordinate is a sign.
    assert.ok((row('cut', 1)?.accuracy.mean ?? 1) < 1);
    assert.match(formatDimensionsReport(report), /int8, scale of each vector/);
    const root = readPage(await renderDimensionsPage(report));
    assert.equal(tableOf(root, 'One byte a dimension').length, 5);
    await assert.rejects(
      evaluateDimensions({ ...protocol(), embedder, algebra, dimensions: [129] }),
      (error) => isHarmonidError(error) && error.code === 'INVALID_ARGUMENT',
    );
    const [fold = []] = pairs.folds;
    await assert.rejects(
      evaluateDimensions({ ...protocol(), pairs: { ...pairs, folds: [fold, fold] }, embedder, algebra }),
      (error) => isHarmonidError(error) && /nobody else to learn from/.test(error.message),
    );
  });

  it('compare: a pack does not differ from itself; without mirror averaging it is another space with a threshold of its own', async () => {
    const plain = () => openOnnxEmbedder({ modelsPath, provider: 'cpu', mirrorAveraging: false });
    const report = await comparePacks({
      ...protocol(),
      packs: [async () => keptOpen(embedder), async () => keptOpen(embedder), plain],
    });
    const [first, same, other] = report.packs;
    for (const pack of [first, same]) assert.deepEqual(pack?.accuracyDifference, { mean: 0, standardError: 0 });
    assert.deepEqual(same?.report.threshold, first?.report.threshold);
    assert.deepEqual([first?.report.mirrorAveraging, other?.report.mirrorAveraging], [true, false]);
    assert.notEqual(other?.report.threshold, first?.report.threshold);
    assert.equal(formatPackComparison(report).match(/dlib-resnet-v1/g)?.length, 3);
    const root = readPage(await renderPackComparisonPage(report));
    assert.equal(tableOf(root, 'Packs').length, 4);
    assert.equal(elementsOf(root, 'svg').length, 1);
    await assert.rejects(
      comparePacks({ ...protocol(), packs: [async () => openWrittenFaces()] }),
      (error) => isHarmonidError(error) && error.code === 'INVALID_ARGUMENT',
    );
  });
});
