/**
 * Search: the identity index, as the database uses it, beside plain hnswlib-node on the same vectors in the same run.
 *
 * Ours goes through the public index: a message to the graph's thread and back, distinct identities, complete answers. The peer
 * is a bare HNSW graph (M = 16, efConstruction = 200) called on this thread: nearest templates, nothing around it. Recall is
 * held against a scan of all templates: of identities for ours, of templates for the peer. `k` is 10 for both.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memoryUsage } from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import hnswlib from 'hnswlib-node';
import { openIdentityIndex, type IdentityIndex } from '../src/index/identity-index.js';
import { drawGallery, modelDimensions, scanGallery, type ExactAnswer, type ModelGallery } from './gallery-model.js';
import { interleave, percentile, ratioSpread, runLoad, spreadText, type Load } from './measure.js';
import type { Progress } from './progress.js';
import type { BenchOptions } from './options.js';
import { rounded, type Row, type Workload } from './report.js';

const efs = [16, 32, 64, 128, 256] as const;
const k = 10;
const gallery = 'bench';
const space = 'gallery-model';

/** Positions found for each probe: templates for the peer, identities for ours. */
type Answers = readonly (readonly number[])[];

interface Searched {
  readonly load: Load;
  readonly answers: Answers;
}

export async function benchSearch(options: BenchOptions, progress: Progress): Promise<Workload> {
  const tables: Record<string, readonly Row[]> = {};
  const notes = [
    'recall: of identities (harmonid) and of templates (hnswlib-node) against a scan of all; k = 10',
    'ratio to hnswlib-node in the same round, median (min-max): of p50 for single calls, of throughput for 16 at once; 1 is as fast as the bare graph',
  ];
  for (const size of options.sizes) {
    const { rows, build, exactRankOne } = await benchSize(size, options, progress);
    tables[`build, ${size} templates`] = build;
    tables[`search, ${size} templates`] = rows;
    notes.push(
      `${size} templates: the exact nearest identity is the right one for ${rounded(100 * exactRankOne, 2)} % of probes`,
    );
  }
  const { calls, rounds, seed, templatesPerIdentity } = options;
  return {
    dataset:
      `synthetic gallery (bench/gallery-model), ${modelDimensions} dimensions, ${templatesPerIdentity} templates an identity, ` +
      `${calls} probes, ${rounds} rounds, seed ${seed}`,
    tables,
    notes,
  };
}

