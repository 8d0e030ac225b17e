/** `harmonid evaluate report` as a user runs it, with the default pack on real faces: one command from a folder of people to pages with pictures. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import type { FolderReport } from '../../src/evaluate/folder-report.js';
import { inTemporaryFolder } from '../index/folders.js';
import { harmonid, json, portrait, type Cut, type Person } from './command-line.js';

const cuts: readonly Cut[] = [{}, { brightness: 0.8, quality: 60 }, { halfWidth: 200, quality: 40 }];
const people: readonly Person[] = ['anna', 'bella', 'cara', 'dora'];

describe('harmonid evaluate report', function () {
  this.timeout(180_000);

  it('makes pages and pictures of a folder, says what the photos are too few for, and resumes', async () => {
    await inTemporaryFolder(async (folder) => {
      const [images, out] = [join(folder, 'people'), join(folder, 'out', 'report')];
      for (const person of people) {
        await mkdir(join(images, person), { recursive: true });
        for (const [i, cut] of cuts.entries())
          await writeFile(join(images, person, `photo ${i}.jpg`), await portrait(person, cut));
      }
      const args = ['evaluate', 'report', '--images', images, '--out', out];
      const first = await harmonid([...args, '--json']);
      assert.deepEqual([first.code, first.stderr], [0, `written: ${join(out, 'index.html')}\n`]);
      const report = json(first) as unknown as FolderReport;
      assert.deepEqual([report.people, report.photos, report.pairsDrawn, report.comparison], [4, 12, true, null]);
      const [found] = report.packs;
      assert.ok(found && 'report' in found.verification && 'report' in found.identification);
      // Cuts of one photo, and four people who are far apart.
      assert.equal(found.verification.report.accuracyOverall.mean, 1);
      assert.equal(found.identification.report.galleries[0]?.rank1.value, 1);
      assert.ok('report' in found.clustering && found.clustering.report.rows[0]?.bcubedF === 1);
      assert.ok('report' in found.map && found.map.report.faces.every(({ atHome }) => atHome));
      assert.ok('refusal' in found.calibration);
      assert.match(found.calibration.refusal, /there are faces of 4 people, of whom 2 would be enrolled: at least 100/);
      assert.equal(found.robustness, null);

      assert.deepEqual((await readdir(out)).toSorted(), [
        'dlib-resnet-v1',
        'index.html',
        'pictures',
        'report.json',
        'vectors.jsonl',
      ]);
      assert.deepEqual(JSON.parse(await readFile(join(out, 'report.json'), 'utf8')), report);
      const index = await readFile(join(out, 'index.html'), 'utf8');
      for (const page of ['verification', 'identification', 'clustering', 'dimensions']) {
        assert.ok(index.includes(`href="dlib-resnet-v1/${page}.html"`), page);
        assert.match(await readFile(join(out, 'dlib-resnet-v1', `${page}.html`), 'utf8'), /^<!doctype html>/);
      }
      assert.ok(index.includes('at least 100 must be'), 'the page says what was left out');
      assert.equal((await stat(join(out, 'index.html'))).mode & 0o777, 0o600);
      for (const picture of await readdir(join(out, 'pictures'))) {
        const svg = await readFile(join(out, 'pictures', picture), 'utf8');
        assert.match(svg, /^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"[^>]*><rect width="100%"/);
        assert.ok(
          people.every((person) => !svg.includes(person)),
          `${picture} names nobody`,
        );
      }
      const map = await readFile(join(out, 'pictures', 'map-dlib-resnet-v1.svg'), 'utf8');
      assert.ok(map.includes('Map of 12 faces of 4 people'));

      const vectors = await stat(join(out, 'vectors.jsonl'));
      const second = await harmonid(args);
      assert.equal((await stat(join(out, 'vectors.jsonl'))).size, vectors.size, 'nothing was embedded again');
      assert.match(second.stdout, /12 photos of 4 people, pairs drawn from the photos/);
      assert.match(second.stdout, /left out: dlib-resnet-v1, calibration: there are faces of 4 people/);
    });
  });

  it('is refused for a folder without people', async () => {
    await inTemporaryFolder(async (folder) => {
      const { code, stderr } = await harmonid(['evaluate', 'report', '--images', folder, '--out', join(folder, 'out')]);
      assert.equal(code, 2);
      assert.match(stderr, /there are no photos in folders of people in/);
    });
  });
});
