/**
 * Method: the real worker. It is brought down by a change for a gallery that it does not have, which it must not survive; whoever waits,
 * and whoever comes later, must be told.
 */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { describe, it } from 'mocha';
import type { GraphChange } from '../../src/index/graph-messages.js';
import { startGraphThread } from '../../src/index/graph-thread.js';
import { makeFaces, randomFrom } from './faces.js';
import { inTemporaryFolder } from './folders.js';

const faces = makeFaces(randomFrom(61));

function change(label: number): GraphChange {
  return {
    sequence: label,
    added: {
      labels: Uint32Array.of(label),
      owners: Uint32Array.of(label),
      vectors: Float32Array.from(faces.face(label)),
    },
    removed: new Uint32Array(0),
  };
}

const opening = {
  graph: 'one',
  dimensions: faces.dimensions,
  engine: 'hnswlib',
  rerank: 'memory',
  exactMax: 10,
  recallMin: 0.9,
  sequence: 0,
  templateCount: 0,
  source: null,
  isNew: true,
  file: null,
} as const;

/** An exact search among so many takes long enough for a few to fill a turn of the worker. */
const floodedCount = 2_000;
const searchesMax = 5_000;

describe('graph thread', () => {
  it('answers a search with every change posted before it', async () => {
    const thread = startGraphThread({
      onDeath: () => assert.fail('it must not die'),
      onWarning: ({ message }) => assert.fail(message),
    });
    await thread.open(opening);
    for (let label = 1; label <= 30; label++) {
      thread.change('one', change(label));
      const query = { probes: faces.face(label), k: 1, exact: false, ef: 32 };
      const { hits } = await thread.search({ graph: 'one', query });
      assert.equal(hits[0]?.[0]?.label, label);
    }
    await thread.call('settle', { graph: 'one' });
    assert.equal((await thread.call('counts', { graph: 'one' })).indexedCount, 30);
    await thread.close();
  });

  it('rejects what waits and what comes when the worker dies, once telling why', async () => {
    const deaths = new EventEmitter();
    const thread = startGraphThread({
      onDeath: (cause) => deaths.emit('death', cause),
      onWarning: ({ message }) => assert.fail(message),
    });
    await thread.open(opening);
    const died = once(deaths, 'death');
    thread.change('two', change(1));
    const query = { probes: faces.face(1), k: 1, exact: true, ef: 32 };
    const [cause] = (
      await Promise.all([
        died,
        assert.rejects(thread.call('settle', { graph: 'two' }), { code: 'INTERNAL' }),
        assert.rejects(thread.search({ graph: 'one', query }), { code: 'INTERNAL' }),
      ])
    )[0] as [Error];
    assert.match(cause.message, /a graph is open before it is used/);
    await assert.rejects(thread.call('counts', { graph: 'one' }), { code: 'INTERNAL' });
    thread.change('one', change(2));
    await thread.close();
  });

  it('closes when the worker dies on the way', async () => {
    const causes: unknown[] = [];
    const thread = startGraphThread({
      onDeath: (cause) => causes.push(cause),
      onWarning: ({ message }) => assert.fail(message),
    });
    await thread.open(opening);
    thread.change('two', change(1));
    const waiting = assert.rejects(thread.call('settle', { graph: 'one' }), { code: 'INTERNAL' });
    await thread.close();
    await waiting;
    assert.equal(causes.length, 1);
  });

  it('saves a graph while searches flood it', async () => {
    const thread = startGraphThread({
      onDeath: () => assert.fail('it must not die'),
      onWarning: ({ message }) => assert.fail(message),
    });
    await thread.open(opening);
    for (let label = 1; label <= floodedCount; label++) thread.change('one', change(label));
    await thread.call('settle', { graph: 'one' });
    let isSaved = false;
    let searches = 0;
    const flood = async (): Promise<void> => {
      while (!isSaved) {
        await thread.search({ graph: 'one', query: { probes: faces.face(1), k: 1, exact: true, ef: 32 } });
        searches++;
      }
    };
    await inTemporaryFolder(async (path) => {
      const lanes = Array.from({ length: 64 }, flood);
      const { file } = await thread.call('save', { graph: 'one', path, name: '1-2000-test.hnsw', sealing: null });
      isSaved = true;
      assert.equal(file?.count, floodedCount);
      assert.ok(searches < searchesMax, `${searches} searches went before the save`);
      await Promise.all(lanes);
    });
    await thread.close();
  });
});
