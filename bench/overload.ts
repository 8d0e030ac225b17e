/**
 * More calls than a server can answer: what it still answers, how fast it refuses the others, and what that costs it.
 *
 * Capacity is that of a closed loop. Then calls come at a Poisson rate of half of it to three times, with the deadline of a door, with and without an import
 * beside. Only right answers in time count. By image the embedder is what is scarce, and its own throughput on the same photos stands beside, in turns
 * with the server's. The client is bare HTTP/2 with bytes made before, in this process. By vector it costs as much as the server, so that each has cores of its own
 * where that can be arranged.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import type { IdentifyRequest } from '../src/api.js';
import { formatIdentify } from '../src/client/format.js';
import { connectDatabase } from '../src/client/remote-database.js';
import type { Embedder } from '../src/embedder/embedder.js';
import { HarmonidError } from '../src/errors.js';
import { openOnnxEmbedder } from '../src/embedder/onnx-embedder.js';
import { makeRandom } from '../src/random.js';
import { IdentityServiceService } from '../src/wire/harmonid/v1/identity.js';
import { keepApart } from './cores.js';
import {
  createImageGallery,
  createVectorGallery,
  fillGalleries,
  imageGallery,
  space,
  vectorGallery,
} from './filled-galleries.js';
import { drawGallery, scanGallery, type ModelGallery } from './gallery-model.js';
import { interleave, ratioSpread, runLoad, spread, spreadText } from './measure.js';
import type { BenchOptions } from './options.js';
import {
  identifyOnce,
  runOverload,
  type Kind,
  type LoadFigures,
  type LoadOptions,
  type LoadPlan,
  type Target,
} from './overload-load.js';
import { cutPortraits, modelsPath, readSamplePhotos } from './photos.js';
import type { Progress } from './progress.js';
import { rounded, type Row, type Workload } from './report.js';
import { startProcess } from './server-child.js';
import { connectWire, frame } from './wire-client.js';

const plans: readonly LoadPlan[] = [
  { times: 0.5, isBesideImport: false },
  { times: 0.5, isBesideImport: true },
  { times: 1, isBesideImport: false },
  { times: 2, isBesideImport: false },
  { times: 3, isBesideImport: false },
  { times: 3, isBesideImport: true },
];

/** Goodput at three times the capacity, as a share of it. */
const goodputTarget = 0.8;
/** Identify by image at saturation, as a share of the embedder's own throughput. */
const saturationTarget = 0.85;
/** What the server's memory may grow by from the load at capacity to that at three times, MiB. */
const growthTargetMiB = 128;

const connections = 8;
/** At once, to find the capacity. */
const saturatingAtOnce = { image: 16, vector: 64 } as const;
const bulkImages = 'bulk-images';
const bulkVectors = 'bulk-vectors';

export async function benchOverload(options: BenchOptions, progress: Progress): Promise<Workload> {
  const [templateCount = 0] = options.sizes;
  const { seed, calls, rounds, templatesPerIdentity, provider } = options;
  const seconds = calls / 50;
  const path = await mkdtemp(join(tmpdir(), 'harmonid-bench-'));
  const embedder = await openOnnxEmbedder({ modelsPath, provider });
  try {
    const portraits = await cutPortraits(embedder, await readSamplePhotos());
    const model = drawGallery({ seed, templateCount, templatesPerIdentity, probeCount: Math.min(calls, 500) });
    await using server = await startProcess({ kind: 'harmonid', path, modelsPath, provider });
    const database = connectDatabase({ address: server.address });
    const target: Target = { server, database, sessions: await connectWire(server.address, connections) };
    try {
      progress(`enrolling ${templateCount} templates and ${portraits.length} portraits`);
      await fillGalleries(database, model, portraits);
      await createImageGallery(database, bulkImages);
      await createVectorGallery(database, bulkVectors);
      const random = makeRandom(seed);
      const byImage = kindByImage(portraits);
      const byVector = kindByVector(model);
      const embedCalls = Math.max(saturatingAtOnce.image, Math.round(calls / 10));
      const capacityOfImages = (): Promise<number> => capacityOf(target, byImage, saturatingAtOnce.image, embedCalls);
      const capacityOfVectors = (): Promise<number> => capacityOf(target, byVector, saturatingAtOnce.vector, calls * 5);
      progress('by image at saturation, and the embedder alone');
      const [identified = [], embedded = []] = await interleave(2 * rounds + 1, [
        capacityOfImages,
        () => embedAlone(embedder, portraits, embedCalls),
      ]);
      const imageRounds: Round[] = [];
      const vectorRounds: Round[] = [];
      let coresNote = '';
      for (let round = 0; round < rounds; round++) {
        progress(`round ${round + 1}: by image`);
        imageRounds.push(await measureRound(target, byImage, { measureCapacity: capacityOfImages, seconds, random }));
        progress(`round ${round + 1}: by vector`);
        await using apart = await keepApart(server.pid);
        coresNote = apart.note;
        vectorRounds.push(
          await measureRound(target, byVector, { measureCapacity: capacityOfVectors, seconds, random }),
        );
      }
      const { residentMiB } = await server.report();
      const saturated = ratioSpread(identified, embedded);
      return {
        dataset:
          `${templateCount} synthetic templates (bench/gallery-model), ${portraits.length} portraits of 250x250; ${connections} connections; ` +
          `each load ${seconds} s of Poisson arrivals; ${rounds} rounds, seed ${seed}`,
        tables: {
          'Identify by image at saturation, 16 at once': [
            {
              embedderImagesPerSecond: rounded(spread(embedded).median),
              identifyPerSecond: rounded(spread(identified).median),
              ratio: spreadText(saturated),
            },
          ],
          [titleOf(byImage)]: rowsOf(imageRounds),
          [titleOf(byVector)]: rowsOf(vectorRounds),
        },
        notes: [
          'goodput: right answers in time a second, from when the load is steady to the last arrival; ofCapacity: over capacityPerSecond, the mean of closed loops right before and after',
          'p50Ms, p99Ms: of those answered, from when they were sent; refused, expired, failed: shares of all; figures are medians of the rounds',
          'by image, client and server share the cores; the client takes next to nothing (clientCores)',
          coresNote,
          `saturated, at least ${saturationTarget} of the embedder: ${judge(saturated.median >= saturationTarget)}`,
          ...judgeKind(byImage, imageRounds),
          ...judgeKind(byVector, vectorRounds),
          `the server's memory when all is over: ${residentMiB} MiB`,
        ],
      };
    } finally {
      for (const session of target.sessions) session.close();
      await database.close();
    }
  } finally {
    await embedder.close();
    await rm(path, { recursive: true, force: true });
  }
}

