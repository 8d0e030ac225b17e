/**
 * Method: real threads on a real data directory. The thread in which a graph lives and those that only search it are asked the same, and what one of them may not
 * answer, because it cannot know of all changes, is asked for. Through the index, searches flood all threads while people come and go.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it } from 'mocha';
import { EngineMemory } from '../../src/engine/engine-memory.js';
import { learnQuantiser } from '../../src/engine/quantiser.js';
import { openIdentityIndex } from '../../src/index/identity-index.js';
import type { GraphAnswer, GraphQuery } from '../../src/index/graph.js';
import type { GraphOpening } from '../../src/index/graph-messages.js';
import { startGraphThread } from '../../src/index/graph-thread.js';
import { SearchThreads } from '../../src/index/search-threads.js';
import type { SharedEngine } from '../../src/index/shared-engine.js';
import { makeFaces, randomFrom } from './faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder, testSpace } from './folders.js';

const gallery = 'lobby';
const dimensions = 24;
const peopleCount = 400;
const graph = '1/0';

async function fill(path: string): Promise<void> {
  const faces = makeFaces(randomFrom(7), { dimensions });
  const index = await openIdentityIndex({ path });
  await index.createGallery(galleryDraft(gallery, dimensions, { duplicates: 'ignore' }));
  for (let person = 0; person < peopleCount; person++)
    await index.enroll(enrollDraft(gallery, `p${person}`, [faces.face(person)]));
  await index.close();
}

function openingOf(path: string): GraphOpening {
  return {
    graph,
    dimensions,
    engine: 'harmonid',
    rerank: 'memory',
    exactMax: 50,
    recallMin: 0.5,
    sequence: peopleCount,
    templateCount: peopleCount,
    source: { gallery: 1, lane: 0, path, readOnly: false, encryption: null },
    isNew: false,
    file: null,
  };
}

/** Until they have started. */
async function answerOf(searchers: SearchThreads, query: GraphQuery): Promise<GraphAnswer> {
  for (;;) {
    const answer = searchers.search({ graph, query }, 1);
    if (answer) return answer;
    await sleep(5);
  }
}

