/**
 * Enrolment: durable writes a second through the database, beside bare LMDB in the same run.
 *
 * Every enrolment of ours is acknowledged when it is flushed to disk. The peer puts a value of the size of our template record and
 * awaits the same flush: no search, no identities, no change log. `ignore` and `refuse` are the gallery's duplicate policy;
 * `refuse` searches the gallery before every write. Enrolments of 1,000 are one call (one identity) or an import of 1,000 items.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import type { Database, DuplicatePolicy, EnrollRequest } from '../src/api.js';
import { openDatabase } from '../src/database.js';
import { assertInvariant } from '../src/errors.js';
import { openOnnxEmbedder } from '../src/embedder/onnx-embedder.js';
import type { UnitVector } from '../src/vector.js';
import { settle } from './filled-galleries.js';
import { drawGallery, modelDimensions } from './gallery-model.js';
import { interleave, percentile, ratioSpread, runLoad, spread, spreadText } from './measure.js';
import type { Progress } from './progress.js';
import type { BenchOptions } from './options.js';
import { cutPortraits, modelsPath, readSamplePhotos } from './photos.js';
import { rounded, type Row, type Workload } from './report.js';

const space = 'gallery-model';
const batchSize = 1000;
/** A template's record: the vector and some hundred bytes of provenance. */
const recordBytes = modelDimensions * 4 + 128;

/** Vectors and names for one run: names are never used twice, vectors come round again. A class because it counts. */
class Supply {
  readonly #vectors: readonly UnitVector[];
  #vectorCount = 0;
  #nameCount = 0;

  constructor(vectors: readonly UnitVector[]) {
    this.#vectors = vectors;
  }

  vector(): UnitVector {
    const vector = this.#vectors[this.#vectorCount++ % this.#vectors.length];
    assertInvariant(vector, 'a supply holds vectors');
    return vector;
  }

  name(): string {
    return `person-${this.#nameCount++}`;
  }
}

/** One way to write; resolves to templates a second. */
interface Writer {
  readonly mode: string;
  readonly engine: string;
  readonly write: () => Promise<Written>;
  /** Mode of the peer that a ratio is taken against. */
  readonly peerMode?: string;
}

interface Written {
  readonly templatesPerSecond: number;
  readonly callMs: readonly number[];
}

