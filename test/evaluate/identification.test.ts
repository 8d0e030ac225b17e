/**
 * Over photos that are text files with known faces: people stand on a circle, 30 degrees apart, their two photos 2 degrees. Who is enrolled is
 * drawn; what then comes out is computed from the draw by comparing everybody with everybody.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { isHarmonidError, type ErrorCode } from '../../src/errors.js';
import { evaluateIdentification, type IdentificationReport } from '../../src/evaluate/identification.js';
import { renderIdentificationPage } from '../../src/evaluate/identification-page.js';
import { formatIdentificationReport } from '../../src/evaluate/identification-table.js';
import { drawOpenSet } from '../../src/evaluate/open-set-draw.js';
import type { PersonPhoto } from '../../src/evaluate/person-photos.js';
import { makeRandom } from '../../src/random.js';
import { readPage, tableOf, textOf } from './page-reader.js';
import { openWrittenFaces } from './written-faces.js';

const people = Array.from({ length: 12 }, (_, i) => `P${String(i).padStart(2, '0')}`);

/** Angle of each photo, degrees. */
const angles = new Map(people.flatMap((person, i) => [0, 2].map((more, j) => [`${person}/${j}.jpg`, 30 * i + more])));

/** Squared distance on the circle. */
function apart(one: number, other: number): number {
  return 2 - 2 * Math.cos(((one - other) * Math.PI) / 180);
}

const refusedWith =
  (code: ErrorCode, message: RegExp) =>
  (error: unknown): boolean =>
    isHarmonidError(error) && error.code === code && message.test(error.message);

