/**
 * Method: an engine's graph is saved, changed, saved again, and read by another one from what a checkpoint record says, with the file whole, damaged anywhere, as a crash
 * leaves it, and with the numbers of a page that no writer of ours would have written.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { copyFile, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { fineVectorBytes } from '../../src/engine/stored-vector.js';
import type { GraphFile } from '../../src/index/checkpoint.js';
import { verifyEngineFile } from '../../src/index/engine-file.js';
import { gapsBetween } from '../../src/index/file-space.js';
import type { HostedGraph, HostedOpening } from '../../src/index/hosted-graph.js';
import { add, openOn, remove, type Stored, type StoredTemplate } from './engine-gallery.js';
import { makeFaces, randomFrom } from './faces.js';
import { inTemporaryFolder } from './folders.js';

const dimensions = 128;
const exactMax = 100;
const key = randomBytes(32);

function makeTemplates(count: number): readonly StoredTemplate[] {
  const faces = makeFaces(randomFrom(71), { dimensions });
  return Array.from({ length: count }, (_, i) => ({ label: i + 1, owner: i >> 1, vector: faces.face(i >> 1) }));
}

interface Case {
  readonly path: string;
  readonly stored: Stored;
  readonly graph: HostedGraph;
  readonly sealing: { readonly directory: string; readonly key: Uint8Array } | null;
}

async function withGraph(count: number, isSealed: boolean, work: (opened: Case) => Promise<void>): Promise<void> {
  await inTemporaryFolder(async (path) => {
    const stored: Stored = new Map();
    const graph = openOn(stored, { dimensions, exactMax });
    add(graph, stored, makeTemplates(count));
    await graph.settle();
    await work({ path, stored, graph, sealing: isSealed ? { directory: 'test', key } : null });
    await graph.close();
  });
}

async function save({ graph, path, sealing }: Case, name: string): Promise<GraphFile> {
  return (await graph.save({ path, name, sealing })) ?? assert.fail('there is a graph');
}

/** Opens what a record says with a graph of its own, and looks for everybody. */
async function reopen(
  { path, stored, sealing }: Pick<Case, 'path' | 'stored' | 'sealing'>,
  file: GraphFile,
): Promise<HostedOpening & { readonly found: number; readonly graph: HostedGraph }> {
  const graph = openOn(stored, { dimensions, exactMax });
  const opening = await graph.open({ ...file, sequence: 0, path, readOnly: false, sealing });
  await graph.settle();
  assert.equal(graph.countsNow().indexedCount, stored.size);
  return { ...opening, found: findAll(graph, stored), graph };
}

/** How many are found by their own vectors. */
function findAll(graph: HostedGraph, stored: Stored): number {
  let found = 0;
  for (const { owner, vector } of stored.values()) {
    const [hits = []] = graph.searchNow({ probes: vector, k: 1, exact: false, ef: 64 }).hits;
    if (hits[0]?.owner === owner && hits[0].distance === 0) found++;
  }
  assert.ok(found > 0.97 * stored.size, `${found} of ${stored.size}`);
  return found;
}

async function bytesOf(path: string, { name }: GraphFile): Promise<Buffer> {
  return readFile(join(path, 'graphs', name));
}

