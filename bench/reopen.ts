/**
 * Reopening: seconds until a directory answers again, from a valid checkpoint, with changes after it, and without a graph file; what a
 * template costs in memory and on the disk, and what the whole process holds; and how long searches and writes are held up meanwhile.
 *
 * Every opening is a fresh process on the same directory, in turns, with the files in the page cache. An answer counts when it names the
 * identity that an exact search names. Processes are killed when they have reported, so that none of them saves anything.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HarmonidError } from '../src/errors.js';
import type { GraphRerank } from '../src/index/graph-messages.js';
import { openIdentityIndex } from '../src/index/identity-index.js';
import type { UnitVector } from '../src/vector.js';
import { drawGallery, modelDimensions, type ModelGallery } from './gallery-model.js';
import type { ProcessMemory } from './machine.js';
import { percentile, runLoad, spread, spreadText } from './measure.js';
import type { BenchOptions } from './options.js';
import type { Progress } from './progress.js';
import {
  gallery,
  reranks,
  space,
  type Answered,
  type Held,
  type ReopenReply,
  type ReopenTask,
} from './reopen-messages.js';
import { rounded, type Row, type Workload } from './report.js';

const changesMax = 10_000;
const probeCount = 1000;
/** At 200,000 templates. */
const targets = { size: 200_000, checkpointS: 3, changedS: 6, stallMs: 100 } as const;
/** Of the whole process as opened, with the vectors to compare by in memory. */
const memoryTarget = { size: 1_000_000, megabytes: 700 } as const;

export async function benchReopen(options: BenchOptions, progress: Progress): Promise<Workload> {
  const tables: Record<string, readonly Row[]> = {};
  const notes: string[] = [];
  for (const size of options.sizes) {
    const path = await mkdtemp(join(tmpdir(), 'harmonid-bench-'));
    try {
      await benchSize(path, size, options, progress, tables, notes);
    } finally {
      await rm(path, { recursive: true, force: true });
    }
  }
  const { rounds, seed, templatesPerIdentity } = options;
  return {
    dataset:
      `synthetic gallery (bench/gallery-model), ${modelDimensions} dimensions, ${templatesPerIdentity} templates an identity, ` +
      `${rounds} rounds, seed ${seed}; each opening a fresh process, files in the page cache`,
    tables,
    notes,
  };
}

async function benchSize(
  path: string,
  size: number,
  { rounds, seed, templatesPerIdentity }: BenchOptions,
  progress: Progress,
  tables: Record<string, readonly Row[]>,
  notes: string[],
): Promise<void> {
  progress(`drawing ${size} templates`);
  const model = drawGallery({ seed, templateCount: size, templatesPerIdentity, probeCount });
  const folder = (name: string): string => join(path, name);
  const probesFile = folder('probes.f32');
  await writeFile(probesFile, Buffer.concat(model.probes.map(({ vector }) => Buffer.from(vector.buffer))));
  progress('enrolling, building the graph, writing a checkpoint');
  await build(folder('checkpoint'), model);
  const changes = Math.min(changesMax, Math.ceil(size / 20));
  const task = (kind: ReopenTask['kind'], name: string, rerank: GraphRerank = 'memory'): Promise<ReopenReply> =>
    runTask({ kind, path: folder(name), probesFile, changes, seed, rerank });
  const held: Held[] = [];
  for (const rerank of reranks) {
    const reply = await task('hold', 'checkpoint', rerank);
    if (reply.kind !== 'held') throw unexpected(reply);
    held.push(reply);
    progress(
      `rerank ${rerank}: the process has ${heldMB(reply.opened)} MB as opened, ${megabytes(reply.opened.ownBytes)} of them its own`,
    );
  }
  progress(`${changes} changes after the checkpoint`);
  await cp(folder('checkpoint'), folder('changed'), { recursive: true });
  await task('change', 'changed');
  await cp(folder('checkpoint'), folder('bare'), { recursive: true });
  await rm(join(folder('bare'), 'graphs'), { recursive: true });

  const opened = { checkpoint: [] as Answered[], changed: [] as Answered[], bare: [] as Answered[] };
  for (let round = 0; round < rounds; round++) {
    for (const name of ['checkpoint', 'changed', 'bare'] as const) {
      // Building it to the end takes minutes: once is enough.
      const waits = name === 'changed' ? round === 0 : name === 'bare' && round === rounds - 1;
      const answered = asAnswered(await task(waits ? 'answer-and-complete' : 'answer', name));
      opened[name].push(answered);
      progress(`round ${round + 1}: opening ${name}: first answer after ${answered.answerS.toFixed(2)} s`);
    }
  }
  tables[`reopening, ${size} templates`] = [
    openingRow('a valid checkpoint', opened.checkpoint, targets.checkpointS),
    openingRow(`a checkpoint and ${changes} changes after it`, opened.changed, targets.changedS),
    openingRow('no graph file (answers exactly, rebuilds)', opened.bare, null),
  ];
  tables[`size, ${size} templates`] = [await sizeRow(folder('checkpoint'), opened.checkpoint, size)];
  tables[`the whole process, ${size} templates`] = held.map((one, i) => heldRow(reranks[i] as GraphRerank, one));
  progress('searching and writing while a checkpoint is written and the graph is built anew');
  const stalled = await task('stall', 'checkpoint');
  if (stalled.kind !== 'stalled') throw unexpected(stalled);
  tables[`one search and one write at a time, ${size} templates`] = stalled.stalls.steady;
  tables[`a flood: 16 searches and 16 writes at a time, ${size} templates`] = stalled.stalls.flooded;
  const [inMemory] = held;
  if (size === memoryTarget.size && inMemory) notes.push(judgeMemory(inMemory));
  if (size === targets.size) notes.push(...judge(opened.checkpoint, opened.changed, stalled.stalls.steady));
}

