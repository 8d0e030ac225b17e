/** The graph on our own engine beyond the contract of all graphs: what it does in the background, and that searches meanwhile are right. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { describe, it } from 'mocha';
import { HarmonidError } from '../../src/errors.js';
import type { HostedGraph } from '../../src/index/hosted-graph.js';
import { squaredDistance, type UnitVector } from '../../src/vector.js';
import { add, openOn, remove, type Stored, type StoredTemplate } from './engine-gallery.js';
import { makeFaces, pick, randomFrom } from './faces.js';

const dimensions = 24;

function nearestOwners(stored: Stored, probe: UnitVector, k: number): { owner: number; distance: number }[] {
  const best = new Map<number, number>();
  for (const { owner, vector } of stored.values())
    best.set(owner, Math.min(best.get(owner) ?? Infinity, squaredDistance(probe, vector)));
  return Array.from(best, ([owner, distance]) => ({ owner, distance }))
    .toSorted((one, other) => one.distance - other.distance)
    .slice(0, k);
}

/** Share of the nearest owners that are found, with their exact distances. */
function recall(graph: HostedGraph, stored: Stored, probes: readonly UnitVector[], exact = false): number {
  let found = 0;
  for (const probe of probes) {
    const truth = nearestOwners(stored, probe, 5);
    const [hits = []] = graph.searchNow({ probes: probe, k: 5, exact, ef: 64 }).hits;
    assert.equal(hits.length, truth.length);
    for (const { owner, label, distance } of hits) {
      const template = stored.get(label);
      assert.equal(template?.owner, owner, 'nobody is found who is gone');
      assert.equal(distance, squaredDistance(probe, template.vector));
    }
    found += truth.filter(({ owner }) => hits.some((hit) => hit.owner === owner)).length / truth.length;
  }
  return found / probes.length;
}

function makeTemplates(count: number, each: number, seed: number): readonly StoredTemplate[] {
  const faces = makeFaces(randomFrom(seed), { dimensions, spread: 0.3 });
  return Array.from({ length: count }, (_, i) => {
    const owner = Math.floor(i / each);
    return { label: i + 1, owner, vector: faces.face(owner) };
  });
}

function makeProbes(owners: number, count: number, seed: number): readonly UnitVector[] {
  const random = randomFrom(seed);
  const faces = makeFaces(randomFrom(seed), { dimensions, spread: 0.3 });
  return Array.from({ length: count }, () => faces.face(Math.floor(random() * owners)));
}

