/**
 * Splits in the format of YouTube Faces, right and wrong; the mean over pairs of frames against a loop over them; and the protocol over tracks whose frames
 * are text files with known faces. YouTube Faces itself was not to be had: test/cli/evaluate.test.ts has tracks out of altered photos.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { isHarmonidError } from '../../src/errors.js';
import { parseTrackSplits } from '../../src/evaluate/track-splits.js';
import { meanSquaredDistance, readTrack, type TrackMean } from '../../src/evaluate/tracks.js';
import { evaluateVideo } from '../../src/evaluate/video.js';
import { renderVideoPage } from '../../src/evaluate/video-page.js';
import { formatVideoReport } from '../../src/evaluate/video-table.js';
import { makeRandom } from '../../src/random.js';
import { parseVector, squaredDistance, type UnitVector } from '../../src/vector.js';
import { readPage, tableOf } from './page-reader.js';
import { openWrittenFaces } from './written-faces.js';

const header = 'split number, first name, second name, similarity, is same';
const text = [header, '1, A/0, A/1, 0.5, 1', '1, A/0, B/0, -0.2, 0', '2, C/0, C/1, 0, 1', '2, C/1, B/0, 0, 0', ''].join(
  '\n',
);

const refused =
  (message: RegExp) =>
  (error: unknown): boolean =>
    isHarmonidError(error) && error.code === 'INVALID_ARGUMENT' && message.test(error.message);

describe('splits of tracks', () => {
  it('are read in the format of YouTube Faces', () => {
    assert.deepEqual(parseTrackSplits(text, 'splits').folds, [
      [
        { a: 'A/0', b: 'A/1', genuine: true },
        { a: 'A/0', b: 'B/0', genuine: false },
      ],
      [
        { a: 'C/0', b: 'C/1', genuine: true },
        { a: 'C/1', b: 'B/0', genuine: false },
      ],
    ]);
    assert.deepEqual(parseTrackSplits(`\uFEFF${text.replaceAll('\n', '\r\n')}`, 'x'), parseTrackSplits(text, 'x'));
  });

  const cases: readonly [wrong: string, says: RegExp][] = [
    [text.replace(`${header}\n`, ''), /^splits, line 1: expected the header "split number/],
    [text.replace('0.5, 1', '0.5'), /line 2: expected "split number, first name/],
    [text.replace('1, A/0, A/1', '0, A/0, A/1'), /line 2: split numbers are whole/],
    [text.replace('1, A/0, A/1', '3, A/0, A/1'), /line 2: split 3 comes after split 0/],
    [text.replace('A/1', 'A'), /line 2: "A" is not a track/],
    [text.replace('A/1', 'A/..'), /line 2: "A\/\.\." is not a track/],
    [text.replace('0.5', 'half'), /line 2: the similarity is not a number/],
    [text.replace('0.5, 1', '0.5, 2'), /line 2: "is same" is 0 or 1/],
    [text.replace('A/1', 'A/0'), /line 2: a pair needs two tracks/],
    [text.replace('A/1', 'B/1'), /line 2: "is same" is 1, but the tracks are of two people/],
    [text.replace('B/0, -0.2', 'A/1, -0.2'), /line 3: "is same" is 0, but the tracks are of one person/],
    [text.replace('2, C/1, B/0, 0, 0\n', ''), /line 4: split 2 has 1 pairs of one person and 0 of two/],
    [text.replace(/^2.*\n/gm, ''), /line 3: at least two splits/],
  ];
  for (const [wrong, says] of cases)
    it(`are refused: ${says.source}`, () => assert.throws(() => parseTrackSplits(wrong, 'splits'), refused(says)));
});

describe('tracks', () => {
  let folder = '';
  const frame = (track: string, name: string, degrees: number | null): void => {
    mkdirSync(join(folder, track), { recursive: true });
    const radians = ((degrees ?? 0) * Math.PI) / 180;
    const face = { box: [30, 30, 40, 40], vector: [Math.cos(radians), Math.sin(radians)], frame: `${track}${name}` };
    writeFileSync(join(folder, track, name), degrees === null ? '[]' : JSON.stringify([face]));
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'harmonid-video-'));
    // Frames of a person lie around an angle; the tenth comes after the ninth.
    for (const [track, degrees] of Object.entries({ 'A/0': 0, 'A/1': 10, 'B/0': 90, 'C/0': 0, 'C/1': 10 }))
      for (const [name, more] of Object.entries({ '0.9.jpg': 0, '0.10.jpg': 4, '0.11.png': 8 }))
        frame(track, name, degrees + more);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('the mean over all pairs of frames is that of a loop over them', () => {
    const random = makeRandom(11);
    const vectors = (count: number): UnitVector[] =>
      Array.from({ length: count }, () =>
        parseVector(
          Array.from({ length: 16 }, () => random.normal()),
          16,
          'test',
        ),
      );
    const meanOf = (some: readonly UnitVector[]): TrackMean => ({
      mean: Float64Array.from(
        { length: 16 },
        (_, i) => some.reduce((sum, one) => sum + (one[i] ?? 0), 0) / some.length,
      ),
      frames: some.length,
    });
    for (const [countA, countB] of [
      [1, 1],
      [3, 7],
      [40, 25],
    ] as const) {
      const [a, b] = [vectors(countA), vectors(countB)];
      let sum = 0;
      for (const one of a) for (const other of b) sum += squaredDistance(one, other);
      const difference = meanSquaredDistance(meanOf(a), meanOf(b)) - sum / (countA * countB);
      assert.ok(Math.abs(difference) < 1e-6, `differs by ${difference}`);
    }
  });

  it('take the first frames with a face, in the order of their numbers, and read no more than they need', async () => {
    frame('A/0', '0.8.jpg', null);
    const embedder = openWrittenFaces();
    const embed = async (image: Uint8Array) => (await embedder.embedImage(image)).faces[0]?.vector ?? null;
    const { means, framesRead, framesWithoutFace } = await readTrack(folder, 'A/0', [1, 2], embed);
    assert.deepEqual([framesRead, framesWithoutFace], [3, 1]);
    const angleOf = (mean: TrackMean | null | undefined) =>
      (Math.atan2(mean?.mean[1] ?? 9, mean?.mean[0] ?? 9) * 180) / Math.PI;
    assert.ok(Math.abs(angleOf(means[0])) < 1e-4);
    assert.ok(Math.abs(angleOf(means[1]) - 2) < 1e-4);
    const short = await readTrack(folder, 'A/0', [2, 100], embed);
    assert.deepEqual(
      short.means.map((mean) => mean?.frames),
      [2, 3],
    );
    await assert.rejects(readTrack(folder, 'A/9', [1], embed), refused(/name the track A\/9/));
    mkdirSync(join(folder, 'A/empty'));
    await assert.rejects(readTrack(folder, 'A/empty', [1], embed), refused(/A\/empty has no frames/));
  });

  it('separable people: no errors, and the thresholds are halfway; resumes from its cache', async () => {
    const splits = parseTrackSplits(text, 'splits');
    const options = { tracksPath: folder, splits, cachePath: join(folder, 'cache.jsonl'), frameCounts: [1, 1000] };
    const embedder = openWrittenFaces();
    const report = await evaluateVideo({ embedder, ...options });
    const [one, all] = report.figures;
    assert.deepEqual(one?.accuracy, { mean: 1, standardError: 0 });
    assert.deepEqual([one?.framesMean, all?.framesMean, report.framesRead, report.tracks], [1, 3, 15, 5]);
    // Of first frames, 10 degrees against 90 in split 1 and 80 in split 2. Each split is judged by the other's threshold.
    const apart = (degrees: number): number => 2 - 2 * Math.cos((degrees * Math.PI) / 180);
    const expected = (apart(10) + apart(90) + apart(10) + apart(80)) / 4;
    assert.ok(Math.abs((one?.threshold ?? 0) - expected) < 1e-6);
    // Frames lie 0, 4 and 8 degrees on, so that pairs of frames do -8, -4 twice, 0 three times, 4 twice and 8: a loop by hand.
    const mean = (degrees: number): number =>
      [-8, -4, -4, 0, 0, 0, 4, 4, 8].reduce((sum, more) => sum + apart(degrees + more), 0) / 9;
    const expectedAll = (mean(10) + mean(90) + mean(10) + mean(80)) / 4;
    assert.ok(Math.abs((all?.threshold ?? 0) - expectedAll) < 1e-6);
    assert.deepEqual(
      one?.valAtFar.map(({ support }) => support),
      ['not-measurable', 'not-measurable'],
    );
    assert.equal(embedder.embedded(), 15);
    const again = await evaluateVideo({ embedder, ...options });
    assert.equal(embedder.embedded(), 15);
    assert.deepEqual(again, { ...report, framesEmbedded: 0, imagesPerSecond: null });
    assert.deepEqual(JSON.parse(JSON.stringify(report)), report, 'the report survives JSON');
    const rows = tableOf(readPage(await renderVideoPage(report)), 'By the number of frames');
    assert.deepEqual(rows[1]?.slice(0, 4), ['1 (1.0 on average)', '4', '100.00 % ± 0.00', '100.00 % ± 0.00']);
  });

  it('a track without a face is named, and an error in the second figure', async () => {
    const more = '2, C/0, D/0, 0, 0\n';
    frame('D/0', '1.jpg', null);
    const splits = parseTrackSplits(text + more, 'splits');
    const report = await evaluateVideo({ embedder: openWrittenFaces(), tracksPath: folder, splits });
    assert.deepEqual(report.tracksWithoutFace, ['D/0']);
    const [first] = report.figures;
    // Split 2 has three pairs, of which two could be compared.
    assert.deepEqual([first?.pairsCompared, first?.accuracy.mean], [4, 1]);
    assert.ok(Math.abs((first?.accuracyOverall.mean ?? 0) - (1 + 2 / 3) / 2) < 1e-12);
    assert.match(formatVideoReport(report), /No face in any frame of D\/0:/);
    await assert.rejects(
      evaluateVideo({ embedder: openWrittenFaces(), tracksPath: folder, splits, frameCounts: [10, 5] }),
      refused(/frameCounts are 10, 5/),
    );
  });
});
