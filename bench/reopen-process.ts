/**
 * One task of the reopening bench in a fresh process; see reopen.ts.
 *
 * It ends without closing the index, as a killed process would, so that the directory is as it was before: nothing is saved at the end.
 */
import { readFileSync } from 'node:fs';
import process, { memoryUsage } from 'node:process';
import type { GraphRerank } from '../src/index/graph-messages.js';
import { openIdentityIndex, type IdentityIndex } from '../src/index/identity-index.js';
import { parseVector, type UnitVector } from '../src/vector.js';
import { drawGallery, modelDimensions } from './gallery-model.js';
import { processMemory } from './machine.js';
import { runLoad } from './measure.js';
import { gallery, space, type ReopenReply, type ReopenTask } from './reopen-messages.js';
import { measureStalls } from './stalls.js';

const ef = 128;

function readProbes(file: string): readonly UnitVector[] {
  const bytes = readFileSync(file);
  return Array.from({ length: bytes.length / (modelDimensions * 4) }, (_, probe) =>
    parseVector(
      Array.from({ length: modelDimensions }, (_, i) => bytes.readFloatLE((probe * modelDimensions + i) * 4)),
      modelDimensions,
      'the probes',
    ),
  );
}

async function open(path: string, rerank: GraphRerank = 'memory'): Promise<IdentityIndex> {
  return openIdentityIndex({ path, checkpointEvery: Number.MAX_SAFE_INTEGER, rerank });
}

async function nearest(index: IdentityIndex, probe: UnitVector, exact: boolean): Promise<string | undefined> {
  const { candidates } = await index.search({ gallery, space, probe, k: 1, exact, ef });
  return candidates[0]?.identity;
}

async function answer({ kind, path, probesFile }: ReopenTask): Promise<ReopenReply> {
  const probes = readProbes(probesFile);
  const residentBefore = memoryUsage().rss;
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1000;
  const index = await open(path);
  const openS = seconds();
  for (const probe of probes) {
    const found = await nearest(index, probe, false);
    const answerS = seconds();
    const residentBytes = memoryUsage().rss - residentBefore;
    // The truth is looked up after the clock was read; a wrong answer costs the time until the next.
    if (found !== (await nearest(index, probe, true))) continue;
    if (kind === 'answer-and-complete') await index.settle();
    const completeS = kind === 'answer-and-complete' ? seconds() : null;
    const [stats] = await index.stats();
    const { templateCount } = index.getGallery(gallery);
    const openedFrom = stats?.graph.openedFrom ?? 'unknown';
    return { kind: 'answered', openedFrom, openS, answerS, completeS, residentBytes, templateCount };
  }
  throw new Error('no probe was answered correctly');
}

async function hold({ path, probesFile, rerank }: ReopenTask): Promise<ReopenReply> {
  const index = await open(path, rerank);
  // Before the bench has anything of its own.
  const opened = processMemory();
  const probes = readProbes(probesFile);
  for (const probe of probes) await index.search({ gallery, space, probe, k: 5, exact: false, ef });
  const searched = processMemory();
  const [stats] = await index.stats();
  const graphBytesPerTemplate = (stats?.graph.bytes ?? Number.NaN) / index.getGallery(gallery).templateCount;
  return { kind: 'held', opened, searched, searchCount: probes.length, graphBytesPerTemplate };
}

async function change({ path, changes, seed }: ReopenTask): Promise<ReopenReply> {
  const erasures = Math.floor(changes / 10);
  const { templates } = drawGallery({
    seed: seed + 1,
    templateCount: changes - erasures,
    templatesPerIdentity: 1,
    probeCount: 0,
  });
  const index = await open(path);
  await runLoad(templates.length, 64, (i) =>
    index.enroll({
      gallery,
      identity: `new-${i}`,
      templates: [{ vector: templates[i] as UnitVector, space, origin: 'native', quality: null, imageDigest: null }],
    }),
  );
  await runLoad(erasures, 64, (i) => index.eraseIdentity(gallery, String(i)));
  return { kind: 'changed' };
}

async function work(task: ReopenTask): Promise<ReopenReply> {
  if (task.kind === 'change') return change(task);
  if (task.kind === 'hold') return hold(task);
  if (task.kind !== 'stall') return answer(task);
  return { kind: 'stalled', stalls: await measureStalls(await open(task.path), readProbes(task.probesFile)) };
}

let reply: ReopenReply;
try {
  reply = await work(JSON.parse(process.argv[2] ?? '{}') as ReopenTask);
} catch (error) {
  reply = { kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}
process.send?.(reply, () => process.kill(process.pid, 'SIGKILL'));
