/**
 * A rollout under load: clients identify and enroll over a socket, paced, while a gallery is moved to another model, back, and for good.
 *
 * Vectors are drawn from the gallery model and said to be of the default pack; those of the other model are a fixed rotation of them with noise. Photos
 * for the backfill are real, and embedded by both: the other model is the default pack without mirror averaging. Every phase has its own row: what its
 * calls took beside those of a quiet server, and how many failed. The fits are of the linear and kernel rungs, on a thousand people.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { BackfillSample, Database, PairSample } from '../src/api.js';
import { connectDatabase } from '../src/client/remote-database.js';
import { defaultPackId } from '../src/embedder/model-pack.js';
import { openOnnxEmbedder } from '../src/embedder/onnx-embedder.js';
import type { GateName } from '../src/migrate/rollout.js';
import { assertInvariant } from '../src/errors.js';
import { makeRandom } from '../src/random.js';
import { drawGallery, modelDimensions, type ModelGallery } from './gallery-model.js';
import { percentile, runLoad } from './measure.js';
import type { BenchOptions } from './options.js';
import { cutPortraits, modelsPath, readSamplePhotos } from './photos.js';
import type { Progress } from './progress.js';
import { rounded, type Row, type Workload } from './report.js';
import { startProcess } from './server-child.js';

const gallery = 'bench';
const targetPack = `${defaultPackId}-unmirrored`;
const idleMs = 10_000;
const lanes = 4;
/** Between two calls of a lane: doors, not a flood. */
const pauseMs = 10;
const pairPeopleMax = 1_000;
/** Photos are embedded again and again: it is the load that counts. */
const backfillPhotos = 60;
/** Synthetic vectors say nothing of these. */
const overrule: readonly GateName[] = ['compatibility', 'calibration', 'identification', 'negative-flips', 'collapse'];
const p99RatioMax = 2;