async function build(path: string, { templates, templatesPerIdentity }: ModelGallery): Promise<void> {
  const index = await openIdentityIndex({
    path,
    durability: 'committed',
    checkpointEvery: Number.MAX_SAFE_INTEGER,
  });
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
  const draft = (vector: UnitVector) =>
    ({ vector, space, origin: 'native', quality: null, imageDigest: null }) as const;
  await runLoad(Math.ceil(templates.length / templatesPerIdentity), 256, (identity) =>
    index.enroll({
      gallery,
      identity: String(identity),
      templates: templates.slice(identity * templatesPerIdentity, (identity + 1) * templatesPerIdentity).map(draft),
    }),
  );
  await index.settle();
  await index.close();
}

/** A process of its own, killed (by itself) when it has replied. */
async function runTask(task: ReopenTask): Promise<ReopenReply> {
  const child = fork(new URL('./reopen-process.js', import.meta.url), [JSON.stringify(task)]);
  const ended = once(child, 'exit');
  const failed: Promise<ReopenReply> = ended.then(([code, signal]) => ({
    kind: 'failed',
    message: `the process ended with ${String(signal ?? code)} and said nothing`,
  }));
  const reply = await Promise.race([once(child, 'message').then(([message]) => message as ReopenReply), failed]);
  await ended;
  if (reply.kind === 'failed') throw unexpected(reply);
  return reply;
}

function asAnswered(reply: ReopenReply): Answered {
  if (reply.kind !== 'answered') throw unexpected(reply);
  return reply;
}

function unexpected(reply: ReopenReply): HarmonidError {
  const what = reply.kind === 'failed' ? reply.message : reply.kind;
  return new HarmonidError('INTERNAL', `a process of the bench: ${what}`);
}

function openingRow(from: string, opened: readonly Answered[], targetS: number | null): Row {
  const complete = opened.map(({ completeS }) => completeS).find((seconds) => seconds !== null);
  return {
    from,
    openedFrom: [...new Set(opened.map((one) => one.openedFrom))].join(', '),
    openS: spreadText(spread(opened.map(({ openS }) => openS))),
    firstCorrectAnswerS: spreadText(spread(opened.map(({ answerS }) => answerS))),
    graphCompleteS: complete === undefined ? null : rounded(complete),
    targetS,
  };
}

async function sizeRow(path: string, opened: readonly Answered[], size: number): Promise<Row> {
  const store = (await stat(join(path, 'data.lmdb'))).size;
  const folder = join(path, 'graphs');
  const files = await Promise.all((await readdir(folder)).map((name) => stat(join(folder, name))));
  const graph = files.reduce((sum, file) => sum + file.size, 0);
  const resident = percentile(
    opened.map(({ residentBytes }) => residentBytes),
    0.5,
  );
  return {
    residentBytesPerTemplate: rounded(resident / size, 0),
    storeBytesPerTemplate: rounded(store / size, 0),
    graphFileBytesPerTemplate: rounded(graph / size, 0),
  };
}

function heldRow(rerank: GraphRerank, { opened, searched, searchCount, graphBytesPerTemplate }: Held): Row {
  return {
    rerank,
    graphBytesPerTemplate: rounded(graphBytesPerTemplate, 0),
    openedMB: heldMB(opened),
    openedOwnMB: megabytes(opened.ownBytes),
    searches: searchCount,
    searchedMB: heldMB(searched),
    searchedOwnMB: megabytes(searched.ownBytes),
  };
}

function heldMB({ ownBytes, mappedBytes }: ProcessMemory): number {
  return megabytes(ownBytes + mappedBytes);
}

/** Decimal, as the target is. */
function megabytes(bytes: number): number {
  return rounded(bytes / 1e6, 0);
}

function judgeMemory({ opened }: Held): string {
  const held = heldMB(opened);
  const { megabytes: limit } = memoryTarget;
  return `target: a process with a million templates within ${limit} MB: ${held <= limit ? 'met' : 'missed'} (${held} MB)`;
}

function judge(checkpoint: readonly Answered[], changed: readonly Answered[], stalls: readonly Row[]): string[] {
  const median = (opened: readonly Answered[]): number =>
    percentile(
      opened.map(({ answerS }) => answerS),
      0.5,
    );
  const held = (rows: readonly Row[]): number =>
    Math.max(...rows.flatMap((row) => [Number(row['searchLongestMs']), Number(row['writeLongestMs'])]));
  const [quiet, ...busy] = stalls;
  const verdict = (value: number, limit: number): string => (value <= limit ? 'met' : 'missed');
  return [
    `target: first correct answer from a checkpoint within ${targets.checkpointS} s: ${verdict(median(checkpoint), targets.checkpointS)}`,
    `target: with changes after it within ${targets.changedS} s: ${verdict(median(changed), targets.changedS)}`,
    `target: no search or write held up for more than ${targets.stallMs} ms: ${verdict(held(busy), targets.stallMs)} (${held(busy)} ms; ${quiet ? held([quiet]) : '-'} ms while the index was quiet)`,
  ];
}
