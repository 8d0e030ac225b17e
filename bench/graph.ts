/**
 * Graphs by themselves, one thread each, on the same vectors: our engine in WebAssembly, as the product builds it, hnswlib in C++ compiled for this machine, and hnswlib-node, both with M = 16 and a width of construction of 200;
 * beside them the vector indexes of vector-peers.ts, where they are installed.
 *
 * Recall is that of templates against a scan of all vectors: recall@1 where one is asked for, recall@10 where ten are. Every peer is asked with several widths in turns, round by round; times at a recall are read off
 * between the two widths on either side of it.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineReader } from '../src/engine/engine-reader.js';
import { EngineWriter } from '../src/engine/engine-writer.js';
import { linkInThreads } from '../src/engine/linking.js';
import { construction, flat, links, makeEngine, makeHnswlibNode } from './bare-graphs.js';
import { openEngineThreads } from './engine-threads.js';
import { drawGallery, modelDimensions, scanGallery, type ModelGallery } from './gallery-model.js';
import { asked, padded, widths, type Peer } from './graph-peer.js';
import { interleave, ratioSpread, spread, spreadText } from './measure.js';
import { compileNativeHnswlib, startNativeHnswlib } from './native-hnswlib.js';
import type { BenchOptions } from './options.js';
import { peerVersion } from './peers.js';
import type { Progress } from './progress.js';
import { rounded, type Row, type Workload } from './report.js';
import { loadVectorPeer, vectorPeers } from './vector-peers.js';

const recalls = [0.95, 0.98, 0.99] as const;
/** Of the construction by several. */
const threads = Math.max(2, availableParallelism());

export async function benchGraph(options: BenchOptions, progress: Progress): Promise<Workload> {
  const tables: Record<string, readonly Row[]> = {};
  const notes = [
    'one thread each, but for the engine by several, where it is the wall time of all searches by their number; microseconds a search, median of the rounds (min-max); ratio to the same round of hnswlib in C++, below 1 is faster',
  ];
  for (const size of options.sizes) Object.assign(tables, await benchSize(size, options, progress, notes));
  const { calls, rounds, seed, templatesPerIdentity } = options;
  return {
    dataset:
      `synthetic gallery (bench/gallery-model), ${modelDimensions} dimensions, ${templatesPerIdentity} templates an identity, ` +
      `${calls} probes, ${rounds} rounds, seed ${seed}`,
    tables,
    notes: [...new Set(notes)],
  };
}