/** A round: every load once. */
type Round = readonly LoadFigures[];

async function measureRound(target: Target, kind: Kind, options: LoadOptions): Promise<Round> {
  const loads: LoadFigures[] = [];
  for (const plan of plans) loads.push(await runOverload(target, kind, plan, options));
  return loads;
}

async function capacityOf(target: Target, kind: Kind, atOnce: number, calls: number): Promise<number> {
  const { perSecond } = await runLoad(calls, atOnce, async (position) => {
    const { code } = await identifyOnce(target, kind, position);
    if (code !== status.OK) throw new HarmonidError('INTERNAL', `a call without a deadline got ${status[code]}`);
  });
  return perSecond;
}

async function embedAlone(embedder: Embedder, portraits: readonly Buffer[], calls: number): Promise<number> {
  const { perSecond } = await runLoad(calls, saturatingAtOnce.image, (position) =>
    embedder.embedImage(portraits[position % portraits.length] ?? new Uint8Array(), { largestOnly: true }),
  );
  return perSecond;
}

function kindByImage(portraits: readonly Buffer[]): Kind {
  let bulkCount = 0;
  return {
    name: 'by image',
    deadlineMs: 2000,
    requests: portraits.map((image) => encode({ gallery: imageGallery, image, faces: 'largest' })),
    expected: portraits.map((_, position) => `portrait-${position}`),
    nextBulkItem: () => ({
      gallery: bulkImages,
      identity: `bulk-${bulkCount}`,
      images: [portraits[bulkCount++ % portraits.length] ?? new Uint8Array()],
      faces: 'largest',
    }),
  };
}

function kindByVector(model: ModelGallery): Kind {
  let bulkCount = 0;
  return {
    name: 'by vector',
    deadlineMs: 250,
    requests: model.probes.map(({ vector }) => encode({ gallery: vectorGallery, embedding: { space, vector } })),
    expected: scanGallery(model, 1).map(({ identities }) => `person-${identities[0]}`),
    nextBulkItem: () => ({
      gallery: bulkVectors,
      identity: `bulk-${bulkCount}`,
      embeddings: [{ space, vector: model.templates[bulkCount++ % model.templates.length] ?? [] }],
    }),
  };
}

function encode(request: IdentifyRequest): Buffer {
  return frame(IdentityServiceService.identify.requestSerialize(formatIdentify(request)));
}

function titleOf({ name, deadlineMs }: Kind): string {
  return `Identify ${name}, deadline ${deadlineMs} ms`;
}

/** A row a load: medians of the rounds. */
function rowsOf(rounds: readonly Round[]): readonly Row[] {
  return plans.map((_, position) => medianRow(rounds.map((loads) => loads[position]?.row ?? {})));
}

function medianRow(rows: readonly Row[]): Row {
  return Object.fromEntries(
    Object.entries(rows[0] ?? {}).map(([column, first]) => {
      const figures = rows.flatMap((row) => (typeof row[column] === 'number' ? row[column] : []));
      return [column, figures.length === 0 ? first : spread(figures).median];
    }),
  );
}

function judgeKind({ name }: Kind, rounds: readonly Round[]): readonly string[] {
  const at = (times: number): readonly LoadFigures[] =>
    rounds.flatMap((loads) => loads.filter(({ plan }) => plan.times === times && !plan.isBesideImport));
  const shares = spread(at(3).map(({ ofCapacity }) => ofCapacity));
  const growth = Math.max(...at(3).map((load, round) => load.residentMaxMiB - (at(1)[round]?.residentMaxMiB ?? 0)));
  return [
    `${name}, goodput at three times the capacity at least ${goodputTarget} of it: ${judge(shares.median >= goodputTarget)}, ${spreadText(shares)}`,
    `${name}, memory at three times the capacity at most ${growthTargetMiB} MiB above that at capacity: ${judge(growth <= growthTargetMiB)}, ${growth} MiB`,
  ];
}

function judge(isMet: boolean): string {
  return isMet ? 'met' : 'MISSED';
}
