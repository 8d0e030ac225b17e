/** A thread that searches the engines of graphs, and nothing else. An entry point: it takes messages in the order in which they come. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { EngineMemory } from '../engine/engine-memory.js';
import { EngineReader } from '../engine/engine-reader.js';
import { assertInvariant, asHarmonidError } from '../errors.js';
import { freezeError } from '../threads/frozen-error.js';
import { takeInTurns } from '../threads/message-turns.js';
import { Outbox } from '../threads/outbox.js';
import type { ThreadReply } from '../threads/thread-calls.js';
import { searchEngine, type SearchedEngine } from './engine-search.js';
import type { SearchMessage } from './graph-messages.js';
import type { SharedEngine } from './shared-engine.js';
import { openThreadStore, type ThreadStore } from './thread-store.js';

function serve(port: MessagePort, reader: number): void {
  /** By graph. */
  const engines = new Map<string, { readonly searched: SearchedEngine; readonly gallery: number }>();
  let store: ThreadStore | null = null;
  const outbox = new Outbox<ThreadReply>((replies) => port.postMessage(replies));

  function open({ memory, dimensions, exactMax, source }: SharedEngine): SearchedEngine {
    store ??= openThreadStore(source);
    const engine = EngineMemory.open(memory);
    return {
      reader: new EngineReader(engine, reader),
      dimensions,
      exactMax,
      source: store.reading({ ...source, dimensions }),
      get count() {
        return engine.next;
      },
    };
  }

  function share(graph: string, shared: SharedEngine | null): void {
    if (shared) {
      engines.set(graph, { searched: open(shared), gallery: shared.source.gallery });
      return;
    }
    const known = engines.get(graph);
    engines.delete(graph);
    if (known) store?.forget(known.gallery);
  }

  function search({ id, request }: Extract<SearchMessage, { kind: 'search' }>): void {
    try {
      const found = engines.get(request.graph);
      assertInvariant(found, 'an engine is shared before it is searched');
      outbox.put({ id, answer: searchEngine(found.searched, request.query) });
    } catch (error) {
      outbox.put({ id, error: freezeError(asHarmonidError(error)) });
    }
  }

  async function end(): Promise<void> {
    engines.clear();
    await store?.close();
    store = null;
  }

  function take(message: SearchMessage): void {
    const { id } = message;
    switch (message.kind) {
      case 'engine':
        share(message.request.graph, message.request.shared);
        return;
      case 'search':
        search(message);
        return;
      case 'ready':
        outbox.put({ id, answer: null });
        return;
      case 'end':
        end().then(
          () => outbox.put({ id, answer: null }),
          (error: unknown) => outbox.put({ id, error: freezeError(asHarmonidError(error)) }),
        );
    }
  }

  takeInTurns(port, take, () => outbox.flush());
}

assertInvariant(parentPort, 'a searching worker runs in a thread');
serve(parentPort, workerData as number);