export async function benchRollout(options: BenchOptions, progress: Progress): Promise<Workload> {
  const [templateCount = 0] = options.sizes;
  const { seed, templatesPerIdentity, provider } = options;
  const path = await mkdtemp(join(tmpdir(), 'harmonid-bench-'));
  const model = drawGallery({ seed, templateCount, templatesPerIdentity, probeCount: options.calls });
  const turn = makeTurn(seed);
  try {
    progress('cutting portraits');
    const { portraits, old } = await prepare(join(path, 'models'), options);
    await using server = await startProcess({ kind: 'harmonid', path, modelsPath: join(path, 'models'), provider });
    const database = connectDatabase({ address: server.address });
    try {
      progress(`enrolling ${templateCount} templates and ${portraits.length} photos`);
      await fill(database, model, portraits, old);
      const [quiet, ...phases] = await measure(database, model, portraits, old, turn, progress);
      assertInvariant(quiet, 'the quiet server is measured first');
      const idleMs = percentile(quiet.searchMs, 0.99);
      const whole = percentile(
        phases.flatMap(({ searchMs }) => searchMs),
        0.99,
      );
      const worst = phases.reduce((one, other) => (other.p99Ms > one.p99Ms ? other : one));
      const failed = phases.reduce((sum, phase) => sum + phase.failed, 0);
      return {
        dataset: `${templateCount} synthetic templates (bench/gallery-model), moved to a rotation of them with noise, and ${portraits.length} photos; ${lanes} lanes of Identify and one of Enroll, ${pauseMs} ms apart; seed ${seed}`,
        tables: { 'calls while a gallery is moved': [quiet, ...phases].map(({ row }) => row) },
        notes: [
          `target: p99 of the whole rollout at most ${p99RatioMax} times that of the quiet server: ${whole <= p99RatioMax * idleMs ? 'met' : 'missed'} (${(whole / idleMs).toFixed(2)}; the worst step, ${worst.phase}: ${(worst.p99Ms / idleMs).toFixed(2)})`,
          `target: no call fails in any transition: ${failed === 0 ? 'met' : 'missed'} (${failed} failed)`,
        ],
      };
    } finally {
      await database.close();
    }
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

type Turn = (vector: Float32Array) => Float32Array;

/** A rotation, and noise of its own for each vector. */
function makeTurn(seed: number): Turn {
  const random = makeRandom(seed + 1);
  const columns: Float64Array[] = [];
  while (columns.length < modelDimensions) {
    const column = Float64Array.from({ length: modelDimensions }, () => random.normal());
    for (const other of columns) {
      const along = column.reduce((sum, value, i) => sum + value * (other[i] as number), 0);
      for (let i = 0; i < column.length; i++) column[i] = (column[i] as number) - along * (other[i] as number);
    }
    const norm = Math.hypot(...column);
    columns.push(column.map((value) => value / norm));
  }
  return (vector) => {
    const turned = columns.map(
      (column) => column.reduce((sum, value, i) => sum + value * (vector[i] as number), 0) + 0.01 * random.normal(),
    );
    const norm = Math.hypot(...turned);
    return Float32Array.from(turned, (value) => value / norm);
  };
}

/** Puts both packs into `path`. @returns portraits, and the space of the first pack */
async function prepare(
  path: string,
  { provider }: BenchOptions,
): Promise<{ readonly portraits: readonly Buffer[]; readonly old: string }> {
  const embedder = await openOnnxEmbedder({ modelsPath, provider });
  try {
    for (const id of [defaultPackId, targetPack])
      await cp(join(modelsPath, defaultPackId), join(path, id), { recursive: true });
    const manifestPath = join(path, targetPack, 'manifest.json');
    const manifest = JSON.parse(await readFile(manifestPath, 'utf8')) as { readonly embedding: object };
    const other = { ...manifest, id: targetPack, embedding: { ...manifest.embedding, mirrorAveraging: false } };
    await writeFile(manifestPath, JSON.stringify(other));
    return { portraits: await cutPortraits(embedder, await readSamplePhotos()), old: embedder.info.space };
  } finally {
    await embedder.close();
  }
}

async function fill(
  database: Database,
  { templates, templatesPerIdentity }: ModelGallery,
  portraits: readonly Buffer[],
  old: string,
): Promise<void> {
  await database.createGallery({
    gallery,
    threshold: 0.19,
    duplicates: 'ignore',
    refuseReasons: [],
    templatesPerIdentityMax: 1000,
  });
  for (const [i, image] of portraits.entries())
    await database.enroll({ gallery, identity: `portrait-${i}`, images: [image], faces: 'largest' });
  await runLoad(Math.ceil(templates.length / templatesPerIdentity), 64, (identity) =>
    database.enroll({
      gallery,
      identity: `person-${identity}`,
      embeddings: templates
        .slice(identity * templatesPerIdentity, (identity + 1) * templatesPerIdentity)
        .map((vector) => ({ space: old, vector })),
    }),
  );
}

async function measure(
  database: Database,
  model: ModelGallery,
  portraits: readonly Buffer[],
  old: string,
  turn: Turn,
  progress: Progress,
): Promise<readonly Phase[]> {
  const { rollouts } = database;
  const load = new Load(database, model, old);
  const phases: Phase[] = [];
  // Before anything is timed: turning them keeps the process busy.
  const pairs = pairsOf(model, turn);
  const during = async (phase: string, work: () => Promise<unknown>): Promise<void> => {
    progress(phase);
    phases.push(await load.during(phase, work));
  };
  const request = { gallery };
  const begin = async (): Promise<void> => {
    await rollouts.start({ ...request, pack: targetPack, mapMapped: true });
  };
  const addPairs = async (): Promise<void> => {
    for await (const { error } of rollouts.addPairs(request, pairs)) if (error) throw error;
  };
  await during('quiet', () => pause(idleMs));
  await during('start', begin);
  await during('pairs', addPairs);
  await during('fit', () =>
    last(rollouts.fit({ ...request, far: 0.001, estimators: ['procrustes', 'ridge', 'kernel'] })),
  );
  await during('shadow: mapping', () => last(rollouts.shadow({ ...request, overrule })));
  await during('shadow', () => pause(idleMs / 2));
  await during('activate', () => rollouts.activate(request));
  await during('active', () => pause(idleMs / 2));
  await during('backfill', async () => {
    for await (const { error } of rollouts.backfill(request, backfillSamples(portraits))) if (error) throw error;
  });
  await during('rollback', () => rollouts.rollback(request));
  await during('start, pairs and fit again', async () => {
    await begin();
    await addPairs();
    await last(rollouts.fit({ ...request, far: 0.001, estimators: ['ridge'] }));
  });
  await during('shadow and activate again', async () => {
    await last(rollouts.shadow({ ...request, overrule }));
    await rollouts.activate(request);
  });
  // Whoever sends vectors of the old space cannot be answered any more.
  load.useSpace((await rollouts.get(request)).to.space, turn);
  await during('complete', () => rollouts.complete({ ...request, now: true }));
  await during('afterwards', () => pause(idleMs / 2));
  return phases;
}

function pairsOf({ templates, templatesPerIdentity }: ModelGallery, turn: Turn): readonly PairSample[] {
  return templates.slice(0, pairPeopleMax * templatesPerIdentity).map((from, i) => ({
    person: `person-${Math.floor(i / templatesPerIdentity)}`,
    vectors: { from, to: turn(from) },
  }));
}

function* backfillSamples(portraits: readonly Buffer[]): Iterable<BackfillSample> {
  for (let i = 0; i < backfillPhotos; i++) {
    const at = i % portraits.length;
    yield { identity: `portrait-${at}`, image: portraits[at] };
  }
}

async function last(steps: AsyncGenerator<unknown, unknown, void>): Promise<void> {
  for (let next = await steps.next(); !next.done; next = await steps.next());
}

interface Phase {
  readonly phase: string;
  /** What each Identify took. */
  readonly searchMs: readonly number[];
  readonly p99Ms: number;
  readonly failed: number;
  readonly row: Row;
}

/** A class because it counts. */
class Load {
  readonly #database: Database;
  #space: string;
  #probes: readonly Float32Array[];
  #searches = 0;
  #enrolled = 0;

  constructor(database: Database, model: ModelGallery, space: string) {
    this.#database = database;
    this.#space = space;
    this.#probes = model.probes.map(({ vector }) => vector);
  }

  useSpace(space: string, turn: Turn): void {
    this.#space = space;
    this.#probes = this.#probes.map(turn);
  }

  /** Calls until `work` is done. */
  async during(phase: string, work: () => Promise<unknown>): Promise<Phase> {
    let [isDone, failed] = [false, 0];
    let failure: string | null = null;
    const searchMs: number[] = [];
    const enrollMs: number[] = [];
    const lane = async (call: () => Promise<unknown>, callMs: number[]): Promise<void> => {
      do {
        const startedMs = performance.now();
        try {
          await call();
        } catch (error) {
          failed++;
          failure ??= error instanceof Error ? error.message : 'something that is no error';
        }
        callMs.push(performance.now() - startedMs);
        await pause(pauseMs);
      } while (!isDone);
    };
    const startedMs = performance.now();
    const worked = work().finally(() => (isDone = true));
    await Promise.all([
      worked,
      ...Array.from({ length: lanes }, () => lane(() => this.#search(), searchMs)),
      lane(() => this.#enroll(), enrollMs),
    ]);
    const p99Ms = percentile(searchMs, 0.99);
    const row = {
      phase,
      seconds: rounded((performance.now() - startedMs) / 1000),
      identified: searchMs.length,
      p50Ms: rounded(percentile(searchMs, 0.5)),
      p99Ms: rounded(p99Ms),
      longestMs: rounded(percentile(searchMs, 1)),
      enrolled: enrollMs.length,
      enrollP99Ms: rounded(percentile(enrollMs, 0.99)),
      failed,
      failure,
    };
    return { phase, searchMs, p99Ms, failed, row };
  }

  #search(): Promise<unknown> {
    return this.#database.identify({ gallery, embedding: this.#probe(this.#searches++) });
  }

  #enroll(): Promise<unknown> {
    const count = this.#enrolled++;
    return this.#database.enroll({ gallery, identity: `new-${count}`, embeddings: [this.#probe(count)] });
  }

  #probe(count: number): { readonly space: string; readonly vector: Float32Array } {
    return { space: this.#space, vector: this.#probes[count % this.#probes.length] ?? new Float32Array(0) };
  }
}
