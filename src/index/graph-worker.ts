/**
 * The thread in which graphs live: one for all galleries, so that nothing native or long blocks the caller's event loop.
 *
 * An entry point: it takes messages in the order in which they come. Changes and searches are done at once; loading and saving give
 * way. A change that fails means that the table no longer mirrors the store, so it ends the thread rather than answer wrongly.
 */
import { parentPort } from 'node:worker_threads';
import { assertInvariant, asHarmonidError } from '../errors.js';
import { diskError } from '../files/disk-errors.js';
import { freezeError } from '../threads/frozen-error.js';
import { Outbox } from '../threads/outbox.js';
import { openEngineGraph } from './engine-graph.js';
import { freezeStore } from './frozen-store.js';
import {
  type GraphChange,
  type GraphMessage,
  type GraphOpened,
  type GraphOpening,
  type GraphReply,
  type GraphSaved,
  type GraphSource,
} from './graph-thread.js';
import type { HostedGraph } from './hosted-graph.js';
import { hostHnswlib } from './hosted-hnswlib.js';
import { openKeyReader, openKeyring, type KeyReader } from './keyring.js';
import { openLmdbStore, type LmdbStore } from './lmdb-store.js';
import { sealStore } from './sealed-store.js';
import { emptySource, laneSource, type LaneTemplates, type TemplateSource } from './template-source.js';

interface Opened {
  readonly graph: HostedGraph;
  readonly source: GraphSource | null;
  /** Number of the last change that the graph holds. */
  sequence: number;
}

/** How long messages are taken before the rest of the event loop has its turn. */
const turnMs = 2;

function serve(port: NonNullable<typeof parentPort>): void {
  const graphs = new Map<string, Opened>();
  let own: OpenedStore | null = null;
  const opened = (name: string): Opened => {
    const found = graphs.get(name);
    assertInvariant(found, 'a graph is open before it is used');
    return found;
  };
  const outbox = new Outbox<GraphReply>((replies) => port.postMessage(replies));
  const reply = (message: GraphReply): void => outbox.put(message);

  function search({ id, request }: Extract<GraphMessage, { kind: 'search' }>): void {
    try {
      const { graph } = opened(request.graph);
      reply({ id, answer: graph.searchNow(request.query) });
      graph.catchUp();
    } catch (error) {
      reply({ id, error: freezeError(asHarmonidError(error)) });
    }
  }

  async function answer(message: Exclude<GraphMessage, { kind: 'change' | 'search' }>): Promise<unknown> {
    switch (message.kind) {
      case 'counts':
        return opened(message.request.graph).graph.countsNow();
      case 'settle':
        await opened(message.request.graph).graph.settle();
        return null;
      case 'open': {
        const { graph: name, sequence, source } = message.request;
        const { graph, answer } = await openGraph(message.request, (text, facts) =>
          reply({ id: 0, warning: { graph: name, message: text, facts } }),
        );
        graphs.set(name, { graph, source, sequence });
        return answer;
      }
      case 'save': {
        const { graph, sequence } = opened(message.request.graph);
        return { sequence, file: await graph.save(message.request) } satisfies GraphSaved;
      }
      case 'kept':
        await opened(message.request.graph).graph.kept();
        return null;
      case 'drop': {
        const { graph, source } = opened(message.request.graph);
        graphs.delete(message.request.graph);
        if (source) own?.keys?.forget(source.gallery);
        await graph.close();
        return null;
      }
      case 'end':
        for (const { graph } of graphs.values()) await graph.close();
        graphs.clear();
        own?.keys?.close();
        await own?.raw.close();
        own = null;
        return null;
    }
  }

  async function openGraph(
    {
      engine,
      dimensions,
      exactMax,
      rerank,
      recallMin,
      source: where,
      isNew,
      file,
      sequence,
      templateCount,
    }: GraphOpening,
    onWarning: (message: string, facts: object) => void,
  ): Promise<{ graph: HostedGraph; answer: GraphOpened }> {
    try {
      if (where) own ??= openStore(where);
      const source =
        where && own ? sourceOf(own, where, { ...where, dimensions, sequence, templateCount }) : emptySource;
      const options = { dimensions, exactMax, recall: { recallMin }, onWarning, source };
      const graph =
        engine === 'hnswlib' ? hostHnswlib(options) : openEngineGraph({ ...options, withFines: rerank === 'memory' });
      const { path, readOnly, encryption } = where ?? { path: '', readOnly: true, encryption: null };
      const sealing = file?.key && encryption ? { directory: encryption.directory, key: file.key } : null;
      const recorded = file && !isNew ? { ...file, path, readOnly, sealing } : null;
      return { graph, answer: await graph.open(recorded) };
    } catch (error) {
      throw where ? diskError(error, where.path) : error;
    }
  }

  function take(message: GraphMessage): void {
    if (message.kind === 'change') {
      apply(opened(message.request.graph), message.request.change);
      return;
    }
    if (message.kind === 'search') {
      search(message);
      return;
    }
    const { id } = message;
    answer(message).then(
      (value) => reply({ id, answer: value }),
      (error: unknown) => reply({ id, error: freezeError(asHarmonidError(error)) }),
    );
  }

  // A port hands out up to a thousand messages before anything else gets its turn, which may be many seconds of searches: what is written,
  // read or inserted meanwhile would stand still. So they wait here, and are taken for a while in each turn.
  const waiting: GraphMessage[] = [];
  let isTaking = false;
  function takeSome(): void {
    const untilMs = performance.now() + turnMs;
    let taken = 0;
    do {
      const message = waiting[taken++];
      assertInvariant(message, 'messages are taken while there are some');
      take(message);
    } while (taken < waiting.length && performance.now() < untilMs);
    waiting.splice(0, taken);
    outbox.flush();
    isTaking = waiting.length > 0;
    if (isTaking) setImmediate(takeSome);
  }
  port.on('message', (messages: readonly GraphMessage[]) => {
    waiting.push(...messages);
    if (isTaking) return;
    isTaking = true;
    setImmediate(takeSome);
  });
}

function apply(opened: Opened, { sequence, added, removed }: GraphChange): void {
  opened.graph.removeNow(removed);
  opened.graph.addNow(added);
  opened.sequence = sequence;
}

/** The store as this thread reads it: opened with the first graph that has one. */
interface OpenedStore {
  readonly raw: LmdbStore;
  /** In an encrypted directory. */
  readonly keys: KeyReader | null;
}

function openStore({ path, readOnly, encryption }: GraphSource): OpenedStore {
  const opened = openLmdbStore({ path, readOnly });
  return {
    // As it was at the opening, which is what its owner sees.
    raw: readOnly ? freezeStore(opened) : opened,
    keys: encryption && openKeyReader(path, encryption.masterKey),
  };
}

function sourceOf({ raw, keys }: OpenedStore, { encryption, path }: GraphSource, lane: LaneTemplates): TemplateSource {
  if (!encryption || !keys) return laneSource(raw, lane);
  return {
    ...laneSource(sealStore(raw, keys), lane),
    // All of a person's templates open with one key, which is kept for as long as they are read.
    *templates() {
      const keyring = openKeyring(path, encryption.masterKey);
      try {
        yield* laneSource(sealStore(raw, keyring), lane).templates();
      } finally {
        keyring.close();
      }
    },
  };
}

assertInvariant(parentPort, 'the graph worker runs in a thread');
serve(parentPort);