export async function benchEnroll(options: BenchOptions, progress: Progress): Promise<Workload> {
  const { calls, rounds, seed } = options;
  const path = await mkdtemp(join(tmpdir(), 'harmonid-bench-'));
  try {
    progress('enrolling by vector');
    const vectors = await benchVectors(path, calls, rounds, seed);
    progress('enrolling by image');
    const images = await benchImages(path, options);
    return {
      dataset: `synthetic gallery (bench/gallery-model), ${calls} enrolments a measurement, ${rounds} rounds, seed ${seed}`,
      tables: { 'by vector, durable': vectors, 'by image (250x250 portraits), durable': images },
      notes: ['ratio: templates a second over those of bare LMDB at the same mode, median of the rounds (min-max)'],
    };
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

async function benchVectors(path: string, calls: number, rounds: number, seed: number): Promise<readonly Row[]> {
  const { templates } = drawGallery({ seed, templateCount: 20_000, templatesPerIdentity: 1, probeCount: 0 });
  const supply = new Supply(templates);
  const database = await openDatabase({ path: join(path, 'vectors'), embedder: false });
  const bare = open({ path: join(path, 'bare.lmdb'), encoding: 'binary' });
  try {
    for (const duplicates of ['ignore', 'refuse'] as const) {
      await database.createGallery({
        gallery: duplicates,
        space,
        dimensions: modelDimensions,
        // So strict that synthetic strangers are never taken for each other.
        threshold: 1e-6,
        duplicates,
        templatesPerIdentityMax: batchSize,
      });
    }
    const writers: readonly Writer[] = [
      { mode: '1 at once', engine: 'bare LMDB', write: () => putEach(bare, supply, calls, 1) },
      { mode: '1 at once', engine: 'harmonid', write: () => enrollEach(database, supply, calls, 1, 'ignore') },
      { mode: '16 at once', engine: 'bare LMDB', write: () => putEach(bare, supply, calls, 16) },
      { mode: '16 at once', engine: 'harmonid', write: () => enrollEach(database, supply, calls, 16, 'ignore') },
      {
        mode: `16 at once, duplicates refused`,
        engine: 'harmonid',
        peerMode: '16 at once',
        write: () => enrollEach(database, supply, calls, 16, 'refuse'),
      },
      { mode: `batch of ${batchSize}`, engine: 'bare LMDB', write: () => putBatch(bare, supply) },
      { mode: `batch of ${batchSize}`, engine: 'harmonid', write: () => enrollBatch(database, supply) },
      {
        mode: `import of ${batchSize}`,
        engine: 'harmonid',
        peerMode: `batch of ${batchSize}`,
        write: () => importBatch(database, supply),
      },
    ];
    return await measure(writers, rounds, () => settle(database));
  } finally {
    await bare.close();
    await database.close();
  }
}

async function benchImages(path: string, options: BenchOptions): Promise<readonly Row[]> {
  const embedder = await openOnnxEmbedder({ modelsPath, provider: options.provider });
  const calls = Math.max(1, Math.round(options.calls / 10));
  const portraits = await cutPortraits(embedder, await readSamplePhotos());
  const supply = new Supply([]);
  const database = await openDatabase({ path: join(path, 'images'), embedder });
  try {
    const enroll = async (concurrency: number): Promise<Written> => {
      const { perSecond, callMs } = await runLoad(calls, concurrency, (position) => {
        const image = portraits[position % portraits.length];
        // The same few people again and again, some of them poorly lit: policies are off.
        return database.enroll({
          identity: supply.name(),
          images: image ? [image] : [],
          faces: 'largest',
          refuseReasons: [],
          duplicates: 'ignore',
        });
      });
      return { templatesPerSecond: perSecond, callMs };
    };
    await enroll(1);
    return await measure(
      [1, 16].map((concurrency) => ({
        mode: `${concurrency} at once`,
        engine: `harmonid (${embedder.info.provider})`,
        write: () => enroll(concurrency),
      })),
      options.rounds,
      () => settle(database),
    );
  } finally {
    await database.close();
  }
}

async function measure(writers: readonly Writer[], rounds: number, rest: () => Promise<void>): Promise<readonly Row[]> {
  const results = await interleave(
    rounds,
    writers.map(({ write }) => async () => {
      await rest();
      return write();
    }),
  );
  const rates = results.map((writes) => writes.map(({ templatesPerSecond }) => templatesPerSecond));
  return writers.map(({ mode, engine, peerMode = mode }, position): Row => {
    const peer = writers.findIndex((other) => other.engine === 'bare LMDB' && other.mode === peerMode);
    const callMs = results[position]?.flatMap((written) => written.callMs) ?? [];
    const [ours = [], theirs = []] = [rates[position], rates[peer]];
    return {
      mode,
      engine,
      templatesPerSecond: rounded(spread(ours).median, 0),
      p50Ms: rounded(percentile(callMs, 0.5), 2),
      p99Ms: rounded(percentile(callMs, 0.99), 2),
      ratio: peer < 0 || peer === position ? null : spreadText(ratioSpread(ours, theirs)),
    };
  });
}

async function putEach(
  bare: RootDatabase<Buffer>,
  supply: Supply,
  calls: number,
  concurrency: number,
): Promise<Written> {
  const { perSecond, callMs } = await runLoad(calls, concurrency, async () => {
    // In the same turn as the put: a moment later `flushed` may stand for another commit, or for none.
    await Promise.all([bare.put(supply.name(), Buffer.alloc(recordBytes, 1)), bare.flushed]);
  });
  return { templatesPerSecond: perSecond, callMs };
}

async function putBatch(bare: RootDatabase<Buffer>, supply: Supply): Promise<Written> {
  const { perSecond, callMs } = await runLoad(1, 1, async () => {
    for (let i = 1; i < batchSize; i++) void bare.put(supply.name(), Buffer.alloc(recordBytes, 1));
    await Promise.all([bare.put(supply.name(), Buffer.alloc(recordBytes, 1)), bare.flushed]);
  });
  return { templatesPerSecond: perSecond * batchSize, callMs };
}

async function enrollEach(
  database: Database,
  supply: Supply,
  calls: number,
  concurrency: number,
  gallery: DuplicatePolicy,
): Promise<Written> {
  const { perSecond, callMs } = await runLoad(calls, concurrency, () =>
    database.enroll({ gallery, identity: supply.name(), embeddings: [{ space, vector: supply.vector() }] }),
  );
  return { templatesPerSecond: perSecond, callMs };
}

async function enrollBatch(database: Database, supply: Supply): Promise<Written> {
  const embeddings = Array.from({ length: batchSize }, () => ({ space, vector: supply.vector() }));
  const { perSecond, callMs } = await runLoad(1, 1, () =>
    database.enroll({ gallery: 'ignore', identity: supply.name(), embeddings }),
  );
  return { templatesPerSecond: perSecond * batchSize, callMs };
}

async function importBatch(database: Database, supply: Supply): Promise<Written> {
  const items = Array.from({ length: batchSize }, (): EnrollRequest => ({
    gallery: 'ignore',
    identity: supply.name(),
    embeddings: [{ space, vector: supply.vector() }],
  }));
  const { perSecond, callMs } = await runLoad(1, 1, async () => {
    for await (const { error } of database.importAll(items)) if (error) throw error;
  });
  return { templatesPerSecond: perSecond * batchSize, callMs };
}
