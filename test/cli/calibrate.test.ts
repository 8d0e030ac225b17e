/** Method: the compiled command line on a directory of made people; its figures are the library's. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import type { Calibration } from '../../src/api.js';
import { openDatabase } from '../../src/database.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { temporaryFolder } from '../support/database.js';
import { harmonid, json } from './command-line.js';

const space = 'made:1';
const dimensions = 24;

describe('harmonid calibrate', () => {
  it('sets targets, prints thresholds, writes a page, and says later what it has learned; identify tells the rate', async () => {
    const folder = temporaryFolder();
    const data = join(folder, 'data');
    const page = join(folder, 'page.html');
    try {
      const database = await openDatabase({ path: data, embedder: false });
      const maker = makeFaces(randomFrom(3), { dimensions });
      await database.createGallery({ gallery: 'lobby', space, dimensions, threshold: 0.1 });
      await database.createGallery({ gallery: 'attic', space, dimensions, threshold: 0.1 });
      for (const [gallery, count] of [
        ['lobby', 130],
        ['attic', 20],
      ] as const) {
        const items = Array.from({ length: count }, (_, person) => ({
          gallery,
          identity: `p${person}`,
          embeddings: [{ space, vector: maker.face(person) }],
          duplicates: 'ignore' as const,
        }));
        for await (const { error } of database.importAll(items)) assert.equal(error, undefined);
      }
      await database.close();

      const on = ['--data', data];
      const fresh = await harmonid(['calibrate', '--gallery', 'lobby', '--show', ...on]);
      assert.deepEqual([fresh.code, /not calibrated yet/.test(fresh.stdout)], [3, true], fresh.stderr);
      const done = await harmonid(['calibrate', '--gallery', 'lobby', '--fpir', '0.05', '--html', page, ...on]);
      assert.equal(done.code, 0, done.stderr);
      assert.match(done.stdout, /FPIR 0\.05, the target +0\.\d{3} +\S+ to \S+ +the model of the tail/);
      assert.match(done.stdout, /130 faces with everybody, 16,770 comparisons/);
      assert.match(readFileSync(page, 'utf8'), /<svg[^]*FPIR/);
      assert.equal(statSync(page).mode & 0o777, 0o600);

      const shown = await harmonid(['calibrate', '--gallery', 'lobby', '--show', '--json', ...on]);
      const { thresholds } = json(shown)['calibration'] as Calibration;
      const gallery = json(await harmonid(['gallery', 'show', 'lobby', '--json', ...on]));
      assert.equal(gallery['fpirTarget'], 0.05);
      assert.equal(
        gallery['threshold'],
        thresholds.find(({ kind, rate }) => kind === 'fpir' && rate === 0.05)?.threshold,
      );

      const few = await harmonid([
        'calibrate',
        '--gallery',
        'attic',
        '--fpir',
        '0.01',
        '--html',
        join(folder, 'none.html'),
        ...on,
      ]);
      assert.equal(few.code, 3, few.stderr);
      assert.match(few.stdout, /too few people: 20 could be compared/);
      assert.ok(!existsSync(join(folder, 'none.html')));
      const none = json(await harmonid(['gallery', 'set', 'lobby', '--fpir', 'none', '--json', ...on]));
      assert.equal(none['fpirTarget'], null);
      const wrong = await harmonid(['calibrate', '--gallery', 'lobby', '--fpir', '2', ...on]);
      assert.deepEqual([wrong.code, /rate between 0 and 1/.test(wrong.stderr)], [2, true]);
      const both = await harmonid(['calibrate', '--gallery', 'lobby', '--show', '--fpir', '0.1', ...on]);
      assert.deepEqual([both.code, /--show changes nothing/.test(both.stderr)], [2, true]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
