/**
 * Method: one suite for every graph engine, against a brute-force model of a few lines: sort all templates by distance, keep the first
 * of each owner. Distances must be equal to the model's; HNSW may miss a neighbour, so its recall is measured, but it must never
 * return too few, a removed template, an owner twice or an owner that the filter excludes.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, it } from 'mocha';
import { openEngineGraph } from '../../src/index/engine-graph.js';
import { openExactGraph } from '../../src/index/exact-graph.js';
import type { Graph, GraphHit, GraphQuery, OwnerSet } from '../../src/index/graph.js';
import { openHnswlibGraph } from '../../src/index/hnswlib-graph.js';
import { squaredDistance, type UnitVector } from '../../src/vector.js';
import { emptySource } from '../../src/index/template-source.js';
import { makeFaces, pick, randomFrom, runSeed, type FaceMaker } from '../index/faces.js';
import { inTemporaryFolder } from '../index/folders.js';

interface Modelled {
  readonly label: number;
  readonly owner: number;
  readonly vector: Float32Array;
}

function entriesOf(templates: readonly Modelled[]): Parameters<Graph['add']>[0] {
  const vectors = new Float32Array(templates.length * (templates[0]?.vector.length ?? 0));
  templates.forEach(({ vector }, i) => vectors.set(vector, i * vector.length));
  return {
    labels: Uint32Array.from(templates, ({ label }) => label),
    owners: Uint32Array.from(templates, ({ owner }) => owner),
    vectors,
  };
}

/** The k nearest owners by brute force. */
function bruteForce(
  templates: Iterable<Modelled>,
  probe: Float32Array,
  k: number,
  allowed: (owner: number) => boolean,
): GraphHit[] {
  const hits = Array.from(templates, ({ label, owner, vector }) => ({
    label,
    owner,
    distance: squaredDistance(probe, vector),
  }))
    .filter(({ owner }) => allowed(owner))
    .toSorted((a, b) => a.distance - b.distance);
  const owners = new Set<number>();
  return hits.filter(({ owner }) => !owners.has(owner) && owners.add(owner)).slice(0, k);
}

function setOf(owners: Iterable<number>, size: number): OwnerSet {
  const set = new Uint32Array(Math.ceil(size / 32));
  for (const owner of owners) set[owner >>> 5] = (set[owner >>> 5] ?? 0) | (1 << (owner & 31));
  return set;
}

async function search(
  graph: Graph,
  query: Partial<GraphQuery> & { probes: Float32Array; k: number },
): Promise<readonly GraphHit[]> {
  const { hits } = await graph.search({ exact: false, ef: 64, ...query });
  return hits[0] ?? [];
}

/** What holds for any answer of any engine; returns how many of the true owners were found. */
function checkAnswer(
  found: readonly GraphHit[],
  truth: readonly GraphHit[],
  templates: ReadonlyMap<number, Modelled>,
  probe: Float32Array,
): number {
  assert.equal(found.length, truth.length, 'never too few, never too many');
  assert.equal(new Set(found.map(({ owner }) => owner)).size, found.length, 'each owner once');
  found.forEach((hit, i) => {
    const template = templates.get(hit.label);
    assert.ok(template, `label ${hit.label} was removed`);
    assert.equal(template.owner, hit.owner);
    assert.equal(hit.distance, squaredDistance(probe, template.vector));
    assert.ok(i === 0 || hit.distance >= (found[i - 1]?.distance ?? 0), 'nearest first');
    assert.ok(hit.distance >= (truth[i]?.distance ?? 0) - 1e-9, 'nothing is nearer than the truth');
  });
  const owners = new Set(found.map(({ owner }) => owner));
  return truth.filter(({ owner }) => owners.has(owner)).length;
}

const dimensions = 24;

/** On the engine, with a store of exact vectors that knows what the graph was told. */
function openOwn({ withFines }: { readonly withFines: boolean }): Graph {
  const vectors = new Map<number, Float32Array>();
  const graph = openEngineGraph({
    dimensions,
    exactMax: 40,
    withFines,
    source: { ...emptySource, reading: (work) => work((_, label) => vectors.get(label) as UnitVector | undefined) },
  });
  return {
    ...graph,
    async add(entries) {
      await graph.add(entries);
      entries.labels.forEach((label, i) =>
        vectors.set(label, entries.vectors.slice(i * dimensions, (i + 1) * dimensions)),
      );
    },
    async remove(labels) {
      for (const label of labels) vectors.delete(label);
      await graph.remove(labels);
    },
  };
}

