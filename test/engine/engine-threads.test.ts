/** One writer and several readers on one memory: nothing is torn, nothing removed is found, nothing that is there is lost. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, it } from 'mocha';
import { EngineMemory } from '../../src/engine/engine-memory.js';
import { EngineReader } from '../../src/engine/engine-reader.js';
import { EngineWriter } from '../../src/engine/engine-writer.js';
import { linkInThreads } from '../../src/engine/linking.js';
import { learnQuantiser } from '../../src/engine/quantiser.js';
import { HarmonidError } from '../../src/errors.js';
import { makeRandom } from '../../src/random.js';
import { parseVector, type UnitVector } from '../../src/vector.js';
import { stressVector, type StressData, type StressFindings } from './stress-data.js';

const dimensions = 32;
const readerCount = 3;

describe('engine, many threads', function () {
  this.timeout(120_000);

  it('readers see whole templates while a writer adds, removes, mends and gives places away', async () => {
    const some = Array.from({ length: 500 }, (_, label) => stressVector(label, dimensions));
    const all = new Float32Array(some.length * dimensions);
    some.forEach((vector, i) => all.set(vector, i * dimensions));
    const engine = EngineMemory.create({ dimensions, quantiser: learnQuantiser(all, dimensions), withFines: true });
    const writer = new EngineWriter(engine);
    const state = new Int32Array(new SharedArrayBuffer(16));
    const tell = (word: number, value: number): void => void Atomics.store(state, word, value);
    let [first, next] = [0, 0];
    const addOne = (): void => {
      tell(3, next + 1);
      writer.add(next, next * 3, stressVector(next, dimensions));
      tell(2, ++next);
    };
    const removeOne = (): void => {
      // Readers that begin from now on must not find it; it is told when it is so.
      writer.remove(first);
      tell(1, ++first);
    };
    while (next < 500) addOne();
    const workers = Array.from(
      { length: readerCount },
      (_, i) =>
        new Worker(new URL('./reader-thread.js', import.meta.url), {
          workerData: { memory: engine.memory, reader: i + 1, state, dimensions } satisfies StressData,
        }),
    );
    const answers = workers.map(async (worker) => (await once(worker, 'message'))[0] as StressFindings);
    const untilMs = performance.now() + 4_000;
    let mended = 0;
    // The gallery grows to some thousand, so that memory grows, too, and is then replaced many times over.
    while (performance.now() < untilMs) {
      for (let i = 0; i < 20; i++) addOne();
      writer.link(2);
      while (next - first > 3000) removeOne();
      if (writer.mend(2)) mended++;
    }
    tell(0, 1);
    const findings = await Promise.all(answers);
    for (const { wrong, searches, hits } of findings) {
      assert.deepEqual(wrong, []);
      assert.ok(searches > 20 && hits > 100, `${searches} searches, ${hits} hits`);
    }
    assert.ok(next > 4000 && first > 1000 && mended > 0, `${next} added, ${first} removed, mended ${mended} times`);
  });

  it('a list is copied as it was before a change or after it, never in between', async () => {
    const engine = EngineMemory.create({
      dimensions,
      quantiser: learnQuantiser(stressVector(0, dimensions), dimensions),
      withFines: true,
    });
    const { layout } = engine.code;
    const list = engine.allocate(4 * (layout.LINKS + 1));
    const state = new Int32Array(new SharedArrayBuffer(4));
    const { words } = engine;
    words.fill(1, list / 4 + 1, list / 4 + 1 + layout.LINKS);
    words[list / 4] = 0;
    const worker = new Worker(new URL('./list-thread.js', import.meta.url), {
      workerData: { memory: engine.memory, list, state },
    });
    const answer = once(worker, 'message');
    await once(worker, 'online');
    const untilMs = performance.now() + 1_500;
    for (let change = 0; performance.now() < untilMs; change++) {
      engine.code.takeList(list);
      for (let i = 1; i <= layout.LINKS; i++) Atomics.store(words, list / 4 + i, 1 + (change % 2));
      engine.code.releaseList(list);
    }
    Atomics.store(state, 0, 1);
    const [{ copies, torn, even }] = (await answer) as [{ copies: number; torn: number; even: number }];
    assert.equal(torn, 0);
    assert.ok(copies > 1000 && even > 0 && even < copies, `${even} of ${copies} copies are of the one list`);
  });

  it('a gallery that several threads have linked is found as well as one by one', async () => {
    const near = nearVectors(4000);
    const found = ({ memory }: EngineMemory): number => {
      const reader = new EngineReader(EngineMemory.open(memory), 9);
      return near.filter((vector, label) => reader.search({ vector, wanted: 8, width: 32 })[0]?.label === label).length;
    };
    const [one, many] = [openWith(near), openWith(near)];
    one.writer.link();
    await linkInThreads(many.engine, many.writer, { threads: 3, firstReader: 1 });
    const [alone, together] = [found(one.engine), found(many.engine)];
    assert.ok(alone > 0.97 * near.length, `${alone} of ${near.length} by one thread`);
    assert.ok(together >= alone - 0.01 * near.length, `${together} by three, ${alone} by one`);
    assert.equal(many.writer.waitingCount, 0);
    many.writer.add(9999, 9999, near[0] as UnitVector);
    const aborted = linkInThreads(many.engine, many.writer, {
      threads: 2,
      firstReader: 1,
      signal: AbortSignal.abort(),
    });
    await assert.rejects(aborted, { code: 'CANCELLED' });
    assert.equal(many.writer.waitingCount, 1);
  });

  it('what threads held that have died is free again, and those who waited for it are told', async () => {
    const near = nearVectors(6000);
    const { engine, writer } = openWith(near);
    writer.add(6000, 1500, near[0] as UnitVector);
    let [killed, failed] = [0, 0];
    const kill = (worker: Worker): void => void setTimeout(() => void worker.terminate(), 150 + 7 * (killed++ % 8));
    process.on('worker', kill);
    try {
      // On a machine that stands still for a while they may end before they are killed.
      for (let round = 0; round < 5 && writer.waitingCount > 0; round++)
        await linkInThreads(engine, writer, { threads: 2, firstReader: 1 }).catch((error: unknown) => {
          assert.ok(error instanceof HarmonidError && error.code === 'INTERNAL', String(error));
          assert.equal(writer.waitingCount, 6001);
          failed++;
        });
    } finally {
      process.off('worker', kill);
    }
    assert.ok(failed > 0, `none of ${killed} was killed while it linked`);
    writer.link();
    const reader = new EngineReader(EngineMemory.open(engine.memory), 9);
    const found = near.filter((vector, label) => {
      const hits = reader.search({ vector, wanted: 8, width: 32 });
      return hits[0]?.label === label || (label === 0 && hits[1]?.label === label);
    });
    assert.ok(found.length > 0.97 * near.length, `${found.length} of ${near.length}`);

    // As one leaves it who dies while it changes a list.
    const other = EngineMemory.open(engine.memory);
    const { layout } = other.code;
    const list = other.words[layout.LINK_LISTS / 4] as number;
    other.code.beginReading(7);
    other.code.takeList(list);
    const vector = near[0] as UnitVector;
    assert.throws(() => reader.search({ vector, wanted: 8, width: 32 }), { name: 'RuntimeError' });
    writer.recover(7, 1);
    assert.ok(reader.search({ vector, wanted: 8, width: 32 }).some(({ label }) => label === 0));
    writer.remove(0);
    while (!writer.mend(10));
    assert.equal(writer.removedCount, 0);
  });
});

/** Four templates each of some people, in the order of their labels. */
function nearVectors(count: number): readonly UnitVector[] {
  const random = makeRandom(2);
  return Array.from({ length: count }, (_, label) =>
    parseVector(
      stressVector(label >> 2, dimensions).map((value) => value + 0.08 * random.normal()),
      dimensions,
      'the test',
    ),
  );
}

/** With all of them added, and none linked. */
function openWith(vectors: readonly UnitVector[]): { readonly engine: EngineMemory; readonly writer: EngineWriter } {
  const all = new Float32Array(vectors.length * dimensions);
  vectors.forEach((vector, i) => all.set(vector, i * dimensions));
  const engine = EngineMemory.create({ dimensions, quantiser: learnQuantiser(all, dimensions), withFines: true });
  const writer = new EngineWriter(engine);
  vectors.forEach((vector, label) => writer.add(label, label >> 2, vector));
  return { engine, writer };
}
