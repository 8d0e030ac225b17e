/**
 * Method: a graph that is really bad (hnswlib's own, with few edges badly chosen) is loaded for the same templates, and searched until the watchdog speaks.
 * The true recall comes from exact searches of the same graph. For a graph that no building can help, the bound is set beyond reach.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import hnswlib from 'hnswlib-node';
import { describe, it } from 'mocha';
import type { GraphEntries } from '../../src/index/graph.js';
import { openHnswlibGraph, type HnswlibGraph } from '../../src/index/hnswlib-graph.js';
import { openIdentityIndex } from '../../src/index/identity-index.js';
import type { RecallWatchOptions } from '../../src/index/recall-watch.js';
import { makeFaces, randomFrom } from './faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder, testSpace } from './folders.js';

const dimensions = 24;
const count = 3_000;
const windowSamples = 60;
/** More than enough for a few windows when every query is compared. */
const searchesMax = 3_000;
/** Every query, and as much time as it takes. */
const eager: Partial<RecallWatchOptions> = { windowSamples, oneIn: 1, timeShareMax: 1 };

const faces = makeFaces(randomFrom(81), { dimensions, spread: 0.3 });
const entries: GraphEntries = (() => {
  const vectors = new Float32Array(count * dimensions);
  for (let i = 0; i < count; i++) vectors.set(faces.face(i), i * dimensions);
  const labels = Uint32Array.from({ length: count }, (_, i) => i + 1);
  return { labels, owners: Uint32Array.from(labels, (label) => label - 1), vectors };
})();

/** A graph file of hnswlib with few edges, taken from few neighbours. */
function writeBadGraph(file: string, edges: number): void {
  const native = new hnswlib.HierarchicalNSW('l2', dimensions);
  native.initIndex({ maxElements: count, m: edges, efConstruction: edges });
  for (let i = 0; i < count; i++) {
    native.addPoint(Array.from(entries.vectors.subarray(i * dimensions, (i + 1) * dimensions)), i + 1);
  }
  native.writeIndexSync(file);
}

/** Searches, and lets the background have its turn after each, until `isEnough`; returns how many searches that took. */
async function searchUntil(graph: HnswlibGraph, isEnough: () => boolean): Promise<number> {
  for (let searches = 0; searches < searchesMax; searches++) {
    if (isEnough()) return searches;
    graph.searchNow({ probes: faces.face(searches % count), k: 1, exact: false, ef: 128 });
    await turn();
  }
  assert.fail(`not reached in ${searchesMax} searches`);
}

/** Share of probes whose nearest owner is that of an exact search. */
function trueRecall(graph: HnswlibGraph): number {
  let right = 0;
  for (let i = 0; i < 200; i++) {
    const probes = faces.face(i);
    const [found, truth] = [false, true].map(
      (exact) => graph.searchNow({ probes, k: 1, exact, ef: 128 }).hits[0]?.[0]?.owner,
    );
    if (found === truth) right++;
  }
  return right / 200;
}

