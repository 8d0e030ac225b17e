/** The engine beside plain arithmetic: its numbers, its searches against a scan of all vectors, filters, and what is left of what was removed. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { none } from '../../src/engine/engine-code.js';
import { EngineMemory, storedDimensions, templatesMax } from '../../src/engine/engine-memory.js';
import { EngineReader, type EngineHit } from '../../src/engine/engine-reader.js';
import { EngineWriter, linkingDefaults } from '../../src/engine/engine-writer.js';
import { linkInThreads } from '../../src/engine/linking.js';
import { codeBytes, fineVectorBytes } from '../../src/engine/stored-vector.js';
import { NodeTable } from '../../src/engine/node-table.js';
import { learnQuantiser } from '../../src/engine/quantiser.js';
import { makeRandom } from '../../src/random.js';
import { parseVector, squaredDistance, type UnitVector } from '../../src/vector.js';

/** Templates of seeded people, four of each: label i is of owner i >> 2. */
function makeTemplates(count: number, dimensions: number, seed: number): readonly UnitVector[] {
  const random = makeRandom(seed);
  const draw = (): readonly number[] => Array.from({ length: dimensions }, () => random.normal());
  const mean = draw();
  let centre = draw();
  return Array.from({ length: count }, (_, i) => {
    if (i % 4 === 0) centre = draw();
    const own = centre;
    const vector = draw().map((value, j) => (mean[j] ?? 0) + (own[j] ?? 0) + 0.6 * value);
    return parseVector(vector, dimensions, 'the test');
  });
}

interface Opened {
  readonly engine: EngineMemory;
  readonly writer: EngineWriter;
  readonly reader: EngineReader;
}

/** The reader has an instance of its own, as in another thread. */
function openEngine(vectors: readonly UnitVector[], { withFines = true } = {}): Opened {
  const dimensions = vectors[0]?.length ?? 0;
  const all = new Float32Array(vectors.length * dimensions);
  vectors.forEach((vector, i) => all.set(vector, i * dimensions));
  const engine = EngineMemory.create({ dimensions, quantiser: learnQuantiser(all, dimensions), withFines });
  return { engine, writer: new EngineWriter(engine), reader: new EngineReader(EngineMemory.open(engine.memory), 1) };
}

function filled(vectors: readonly UnitVector[], options = {}): Opened {
  const opened = openEngine(vectors, options);
  vectors.forEach((vector, label) => opened.writer.add(label, label >> 2, vector));
  opened.writer.link();
  return opened;
}

/** Labels, nearest first. */
function nearestOf(probe: UnitVector, vectors: readonly UnitVector[], isIn: (label: number) => boolean): number[] {
  return vectors
    .flatMap((vector, label) => (isIn(label) ? [{ label, distance: squaredDistance(probe, vector) }] : []))
    .toSorted((one, other) => one.distance - other.distance)
    .map(({ label }) => label);
}

/** The best template of each of the nearest owners. @param labels nearest first */
function nearestOwners(labels: readonly number[], k: number): number[] {
  return labels.filter((label, i) => labels.findIndex((other) => other >> 2 === label >> 2) === i).slice(0, k);
}

const sorted = (hits: readonly EngineHit[]): EngineHit[] =>
  hits.toSorted((one, other) => one.distance - other.distance);
const labelsOf = (hits: readonly EngineHit[]): number[] => hits.map(({ label }) => label);
/** Of a squared distance by int16 vectors: see assembly/distance.ts. */
const distanceError = 1e-4;

/** Where the tables of the layout have a node: the block of its segment, and its place in it. */
const blockOf = ({ code, words }: EngineMemory, table: number, node: number): number =>
  words[table / 4 + (node >>> code.layout.SEGMENT_BITS)] as number;
const placeOf = ({ code }: EngineMemory, node: number): number => node & ((1 << code.layout.SEGMENT_BITS) - 1);
const highestLayerOf = (engine: EngineMemory, node: number): number =>
  new Uint8Array(engine.words.buffer)[engine.levelAt(node)] as number;

/** By label. */
const nodesOf = (engine: EngineMemory): ReadonlyMap<number, number> =>
  new Map(
    Array.from({ length: engine.next }, (_, node) => [
      engine.words[engine.wordOf(engine.code.layout.LABELS, node)] as number,
      node,
    ]),
  );

