/**
 * `harmonid evaluate identification` and `video` as a user runs them, with the default pack on real faces: four people who are told apart by far, each in several altered
 * cuts of one photo, so that everybody must be found. YouTube Faces itself was not to be had; its tracks are made of such cuts.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it } from 'mocha';
import type { IdentificationReport } from '../../src/evaluate/identification.js';
import type { VideoReport } from '../../src/evaluate/video.js';
import { inTemporaryFolder } from '../index/folders.js';
import { harmonid, json, portrait, type Cut, type Person } from './command-line.js';

const cuts: readonly Cut[] = [{}, { brightness: 0.8, quality: 60 }, { halfWidth: 200, quality: 40 }];
const people: readonly Person[] = ['anna', 'bella', 'cara', 'dora'];

async function save(path: string, image: Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, image);
}

describe('harmonid evaluate', function () {
  this.timeout(180_000);

  it('identification: everybody is found, the page is for its owner, and a second run resumes', async () => {
    await inTemporaryFolder(async (folder) => {
      for (const person of people)
        for (const [i, cut] of cuts.entries())
          await save(join(folder, 'people', person, `${i}.jpg`), await portrait(person, cut));
      const page = join(folder, 'report.html');
      const args = [
        'evaluate',
        'identification',
        '--images',
        join(folder, 'people'),
        '--sizes',
        '1,2',
        '--distractors',
        '50',
        '--cache',
        join(folder, 'vectors.jsonl'),
      ];
      const first = await harmonid([...args, '--json', '--html', page]);
      assert.deepEqual([first.code, first.stderr], [0, `written: ${page}\n`]);
      const report = json(first) as unknown as IdentificationReport;
      assert.deepEqual(report.searches, { mated: 2, matedPeople: 1, nonMated: 6, nonMatedPeople: 2 });
      assert.deepEqual([report.photosEmbedded, report.facesNotFound.count], [12, 0]);
      assert.deepEqual(
        report.galleries.map(({ people, distractors, engine, rank1 }) => [people, distractors, engine, rank1.value]),
        [1, 2]
          .flatMap((size) => ['exact', 'hnsw'].map((engine): unknown => [size, 0, engine, 1]))
          .concat(['exact', 'hnsw'].map((engine) => [2, 50, engine, 1])),
      );
      const two = report.galleries.find((one) => one.people === 2);
      assert.deepEqual([two?.atThreshold.fpir.value, two?.atThreshold.fnir.value], [0, 0]);
      assert.equal((await stat(page)).mode & 0o777, 0o600);
      assert.match(await readFile(page, 'utf8'), /^<!doctype html>/);
      const second = await harmonid([...args, '--json']);
      assert.deepEqual(json(second), { ...report, photosEmbedded: 0, imagesPerSecond: null });
      const table = await harmonid([...args, '--engine', 'exact']);
      assert.match(table.stdout, /2 people \+ 50 synthetic[^\n]*exact[^\n]*100\.0 % \(100\.0-100\.0\)/);
      assert.match(table.stdout, /easier than as many real ones/);
    });
  });

  it('video: tracks of one person are nearer than those of two', async () => {
    await inTemporaryFolder(async (folder) => {
      // Track 0 has two frames, track 1 one that is altered otherwise.
      for (const person of people)
        for (const [i, cut] of cuts.entries())
          await save(join(folder, 'tracks', person, i < 2 ? '0' : '1', `0.${i}.jpg`), await portrait(person, cut));
      const splits = join(folder, 'splits.txt');
      await writeFile(
        splits,
        [
          'split number, first name, second name, similarity, is same',
          '1, anna/0, anna/1, 0, 1',
          '1, bella/0, bella/1, 0, 1',
          '1, anna/0, bella/1, 0, 0',
          '2, cara/0, cara/1, 0, 1',
          '2, dora/0, dora/1, 0, 1',
          '2, cara/0, dora/0, 0, 0',
          '2, dora/1, cara/1, 0, 0',
        ].join('\n'),
      );
      const args = ['evaluate', 'video', '--tracks', join(folder, 'tracks'), '--splits', splits];
      const cache = ['--cache', join(folder, 'vectors.jsonl')];
      const page = join(folder, 'report.html');
      const first = await harmonid([...args, ...cache, '--frames', '1,100', '--json', '--html', page]);
      assert.deepEqual([first.code, first.stderr], [0, `written: ${page}\n`]);
      const report = json(first) as unknown as VideoReport;
      assert.deepEqual([report.tracks, report.framesRead, report.framesEmbedded], [8, 12, 12]);
      assert.deepEqual(
        report.figures.map(({ accuracy, framesMean, pairsCompared }) => [accuracy.mean, framesMean, pairsCompared]),
        [
          [1, 1, 7],
          [1, 1.5, 7],
        ],
      );
      assert.equal((await stat(page)).mode & 0o777, 0o600);
      const second = await harmonid([...args, ...cache]);
      assert.match(second.stdout, /100 \(1\.5 on average\)[^\n]*100\.00 % ± 0\.00/);
      await writeFile(splits, 'split number, first name, second name, similarity, is same\n1, anna, bella/0, 0, 0\n');
      const wrong = await harmonid(args);
      assert.equal(wrong.code, 1);
      assert.match(wrong.stderr, /splits\.txt, line 2: "anna" is not a track/);
    });
  });
});