describe('recall watchdog', function () {
  this.timeout(60_000);

  it('sees that a loaded graph is bad and has it built anew, once', async () => {
    await inTemporaryFolder(async (path) => {
      const file = join(path, 'bad.hnsw');
      writeBadGraph(file, 4);
      const warnings: string[] = [];
      const graph = openHnswlibGraph({
        dimensions,
        exactMax: 40,
        recall: eager,
        onWarning: (message) => warnings.push(message),
      });
      await graph.load(file, async () => graph.table.add(entries));
      const before = trueRecall(graph);
      assert.ok(before < 0.85, `the graph is not bad enough for this test: ${before}`);
      assert.equal(graph.countsNow().recall, null);

      await searchUntil(graph, () => warnings.length > 0);
      assert.match(warnings[0] ?? '', /built anew/);
      const { recall, recallSamples, rebuild } = graph.countsNow();
      assert.equal(recallSamples, windowSamples);
      // Four standard errors of a share of so many samples.
      assert.ok(Math.abs((recall ?? 1) - before) < 4 * Math.sqrt(0.25 / windowSamples), `${recall} of ${before}`);
      assert.equal(rebuild?.wantedCount, count);

      await graph.settle();
      assert.deepEqual([graph.countsNow().rebuild, graph.countsNow().recallSamples], [null, 0]);
      assert.ok(trueRecall(graph) > 0.97);
      await searchUntil(graph, () => graph.countsNow().recallSamples === windowSamples);
      assert.ok((graph.countsNow().recall ?? 0) > 0.95);
      assert.equal(warnings.length, 1);
      await graph.close();
    });
  });

  it('need not wait for a file that does not find what it holds: that is not taken at all', async () => {
    await inTemporaryFolder(async (path) => {
      const file = join(path, 'worse.hnsw');
      writeBadGraph(file, 2);
      const graph = openHnswlibGraph({ dimensions, exactMax: 40 });
      await assert.rejects(
        graph.load(file, async () => graph.table.add(entries)),
        /by their own vectors it finds/,
      );
      assert.equal(graph.countsNow().engine, 'exact');
      graph.start();
      await graph.settle();
      assert.ok(trueRecall(graph) > 0.97);
      await graph.close();
    });
  });

  it('gives up, and says so once, when building anew does not help', async () => {
    const warnings: string[] = [];
    const graph = openHnswlibGraph({
      dimensions,
      exactMax: 40,
      recall: { ...eager, recallMin: 1.01 },
      onWarning: (message) => warnings.push(message),
    });
    await graph.add(entries);
    await graph.settle();
    await searchUntil(graph, () => warnings.length === 1);
    assert.notEqual(graph.countsNow().rebuild, null);
    await graph.settle();
    await searchUntil(graph, () => warnings.length === 2);
    assert.match(warnings[1] ?? '', /also after/);
    for (let search = 0; search < 4 * windowSamples; search++) {
      graph.searchNow({ probes: faces.face(search), k: 1, exact: false, ef: 128 });
      await turn();
    }
    assert.equal(graph.countsNow().rebuild, null);
    assert.equal(warnings.length, 2);
    await graph.close();
  });

  it('takes no notice of answers that were exact, nor of a graph that is being built', async () => {
    const graph = openHnswlibGraph({ dimensions, exactMax: 40, recall: eager });
    await graph.add(entries);
    for (let search = 0; search < 50; search++) {
      graph.searchNow({ probes: faces.face(search), k: 1, exact: true, ef: 128 });
      await turn();
    }
    assert.equal(graph.countsNow().recallSamples, 0);
    await graph.settle();
    await searchUntil(graph, () => graph.countsNow().recallSamples === 3);
    await graph.remove(entries.labels.slice(0, count / 4));
    assert.notEqual(graph.countsNow().rebuild, null);
    for (let search = 0; search < 5; search++) {
      graph.searchNow({ probes: faces.face(count - 1 - search), k: 1, exact: false, ef: 128 });
      await turn();
    }
    assert.ok(graph.countsNow().recallSamples <= 4, 'at most the sample that was under way');
    await graph.close();
  });

  it('tells its figure in the statistics', async () => {
    await inTemporaryFolder(async (path) => {
      const index = await openIdentityIndex({ path, exactMax: 50, durability: 'committed' });
      await index.createGallery(galleryDraft('lobby', dimensions, { duplicates: 'ignore' }));
      await Promise.all(
        Array.from({ length: 200 }, (_, person) =>
          index.enroll(enrollDraft('lobby', `p${person}`, [faces.face(person)])),
        ),
      );
      await index.settle();
      const graphStats = async () => (await index.stats())[0]?.graph;
      for (let search = 0; search < searchesMax; search++) {
        const probe = faces.face(search % 200);
        await index.search({ gallery: 'lobby', space: testSpace, probe, k: 1, exact: false, ef: 32 });
        if (search % 50 === 49 && ((await graphStats())?.recallSamples ?? 0) > 0) break;
      }
      const stats = await graphStats();
      assert.ok((stats?.recallSamples ?? 0) > 0);
      assert.ok((stats?.recall ?? 0) > 0.9);
      await index.close();
    });
  });
});