describe('open-set identification', function () {
  this.timeout(60_000);
  let folder = '';
  let photos: readonly PersonPhoto[] = [];
  const temporary = process.env['TMPDIR'];
  const write = (photo: string, text: string): void => {
    mkdirSync(join(folder, 'photos', photo, '..'), { recursive: true });
    writeFileSync(join(folder, 'photos', photo), text);
  };
  const angleOf = ({ person, path }: PersonPhoto): number => angles.get(`${person}/${path.split('/').at(-1)}`) ?? 0;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'harmonid-identification-'));
    for (const [photo, degrees] of angles) {
      const radians = (degrees * Math.PI) / 180;
      const vector = [Math.cos(radians), Math.sin(radians)];
      // Its own place in the file keeps two photos from being one to the cache.
      write(photo, JSON.stringify([{ box: [30, 30, 40, 40], vector, photo }]));
    }
    photos = [...angles.keys()].map((photo) => ({
      person: photo.slice(0, 3),
      path: join(folder, 'photos', photo),
    }));
    mkdirSync(join(folder, 'tmp'));
    process.env['TMPDIR'] = join(folder, 'tmp');
  });
  afterEach(() => {
    if (temporary === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = temporary;
    rmSync(folder, { recursive: true, force: true });
  });

  const ratesOf = ({ galleries }: IdentificationReport) =>
    galleries.map(({ people, distractors, engine }) => [people, distractors, engine]);

  it('everybody enrolled is found, and strangers by how near they are', async () => {
    const report = await evaluateIdentification({ embedder: openWrittenFaces(), photos });
    assert.deepEqual(report.searches, { mated: 6, matedPeople: 6, nonMated: 12, nonMatedPeople: 6 });
    assert.deepEqual(ratesOf(report), [
      [6, 0, 'exact'],
      [6, 0, 'hnsw'],
    ]);
    const draw = drawOpenSet(photos, [6], makeRandom(1));
    const nearest = draw.nonMated.map((photo) =>
      Math.min(...draw.enrolled.map((other) => apart(angleOf(photo), angleOf(other)))),
    );
    for (const { rank1, atFpir, atThreshold, recall, engine, comparedAll } of report.galleries) {
      assert.equal(rank1.value, 1);
      // 12 searches: one false positive at FPIR 0.1, at most. Everybody's own is 2 degrees away, nobody else within 26.
      assert.deepEqual(
        atFpir.map(({ support, fnir }) => [support, fnir?.value]),
        [
          ['coarse', 0],
          ['not-measurable', undefined],
          ['not-measurable', undefined],
        ],
      );
      // The embedder's threshold is 0.5.
      assert.equal(atThreshold.fpir.value, nearest.filter((distance) => distance <= 0.5).length / 12);
      assert.deepEqual(recall, engine === 'hnsw' ? { mated: 1, nonMated: 1 } : null);
      assert.equal(comparedAll, 18, 'a graph of six is not walked');
    }
    assert.deepEqual(report.misidentified, []);
    assert.ok(Math.abs((report.nearest[0]?.distance ?? 0) - Math.min(...nearest)) < 1e-6);
    assert.deepEqual(JSON.parse(JSON.stringify(report)), report, 'the report survives JSON');
    assert.deepEqual(readdirSync(join(folder, 'tmp')), [], 'the gallery is gone');
  });

  it('galleries grow by people and by strangers, are asked the same, and a second run resumes from the cache', async () => {
    const options = { photos, sizes: [3, 6], distractors: [20, 200], ef: 16, cachePath: join(folder, 'cache.jsonl') };
    const seen = new Map<string, number>();
    const first = await evaluateIdentification({
      embedder: openWrittenFaces(),
      ...options,
      onProgress: (stage, done, total) => {
        assert.ok(done <= total);
        seen.set(stage, done);
        if (done === total) seen.set(`${stage}, all`, total);
      },
    });
    assert.deepEqual(first.searches, { mated: 3, matedPeople: 3, nonMated: 12, nonMatedPeople: 6 });
    assert.deepEqual(
      ratesOf(first).filter(([, , engine]) => engine === 'exact'),
      [
        [3, 0, 'exact'],
        [6, 0, 'exact'],
        [6, 20, 'exact'],
        [6, 200, 'exact'],
      ],
    );
    // 6 people, 200 strangers, and 15 searches of 4 galleries in two ways.
    assert.deepEqual(Object.fromEntries(seen), {
      photos: 24,
      'photos, all': 24,
      'enrolments and searches': 326,
      'enrolments and searches, all': 326,
    });
    // 200 more on a circle of 12: somebody's nearest is a stranger who does not exist.
    const [, , , , , , last] = first.galleries;
    assert.deepEqual(
      first.galleries.slice(-2).map(({ engine, comparedAll, recall }) => [engine, comparedAll, recall]),
      [
        ['exact', 15, null],
        ['hnsw', 0, { mated: 1, nonMated: 1 }],
      ],
    );
    assert.ok((last?.atThreshold.fpir.value ?? 0) >= (first.galleries[0]?.atThreshold.fpir.value ?? 1));
    assert.deepEqual(tableOf(readPage(await renderIdentificationPage(first)), 'What the graph finds').at(-1), [
      '6 people + 200 synthetic',
      '100.00 %',
      '100.00 %',
    ]);
    const embedder = openWrittenFaces();
    const second = await evaluateIdentification({ embedder, ...options });
    assert.equal(embedder.embedded(), 0);
    assert.deepEqual(second, { ...first, photosEmbedded: 0, imagesPerSecond: null });
    const other = await evaluateIdentification({ embedder, ...options, seed: 2, engines: ['exact'] });
    assert.notDeepEqual(other.nearest, first.nearest);
    assert.deepEqual([other.galleries.length, other.galleries[0]?.recall], [4, null]);
  });

  it('a photo without a face is a miss when it or its search is mated, and nothing else', async () => {
    const { enrolled, nonMated } = drawOpenSet(photos, [6], makeRandom(1));
    const [noTemplate, noProbe, stranger] = [enrolled[0], enrolled[1], nonMated[0]];
    assert.ok(noTemplate && noProbe && stranger);
    for (const photo of [noTemplate, stranger, photos.find((one) => one.person === noProbe.person && one !== noProbe)])
      writeFileSync(photo?.path ?? '', '[]');
    const report = await evaluateIdentification({ embedder: openWrittenFaces(), photos });
    assert.deepEqual([report.facesNotFound.count, report.facesNotFound.enrolments], [3, 1]);
    assert.deepEqual(
      report.galleries.map(({ rank1, people }) => [Math.round(6 * rank1.value), people]),
      [
        [4, 6],
        [4, 6],
      ],
    );
    assert.match(formatIdentificationReport(report), /faces not found in 3 \(1 of them to be enrolled\)/);
    // Whose template is missing is taken for somebody else.
    assert.deepEqual(
      report.misidentified.map(({ person }) => person),
      [noTemplate.person],
    );
  });

  it('the page and the table have the figures of the report, and escape names', async () => {
    const report = await evaluateIdentification({ embedder: openWrittenFaces(), photos, engines: ['exact'] });
    const named = { ...report, nearest: [{ photo: '<b>', person: 'x', candidate: '&amp;', distance: 0.5 }] };
    const page = readPage(await renderIdentificationPage(named));
    assert.deepEqual(tableOf(page, 'Who is missed'), [
      ['gallery', 'own comes first', 'FNIR at FPIR 1e-1, coarse', 'FNIR at FPIR 1e-2', 'FNIR at FPIR 1e-3'],
      ['6 people exact', '100.00 % (100.0–100.0)', '0.00 % (0.0–0.0)', 'not measurable', 'not measurable'],
    ]);
    assert.doesNotMatch(textOf(page), /What the graph finds/);
    assert.deepEqual(tableOf(page, 'Who is taken for whom')[1], ['<b>', '&amp;', '0.5000']);
    assert.match(formatIdentificationReport(report), /FNIR @ FPIR 1e-1, coarse/);
  });

  it('refuses what cannot be drawn, and can be cancelled', async () => {
    const run = (more: object) => evaluateIdentification({ embedder: openWrittenFaces(), photos, ...more });
    await assert.rejects(run({ sizes: [12] }), refusedWith('INVALID_ARGUMENT', /photos of 12 people, of whom 12/));
    await assert.rejects(run({ sizes: [4, 4] }), refusedWith('INVALID_ARGUMENT', /sizes are 4, 4/));
    await assert.rejects(run({ distractors: [2_000_000] }), refusedWith('INVALID_ARGUMENT', /from 1 to 1000000/));
    await assert.rejects(
      run({ photos: photos.filter(({ path }) => path.endsWith('0.jpg')) }),
      refusedWith('INVALID_ARGUMENT', /has a second photo/),
    );
    const controller = new AbortController();
    const cancelled = run({
      signal: controller.signal,
      distractors: [100_000],
      onProgress: (stage: string, done: number) => {
        if (stage !== 'photos' && done > 50) controller.abort();
      },
    });
    await assert.rejects(cancelled, refusedWith('CANCELLED', /cancelled/));
    assert.deepEqual(readdirSync(join(folder, 'tmp')), []);
  });
});
