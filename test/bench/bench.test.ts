/**
 * The benches at toy sizes, as a child process, the way `npm run bench` starts them: that they run, that their JSON has the
 * documented fields, and that recall is held against a scan, which a graph of this size must nearly reach. No figure of speed is
 * judged here. The random numbers are held against published properties of their distributions.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'mocha';
import { drawGallery, scanGallery } from '../../bench/gallery-model.js';
import { percentile, ratioSpread, runLoad } from '../../bench/measure.js';
import { drawArrivals } from '../../bench/open-loop.js';
import { makeRandom } from '../../src/random.js';
import type { BenchReport, Row } from '../../bench/report.js';
import { squaredDistance } from '../../src/vector.js';

const benchFile = fileURLToPath(new URL('../../bench/main.js', import.meta.url));

async function runBench(...words: readonly string[]): Promise<BenchReport> {
  const { stdout } = await promisify(execFile)(execPath, [benchFile, ...words, '--json']);
  return JSON.parse(stdout) as BenchReport;
}

function rowsOf(report: BenchReport, table: string): readonly Row[] {
  const rows = report.tables[table];
  assert.ok(rows, `no table "${table}" among ${Object.keys(report.tables).join(', ')}`);
  return rows;
}

function assertFigure(row: Row, name: string): void {
  assert.ok(typeof row[name] === 'number' && row[name] > 0, `${name} is ${row[name]} in ${JSON.stringify(row)}`);
}

describe('bench', () => {
  it('search prints machine, recall and latency', async () => {
    const report = await runBench('search', '--size', '2500', '--calls', '50', '--rounds', '1');
    assert.equal(report.bench, 'search');
    for (const name of ['cpu', 'node', 'commit'] as const) assert.ok(report.machine[name].length > 0, name);
    assert.ok(report.machine.cores > 0 && report.peakMemoryMiB > 0);
    const rows = rowsOf(report, 'search, 2500 templates');
    for (const row of rows) for (const name of ['p50Us', 'p99Us']) assertFigure(row, name);
    for (const engine of ['hnswlib-node', 'harmonid', 'harmonid, 16 at once']) {
      const row = rows.find((one) => one['engine'] === engine && one['ef'] === 256);
      assert.ok(row && Number(row['recall1']) > 0.9 && Number(row['recall10']) > 0.9, JSON.stringify(row));
    }
    const exact = rows.find((row) => row['engine'] === 'harmonid, exact');
    assert.deepEqual([exact?.['recall1'], exact?.['recall10']], [1, 1]);
    assert.equal(rowsOf(report, 'build, 2500 templates').length, 2);
  });

  it('search --peers, which is graph, prints recall and time of each graph, and where they have the same recall', async () => {
    const report = await runBench('search', '--peers', '--size', '2500', '--calls', '50', '--rounds', '1');
    const graphs = rowsOf(report, 'construction, 2500 templates');
    for (const row of graphs) for (const name of ['perSecond', 'bytesPerTemplate']) assertFigure(row, name);
    const all = graphs.map((row) => String(row['graph']));
    const names = all.filter((name) => !name.endsWith('threads'));
    assert.equal(all.length, names.length + 1);
    assert.ok(names.includes('engine') && names.includes('hnswlib-node'));
    for (const k of [1, 10]) {
      const rows = rowsOf(report, `by width, ${k} wanted, 2500 templates`);
      for (const graph of names) {
        // The widest: 256, or all of a scan.
        const row = rows.findLast((one) => one['graph'] === graph);
        // Eight bits and nothing finer.
        const least = graph === 'usearch, i8' ? 0.8 : 0.9;
        assert.ok(row && Number(row[`recall@${k}`]) > least, JSON.stringify(row));
        assert.ok(Number(row['width']) >= 256, JSON.stringify(row));
      }
      assert.equal(rowsOf(report, `at a recall@${k}, 2500 templates`).length, 3 * all.length);
    }
  });

  it('churn prints what is left of recall when people come and go, beside fresh graphs', async () => {
    const report = await runBench('churn', '--size', '2000', '--templates', '4', '--rounds', '3', '--calls', '100');
    const rows = rowsOf(report, 'after 3 rounds, 2000 templates');
    assert.deepEqual(
      rows.map((row) => row['graph']),
      [...Array<string>(3).fill('engine'), ...Array<string>(3).fill('hnswlib-node')],
    );
    for (const row of rows) {
      assert.ok(Number(row['recall@1']) > 0.9 && Number(row['recall@10']) > 0.8, JSON.stringify(row));
      const points = 100 * (Number(row['recall@1']) - Number(row['fresh']));
      assert.ok(Math.abs(points - Number(row['points'])) < 0.02, JSON.stringify(row));
    }
    for (const row of rowsOf(report, 'rounds, 2000 templates'))
      assert.match(String(row['secondsOfRound']), /^\d+\.\d\d \(/);
  });

  it('enroll prints durable enrolments a second', async () => {
    const report = await runBench('enroll', '--calls', '10', '--rounds', '1');
    const rows = [...rowsOf(report, 'by vector, durable'), ...rowsOf(report, 'by image (250x250 portraits), durable')];
    for (const row of rows) for (const name of ['templatesPerSecond', 'p50Ms']) assertFigure(row, name);
    assert.ok(rows.some((row) => row['engine'] === 'bare LMDB'));
  });

  it('reopen prints seconds to the first correct answer, sizes, and how long calls were held up', async () => {
    const report = await runBench('reopen', '--size', '2600', '--rounds', '1');
    const openings = rowsOf(report, 'reopening, 2600 templates');
    assert.deepEqual(
      openings.map((row) => row['openedFrom']),
      ['checkpoint', 'checkpoint', 'rebuild'],
    );
    for (const row of openings) assert.match(String(row['firstCorrectAnswerS']), /^\d+\.\d\d \(/);
    const [size = {}] = rowsOf(report, 'size, 2600 templates');
    for (const name of ['residentBytesPerTemplate', 'storeBytesPerTemplate', 'graphFileBytesPerTemplate']) {
      assertFigure(size, name);
    }
    const held = rowsOf(report, 'the whole process, 2600 templates');
    assert.deepEqual(
      held.map((row) => row['rerank']),
      ['memory', 'store'],
    );
    for (const row of held) {
      for (const name of ['openedMB', 'openedOwnMB', 'searchedMB', 'searchedOwnMB']) assertFigure(row, name);
      assert.ok(Number(row['openedMB']) >= Number(row['openedOwnMB']));
    }
    const [inMemory, fromStore] = held.map((row) => Number(row['graphBytesPerTemplate']));
    assert.ok(Number(inMemory) > Number(fromStore), `${inMemory} and ${fromStore} bytes a template`);
    const stalls = rowsOf(report, 'one search and one write at a time, 2600 templates');
    assert.deepEqual(
      stalls.map((row) => String(row['while']).replaceAll(/\d+ /g, '')),
      [
        'quiet',
        'a checkpoint is written',
        'identities are erased, one after the other',
        'templates are removed, at once',
        'the graph is built anew',
      ],
    );
    const flooded = rowsOf(report, 'a flood: 16 searches and 16 writes at a time, 2600 templates');
    assert.deepEqual(
      flooded.map((row) => row['while']),
      ['nothing else', 'a checkpoint is written', 'the graph is built anew'],
    );
    for (const row of [...stalls, ...flooded])
      for (const name of ['searchLongestMs', 'writeLongestMs']) assertFigure(row, name);
  });

  it('map prints vectors a second of adapters that map, beside bare products', async () => {
    // More than a batch, and not a whole number of them.
    const report = await runBench('map', '--size', '1500', '--rounds', '1');
    const rows = rowsOf(report, 'map, 1500 vectors');
    assert.deepEqual(
      rows.map((row) => /^(bare: 128|adapter: (ridge|kernel))/.exec(String(row['what']))?.[0]),
      ['bare: 128', 'adapter: ridge', 'bare: 128', 'adapter: kernel'],
    );
    for (const row of rows)
      for (const name of ['seconds', 'vectorsPerSecond', 'cpuUsPerVector', 'gigaflopsOfProducts'])
        assertFigure(row, name);
    for (const row of rows.filter(({ what }) => String(what).startsWith('adapter'))) {
      for (const name of ['ratioTo128x128', 'ratioToOwnShapes']) assert.match(String(row[name]), /^\d+\.\d+ \(/);
      // Chance finds one in 250.
      assert.ok(Number(row['rank1']) > 0.9, JSON.stringify(row));
    }
  });

  it('arrivals come at their rate, and the same from the same seed', () => {
    const due = drawArrivals(makeRandom(3), 200, 100);
    assert.deepEqual(drawArrivals(makeRandom(3), 200, 100), due);
    // A Poisson count of 20,000: five standard deviations.
    assert.ok(Math.abs(due.length - 20_000) < 5 * Math.sqrt(20_000), String(due.length));
    assert.ok(due.every((atMs, i) => atMs < 100_000 && atMs >= (due[i - 1] ?? 0)));
  });

  it('refuses what it does not know with exit code 2', async () => {
    for (const words of [['sprint'], ['search', '--size', 'many'], ['search', '--speed', '9']]) {
      await assert.rejects(runBench(...words), (error: unknown) => {
        assert.ok(error instanceof Error && 'code' in error && 'stderr' in error);
        assert.equal(error.code, 2);
        assert.match(String(error.stderr), /^INVALID_ARGUMENT: /);
        return true;
      });
    }
  });

  it('draws the same gallery from the same seed, and people who are themselves', () => {
    const sizes = { seed: 7, templateCount: 60, templatesPerIdentity: 3, probeCount: 20 };
    const gallery = drawGallery(sizes);
    assert.deepEqual(drawGallery(sizes), gallery);
    assert.notDeepEqual(drawGallery({ ...sizes, seed: 8 }).templates, gallery.templates);
    // The default model: the same person about 0.1 apart, different people about 0.35.
    const distances: { same: number[]; other: number[] } = { same: [], other: [] };
    for (const [i, a] of gallery.templates.entries()) {
      for (const [j, b] of gallery.templates.entries()) {
        if (i < j) distances[Math.floor(i / 3) === Math.floor(j / 3) ? 'same' : 'other'].push(squaredDistance(a, b));
      }
    }
    const [same, other] = [percentile(distances.same, 0.5), percentile(distances.other, 0.5)];
    assert.ok(same > 0.05 && same < 0.15, `same person: ${same}`);
    assert.ok(other > 0.25 && other < 0.45, `different people: ${other}`);
  });

  it('scans like sorting everything', () => {
    // More probes than are scanned for together.
    const gallery = drawGallery({ seed: 9, templateCount: 90, templatesPerIdentity: 3, probeCount: 40 });
    const expected = gallery.probes.map(({ vector }) => {
      const sorted = gallery.templates
        .map((template, position) => ({ position, distance: squaredDistance(template, vector) }))
        .toSorted((a, b) => a.distance - b.distance)
        .map(({ position }) => position);
      const identities = [...new Set(sorted.map((position) => Math.floor(position / 3)))];
      return { templates: sorted.slice(0, 5), identities: identities.slice(0, 5) };
    });
    assert.deepEqual(scanGallery(gallery, 5), expected);
  });

  it('random numbers: uniform and normal moments', () => {
    const random = makeRandom(1);
    const count = 100_000;
    const [uniform, normal] = [
      Array.from({ length: count }, () => random.uniform()),
      Array.from({ length: count }, () => random.normal()),
    ];
    const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / count;
    // Five standard errors: sqrt(1/12/n) and sqrt(1/n) of the means, sqrt(2/n) of the normal's variance.
    assert.ok(Math.abs(mean(uniform) - 0.5) < 5 * Math.sqrt(1 / 12 / count));
    assert.ok(Math.abs(mean(normal)) < 5 * Math.sqrt(1 / count));
    assert.ok(Math.abs(mean(normal.map((value) => value ** 2)) - 1) < 5 * Math.sqrt(2 / count));
    assert.ok(uniform.every((value) => value >= 0 && value < 1));
    assert.ok(new Set(Array.from({ length: 100 }, () => random.below(5))).size === 5);
  });

  it('percentiles by nearest rank, ratios by rounds, load within its concurrency', async () => {
    assert.deepEqual([percentile([3, 1, 2, 4], 0.5), percentile([3, 1, 2, 4], 0.99), percentile([5], 0)], [2, 4, 5]);
    assert.deepEqual(ratioSpread([2, 9, 4], [1, 3, 4]), { median: 2, min: 1, max: 3 });
    let [running, most] = [0, 0];
    const seen: number[] = [];
    const load = await runLoad(20, 4, async (position) => {
      most = Math.max(most, ++running);
      seen.push(position);
      await Promise.resolve();
      running--;
    });
    assert.deepEqual([seen, load.callMs.length, most], [Array.from({ length: 20 }, (_, position) => position), 20, 4]);
  });
});
