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
import { takeInTurns } from '../threads/message-turns.js';
import { Outbox } from '../threads/outbox.js';
import { openEngineGraph } from './engine-graph.js';
import type {
  GraphChange,
  GraphMessage,
  GraphOpened,
  GraphOpening,
  GraphReply,
  GraphSaved,
  GraphSource,
} from './graph-messages.js';
import type { HostedGraph } from './hosted-graph.js';
import { hostHnswlib } from './hosted-hnswlib.js';
import { EngineSharing } from './shared-engine.js';
import { emptySource } from './template-source.js';
import { openThreadStore, type ThreadStore } from './thread-store.js';

interface Opened {
  readonly graph: HostedGraph;
  readonly source: GraphSource | null;
  /** Of an engine that others may search, too. */
  readonly sharing: EngineSharing | null;
  /** Number of the last change that the graph holds. */
  sequence: number;
}

function serve(port: NonNullable<typeof parentPort>): void {
  const graphs = new Map<string, Opened>();
  let own: ThreadStore | null = null;
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
        const { graph, answer, sharing } = await openGraph(message.request, (text, facts) =>
          reply({ id: 0, warning: { graph: name, message: text, facts } }),
        );
        graphs.set(name, { graph, source, sharing, sequence });
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
        if (source) own?.forget(source.gallery);
        await graph.close();
        return null;
      }
      case 'end':
        for (const { graph } of graphs.values()) await graph.close();
        graphs.clear();
        await own?.close();
        own = null;
        return null;
    }
  }

  async function openGraph(
    {
      graph: name,
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
  ): Promise<{ graph: HostedGraph; answer: GraphOpened; sharing: EngineSharing | null }> {
    try {
      if (where) own ??= openThreadStore(where);
      const source = where && own ? own.source({ ...where, dimensions, sequence, templateCount }) : emptySource;
      const options = { dimensions, exactMax, recall: { recallMin }, onWarning, source };
      const sharing =
        where &&
        new EngineSharing({ dimensions, exactMax, source: where }, (shared) =>
          reply({ id: 0, sharing: { graph: name, shared } }),
        );
      const graph =
        engine === 'hnswlib'
          ? hostHnswlib(options)
          : openEngineGraph({
              ...options,
              withFines: rerank === 'memory',
              onEngine: (memory) => sharing?.share(memory?.memory ?? null),
            });
      const { path, readOnly, encryption } = where ?? { path: '', readOnly: true, encryption: null };
      const sealing = file?.key && encryption ? { directory: encryption.directory, key: file.key } : null;
      const recorded = file && !isNew ? { ...file, path, readOnly, sealing } : null;
      return { graph, answer: await graph.open(recorded), sharing };
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

  takeInTurns(port, take, () => outbox.flush());
}

function apply(opened: Opened, { sequence, added, removed }: GraphChange): void {
  opened.graph.removeNow(removed);
  opened.graph.addNow(added);
  opened.sequence = sequence;
  opened.sharing?.applied();
}

assertInvariant(parentPort, 'the graph worker runs in a thread');
serve(parentPort);