for (const isSealed of [false, true]) {
  describe(`engine file, ${isSealed ? 'sealed' : 'in the clear'}`, function () {
    this.timeout(60_000);

    it('holds the graph; a second save writes what has changed, and nothing stays of who is gone', async () => {
      await withGraph(9_000, isSealed, async (opened) => {
        const { path, stored, graph } = opened;
        const first = await save(opened, '1-1-first.graph');
        await graph.kept();
        const before = await bytesOf(path, first);
        assert.equal(before.length, first.bytes);
        const [somebody] = makeTemplates(1) as [StoredTemplate];
        assert.equal(before.includes(fineVectorBytes(somebody.vector)), !isSealed);
        const again = await reopen(opened, first);
        assert.deepEqual([again.openedFrom, again.warning], ['checkpoint', null]);
        assert.equal(again.found, findAll(graph, stored));

        // Of few people, so that codes and fine vectors of most pages stay as they are.
        remove(graph, stored, [1, 2, 8_000]);
        add(graph, stored, [{ label: 20_000, owner: 10_000, vector: makeTemplates(9_002)[9_001]?.vector as never }]);
        await graph.settle();
        const second = await save(opened, '1-2-second.graph');
        assert.equal(second.name, first.name, 'the same file');
        const written = await bytesOf(path, second);
        // What the older record says is still there.
        assert.ok(written.subarray(0, before.length).equals(before));
        const added = written.length - before.length;
        assert.ok(added > 0 && added < before.length / 2, `${added} bytes more, ${before.length} before`);
        await graph.kept();
        const kept = await bytesOf(path, second);
        if (!isSealed) assert.ok(!kept.includes(fineVectorBytes(somebody.vector)));
        await verifyEngineFile(path, second);
        const newer = await reopen(opened, second);
        assert.deepEqual([newer.openedFrom, newer.warning], ['checkpoint', null]);
        assert.equal(newer.found, findAll(graph, stored));
        assert.deepEqual(await readdir(join(path, 'graphs')), [first.name]);
        for (const { graph: one } of [again, newer]) await one.close();
      });
    });

    it('is what the record says when the process dies before the record names what was written', async () => {
      await withGraph(3_000, isSealed, async (opened) => {
        const { path, stored, graph } = opened;
        const first = await save(opened, '1-1-first.graph');
        await graph.kept();
        const then = new Map(stored);
        remove(graph, stored, [10, 11, 12]);
        await save(opened, '1-2-second.graph');
        const dead = await reopen({ ...opened, stored: then }, first);
        assert.deepEqual([dead.openedFrom, dead.warning], ['checkpoint', null]);
        // The next save of whoever reopened overwrites what the dead one left.
        for (const label of [10, 11, 12]) then.delete(label);
        dead.graph.removeNow(Uint32Array.of(10, 11, 12));
        const third = await save({ ...opened, graph: dead.graph }, '1-3-third.graph');
        await dead.graph.kept();
        const bytes = await bytesOf(path, third);
        for (const label of [10, 11, 12])
          assert.ok(!bytes.includes(fineVectorBytes(makeTemplates(3_000)[label - 1]?.vector as never)));
        await dead.graph.close();
      });
    });

    it('is not used when anything that the record stands for has changed', async () => {
      await withGraph(1_500, isSealed, async (opened) => {
        const { path, stored } = opened;
        const file = await save(opened, '1-1-first.graph');
        await opened.graph.kept();
        const whole = await bytesOf(path, file);
        const random = randomFrom(5);
        const places = [
          0,
          file.root?.at ?? 0,
          whole.length - 1,
          ...Array.from({ length: 12 }, () => random() * whole.length),
        ];
        for (const place of places) {
          const bytes = Buffer.from(whole);
          bytes[Math.floor(place)] = (bytes[Math.floor(place)] ?? 0) ^ (1 << Math.floor(random() * 8));
          await writeFile(join(path, 'graphs', file.name), bytes);
          await assert.rejects(verifyEngineFile(path, file), { code: 'DATA_CORRUPT' });
          const graph = openOn(stored, { dimensions, exactMax });
          const { openedFrom, warning } = await graph.open({
            ...file,
            sequence: 0,
            path,
            readOnly: false,
            sealing: opened.sealing,
          });
          assert.equal(openedFrom, 'rebuild');
          assert.match(warning ?? '', /SHA-256|is not what its root says/);
          await graph.close();
        }
        await writeFile(join(path, 'graphs', file.name), whole.subarray(0, whole.length - 1_000));
        const cut = await reopen(opened, file);
        assert.equal(cut.openedFrom, 'rebuild');
        await cut.graph.close();
        await writeFile(join(path, 'graphs', file.name), whole);
        if (!isSealed) return;
        const other = { ...opened, sealing: { directory: 'test', key: randomBytes(32) } };
        const closed = await reopen(other, file);
        assert.match(closed.warning ?? '', /does not open with its key/);
        await closed.graph.close();
      });
    });
  });
}

