/**
 * The thread in which graphs live: one for all galleries, so that nothing native or long blocks the caller's event loop.
 *
 * An entry point: it takes messages in the order in which they come. Changes and searches are done at once; loading and saving give
 * way. A change that fails means that the table no longer mirrors the store, so it ends the thread rather than answer wrongly.
 */
import { stat } from 'node:fs/promises';
import { parentPort } from 'node:worker_threads';
import { assertInvariant, asHarmonidError } from '../errors.js';
import { placeGraphFile, verifyGraphFile } from './checkpoint.js';
import { diskError } from '../files/disk-errors.js';
import { freezeError } from '../threads/frozen-error.js';
import { Outbox } from '../threads/outbox.js';
import { keyParts, ranges, templateCodec } from './codec.js';
import {
  type GraphChange,
  type GraphMessage,
  type GraphOpened,
  type GraphOpening,
  type GraphReply,
  type GraphSaved,
  type GraphSaving,
  type GraphSource,
} from './graph-thread.js';
import { openHnswlibGraph, type HnswlibGraph } from './hnswlib-graph.js';
import { unsealFile, withMemoryFile } from './graph-sealing.js';
import { openKeyring } from './keyring.js';
import { guardLoading } from './load-guard.js';
import { openLmdbStore } from './lmdb-store.js';
import { sealStore } from './sealed-store.js';

interface Opened {
  readonly graph: HnswlibGraph;
  /** Number of the last change that the table holds. */
  sequence: number;
}

const loadBatch = 1024;
/** How long messages are taken before the rest of the event loop has its turn. */
const turnMs = 2;

function serve(port: NonNullable<typeof parentPort>): void {
  const graphs = new Map<string, Opened>();
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
        const { graph: name, sequence } = message.request;
        const { graph, answer } = await openGraph(message.request, (text, facts) =>
          reply({ id: 0, warning: { graph: name, message: text, facts } }),
        );
        graphs.set(name, { graph, sequence });
        return answer;
      }
      case 'save':
        return save(opened(message.request.graph), message.request);
      case 'drop': {
        const { graph } = opened(message.request.graph);
        graphs.delete(message.request.graph);
        await graph.close();
        return null;
      }
      case 'end':
        for (const { graph } of graphs.values()) await graph.close();
        graphs.clear();
        return null;
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

async function save({ sequence, graph }: Opened, { path, name, sealing }: GraphSaving): Promise<GraphSaved> {
  // Asked while the file is cleaned, so that what was removed during the native write is cleaned away, too.
  const { table } = graph;
  const cleaning = {
    isLive: (label: number) => table.has(label),
    vectorOf: (label: number) => table.vectorOf(label),
  };
  const sealed = sealing && { ...sealing, bytesExpected: graph.countsNow().bytes };
  return { sequence, file: await placeGraphFile(path, name, (file) => graph.save(file), cleaning, sealed) };
}

async function openGraph(
  { dimensions, exactMax, recallMin, load, file }: GraphOpening,
  onWarning: (message: string, facts: object) => void,
): Promise<{ graph: HnswlibGraph; answer: GraphOpened }> {
  const graph = openHnswlibGraph({ dimensions, exactMax, recall: { recallMin }, onWarning });
  let filling: Promise<void> | null = null;
  const fillTable = (): Promise<void> => (filling ??= load ? loadTable(graph, load) : Promise.resolve());
  let warning: string | null = null;
  if (file && load) {
    try {
      const verified = await verifyGraphFile(load.path, file);
      await guardLoading(verified, load, () => loadFile(graph, verified, file.key, load, fillTable));
    } catch (error) {
      const { message, cause } = asHarmonidError(error);
      warning = cause instanceof Error ? `${message}: ${cause.message}` : message;
    }
  }
  // Its own failure is one of the store and no reason to go on without.
  try {
    await fillTable();
  } catch (error) {
    throw load ? diskError(error, load.path) : error;
  }
  if (graph.countsNow().engine === 'hnsw') return { graph, answer: { openedFrom: 'checkpoint', warning } };
  graph.start();
  return { graph, answer: { openedFrom: graph.table.count > 0 ? 'rebuild' : 'new', warning } };
}

/** A sealed file is opened into memory first. */
async function loadFile(
  graph: HnswlibGraph,
  file: string,
  key: Uint8Array | null,
  { encryption }: GraphSource,
  fillTable: () => Promise<void>,
): Promise<void> {
  if (!key || !encryption) return graph.load(file, fillTable);
  const { size } = await stat(file);
  const loaded = await withMemoryFile(encryption.directory, size, async (clear) => {
    await unsealFile(file, clear, key);
    await graph.load(clear, fillTable);
    return true;
  });
  if (!loaded) throw new Error('there is no room in memory to open a sealed graph file');
}

/** Reads every template of the lane into the table, through a handle of its own on the same environment. */
async function loadTable(graph: HnswlibGraph, where: GraphSource): Promise<void> {
  const { table } = graph;
  const raw = openLmdbStore(where);
  const keyring = where.encryption && openKeyring(where.path, where.encryption.masterKey);
  const store = keyring ? sealStore(raw, keyring) : raw;
  try {
    let [labels, owners, rows]: [number[], number[], Float32Array[]] = [[], [], []];
    const flush = (): void => {
      const vectors = new Float32Array(rows.length * table.dimensions);
      rows.forEach((row, i) => vectors.set(row, i * table.dimensions));
      table.add({ labels: Uint32Array.from(labels), owners: Uint32Array.from(owners), vectors });
      [labels, owners, rows] = [[], [], []];
    };
    for (const { key, value } of store.range('templates', ...ranges.gallery(where.gallery))) {
      const { owner, template, lane } = keyParts.template(key);
      if (lane !== where.lane) continue;
      labels.push(template);
      owners.push(owner);
      rows.push(templateCodec.decodeVector(key, value, table.dimensions));
      if (labels.length === loadBatch) flush();
    }
    flush();
  } finally {
    keyring?.close();
    await store.close();
  }
}

assertInvariant(parentPort, 'the graph worker runs in a thread');
serve(parentPort);