async function benchSize(
  size: number,
  { calls, rounds, seed, templatesPerIdentity }: BenchOptions,
  progress: Progress,
  notes: string[],
): Promise<Record<string, readonly Row[]>> {
  const others = vectorPeers.map((peer) => ({ ...peer, openPeer: loadVectorPeer(peer) }));
  progress(`drawing ${size} templates`);
  const gallery = drawGallery({ seed, templateCount: size, templatesPerIdentity, probeCount: calls });
  const truth = scanGallery(gallery, Math.max(...asked)).map(({ templates }) => templates);
  const folder = await mkdtemp(join(tmpdir(), 'harmonid-bench-'));
  const peers: Peer[] = [];
  try {
    progress('building: the engine');
    peers.push(...openEngine(gallery));
    progress('building: hnswlib in C++');
    const native = await openNative(gallery, folder);
    if (native) peers.push(native);
    else notes.push('no g++ here: hnswlib in C++ was left out');
    progress('building: hnswlib-node');
    peers.push(openHnswlibNode(gallery));
    for (const { name, packages, openPeer } of others) {
      const [main] = packages;
      if (!openPeer) {
        notes.push(`${main}: not installed; \`npm run bench -- peers install\` adds it`);
        continue;
      }
      progress(`building: ${name}`);
      peers.push(await openPeer(gallery, folder));
      notes.push(`${main} ${peerVersion(main)}`);
    }
    progress(`building: the engine, ${threads} threads`);
    const together = await buildTogether(gallery);
    progress('searching');
    const questions = peers.flatMap((peer) => peer.widths.flatMap((width) => asked.map((k) => ({ peer, width, k }))));
    const runs = await interleave(
      rounds,
      questions.map(
        ({ peer, width, k }) =>
          () =>
            peer.search(width, k),
      ),
    );
    const points = questions.map(({ peer, width, k }, i) => ({
      graph: peer.name,
      width,
      k,
      microseconds: runs[i]?.map(({ microseconds }) => microseconds) ?? [],
      recall: recallOf(runs[i]?.[0]?.labels ?? [], truth, k),
    }));
    const names = peers.map(({ name }) => name);
    const base = names.find((name) => name === nativeName) ?? nodeName;
    return {
      [`construction, ${size} templates`]: [
        ...peers.flatMap(({ name, built }) => (built ? [constructionRow(name, size, built)] : [])),
        constructionRow(`engine, ${threads} threads`, size, together),
      ],
      ...Object.fromEntries(
        asked.map((k) => {
          const ofK = points.filter((point) => point.k === k);
          return [
            `at a recall@${k}, ${size} templates`,
            names.flatMap((graph) => recalls.map((recall) => atRecall(ofK, { graph, base, k, recall }))),
          ];
        }),
      ),
      ...Object.fromEntries(
        asked.map((k) => [
          `by width, ${k} wanted, ${size} templates`,
          points
            .filter((point) => point.k === k)
            .map(({ graph, width, microseconds, recall }) => ({
              graph,
              width,
              [`recall@${k}`]: rounded(recall, 3),
              microseconds: spreadText(spread(microseconds), 0),
            })),
        ]),
      ),
    };
  } finally {
    for (const peer of peers) await peer.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function constructionRow(
  graph: string,
  size: number,
  { seconds, bytes }: { readonly seconds: number; readonly bytes: number },
): Row {
  return {
    graph,
    seconds: rounded(seconds),
    perSecond: Math.round(size / seconds),
    bytesPerTemplate: Math.round(bytes / size),
  };
}

/** What a graph did with one width. */
interface Point {
  readonly graph: string;
  readonly width: number;
  /** Of each round. */
  readonly microseconds: readonly number[];
  readonly recall: number;
}

function atRecall(
  points: readonly Point[],
  {
    graph,
    base,
    k,
    recall,
  }: { readonly graph: string; readonly base: string; readonly k: number; readonly recall: number },
): Row {
  const [own, other] = [graph, base].map((name) =>
    timesAt(
      points.filter((point) => point.graph === name),
      recall,
    ),
  );
  return {
    graph,
    [`recall@${k}`]: recall,
    microseconds: own ? spreadText(spread(own), 1) : null,
    ratio: own && other ? spreadText(ratioSpread(own, other)) : null,
  };
}

/** Of each round; null where a width of the grid does not reach the recall. */
function timesAt(points: readonly Point[], recall: number): readonly number[] | null {
  const above = points.findIndex((point) => point.recall >= recall);
  const [before, after] = [points[above - 1], points[above]];
  if (!after) return null;
  if (!before) return after.microseconds;
  const share = (recall - before.recall) / (after.recall - before.recall);
  return after.microseconds.map((slow, round) => {
    const fast = before.microseconds[round] ?? Number.NaN;
    return fast + share * (slow - fast);
  });
}

/** Share of the k nearest that are among the k found. */
function recallOf(labels: readonly number[], truth: readonly (readonly number[])[], k: number): number {
  const probes = labels.length / k;
  let found = 0;
  for (const [probe, expected] of truth.slice(0, probes).entries()) {
    const nearest = new Set(expected.slice(0, k));
    found += labels.slice(probe * k, (probe + 1) * k).filter((label) => nearest.has(label)).length;
  }
  return found / probes / k;
}

// ── Peers ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One graph, asked by one thread and by several. */
function openEngine({ templates, probes }: ModelGallery): readonly Peer[] {
  const engine = makeEngine(templates);
  const startedMs = performance.now();
  const writer = new EngineWriter(engine);
  templates.forEach((vector, label) => writer.add(label, label, vector));
  writer.link();
  const seconds = (performance.now() - startedMs) / 1000;
  const reader = new EngineReader(engine, 1);
  const many = openEngineThreads(
    engine,
    probes.map(({ vector }) => vector),
    { threads, firstReader: 2 },
  );
  const alone: Peer = {
    name: 'engine',
    built: { seconds, bytes: engine.bytes },
    widths,
    async search(width, k) {
      const from = performance.now();
      const answers = probes.map(({ vector }) => reader.nearest({ vector, k, width }) ?? []);
      const microseconds = (1000 * (performance.now() - from)) / probes.length;
      return {
        microseconds,
        labels: answers.flatMap((hits) =>
          padded(
            hits.map(({ label }) => label),
            k,
          ),
        ),
      };
    },
    close: async () => undefined,
  };
  const together: Peer = {
    name: `engine, ${threads} threads`,
    built: null,
    widths,
    async search(width, k) {
      const { microseconds, labels } = await many.search({ width, k });
      return { microseconds, labels: labels.flatMap((found) => padded(found, k)) };
    },
    close: () => many.close(),
  };
  return [alone, together];
}

/** All cores. */
async function buildTogether({ templates }: ModelGallery): Promise<NonNullable<Peer['built']>> {
  const engine = makeEngine(templates);
  const startedMs = performance.now();
  const writer = new EngineWriter(engine);
  templates.forEach((vector, label) => writer.add(label, label, vector));
  await linkInThreads(engine, writer, { threads, firstReader: 1 });
  return { seconds: (performance.now() - startedMs) / 1000, bytes: engine.bytes };
}

const [nativeName, nodeName] = ['hnswlib, C++', 'hnswlib-node'] as const;

async function openNative({ templates, probes }: ModelGallery, folder: string): Promise<Peer | null> {
  const program = await compileNativeHnswlib(folder);
  if (program === null) return null;
  const file = join(folder, 'vectors.f32');
  await writeFile(file, flat([...templates, ...probes.map(({ vector }) => vector)]));
  const words = [file, templates.length, probes.length, modelDimensions, links, construction];
  const { seconds, bytes, search, close } = await startNativeHnswlib(program, words);
  return { name: nativeName, built: { seconds, bytes }, widths, search, close };
}

function openHnswlibNode({ templates, probes }: ModelGallery): Peer {
  const graph = makeHnswlibNode(templates.length);
  const startedMs = performance.now();
  templates.forEach((vector, label) => graph.addPoint(Array.from(vector), label));
  return {
    name: nodeName,
    built: {
      seconds: (performance.now() - startedMs) / 1000,
      // What it holds is not told: vectors, links of the bottom layer and a sixteenth above, label and bookkeeping.
      bytes: templates.length * (4 * modelDimensions + 4 * (2 * links + 1) + 8 + 12),
    },
    widths,
    async search(width, k) {
      graph.setEf(width);
      const from = performance.now();
      const answers = probes.map(({ vector }) => graph.searchKnn(Array.from(vector), k).neighbors);
      const microseconds = (1000 * (performance.now() - from)) / probes.length;
      return { microseconds, labels: answers.flatMap((labels) => padded(labels, k)) };
    },
    async close() {
      graph.initIndex({ maxElements: 1 });
    },
  };
}