describe('search threads', function () {
  this.timeout(60_000);

  it('answer as the thread of the graph does, and leave to it what they cannot know', async () => {
    await inTemporaryFolder(async (path) => {
      await fill(path);
      const onDeath = (cause: unknown): void => assert.fail(String(cause));
      const searchers = new SearchThreads({ most: 2, onDeath, onFailure: onDeath });
      const own = startGraphThread({
        onDeath,
        onWarning: ({ message }) => assert.fail(message),
        onSharing: ({ graph: name, shared }) => searchers.share(name, shared),
      });
      searchers.opening(graph);
      await own.open(openingOf(path));
      await own.call('settle', { graph });
      const faces = makeFaces(randomFrom(8), { dimensions });
      const query = (more: Partial<GraphQuery>): GraphQuery => ({
        probes: faces.face(5),
        k: 3,
        exact: false,
        ef: 32,
        ...more,
      });
      assert.equal(searchers.search({ graph, query: query({}) }, 0), undefined, 'nothing waits for the own thread');
      // Some of the owners, of whom few are left, and all but one.
      const few = new Uint32Array(16).fill(0b1001);
      for (const more of [{}, { exact: true }, { allow: few }, { exclude: 5 }, { k: 500 }, { k: 20, ef: 64 }]) {
        const asked = query(more);
        const answer = await answerOf(searchers, asked);
        assert.deepEqual(answer, await own.search({ graph, query: asked }));
        assert.ok((answer.hits[0]?.length ?? 0) > 0);
      }
      // The removal of somebody is posted, and not applied yet: messages are sent at the end of the turn.
      const [hit] = (await own.search({ graph, query: query({}) })).hits[0] ?? [];
      assert.ok(hit);
      const change = {
        sequence: peopleCount + 1,
        added: { labels: new Uint32Array(0), owners: new Uint32Array(0), vectors: new Float32Array(0) },
        removed: Uint32Array.of(hit.label),
      };
      searchers.changing(graph);
      own.change(graph, change);
      assert.equal(searchers.search({ graph, query: query({}) }, 1), undefined, 'a change is on its way');
      const later = await own.search({ graph, query: query({}) });
      assert.notEqual(later.hits[0]?.[0]?.label, hit.label);
      // Exactly, as the graph is mended meanwhile.
      const exactly = query({ exact: true });
      assert.deepEqual(await answerOf(searchers, exactly), await own.search({ graph, query: exactly }));
      await own.drop(graph);
      searchers.drop(graph);
      assert.equal(searchers.search({ graph, query: query({}) }, 1), undefined);
      await searchers.close();
      await own.close();
    });
  });

  it('go on without one that could not be started, and tell once when one dies', async () => {
    await inTemporaryFolder(async (path) => {
      await fill(path);
      const told = new EventEmitter();
      const searchers = new SearchThreads({
        most: 2,
        onDeath: (cause) => told.emit('death', cause),
        onFailure: (cause) => told.emit('failure', cause),
      });
      const quantiser = learnQuantiser(makeFaces(randomFrom(1), { dimensions }).face(1), dimensions);
      const engine = EngineMemory.create({ dimensions, quantiser, withFines: true });
      const shared = (where: string, readOnly = false): SharedEngine => ({
        memory: engine.memory,
        dimensions,
        exactMax: 1,
        source: { gallery: 1, lane: 0, path: where, readOnly, encryption: null },
        progress: new Int32Array(new SharedArrayBuffer(8)),
      });
      const query = { probes: new Float32Array(dimensions), k: 1, exact: true, ef: 16 };
      searchers.opening(graph);
      searchers.share(graph, shared(path));
      // It sets a thread going, which searches an engine without anybody in it; the second one finds no store.
      assert.deepEqual((await answerOf(searchers, query)).hits, [[]]);
      const failed = once(told, 'failure');
      searchers.share(graph, shared('/nowhere/at/all', true));
      const waiting = searchers.search({ graph, query }, 2);
      assert.equal(searchers.search({ graph, query }, 1), undefined);
      const [cause] = (await failed) as [Error];
      assert.match(cause.message, /nowhere/);
      assert.deepEqual((await waiting)?.hits, [[]]);
      assert.ok(await searchers.search({ graph, query }, 1), 'the first one goes on');
      const died = once(told, 'death');
      searchers.share('2/0', { ...shared(path), memory: null as never });
      const lost = searchers.search({ graph, query }, 1);
      assert.ok(lost);
      await assert.rejects(lost, { code: 'INTERNAL' });
      await died;
      await searchers.close();
    });
  });

  for (const [directory, key] of [
    ['plain', undefined],
    ['encrypted', randomBytes(32)],
  ] as const) {
    it(`find whoever was enrolled and nobody who was deleted, in a flood (${directory} directory)`, async () => {
      await inTemporaryFolder(async (path) => {
        const faces = makeFaces(randomFrom(9), { dimensions });
        const encryption = key && { key };
        const index = await openIdentityIndex({ path, exactMax: 50, searchThreads: 3, encryption });
        await index.createGallery(galleryDraft(gallery, dimensions, { duplicates: 'ignore' }));
        const search = async (person: number): Promise<string | undefined> => {
          const asked = { gallery, space: testSpace, probe: faces.face(person), k: 1, exact: false, ef: 32 };
          return (await index.search(asked)).candidates[0]?.identity;
        };
        for (let person = 0; person < 200; person++)
          await index.enroll(enrollDraft(gallery, `p${person}`, [faces.face(person)]));
        let isOver = false;
        let flooded = 0;
        const flood = async (person: number): Promise<void> => {
          for (; !isOver; flooded++) assert.equal(await search(person), `p${person}`);
        };
        const floods = Promise.all(Array.from({ length: 12 }, (_, i) => flood(i)));
        for (let person = 1_000; person < 1_100; person++) {
          await index.enroll(enrollDraft(gallery, `p${person}`, [faces.face(person)]));
          assert.equal(await search(person), `p${person}`);
          if (person % 2 === 0) continue;
          await index.eraseIdentity(gallery, `p${person}`);
          assert.notEqual(await search(person), `p${person}`);
        }
        isOver = true;
        await floods;
        assert.ok(flooded > 0);
        const { running, runningMax, searches, ownSearches } = index.searchStats();
        assert.ok(running >= 1 && running <= runningMax && runningMax === 3, `${running} of ${runningMax}`);
        assert.ok(searches > 0 && ownSearches > 0, `${searches} beside ${ownSearches}`);
        // Some are asked again, as somebody went meanwhile.
        assert.ok(searches + ownSearches >= flooded + 150);
        await index.close();
      });
    });
  }
});