/** Nodes that a node is linked to. */
function linksOf(engine: EngineMemory, node: number, layer = 0): number[] {
  const { layout } = engine.code;
  const { words } = engine;
  const most = layer === 0 ? layout.LINKS : layout.UPPER_LINKS;
  const at =
    layer === 0
      ? blockOf(engine, layout.LINK_LISTS, node) / 4 + placeOf(engine, node) * (most + 1)
      : (words[engine.wordOf(layout.UPPERS, node)] as number) / 4 + (layer - 1) * (most + 1);
  return Array.from(words.subarray(at + 1, at + 1 + most)).filter((link) => link !== none);
}

/** Links to a place whose bytes were overwritten, or to a node that is not on their layer. */
function wrongLinksOf(engine: EngineMemory): readonly string[] {
  const { dimensions, next } = engine;
  const bytes = new Uint8Array(engine.words.buffer);
  const isOverwritten = (node: number): boolean => {
    const at = blockOf(engine, engine.code.layout.CODES, node) + placeOf(engine, node) * dimensions;
    return bytes.subarray(at, at + dimensions).every((value) => value === 0);
  };
  return Array.from({ length: next }, (_, node) => node).flatMap((node) =>
    Array.from({ length: highestLayerOf(engine, node) + 1 }, (_, layer) =>
      linksOf(engine, node, layer)
        .filter((link) => highestLayerOf(engine, link) < layer || isOverwritten(link))
        .map((link) => `node ${node}, layer ${layer}: ${link}, which is on layer ${highestLayerOf(engine, link)}`),
    ).flat(),
  );
}

