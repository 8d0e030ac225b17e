/**
 * `harmonid cluster` and `harmonid gallery doctor` as a user runs them, on real photos: who is in them is known from how they were cut. A cut at a rate wants a hundred
 * people: those are made, and the cut is held against what the calibration says of that rate.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import type { ExportedTemplate } from '../../src/api.js';
import { openDatabase } from '../../src/database.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { modelsPath, temporaryFolder } from '../support/database.js';
import { groupPhoto } from '../support/photos.js';
import { harmonid, json, portrait, serve, type Outcome } from './command-line.js';

type Json = Record<string, unknown>;

describe('clusters and the doctor on the command line', function () {
  this.timeout(120_000);
  let folder = '';
  const model = ['--models', modelsPath, '--provider', 'cpu'];
  const run = async (args: readonly string[]): Promise<Outcome> => harmonid(args, { cwd: folder });
  const done = async (args: readonly string[]): Promise<Json> => {
    const outcome = await run([...args, '--json']);
    assert.equal(outcome.code, 0, outcome.stderr);
    return json(outcome);
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'harmonid-cluster-'));
    for (const person of ['anna', 'bella', 'cara'] as const) {
      await mkdir(join(folder, 'people', person), { recursive: true });
      for (const [i, brightness] of [1, 0.8].entries())
        await writeFile(join(folder, 'people', person, `${i}.jpg`), await portrait(person, { brightness }));
    }
    await mkdir(join(folder, 'flat'));
    await writeFile(join(folder, 'flat', 'group.jpg'), groupPhoto(6));
    await writeFile(join(folder, 'flat', 'anna.jpg'), await portrait('anna'));
    await writeFile(join(folder, 'flat', 'broken.jpg'), 'no photo');
  });
  after(async () => {
    await rm(folder, { recursive: true });
  });

  it('a folder of people is scored against its folders, and has a contact sheet that only its owner reads', async () => {
    const { faceCount, clusters, scores } = await done(['cluster', 'people', ...model, '--html', 'people.html']);
    const { pairwise, personCount, wholeCount } = scores as Json;
    assert.deepEqual([faceCount, (clusters as unknown[]).length, personCount, wholeCount], [6, 3, 3, 3]);
    assert.deepEqual(pairwise, { precision: 1, recall: 1, f: 1 });
    assert.equal((await stat(join(folder, 'people.html'))).mode & 0o777, 0o600);
    assert.equal((await readFile(join(folder, 'people.html'), 'utf8')).split('<img ').length - 1, 6);
    const { stdout } = await run(['cluster', 'people', ...model]);
    assert.match(stdout, /6 faces of 6 photos in 3 clusters/);
    assert.match(stdout, /BCubed .* 1\.000/);
  });

  it('a flat folder: every face, nobody with another of the same photo, and what cannot be read is named', async () => {
    const { clusters, scores, unreadable } = await done(['cluster', 'flat', ...model]);
    assert.equal(scores, null);
    assert.deepEqual(
      (unreadable as Json[]).map(({ name }) => name),
      [join('flat', 'broken.jpg')],
    );
    for (const members of clusters as Json[][]) {
      const photos = members.map(({ name }) => name);
      assert.equal(new Set(photos).size, photos.length);
    }
    // Anna is in the group photo, too.
    assert.deepEqual((clusters as Json[][])[0]?.map(({ name }) => name).toSorted(), [
      join('flat', 'anna.jpg'),
      join('flat', 'group.jpg'),
    ]);
  });

  it('the doctor finds who is there twice, on a server and in a directory, and its plan is applied and taken back', async () => {
    const { refused } = await done(['import', 'people', ...model, '--data', 'data']);
    assert.deepEqual(refused, []);
    const twin = [
      'enroll',
      'anna-again',
      join('flat', 'anna.jpg'),
      '--duplicates',
      'ignore',
      ...model,
      '--data',
      'data',
    ];
    assert.equal((await run(twin)).code, 0);

    const server = await serve(['--data', join(folder, 'data'), ...model]);
    let remote: Json;
    try {
      remote = await done(['gallery', 'doctor', 'default', '--server', server.address]);
      const { scores } = await done(['cluster', '--gallery', 'default', '--server', server.address]);
      // Anna's two names are one cluster: 3 of its pairs are hers, 2 of them of one name each.
      assert.equal((scores as Json)['clusterCount'], 3);
    } finally {
      await server.stop();
    }
    const doctor = ['gallery', 'doctor', 'default', '--data', 'data'];
    const report = await done([...doctor, '--html', 'doctor.html', '--plan', 'plan.json']);
    assert.deepEqual(report, remote);
    assert.deepEqual(
      (report['duplicates'] as Json[]).map(({ a, b }) => [a, b]),
      [['anna', 'anna-again']],
    );
    assert.match(await readFile(join(folder, 'doctor.html'), 'utf8'), /anna-again/);

    const unasked = await run([...doctor, '--apply', 'plan.json']);
    assert.deepEqual([unasked.code, existsSync(join(folder, 'plan.json.undo'))], [2, false]);
    assert.match(unasked.stderr, /merge anna-again into anna[^]*--yes/);
    const { applied } = await done([...doctor, '--apply', 'plan.json', '--yes']);
    assert.equal((applied as unknown[]).length, 1);
    assert.deepEqual((await done(doctor))['duplicates'], []);
    await done([...doctor, '--apply', 'plan.json.undo', '--yes']);
    assert.equal(((await done(doctor))['duplicates'] as Json[]).length, 1);
  });
});

describe('harmonid cluster --fmr', () => {
  it('cuts where the calibration of the gallery has the rate, and says so; refuses where there is none', async () => {
    const folder = temporaryFolder();
    const [data, page] = [join(folder, 'data'), join(folder, 'page.html')];
    try {
      const database = await openDatabase({ path: data, embedder: false });
      const [space, dimensions] = ['made:1', 24];
      const maker = makeFaces(randomFrom(4), { dimensions });
      for (const gallery of ['lobby', 'attic'])
        await database.createGallery({ gallery, space, dimensions, threshold: 0.1 });
      const items = Array.from({ length: 150 }, (_, person) => ({
        gallery: 'lobby',
        identity: `p${person}`,
        embeddings: [0, 1].map(() => ({ space, vector: maker.face(person) })),
        duplicates: 'ignore' as const,
      }));
      for await (const { error } of database.importAll(items)) assert.equal(error, undefined);
      const { calibration } = await database.calibrate({ gallery: 'lobby' });
      // The same people, as if one of their templates had come by an adapter.
      await database.createGallery({ gallery: 'moved', space, dimensions, threshold: 0.1 });
      const templates: ExportedTemplate[] = [];
      for await (const item of database.exportTemplates({ gallery: 'lobby' })) templates.push(item);
      const moved = templates.map((item, i) =>
        i === 0 ? { ...item, template: { ...item.template, origin: 'mapped' as const } } : item,
      );
      for await (const { error } of database.importTemplates(moved, { gallery: 'moved' }))
        assert.equal(error, undefined);
      assert.equal((await database.calibrate({ gallery: 'moved' })).calibration?.mappedCount, 1);
      await database.close();

      const cluster = (...words: string[]): Promise<Outcome> => harmonid(['cluster', ...words, '--data', data]);
      const wanted = calibration?.thresholds.find(({ kind, rate }) => kind === 'fmr' && rate === 1e-3);
      assert.ok(wanted);
      const atRate = json(await cluster('--gallery', 'lobby', '--fmr', '1e-3', '--json', '--html', page));
      assert.ok(Math.abs(Number(atRate['cut']) - wanted.threshold) < 1e-6, String(atRate['cut']));
      assert.match(
        String(atRate['cutSource']),
        /^FMR 0\.001 by the calibration of gallery lobby, \S+ to \S+ with 90 % confidence$/,
      );
      assert.match((await cluster('--gallery', 'moved', '--fmr', '1e-3')).stderr, /^1 of the templates are mapped/m);
      const atCut = json(await cluster('--gallery', 'lobby', '--cut', wanted.threshold.toFixed(9), '--json'));
      assert.deepEqual(atRate['clusters'], atCut['clusters']);
      assert.match(await readFile(page, 'utf8'), /FMR 0\.001 by the calibration/);

      const refused = async (code: number, says: RegExp, ...words: string[]): Promise<void> => {
        const outcome = await cluster(...words);
        assert.equal(outcome.code, code, outcome.stderr);
        assert.match(outcome.stderr, says);
      };
      await refused(
        1,
        /"attic" is not calibrated; `harmonid calibrate --gallery attic`/,
        '--gallery',
        'attic',
        '--fmr',
        '0.001',
      );
      await refused(1, /speaks of rates from \S+ to 0\.5\d* /, '--gallery', 'lobby', '--fmr', '1e-12');
      await refused(1, /speaks of rates/, '--gallery', 'lobby', '--fmr', '0.9');
      await refused(2, /a folder has no calibration/, folder, '--fmr', '0.001');
      await refused(2, /cannot be used with/, '--gallery', 'lobby', '--fmr', '0.001', '--cut', '0.1');
      await refused(2, /rate between 0 and 1/, '--gallery', 'lobby', '--fmr', '0');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