async function benchSize(
  size: number,
  { templatesPerIdentity, calls, rounds, seed }: BenchOptions,
  progress: Progress,
): Promise<{ build: readonly Row[]; rows: readonly Row[]; exactRankOne: number }> {
  progress(`drawing ${size} templates and scanning for ${calls} probes`);
  const model = drawGallery({ seed, templateCount: size, templatesPerIdentity, probeCount: calls });
  const truth = scanGallery(model, k);
  const exactRankOne = share(model.probes, (probe, position) => truth[position]?.identities[0] === probe.identity);

  const path = await mkdtemp(join(tmpdir(), 'harmonid-bench-'));
  try {
    progress('building the plain graph');
    const plain = await measureBuild(size, async () => buildPlain(model));
    progress('enrolling');
    const index = await openIdentityIndex({ path, onWarning: (message) => progress(message) });
    try {
      const ours = await measureBuild(size, () => buildIndex(index, model));
      const build = [
        { engine: 'hnswlib-node', ...plain.row },
        { engine: 'harmonid (LMDB, graph, vectors)', ...ours.row, enrolledPerSecond: rounded(size / ours.result, 0) },
      ];
      // Ours keeps filling its caches with the first searches; the peer, too.
      await searchIndex(index, model, 64, 1);
      searchPlain(plain.result, model, 64);
      const rows: Row[] = [];
      for (const ef of efs) {
        progress(`searching, ef ${ef}`);
        const [peer = [], single = [], crowd = []] = await interleave<Searched>(rounds, [
          async () => searchPlain(plain.result, model, ef),
          () => searchIndex(index, model, ef, 1),
          () => searchIndex(index, model, ef, 16),
        ]);
        rows.push(
          { ef, engine: 'hnswlib-node', ...figures(peer, truth, 'templates') },
          { ef, engine: 'harmonid', ...figures(single, truth, 'identities'), ratio: ratioText(peer, single, 'single') },
          {
            ef,
            engine: 'harmonid, 16 at once',
            ...figures(crowd, truth, 'identities'),
            ratio: ratioText(peer, crowd, 'crowd'),
          },
        );
      }
      progress('scanning exactly');
      const few = { ...model, probes: model.probes.slice(0, 50) };
      const [exact = []] = await interleave<Searched>(1, [() => searchIndex(index, few, 'exact', 1)]);
      rows.push({ ef: null, engine: 'harmonid, exact', ...figures(exact, truth, 'identities') });
      rows.push(await measureCrossing(model));
      return { build, rows, exactRankOne };
    } finally {
      await index.close();
    }
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

function buildPlain({ templates }: ModelGallery): hnswlib.HierarchicalNSW {
  const graph = new hnswlib.HierarchicalNSW('l2', modelDimensions);
  graph.initIndex({ maxElements: templates.length, m: 16, efConstruction: 200, randomSeed: 1 });
  for (const [label, vector] of templates.entries()) graph.addPoint(Array.from(vector), label);
  return graph;
}

/** Enrolls everybody and waits until the graph holds them; resolves to the seconds until all were durable. */
async function buildIndex(index: IdentityIndex, { templates, templatesPerIdentity }: ModelGallery): Promise<number> {
  await index.createGallery({
    gallery,
    space,
    dimensions: modelDimensions,
    threshold: 0.19,
    thresholdSource: 'bench',
    margin: 0,
    duplicates: 'ignore',
    refuseReasons: [],
    templatesPerIdentityMax: 1000,
    description: '',
  });
  const startedAt = performance.now();
  await runLoad(Math.ceil(templates.length / templatesPerIdentity), 256, (identity) =>
    index.enroll({
      gallery,
      identity: String(identity),
      templates: templates
        .slice(identity * templatesPerIdentity, (identity + 1) * templatesPerIdentity)
        .map((vector) => ({ vector, space, origin: 'native', quality: null, imageDigest: null })),
    }),
  );
  const durableSeconds = (performance.now() - startedAt) / 1000;
  while ((await pendingCount(index)) > 0) await pause(50);
  return durableSeconds;
}

async function pendingCount(index: IdentityIndex): Promise<number> {
  const stats = (await index.stats()).find((one) => one.gallery === gallery);
  // A small gallery is scanned for good.
  return stats && stats.graph.engine !== 'exact' ? stats.graph.pendingCount : 0;
}

/** Time until ready, and what the process grew by: the allocator keeps some of what is freed, so small sizes say little. */
async function measureBuild<T>(size: number, work: () => Promise<T>): Promise<{ result: T; row: Row }> {
  const [startedAt, before] = [performance.now(), memoryUsage().rss];
  const result = await work();
  const grown = memoryUsage().rss - before;
  return {
    result,
    row: {
      readyS: rounded((performance.now() - startedAt) / 1000),
      residentGrowthMiB: rounded(grown / 2 ** 20),
      bytesPerTemplate: rounded(grown / size, 0),
    },
  };
}

function searchPlain(graph: hnswlib.HierarchicalNSW, { probes }: ModelGallery, ef: number): Searched {
  graph.setEf(ef);
  // The conversion to a JavaScript array is part of what a caller pays.
  const callMs: number[] = [];
  const startedAt = performance.now();
  const answers = probes.map(({ vector }) => {
    const calledAt = performance.now();
    const { neighbors } = graph.searchKnn(Array.from(vector), k);
    callMs.push(performance.now() - calledAt);
    return neighbors;
  });
  return { load: { perSecond: (probes.length / (performance.now() - startedAt)) * 1000, callMs }, answers };
}

/** A probe to a thread and back, with nothing done to it. */
async function measureCrossing({ probes }: ModelGallery): Promise<Row> {
  const thread = new Worker(new URL('./echo-thread.js', import.meta.url));
  try {
    const cross = (position: number): Promise<unknown> => {
      const echoed = once(thread, 'message');
      thread.postMessage({ probe: probes[position]?.vector });
      return echoed;
    };
    await runLoad(probes.length, 1, cross);
    const { callMs } = await runLoad(probes.length, 1, cross);
    const callUs = callMs.map((ms) => ms * 1000);
    return {
      ef: null,
      engine: 'bare thread, there and back',
      p50Us: rounded(percentile(callUs, 0.5), 0),
      p99Us: rounded(percentile(callUs, 0.99), 0),
    };
  } finally {
    await thread.terminate();
  }
}

async function searchIndex(
  index: IdentityIndex,
  { probes }: ModelGallery,
  ef: number | 'exact',
  concurrency: number,
): Promise<Searched> {
  const answers: (readonly number[])[] = [];
  const load = await runLoad(probes.length, concurrency, async (position) => {
    const probe = probes[position]?.vector;
    if (!probe) return;
    const exact = ef === 'exact';
    const answer = await index.search({ gallery, space, probe, k, exact, ef: exact ? 1 : ef });
    answers[position] = answer.candidates.map(({ identity }) => Number(identity));
  });
  return { load, answers };
}

function figures(searched: readonly Searched[], truth: readonly ExactAnswer[], kind: keyof ExactAnswer): Row {
  const callUs = searched.flatMap(({ load }) => load.callMs.map((ms) => ms * 1000));
  const answers = searched[0]?.answers ?? [];
  return {
    recall1: rounded(
      share(answers, (found, probe) => found[0] === truth[probe]?.[kind][0]),
      4,
    ),
    recall10: rounded(mean(answers.map((found, probe) => overlap(found, truth[probe]?.[kind] ?? []))), 4),
    p50Us: rounded(percentile(callUs, 0.5), 0),
    p99Us: rounded(percentile(callUs, 0.99), 0),
    perSecond: rounded(
      percentile(
        searched.map(({ load }) => load.perSecond),
        0.5,
      ),
      0,
    ),
  };
}

/** Of single calls the median times are compared; of crowds the throughput, since each call waits for the others. */
function ratioText(peer: readonly Searched[], ours: readonly Searched[], kind: 'single' | 'crowd'): string {
  const speed = ({ load }: Searched): number => (kind === 'crowd' ? load.perSecond : 1 / percentile(load.callMs, 0.5));
  return spreadText(ratioSpread(ours.map(speed), peer.map(speed)));
}

function overlap(found: readonly number[], wanted: readonly number[]): number {
  return wanted.filter((position) => found.includes(position)).length / wanted.length;
}

function share<T>(values: readonly T[], holds: (value: T, position: number) => boolean): number {
  return values.filter(holds).length / values.length;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