describe('engine', function () {
  this.timeout(60_000);

  it('finds the nearest of all, by a scan and by a walk, in any number of dimensions', () => {
    for (const dimensions of [2, 16, 100, 128, 512]) {
      const vectors = makeTemplates(1500, dimensions, dimensions);
      const { reader, engine } = filled(vectors);
      assert.equal(engine.dimensions, storedDimensions(dimensions));
      const random = makeRandom(1);
      const probes = Array.from({ length: 60 }, () =>
        parseVector(
          (vectors[random.below(1500)] as UnitVector).map(
            (value) => value + (0.3 / Math.sqrt(dimensions)) * random.normal(),
          ),
          dimensions,
          'the test',
        ),
      );
      let [scanned, walked] = [0, 0];
      for (const vector of probes) {
        const expected = nearestOf(vector, vectors, () => true);
        const byScan = sorted(reader.scan({ vector, k: 10 }));
        const byWalk = reader.search({ vector, wanted: 24, width: 100 });
        for (const { label, owner, distance } of [...byScan, ...byWalk]) {
          assert.equal(owner, label >> 2);
          assert.ok(Math.abs(distance - squaredDistance(vector, vectors[label] as UnitVector)) < distanceError);
        }
        assert.ok(nearestOwners(expected, 10).every((label) => labelsOf(byScan).includes(label)));
        if (byScan[0]?.label === expected[0]) scanned++;
        if (byWalk[0]?.label === expected[0]) walked++;
      }
      // In two dimensions neighbours are nearer to each other than the error is.
      if (dimensions === 2) continue;
      assert.ok(scanned >= 59, `${dimensions} dimensions: a scan finds ${scanned} of 60`);
      assert.ok(walked >= 57, `${dimensions} dimensions: a walk finds ${walked} of 60`);
    }
  });

  it('finds those who are allowed, and not the one who is excluded', () => {
    const vectors = makeTemplates(1200, 32, 3);
    const { reader } = filled(vectors);
    const allow = new Uint32Array(300 / 32 + 1);
    for (let owner = 0; owner < 300; owner += 3) allow[owner >>> 5] = (allow[owner >>> 5] ?? 0) | (1 << (owner & 31));
    for (let probe = 0; probe < 40; probe++) {
      const vector = vectors[probe * 7] as UnitVector;
      const exclude = (probe * 7) >> 2;
      const isIn = (label: number): boolean => (label >> 2) % 3 === 0 && label >> 2 !== exclude;
      const expected = nearestOf(vector, vectors, isIn);
      const query = { vector, wanted: 20, width: 200, allow, exclude };
      const [scanned, walked] = [sorted(reader.scan({ ...query, k: 20 })), reader.search(query)];
      assert.ok(scanned.length >= 20 && walked.length === 20);
      assert.ok([...labelsOf(scanned), ...labelsOf(walked)].every(isIn));
      assert.deepEqual(labelsOf(scanned).slice(0, 5), expected.slice(0, 5));
    }
  });

  it('an empty engine finds nobody, one template is found, and what is removed is found by nobody', () => {
    const vectors = makeTemplates(8, 16, 4);
    const { reader, writer } = openEngine(vectors);
    const [vector] = vectors as readonly [UnitVector];
    const query = { vector, wanted: 3, width: 10, k: 3 };
    assert.deepEqual([reader.search(query), reader.scan(query)], [[], []]);
    writer.add(7, 1, vector);
    assert.deepEqual([labelsOf(reader.search(query)), labelsOf(reader.scan(query))], [[7], [7]]);
    assert.equal(writer.waitingCount, 1);
    assert.equal(writer.link(), true);
    assert.equal(writer.waitingCount, 0);
    assert.deepEqual([labelsOf(reader.search(query)), labelsOf(reader.scan(query))], [[7], [7]]);
    assert.equal(writer.remove(7), true);
    assert.equal(writer.remove(7), false);
    assert.deepEqual([reader.search(query), reader.scan(query)], [[], []]);
    assert.equal(writer.removedCount, 1);
    while (!writer.mend(10));
    assert.equal(writer.removedCount, 0);
    assert.deepEqual(reader.search(query), []);
    writer.add(9, 1, vector);
    assert.deepEqual(labelsOf(reader.search(query)), [9]);
  });

  it('candidates hold the nearest owners, however many templates one of them has, with fine vectors and without', () => {
    for (const withFines of [true, false]) {
      const vectors = makeTemplates(2400, 48, 12);
      // One owner has the first quarter of all; the others four each.
      const ownerOf = (label: number): number => (label < 600 ? 0 : label >> 2);
      const { writer, reader } = openEngine(vectors, { withFines });
      vectors.forEach((vector, label) => writer.add(label, ownerOf(label), vector));
      writer.link();
      for (const k of [1, 5, 40, 451, 500]) {
        const vector = vectors[k] as UnitVector;
        const owners = new Set<number>();
        const expected = nearestOf(vector, vectors, () => true).filter((label) => {
          if (owners.size === k || owners.has(ownerOf(label))) return false;
          owners.add(ownerOf(label));
          return true;
        });
        const scanned = labelsOf(reader.scan({ vector, k }));
        assert.ok(expected.every((label) => scanned.includes(label)));
        const walked = reader.nearest({ vector, k, width: 64 });
        if (k <= 40) assert.equal(walked && expected.filter((label) => labelsOf(walked).includes(label)).length, k);
        else assert.equal(walked, null, 'a walk cannot tell about all of them');
      }
    }
  });

  it('stops when the nearest owner is certain: less to compare for who is there, and nobody is missed for it', () => {
    const random = makeRandom(13);
    const vectors = makeTemplates(6_000, 64, 13);
    const { engine } = filled(vectors);
    const reader = new EngineReader(engine, 2);
    const near = (vector: UnitVector): UnitVector =>
      parseVector(
        vector.map((value) => value + 0.04 * random.normal()),
        64,
        'the test',
      );
    for (const { probes, shareMax } of [
      { probes: vectors.filter((_, label) => label % 60 === 3).map(near), shareMax: 0.75 },
      { probes: makeTemplates(400, 64, 14).filter((_, label) => label % 4 === 0), shareMax: 1 },
    ]) {
      let [found, foundByAll] = [0, 0];
      let [some, all] = [0, 0];
      for (const vector of probes) {
        const [expected] = nearestOf(vector, vectors, () => true);
        const before = engine.code.comparedCount();
        if (reader.nearest({ vector, k: 1, width: 64 })?.[0]?.label === expected) found++;
        const between = engine.code.comparedCount();
        if (reader.search({ vector, wanted: 16, width: 64 })[0]?.label === expected) foundByAll++;
        some += Number(between - before);
        all += Number(engine.code.comparedCount() - between);
      }
      assert.ok(found >= foundByAll - 1, `${found} found, ${foundByAll} by whole walks, of ${probes.length}`);
      assert.ok(some <= shareMax * all, `${some} comparisons, ${all} of whole walks`);
    }
  });

  it('a place is not given away while a reader may hold it', () => {
    const vectors = makeTemplates(300, 32, 9);
    const { engine, writer, reader } = filled(vectors);
    const other = EngineMemory.open(engine.memory);
    const vector = vectors[0] as UnitVector;
    other.code.beginReading(5);
    writer.remove(0);
    for (let i = 0; i < 20; i++) assert.equal(writer.mend(1), false);
    assert.equal(writer.removedCount, 1);
    // Whoever searches meanwhile does not find it, and does not hold up anybody.
    assert.ok(!labelsOf(reader.search({ vector, wanted: 10, width: 50 })).includes(0));
    const { bytes } = engine;
    // One who begins after it was unlinked cannot hold it.
    other.code.beginReading(6);
    other.code.endReading(5);
    while (!writer.mend(10));
    assert.equal(writer.removedCount, 0);
    writer.add(1000, 0, vector);
    assert.equal(engine.bytes, bytes);
    assert.equal(engine.next, vectors.length);
    other.code.endReading(6);
  });

  it('nothing stays of what was removed: no link, no byte; its place is used again', () => {
    const vectors = makeTemplates(2000, 48, 5);
    const { engine, writer, reader } = filled(vectors);
    const { bytes } = engine;
    const gone = vectors.flatMap((_, label) => (label % 5 === 0 ? [label] : []));
    for (const label of gone) writer.remove(label);
    while (!writer.mend(10));
    // Nodes have the numbers of the labels here: nothing was removed before.
    const isGone = new Set(gone);
    for (let node = 0; node < vectors.length; node++) {
      const links = linksOf(engine, node);
      if (isGone.has(node)) assert.deepEqual(links, []);
      else
        assert.ok(
          links.every((link) => !isGone.has(link)),
          `node ${node} is linked to nobody who was removed`,
        );
    }
    const memory = Buffer.from(new Uint8Array(engine.memory.buffer).slice(131_072, engine.bytes));
    const codeOf = (label: number): Buffer => {
      // What stood there: computed once more from the vector.
      const scratch = openEngine(vectors);
      scratch.writer.add(label, label >> 2, vectors[label] as UnitVector);
      const at = scratch.engine.words[engine.code.layout.CODES / 4] as number;
      return Buffer.from(new Uint8Array(scratch.engine.memory.buffer).slice(at, at + 48));
    };
    assert.ok(memory.includes(codeOf(1)), 'the code of one who stays is there');
    for (const label of gone.slice(0, 20)) assert.ok(!memory.includes(codeOf(label)), `the code of ${label} is gone`);
    gone.forEach((label) => writer.add(100_000 + label, label >> 2, vectors[label] as UnitVector));
    writer.link();
    assert.ok(engine.bytes - bytes < 65_536, 'the places are used again');
    let found = 0;
    for (const label of gone) {
      const [hit] = reader.search({ vector: vectors[label] as UnitVector, wanted: 8, width: 64 });
      if (hit?.label === 100_000 + label) found++;
    }
    assert.ok(found >= 0.98 * gone.length, `${found} of ${gone.length} are found again`);
  });

  it('no list names a place that was given away, on any layer, when templates go while others are taken out', () => {
    const count = 4000;
    const { engine, writer } = filled(makeTemplates(count, 16, 15));
    const more = makeTemplates(4 * count, 16, 16);
    const random = makeRandom(17);
    const live = Array.from({ length: count }, (_, label) => label);
    for (const [i, vector] of more.entries()) {
      const at = random.below(live.length);
      writer.remove(live[at] as number);
      const label = count + i;
      writer.add(label, label >> 2, vector);
      live[at] = label;
      if (i % 20 > 0) continue;
      writer.link();
      // A pass takes as long as many templates come and go.
      const { passCount } = writer;
      writer.mend(0.01);
      if (writer.passCount > passCount) assert.deepEqual(wrongLinksOf(engine), []);
    }
    assert.ok(writer.passCount > 5, `${writer.passCount} passes`);
  });

  it('those who come are linked to as often while removed ones are still there', () => {
    const count = 2000;
    const vectors = makeTemplates(2 * count, 64, 21);
    /** Of the links of those who came, the share that goes in both directions. */
    const mutualShare = (isMendedBefore: boolean): number => {
      const { engine, writer } = filled(vectors.slice(0, count));
      for (let label = 0; label < count; label += 2) writer.remove(label);
      if (isMendedBefore) while (!writer.mend(10));
      const come = vectors.slice(count);
      come.forEach((vector, i) => writer.add(count + i, (count + i) >> 2, vector));
      writer.link();
      const placed = nodesOf(engine);
      const nodes = come.map((_, i) => placed.get(count + i) as number);
      const both = nodes.flatMap((node) =>
        linksOf(engine, node).map((link) => (linksOf(engine, link).includes(node) ? 1 : 0)),
      );
      return both.reduce((sum: number, one) => sum + one, 0) / both.length;
    };
    const [beside, without] = [mutualShare(false), mutualShare(true)];
    assert.ok(beside >= without - 0.03, `${beside} of the links, ${without} where they were taken out before`);
  });

  it('whoever takes the place of one who went may have as many links of its own as a list has room for', async () => {
    const count = 3000;
    const vectors = makeTemplates(count + 60, 128, 22);
    const { engine, writer } = filled(vectors.slice(0, count));
    const come = vectors.slice(count);
    const ownLinks = async (first: number, link: () => void | Promise<void>): Promise<readonly number[]> => {
      const counts: number[] = [];
      for (const [i, vector] of come.slice(0, 20).entries()) {
        writer.add(first + i, first >> 2, vector);
        await link();
        counts.push(linksOf(engine, nodesOf(engine).get(first + i) as number).length);
      }
      return counts;
    };
    const inThread = (): Promise<void> => linkInThreads(engine, writer, { threads: 1, firstReader: 8 });
    const [most, room] = [linkingDefaults.links, engine.code.layout.LINKS];
    assert.equal(Math.max(...(await ownLinks(count, () => void writer.link()))), most);
    assert.equal(Math.max(...(await ownLinks(count + 100, inThread))), most);
    for (let label = 0; label < 40; label++) writer.remove(label);
    while (!writer.mend(10));
    for (const counts of [await ownLinks(count + 200, () => void writer.link()), await ownLinks(count + 300, inThread)])
      assert.ok(Math.max(...counts) > most && Math.max(...counts) <= room, `${counts.join(', ')} links`);
  });

  it('places of those who went are used again, however many come at once; meanwhile all who wait are found', () => {
    const [count, replaced] = [4000, 3000];
    const vectors = makeTemplates(count, 32, 23);
    const { engine, writer, reader } = filled(vectors);
    const live = Array.from({ length: count }, (_, label) => label);
    let next = count;
    for (let round = 0; round < 5; round++) {
      for (const label of live.splice(0, replaced)) writer.remove(label);
      while (!writer.mend(10));
      const come = Array.from({ length: replaced }, () => next++);
      const vectorOf = (label: number): UnitVector => vectors[label % count] as UnitVector;
      come.forEach((label, i) => {
        writer.add(label, label, vectorOf(label));
        // Some are linked in between, so that the ring is not at its beginning when it grows.
        if (i === 500) writer.link(5);
      });
      assert.ok(writer.waitingCount > 0, 'there is something to wait for');
      for (const label of come.filter((_, i) => i % 50 === 0)) {
        const [hit] = reader.search({ vector: vectorOf(label), wanted: 8, width: 64 });
        assert.equal(hit?.label, label, 'one who waits is found');
      }
      writer.link();
      live.push(...come);
    }
    assert.equal(engine.next, count);
    const nodes = nodesOf(engine);
    assert.deepEqual(
      [...nodes.keys()].toSorted((one, other) => one - other),
      live.toSorted((one, other) => one - other),
    );
  });

  it('finds as much after ten rounds in which a tenth was replaced as a fresh one does', () => {
    const count = 3000;
    const vectors = makeTemplates(2 * count, 64, 6);
    const { writer, reader } = filled(vectors.slice(0, count));
    const random = makeRandom(8);
    const live = Array.from({ length: count }, (_, label) => label);
    let next = count;
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < count / 10; i++) {
        const at = random.below(live.length);
        writer.remove(live[at] as number);
        writer.add(next, next >> 2, vectors[next] as UnitVector);
        live[at] = next++;
      }
      writer.link();
      while (!writer.mend(10));
    }
    const isLive = new Set(live);
    const fresh = openEngine(vectors.slice(0, count));
    for (const label of live) fresh.writer.add(label, label >> 2, vectors[label] as UnitVector);
    fresh.writer.link();
    const probes = Array.from({ length: 400 }, (_, i) => (i * 13) % vectors.length).map((label) => {
      const vector = vectors[label] as UnitVector;
      const exclude = label >> 2;
      return {
        vector,
        exclude,
        expected: nearestOf(vector, vectors, (other) => isLive.has(other) && other >> 2 !== exclude),
      };
    });
    const recall = (one: EngineReader, k: number): number => {
      const shares = probes.map(({ vector, exclude, expected }) => {
        const hits = new Set(labelsOf(one.search({ vector, wanted: 24, width: 48, exclude })).slice(0, k));
        return expected.slice(0, k).filter((label) => hits.has(label)).length / k;
      });
      return shares.reduce((sum, share) => sum + share, 0) / shares.length;
    };
    // Half a point of 4,000 answers, and of 400; the rest is chance between two graphs.
    for (const [k, lessMax] of [
      [1, 0.02],
      [10, 0.01],
    ] as const) {
      const [churned, asNew] = [recall(reader, k), recall(fresh.reader, k)];
      assert.ok(churned >= asNew - lessMax, `recall@${k} ${churned} after the rounds, ${asNew} fresh`);
    }
  });

  it('says how many it has room for, and has', () => {
    for (const [dimensions, withFines] of [
      [128, true],
      [128, false],
      [20, true],
    ] as const) {
      const vectors = makeTemplates(8_192, dimensions, 4);
      const [half, whole] = [vectors.slice(0, 4_096), vectors].map((some) => {
        const { engine, writer } = openEngine(vectors, { withFines });
        some.forEach((vector, label) => writer.add(label, label >> 2, vector));
        return engine.bytes;
      }) as [number, number];
      const bytesEach = (whole - half) / 4_096;
      const most = templatesMax(dimensions, withFines);
      assert.ok(most * bytesEach < 2 ** 32, `${most} of ${bytesEach} bytes`);
      assert.ok(most * bytesEach > 0.7 * 2 ** 32, `${most} of ${bytesEach} bytes`);
    }
  });

  it('codes and fine vectors are the same bytes in the host and in the code', () => {
    const vectors = [
      ...makeTemplates(50, 64, 11),
      parseVector(
        Array.from({ length: 64 }, (_, i) => (i === 0 ? 1 : 0)),
        64,
        'the test',
      ),
    ];
    const { engine, writer } = openEngine(vectors);
    vectors.forEach((vector, label) => writer.add(label, label, vector));
    const { layout } = engine.code;
    const bytesAt = (table: number, each: number, head: number, node: number): Buffer => {
      const start = (engine.words[table / 4] as number) + node * each + head;
      return Buffer.from(new Uint8Array(engine.memory.buffer).slice(start, start + each - head));
    };
    const quantiser = engine.quantiserOf(64);
    vectors.forEach((vector, node) => {
      const fine = bytesAt(layout.FINES, layout.FINE_HEAD + 2 * 64, layout.FINE_HEAD, node);
      assert.ok(fine.equals(fineVectorBytes(vector)), `template ${node}`);
      const code = bytesAt(layout.CODES, 64, 0, node);
      assert.ok(code.equals(Buffer.from(codeBytes(vector, quantiser).buffer)), `template ${node}`);
    });
  });
});

describe('node table', () => {
  it('agrees with a map, and gives back pages without labels', () => {
    const random = makeRandom(5);
    const table = new NodeTable();
    const map = new Map<number, number>();
    for (let step = 0; step < 20_000; step++) {
      const label = random.below(5_000) * (1 + random.below(3)) + (random.below(10) === 0 ? 4_000_000_000 : 0);
      if (map.has(label)) {
        assert.equal(table.get(label), map.get(label));
        table.delete(label);
        map.delete(label);
      } else {
        assert.equal(table.get(label), undefined);
        table.set(label, step);
        map.set(label, step);
      }
    }
    assert.equal(table.count, map.size);
    assert.deepEqual(
      [...table.labels()].toSorted((one, other) => one - other),
      [...map.keys()].toSorted((one, other) => one - other),
    );
    for (const label of map.keys()) table.delete(label);
    assert.deepEqual([table.count, [...table.labels()]], [0, []]);
  });
});