const engines: Record<string, () => Graph> = {
  exact: () => openExactGraph(dimensions),
  hnswlib: () => openHnswlibGraph({ dimensions, exactMax: 40 }),
  'own engine': () => openOwn({ withFines: true }),
  'own engine without fine vectors': () => openOwn({ withFines: false }),
};

function people(
  faces: FaceMaker,
  from: number,
  count: number,
  templatesEach: (person: number) => number,
  firstLabel: number,
): Modelled[] {
  let label = firstLabel;
  return Array.from({ length: count }, (_, i) => from + i).flatMap((owner) =>
    Array.from({ length: templatesEach(owner) }, () => ({ label: label++, owner, vector: faces.face(owner) })),
  );
}

for (const [name, open] of Object.entries(engines)) {
  describe(`graph contract: ${name}`, () => {
    it('answers an empty graph with nothing, and k beyond its size with everybody', async () => {
      const faces = makeFaces(randomFrom(1), { dimensions });
      const graph = open();
      assert.deepEqual(await search(graph, { probes: faces.face(0), k: 3 }), []);
      await graph.add(entriesOf(people(faces, 0, 60, () => 2, 1)));
      await graph.settle();
      assert.equal((await search(graph, { probes: faces.face(0), k: 1000 })).length, 60);
      await graph.close();
    });

    it('sees an addition and a removal at once, before anything has settled', async () => {
      const faces = makeFaces(randomFrom(2), { dimensions });
      const graph = open();
      await graph.add(entriesOf(people(faces, 0, 200, () => 1, 1)));
      const probe = faces.face(500);
      await graph.add(entriesOf([{ label: 9_000, owner: 500, vector: probe }]));
      assert.deepEqual(await search(graph, { probes: probe, k: 1 }), [{ owner: 500, label: 9_000, distance: 0 }]);
      await graph.remove(Uint32Array.of(9_000, 77_777));
      assert.notEqual((await search(graph, { probes: probe, k: 1 }))[0]?.owner, 500);
      await graph.settle();
      assert.notEqual((await search(graph, { probes: probe, k: 1 }))[0]?.owner, 500);
      await graph.close();
    });

    it('is complete when one identity has hundreds of templates around the probe', async () => {
      const faces = makeFaces(randomFrom(3), { dimensions });
      const graph = open();
      const templates = people(faces, 0, 300, (owner) => (owner === 0 ? 400 : 2), 1);
      await graph.add(entriesOf(templates));
      await graph.settle();
      const probe = faces.face(0);
      const byLabel = new Map(templates.map((each) => [each.label, each]));
      for (const k of [1, 2, 5, 50, 299, 300, 301]) {
        const truth = bruteForce(templates, probe, k, () => true);
        checkAnswer(await search(graph, { probes: probe, k }), truth, byLabel, probe);
      }
      await graph.close();
    });

    it('searches each probe of a batch by itself', async () => {
      const faces = makeFaces(randomFrom(4), { dimensions });
      const graph = open();
      const templates = people(faces, 0, 100, () => 2, 1);
      await graph.add(entriesOf(templates));
      await graph.settle();
      const probes = [7, 42, 99].map((owner) => faces.face(owner));
      const together = new Float32Array(3 * dimensions);
      probes.forEach((probe, i) => together.set(probe, i * dimensions));
      const { hits } = await graph.search({ probes: together, k: 1, exact: false, ef: 64 });
      assert.deepEqual(
        hits.map(([hit]) => hit?.owner),
        [7, 42, 99],
      );
      await graph.close();
    });

    it('filters by owners inside the search, from nobody to everybody, and leaves out one', async () => {
      const random = randomFrom(5);
      const faces = makeFaces(random, { dimensions, spread: 0.3 });
      const graph = open();
      const templates = people(faces, 0, 400, (owner) => 1 + (owner % 4), 1);
      const byLabel = new Map(templates.map((each) => [each.label, each]));
      await graph.add(entriesOf(templates));
      await graph.settle();
      for (const share of [0, 0.002, 0.02, 0.15, 0.5, 0.95, 1]) {
        const allowed = new Set(Array.from({ length: 400 }, (_, owner) => owner).filter(() => random() < share));
        const probe = faces.face(3);
        for (const exclude of [undefined, 3]) {
          const truth = bruteForce(templates, probe, 10, (owner) => allowed.has(owner) && owner !== exclude);
          const found = await search(graph, { probes: probe, k: 10, allow: setOf(allowed, 400), exclude });
          assert.ok(found.every(({ owner }) => allowed.has(owner) && owner !== exclude));
          checkAnswer(found, truth, byLabel, probe);
        }
      }
      await graph.close();
    });

    it('refuses what native code would choke on, and goes on', async () => {
      const faces = makeFaces(randomFrom(6), { dimensions });
      const graph = open();
      await graph.add(entriesOf(people(faces, 0, 60, () => 1, 1)));
      const broken = faces.face(1);
      broken[3] = Number.NaN;
      await assert.rejects(graph.add(entriesOf([{ label: 100, owner: 1, vector: broken }])), { code: 'INTERNAL' });
      await assert.rejects(graph.add(entriesOf([{ label: 1, owner: 1, vector: faces.face(1) }])), { code: 'INTERNAL' });
      await assert.rejects(graph.add(entriesOf([{ label: 101, owner: 1, vector: new Float32Array(dimensions - 1) }])), {
        code: 'INTERNAL',
      });
      await graph.settle();
      assert.equal((await search(graph, { probes: faces.face(5), k: 60 })).length, 60);
      await graph.close();
    });

    it('agrees with brute force over a random run of additions, removals and searches', async () => {
      const random = randomFrom(runSeed(`graph ${name}`));
      const faces = makeFaces(random, { dimensions, spread: 0.25 });
      const graph = open();
      const templates = new Map<number, Modelled>();
      let nextLabel = 1;
      let [found, wanted] = [0, 0];
      for (let step = 0; step < 900; step++) {
        const dice = random();
        if (dice < 0.45) {
          const owner = Math.floor(random() * 300);
          const added = people(faces, owner, 1, () => 1 + Math.floor(random() * 6), nextLabel);
          nextLabel += added.length;
          for (const each of added) templates.set(each.label, each);
          await graph.add(entriesOf(added));
        } else if (dice < 0.6) {
          const gone = Array.from({ length: 4 }, () => pick(random, [...templates.keys()])).filter(
            (label) => label !== undefined,
          );
          for (const label of gone) templates.delete(label);
          await graph.remove(Uint32Array.from(gone));
        } else {
          const k = 1 + Math.floor(random() * 20);
          const exact = random() < 0.3;
          const allowed =
            random() < 0.3 ? new Set(Array.from({ length: 300 }, (_, i) => i).filter((i) => i % 3 === 0)) : null;
          const probe = faces.face(Math.floor(random() * 300));
          const truth = bruteForce(templates.values(), probe, k, (owner) => allowed?.has(owner) ?? true);
          const query = { probes: probe, k, exact, allow: allowed ? setOf(allowed, 300) : undefined };
          const hits = await search(graph, query);
          const right = checkAnswer(hits, truth, templates, probe);
          if (exact) assert.equal(right, truth.length, 'exact finds all of the truth');
          found += right;
          wanted += truth.length;
        }
        if (step % 100 === 99) await graph.settle();
      }
      const counts = await graph.counts();
      assert.equal(counts.indexedCount + counts.pendingCount, templates.size);
      assert.ok(found / wanted > 0.98, `recall ${found / wanted}`);
      await graph.close();
    });
  });
}

