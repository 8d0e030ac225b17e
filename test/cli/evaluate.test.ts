/** The protocols on pairs from the command line, on four people with two photos each: what is asked for on the way in is what comes out. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { modelsPath, openTestEmbedder, temporaryFolder } from '../support/database.js';
import { elementsOf, readPage } from '../evaluate/page-reader.js';
import { harmonid, json, portrait, type Outcome } from './command-line.js';

type Json = Record<string, unknown>;

describe('harmonid evaluate', function () {
  this.timeout(120_000);
  let folder = '';
  before(async () => {
    // Builds the default pack where there is none yet.
    await (await openTestEmbedder()).close();
    folder = temporaryFolder();
    for (const person of ['anna', 'bella', 'cara', 'dora'] as const) {
      mkdirSync(join(folder, 'lfw', person), { recursive: true });
      writeFileSync(join(folder, 'lfw', person, `${person}_0001.jpg`), await portrait(person));
      writeFileSync(join(folder, 'lfw', person, `${person}_0002.jpg`), await portrait(person, { brightness: 0.9 }));
    }
    const pairs = ['2\t1', 'anna\t1\t2', 'anna\t1\tbella\t1', 'cara\t1\t2', 'cara\t2\tdora\t2'];
    writeFileSync(join(folder, 'pairs.txt'), `${pairs.join('\n')}\n`);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const evaluate = (protocol: string, ...args: readonly string[]): Promise<Outcome> =>
    harmonid(
      [
        'evaluate',
        protocol,
        '--images',
        'lfw',
        '--pairs',
        'pairs.txt',
        '--provider',
        'cpu',
        '--cache',
        'cache.jsonl',
        ...args,
      ],
      { cwd: folder },
    );
  const pageOf = (file: string) => {
    assert.equal(statSync(join(folder, file)).mode & 0o777, 0o600, 'it names people');
    return readPage(readFileSync(join(folder, file), 'utf8'));
  };

  it('verification: a page beside the report, and --aligned is --mode aligned', async () => {
    const report = json(await evaluate('verification', '--models', modelsPath, '--html', 'v.html', '--json'));
    assert.deepEqual([report['mode'], report['wronglyClassified']], ['full', []]);
    assert.equal(elementsOf(pageOf('v.html'), 'svg').length, 2);
    const both = await evaluate('verification', '--models', modelsPath, '--aligned', '--mode', 'centre');
    assert.equal(both.code, 2);
    const notAligned = await evaluate('verification', '--models', modelsPath, '--aligned', '--json');
    assert.equal((JSON.parse(notAligned.stderr) as { error: Json }).error['code'], 'IMAGE_WRONG_SIZE');
  });

  it('robustness: the levels of the kinds that were chosen', async () => {
    const report = json(
      await evaluate('robustness', '--models', modelsPath, '--only', 'rotation,size', '--html', 'r.html', '--json'),
    );
    const rows = (report['rows'] as readonly Json[]).map(
      ({ degradation }) => degradation as { kind: string; level: number } | null,
    );
    assert.deepEqual(
      rows.map((row) => row && `${row.kind} ${row.level}`),
      [
        null,
        ...[5, 15, 30, 45].map((level) => `rotation ${level}`),
        ...[1600, 6400, 14400, 25600, 65536].map((level) => `size ${level}`),
      ],
    );
    assert.equal(elementsOf(pageOf('r.html'), 'figure').length, 2);
    assert.equal((await evaluate('robustness', '--only', 'rain')).code, 2);
  });

  it('dimensions: a table for people', async () => {
    const { code, stdout } = await evaluate('dimensions', '--models', modelsPath, '--html', 'd.html');
    assert.equal(code, 0);
    assert.match(stdout, /int8, scale of each vector\s+│\s+128\s+│\s+128/);
    assert.ok(elementsOf(pageOf('d.html'), 'table').length === 2);
  });

  it('compare: a pack and its twin', async () => {
    const twins = join(folder, 'models');
    for (const id of ['dlib-resnet-v1', 'twin'])
      cpSync(join(modelsPath, 'dlib-resnet-v1'), join(twins, id), { recursive: true });
    const manifest = JSON.parse(readFileSync(join(twins, 'twin', 'manifest.json'), 'utf8')) as Json;
    writeFileSync(join(twins, 'twin', 'manifest.json'), JSON.stringify({ ...manifest, id: 'twin' }));
    const report = json(
      await evaluate('compare', '--models', twins, '--packs', 'dlib-resnet-v1,twin', '--html', 'c.html', '--json'),
    );
    const packs = report['packs'] as readonly { report: Json; accuracyDifference: Json }[];
    assert.deepEqual(
      packs.map((pack) => [pack.report['pack'], pack.accuracyDifference['mean']]),
      [
        ['dlib-resnet-v1', 0],
        ['twin', 0],
      ],
    );
    assert.equal(elementsOf(pageOf('c.html'), 'svg').length, 1);
    for (const packs of ['one', 'one,one', 'one,']) assert.equal((await evaluate('compare', '--packs', packs)).code, 2);
  });
});