describe('engine graph', function () {
  this.timeout(60_000);

  it('scans exactly, with fine vectors and without, also where many templates are equal', async () => {
    const templates = makeTemplates(6_000, 3, 1).map((template, i) =>
      i % 10 < 5 ? template : { ...template, vector: (makeTemplates(1, 1, 1)[0] as StoredTemplate).vector },
    );
    for (const withFines of [true, false]) {
      const stored: Stored = new Map();
      const graph = openOn(stored, { dimensions, exactMax: 100, withFines });
      add(graph, stored, templates);
      assert.equal(recall(graph, stored, makeProbes(2_000, 40, 1), true), 1);
      const equal = templates[5] as StoredTemplate;
      const [hits = []] = graph.searchNow({ probes: equal.vector, k: 3_000, exact: true, ef: 64 }).hits;
      assert.equal(hits.length, 2_000);
      assert.deepEqual(hits[0], { owner: 0, label: 1, distance: 0 });
      await graph.close();
    }
  });

  it('takes what was removed out of the graph by itself, and finds as much as before', async () => {
    const stored: Stored = new Map();
    const graph = openOn(stored, { dimensions, exactMax: 100 });
    const templates = makeTemplates(4_000, 2, 2);
    add(graph, stored, templates.slice(0, 2_000));
    await graph.settle();
    const probes = makeProbes(1_000, 100, 2);
    const before = recall(graph, stored, probes);
    const { bytes } = graph.countsNow();
    const random = randomFrom(3);
    for (let round = 0; round < 10; round++) {
      const gone = new Set(Array.from({ length: 200 }, () => pick(random, [...stored.keys()]) as number));
      remove(graph, stored, [...gone]);
      add(graph, stored, templates.slice(2_000 + round * 200, 2_000 + round * 200 + gone.size));
      recall(graph, stored, probes.slice(0, 5));
      await graph.settle();
      while (graph.countsNow().removedCount > 0) await turn();
    }
    const counts = graph.countsNow();
    assert.equal(counts.indexedCount, stored.size);
    assert.equal(counts.rebuiltCount, 0, 'mended, not built anew');
    assert.ok(counts.bytes < 1.3 * bytes, `${counts.bytes} bytes, ${bytes} before`);
    const after = recall(graph, stored, probes);
    assert.ok(after > before - 0.02 && after > 0.95, `recall ${after}, ${before} before`);
    await graph.close();
  });

  it('is built anew when its quantiser was learned from others than who came later, and answers meanwhile', async () => {
    const stored: Stored = new Map();
    const warnings: string[] = [];
    const graph = openOn(stored, { dimensions, exactMax: 50, onWarning: (message) => warnings.push(message) });
    const probes = makeProbes(1_000, 10, 4);
    // The first come from one camera, where all look much the same.
    const likeness = makeFaces(randomFrom(8), { dimensions, spread: 0.02 });
    const templates = makeTemplates(3_000, 3, 4).map((template, i) =>
      i < 100 ? { ...template, vector: likeness.face(1) } : template,
    );
    for (let i = 0; i < 3_000; i += 100) {
      add(graph, stored, templates.slice(i, i + 100));
      recall(graph, stored, probes);
      remove(graph, stored, [i + 7]);
      await turn();
    }
    await graph.settle();
    const { rebuiltCount, indexedCount, pendingCount, rebuild } = graph.countsNow();
    assert.equal(rebuiltCount, 1);
    assert.deepEqual(warnings, ['the templates have moved away from the quantiser of their graph; it is built anew']);
    assert.deepEqual([indexedCount, pendingCount, rebuild], [stored.size, 0, null]);
    assert.ok(recall(graph, stored, probes) > 0.95);
    await graph.close();
  });

  it('has a large successor linked by several threads, and takes it over once', async () => {
    const stored: Stored = new Map();
    const graph = openOn(stored, { dimensions, exactMax: 50 });
    const likeness = makeFaces(randomFrom(8), { dimensions, spread: 0.02 });
    const templates = makeTemplates(12_500, 3, 9);
    add(
      graph,
      stored,
      templates.slice(0, 60).map((template) => ({ ...template, vector: likeness.face(1) })),
    );
    await graph.settle();
    add(graph, stored, templates.slice(60));
    await graph.settle();
    const { rebuiltCount, indexedCount, pendingCount } = graph.countsNow();
    assert.deepEqual([rebuiltCount, indexedCount, pendingCount], [1, stored.size, 0]);
    assert.ok(recall(graph, stored, makeProbes(4_000, 40, 9)) > 0.9);
    await graph.close();
  });

  it('tells whoever searches of a record that cannot be read, and goes on for everybody else', async () => {
    const stored: Stored = new Map();
    const warnings: string[] = [];
    const graph = openOn(stored, { dimensions, exactMax: 100, onWarning: (message) => warnings.push(message) });
    const templates = makeTemplates(400, 2, 10);
    add(graph, stored, templates);
    await graph.settle();
    const probe = (templates[399] as StoredTemplate).vector;
    Object.defineProperty(stored.get(400), 'vector', {
      get: () => {
        throw new HarmonidError('DATA_CORRUPT', 'the record is spoilt');
      },
    });
    const other = templates[10] as StoredTemplate;
    assert.throws(() => graph.searchNow({ probes: probe, k: 1, exact: false, ef: 64 }), {
      code: 'DATA_CORRUPT',
    });
    graph.removeNow(Uint32Array.from({ length: 370 }, (_, i) => i + 20));
    assert.equal(graph.countsNow().engine, 'hnsw');
    assert.deepEqual(warnings, ['templates that a graph is to be made of cannot be read; it stays as it is']);
    const [hits = []] = graph.searchNow({ probes: other.vector, k: 1, exact: false, ef: 64 }).hits;
    assert.equal(hits[0]?.label, 11);
    await graph.close();
  });

  it('is linked by several threads when many wait, while templates come and go', async () => {
    const stored: Stored = new Map();
    const graph = openOn(stored, { dimensions, exactMax: 1_000 });
    const templates = makeTemplates(30_000, 3, 5);
    const probes = makeProbes(10_000, 3, 5);
    add(graph, stored, templates.slice(0, 25_000));
    for (let i = 25_000; graph.countsNow().pendingCount > 0; i += 10) {
      if (i < 30_000) add(graph, stored, templates.slice(i, i + 10));
      remove(graph, stored, [i - 24_000]);
      recall(graph, stored, probes.slice(0, 1));
      await turn();
    }
    await graph.settle();
    assert.equal(graph.countsNow().indexedCount, stored.size);
    assert.ok(recall(graph, stored, makeProbes(8_000, 60, 5)) > 0.9);
    await graph.close();
  });

  it('is linked by its own thread when those that would link it die', async () => {
    const stored: Stored = new Map();
    const warnings: string[] = [];
    const graph = openOn(stored, { dimensions, exactMax: 1_000, onWarning: (message) => warnings.push(message) });
    const kill = (worker: Worker): void => void setTimeout(() => void worker.terminate(), 200);
    process.on('worker', kill);
    try {
      add(graph, stored, makeTemplates(15_000, 3, 5));
      await graph.settle();
    } finally {
      process.off('worker', kill);
    }
    assert.deepEqual(warnings, ['threads that link a graph could not be started, or have died; it is linked by one']);
    remove(graph, stored, [1, 2, 3]);
    while (graph.countsNow().removedCount > 0) await turn();
    assert.deepEqual([graph.countsNow().indexedCount, graph.countsNow().pendingCount], [stored.size, 0]);
    assert.ok(recall(graph, stored, makeProbes(5_000, 60, 5)) > 0.9);
    await graph.close();
  });

  it('gives the place of somebody who has left the store to the next one, before it is told of it', async () => {
    const stored: Stored = new Map();
    const graph = openOn(stored, { dimensions, exactMax: 50 });
    const templates = makeTemplates(900, 3, 6);
    add(graph, stored, templates);
    await graph.settle();
    const probe = (templates[300] as StoredTemplate).vector;
    for (let label = 1; label <= 900; label += 2) stored.delete(label);
    for (const [k, exact] of [
      [4, false],
      [299, false],
      [299, true],
    ] as const) {
      const [hits = []] = graph.searchNow({ probes: probe, k, exact, ef: 64 }).hits;
      assert.equal(hits.length, k);
      assert.ok(hits.every(({ label }) => stored.has(label)));
    }
    await graph.close();
  });

  it('goes back to a table when the gallery has become small, and on to an engine again', async () => {
    const stored: Stored = new Map();
    const graph = openOn(stored, { dimensions, exactMax: 200 });
    const templates = makeTemplates(600, 2, 7);
    add(graph, stored, templates);
    await graph.settle();
    remove(
      graph,
      stored,
      Array.from({ length: 520 }, (_, i) => i + 1),
    );
    assert.equal(graph.countsNow().engine, 'exact');
    assert.equal(graph.countsNow().indexedCount, 80);
    assert.equal(recall(graph, stored, makeProbes(300, 20, 7)), 1);
    add(
      graph,
      stored,
      templates.slice(0, 520).map((template) => ({ ...template, label: template.label + 1_000 })),
    );
    assert.equal(graph.countsNow().engine, 'hnsw');
    await graph.settle();
    assert.ok(recall(graph, stored, makeProbes(300, 40, 7)) > 0.95);
    await graph.close();
  });
});