describe('hnsw graph', () => {
  it('builds anew beyond 20 % removed entries and forgets them', async () => {
    const faces = makeFaces(randomFrom(7), { dimensions });
    const graph = openHnswlibGraph({ dimensions, exactMax: 40 });
    await graph.add(entriesOf(people(faces, 0, 400, () => 1, 1)));
    await graph.settle();
    assert.deepEqual(
      (({ engine, indexedCount, removedCount }) => ({ engine, indexedCount, removedCount }))(await graph.counts()),
      { engine: 'hnsw', indexedCount: 400, removedCount: 0 },
    );
    await graph.remove(Uint32Array.from({ length: 80 }, (_, i) => i + 1));
    assert.equal((await graph.counts()).removedCount, 80);
    await graph.remove(Uint32Array.from({ length: 40 }, (_, i) => i + 81));
    await graph.settle();
    assert.deepEqual(
      (({ engine, indexedCount, removedCount }) => ({ engine, indexedCount, removedCount }))(await graph.counts()),
      { engine: 'hnsw', indexedCount: 280, removedCount: 0 },
    );
    assert.equal((await search(graph, { probes: faces.face(399), k: 1 }))[0]?.owner, 399);
    await graph.close();
  });

  it('goes on answering completely, adding, removing and saving while it is built anew', async () => {
    const random = randomFrom(10);
    const faces = makeFaces(random, { dimensions, spread: 0.25 });
    const graph = openHnswlibGraph({ dimensions, exactMax: 40 });
    const templates = new Map(people(faces, 0, 1_500, () => 2, 1).map((each) => [each.label, each]));
    await graph.add(entriesOf([...templates.values()]));
    await graph.settle();
    const remove = async (labels: readonly number[]): Promise<void> => {
      for (const label of labels) templates.delete(label);
      await graph.remove(Uint32Array.from(labels));
    };
    await remove(Array.from({ length: 700 }, (_, i) => i + 1));
    const addingRounds = 30;
    let [rounds, found, wanted, built, pendingMost] = [0, 0, 0, 0, 0];
    for (; graph.countsNow().rebuild; rounds++) {
      const { builtCount, wantedCount } = graph.countsNow().rebuild ?? { builtCount: 0, wantedCount: 0 };
      assert.equal(wantedCount, templates.size);
      assert.ok(builtCount >= built - 1, 'it goes on, less what was removed');
      built = builtCount;
      // The rebuild must come to an end on a slow machine, too.
      const added = people(faces, 2_000 + rounds, rounds < addingRounds ? 1 : 0, () => 5, 10_000 + 5 * rounds);
      for (const each of added) templates.set(each.label, each);
      await graph.add(entriesOf(added));
      pendingMost = Math.max(pendingMost, graph.countsNow().pendingCount);
      await remove([pick(random, [...templates.keys()]) ?? 0]);
      if (rounds === 3) {
        await inTemporaryFolder(async (path) => {
          assert.ok(((await graph.save(join(path, 'while.hnsw'))) ?? 0) >= 3_000 - 700);
        });
      }
      const probe = faces.face(Math.floor(random() * 1_500));
      const truth = bruteForce(templates.values(), probe, 10, () => true);
      found += checkAnswer(await search(graph, { probes: probe, k: 10 }), truth, templates, probe);
      wanted += truth.length;
      await turn();
    }
    assert.ok(rounds > 10, `built anew within ${rounds} turns`);
    assert.ok(found / wanted > 0.98, `recall ${found / wanted}`);
    // Scanned with every search: the old graph takes them in, too.
    assert.equal(graph.countsNow().pendingCount, 0);
    assert.ok(pendingMost < 5 * addingRounds, `${pendingMost} were waiting for the old graph`);
    await graph.settle();
    const counts = graph.countsNow();
    // What was removed during the rebuild may be in the new graph.
    assert.deepEqual([counts.indexedCount, counts.pendingCount], [templates.size, 0]);
    assert.ok(counts.removedCount <= rounds);
    await graph.close();
  });

  it('is not starved by searches that never let the event loop turn', async () => {
    const faces = makeFaces(randomFrom(9), { dimensions });
    const graph = openHnswlibGraph({ dimensions, exactMax: 40 });
    graph.addNow(entriesOf(people(faces, 0, 600, () => 1, 1)));
    for (let round = 0; round < 300; round++) {
      graph.searchNow({ probes: faces.face(round), k: 2, exact: false, ef: 32 });
      graph.catchUp();
    }
    const { indexedCount } = graph.countsNow();
    assert.ok(indexedCount >= 300, `${indexedCount} of 600 are in the graph`);
    await graph.close();
  });

  it('goes back to scanning when the gallery has become small', async () => {
    const faces = makeFaces(randomFrom(8), { dimensions });
    const graph = openHnswlibGraph({ dimensions, exactMax: 40 });
    await graph.add(entriesOf(people(faces, 0, 100, () => 1, 1)));
    await graph.settle();
    await graph.remove(Uint32Array.from({ length: 85 }, (_, i) => i + 1));
    assert.equal((await graph.counts()).engine, 'exact');
    await graph.add(entriesOf(people(faces, 200, 100, () => 1, 1_000)));
    await graph.settle();
    assert.equal((await graph.counts()).indexedCount, 115);
    await graph.close();
  });
});