describe('engine file', function () {
  this.timeout(60_000);

  it('with links that lead nowhere is refused, also when every digest agrees', async () => {
    await withGraph(1_200, false, async (opened) => {
      const { path } = opened;
      const file = await save(opened, '1-1-first.graph');
      await opened.graph.kept();
      const whole = await bytesOf(path, file);
      const root = file.root ?? assert.fail();
      const tableAt = root.at + 8 + whole.readUInt32LE(root.at + 4);
      let linkPages = 0;
      for (let entry = tableAt; entry < root.at + root.bytes; entry += 48) {
        const isOfLinks = Math.floor(whole.readUIntLE(entry, 6) / 65_536) % 8 === 2;
        if (!isOfLinks || linkPages++ > 1) continue;
        const bytes = Buffer.from(whole);
        const [at, length] = [bytes.readUIntLE(entry + 6, 6), bytes.readUInt32LE(entry + 12)];
        bytes.writeUInt32LE(1_200, at + 4 * 33);
        createHash('sha256')
          .update(bytes.subarray(at, at + length))
          .digest()
          .copy(bytes, entry + 16);
        await writeFile(join(path, 'graphs', file.name), bytes);
        const sha256 = createHash('sha256')
          .update(bytes.subarray(root.at, root.at + root.bytes))
          .digest('hex');
        const { warning, openedFrom, graph } = await reopen(opened, { ...file, sha256 });
        assert.equal(openedFrom, 'rebuild');
        assert.match(warning ?? '', /a link leads to 1200, there are 1200/);
        await graph.close();
      }
      assert.ok(linkPages > 1);
    });
  });

  it('of another gallery, or of fewer dimensions, is refused', async () => {
    await withGraph(600, false, async (opened) => {
      const { path } = opened;
      const file = await save(opened, '1-1-first.graph');
      const faces = makeFaces(randomFrom(99), { dimensions });
      const others: Stored = new Map(
        Array.from({ length: 600 }, (_, i) => [i + 1, { label: i + 1, owner: i >> 1, vector: faces.face(i) }]),
      );
      const other = await reopen({ path, stored: others, sealing: null }, file);
      assert.equal(other.openedFrom, 'rebuild');
      assert.match(other.warning ?? '', /looked for by their own vectors it finds/);
      await other.graph.close();
      const moved: Stored = new Map(
        [...opened.stored.values()].map((template) => [template.label, { ...template, owner: template.owner + 1 }]),
      );
      const regrouped = await reopen({ path, stored: moved, sealing: null }, file);
      assert.match(regrouped.warning ?? '', /is of owner/);
      await regrouped.graph.close();
    });
  });

  it('that would change by half is written anew, and the older one is left to whoever removes it', async () => {
    await withGraph(2_000, false, async (opened) => {
      const { path, stored, graph } = opened;
      const first = await save(opened, '1-1-first.graph');
      await graph.kept();
      const before = await bytesOf(path, first);
      add(
        graph,
        stored,
        makeTemplates(6_000)
          .slice(2_000)
          .map((template) => ({ ...template, label: template.label + 10_000, owner: template.owner + 10_000 })),
      );
      await graph.settle();
      const second = await save(opened, '1-2-second.graph');
      assert.equal(second.name, '1-2-second.graph');
      assert.ok((await bytesOf(path, first)).subarray(0, before.length).equals(before));
      await graph.kept();
      const again = await reopen(opened, second);
      assert.equal(again.warning, null);
      await again.graph.close();
    });
  });

  it('with fine vectors is read without them, and one without is not used where they are wanted', async () => {
    await withGraph(1_500, false, async ({ path, stored, graph }) => {
      const rich = (await graph.save({ path, name: '1-1-rich.graph', sealing: null })) ?? assert.fail();
      await graph.kept();
      const lean = openOn(stored, { dimensions, exactMax, withFines: false });
      const opening = await lean.open({ ...rich, sequence: 0, path, readOnly: false, sealing: null });
      assert.deepEqual(opening, { openedFrom: 'checkpoint', warning: null });
      findAll(lean, stored);
      assert.ok(lean.countsNow().bytes < 0.7 * graph.countsNow().bytes);
      const thin = (await lean.save({ path, name: '1-2-thin.graph', sealing: null })) ?? assert.fail();
      await lean.kept();
      const again = openOn(stored, { dimensions, exactMax });
      assert.deepEqual(await again.open({ ...thin, sequence: 0, path, readOnly: false, sealing: null }), {
        openedFrom: 'rebuild',
        warning: null,
      });
      await again.settle();
      findAll(again, stored);
      for (const one of [lean, again]) await one.close();
    });
  });

  it('whose copy is read back makes the same graph', async () => {
    await withGraph(1_000, false, async (opened) => {
      const { path } = opened;
      const file = await save(opened, '1-1-first.graph');
      await copyFile(join(path, 'graphs', file.name), join(path, 'graphs', 'copy.graph'));
      const once = await reopen(opened, { ...file, name: 'copy.graph' });
      const fresh = await save({ ...opened, graph: once.graph }, '1-2-again.graph');
      // Nothing has changed: the root alone is written.
      assert.equal(fresh.name, 'copy.graph');
      assert.equal(fresh.bytes, file.bytes + (file.root?.bytes ?? 0));
      await once.graph.close();
    });
  });

  it('gaps are what lies between, in any order', () => {
    const used = [
      { at: 30, bytes: 10 },
      { at: 0, bytes: 10 },
      { at: 10, bytes: 5 },
    ];
    assert.deepEqual(gapsBetween(used), { gaps: [{ at: 15, bytes: 15 }], end: 40 });
    assert.deepEqual(gapsBetween([]), { gaps: [], end: 0 });
  });
});
