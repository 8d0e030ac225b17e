/**
 * The server: Identify by vector and by image over gRPC, beside a bare grpc-js echo of messages of the same size; by vector also with hnswlib as the graphs' engine.
 *
 * Both servers are processes of their own; the load comes from this one, through the public client for ours and a bare grpc-js
 * client for the echo. On a machine with few cores the client takes its share of them, in both cases. Then 16 clients enroll and
 * identify, by image and by vector, while the server records the delay of its event loop, and so does the idle echo beside it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import type { Database, IdentifyRequest } from '../src/api.js';
import { connectDatabase } from '../src/client/remote-database.js';
import { formatIdentify } from '../src/client/format.js';
import { openOnnxEmbedder } from '../src/embedder/onnx-embedder.js';
import { IdentityServiceService } from '../src/wire/harmonid/v1/identity.js';
import {
  createVectorGallery,
  fillGalleries,
  fillVectorGallery,
  imageGallery,
  space,
  vectorGallery,
} from './filled-galleries.js';
import { drawGallery, type ModelGallery } from './gallery-model.js';
import { unary } from './lean-client.js';
import { interleave, percentile, ratioSpread, runLoad, spread, spreadText, type Load } from './measure.js';
import type { BenchOptions } from './options.js';
import { cutPortraits, modelsPath, readSamplePhotos } from './photos.js';
import type { Progress } from './progress.js';
import { rounded, type Row, type Workload } from './report.js';
import { startProcess, type ServerProcess } from './server-child.js';
import { echoPath } from './server-messages.js';

const concurrencies = [1, 16, 64] as const;
/** The event loop may not be held longer. */
const delayTargetMs = 20;

export async function benchServer(options: BenchOptions, progress: Progress): Promise<Workload> {
  const [templateCount = 0] = options.sizes;
  const { seed, calls, rounds, templatesPerIdentity, provider } = options;
  const path = await mkdtemp(join(tmpdir(), 'harmonid-bench-'));
  try {
    // Its own embedder, closed before anything is measured; it builds the default pack when that is absent.
    const embedder = await openOnnxEmbedder({ modelsPath, provider });
    const portraits = await cutPortraits(embedder, await readSamplePhotos());
    await embedder.close();
    const model = drawGallery({ seed, templateCount, templatesPerIdentity, probeCount: calls });

    await using harmonid = await startProcess({ kind: 'harmonid', path, modelsPath, provider });
    await using before = await startProcess({
      kind: 'harmonid',
      path: join(path, 'hnswlib'),
      modelsPath,
      provider,
      vectorsOnly: true,
      engine: 'hnswlib',
    });
    await using echo = await startProcess({ kind: 'echo', path: '', modelsPath, provider });
    const database = connectDatabase({ address: harmonid.address });
    const onHnswlib = connectDatabase({ address: before.address });
    const bare = new Client(echo.address, credentials.createInsecure());
    try {
      progress(`enrolling ${templateCount} templates and ${portraits.length} portraits`);
      await fillGalleries(database, model, portraits);
      progress(`the same ${templateCount} templates with hnswlib`);
      await createVectorGallery(onHnswlib, vectorGallery);
      await fillVectorGallery(onHnswlib, vectorGallery, model);
      const vectorProbe = (position: number): IdentifyRequest => ({
        gallery: vectorGallery,
        embedding: { space, vector: model.probes[position % model.probes.length]?.vector ?? [] },
      });
      const imageProbe = (position: number): IdentifyRequest => ({
        gallery: imageGallery,
        image: portraits[position % portraits.length] ?? new Uint8Array(),
        faces: 'largest',
      });
      progress('identifying by vector');
      const byVector = await benchIdentify(harmonid.address, { database, onHnswlib }, bare, vectorProbe, calls, rounds);
      progress('identifying by image');
      const imageCalls = Math.max(1, Math.round(calls / 10));
      const byImage = await benchIdentify(harmonid.address, { database }, bare, imageProbe, imageCalls, rounds);
      progress('16 clients enroll and identify');
      const mixed = await benchMixed(harmonid, echo, model, portraits, calls);
      return {
        dataset:
          `${templateCount} synthetic templates (bench/gallery-model), ${portraits.length} portraits of 250x250; ` +
          `${calls} calls by vector, ${imageCalls} by image a measurement; ${rounds} rounds, seed ${seed}`,
        tables: {
          'Identify by vector': byVector,
          'Identify by image': byImage,
          '16 clients enroll and identify': [mixed],
        },
        notes: [
          'ratio: calls a second over those of the echo at the same concurrency, median of the rounds (min-max)',
          'delayOwnMaxMs: the longest delay by work of the event loop itself, without its waiting for a core (Linux)',
          'idleProcessMaxMs, idleOwnMaxMs: the same of a process that did nothing in that time: what the machine itself adds',
          `event loop of the server, longest delay below ${delayTargetMs} ms: ${judgeDelay(mixed)}`,
        ],
      };
    } finally {
      bare.close();
      await onHnswlib.close();
      await database.close();
    }
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

async function benchIdentify(
  address: string,
  { database, onHnswlib }: { readonly database: Database; readonly onHnswlib?: Database },
  bare: Client,
  probe: (position: number) => IdentifyRequest,
  calls: number,
  rounds: number,
): Promise<readonly Row[]> {
  const { requestBytes, answerBytes } = await messageSizes(address, probe(0));
  const request = Buffer.alloc(requestBytes);
  request.writeUInt32LE(answerBytes);
  const rows: Row[] = [];
  for (const concurrency of concurrencies) {
    const asked = [
      { server: 'harmonid Identify', database },
      ...(onHnswlib ? [{ server: 'the same with graph.engine: hnswlib', database: onHnswlib }] : []),
    ];
    const [echoed = [], ...identified] = await interleave(rounds, [
      () => runLoad(calls, concurrency, () => unary(bare, echoPath, request)),
      ...asked.map((one) => () => runLoad(calls, concurrency, (position) => one.database.identify(probe(position)))),
    ]);
    rows.push(
      { atOnce: concurrency, server: `echo, ${requestBytes} / ${answerBytes} bytes`, ...figures(echoed), ratio: null },
      ...asked.map(({ server }, i) => ({
        atOnce: concurrency,
        server,
        ...figures(identified[i] ?? []),
        ratio: spreadText(ratioSpread(rates(identified[i] ?? []), rates(echoed)), 3),
      })),
    );
  }
  return rows;
}

/** Sizes of one real Identify call on the wire. */
async function messageSizes(
  address: string,
  request: IdentifyRequest,
): Promise<{ requestBytes: number; answerBytes: number }> {
  const { path, requestSerialize } = IdentityServiceService.identify;
  const client = new Client(address, credentials.createInsecure());
  try {
    const bytes = requestSerialize(formatIdentify(request));
    const answer = await unary(client, path, bytes);
    return { requestBytes: bytes.length, answerBytes: answer.length };
  } finally {
    client.close();
  }
}

/** 16 connections, each of which enrolls and identifies in turn: half of them images, half of them vectors. */
async function benchMixed(
  harmonid: ServerProcess,
  idle: ServerProcess,
  model: ModelGallery,
  portraits: readonly Buffer[],
  calls: number,
): Promise<Row> {
  const clients = Array.from({ length: 16 }, () => connectDatabase({ address: harmonid.address }));
  await Promise.all([harmonid.watch(), idle.watch()]);
  const loads = await Promise.all(
    clients.map((database, client) => {
      const byImage = client % 2 === 0;
      const [gallery, count] = byImage ? [imageGallery, Math.round(calls / 40)] : [vectorGallery, calls];
      return runLoad(Math.max(2, count), 1, (position) => {
        const image = portraits[(client + position) % portraits.length] ?? new Uint8Array();
        const vector = model.probes[(client * 31 + position) % model.probes.length]?.vector ?? [];
        const embedding = { space, vector };
        if (position % 2 === 1) {
          return byImage
            ? database.identify({ gallery, image, faces: 'largest' })
            : database.identify({ gallery, embedding });
        }
        const identity = `visitor-${client}-${position}`;
        return byImage
          ? database.enroll({ gallery, identity, images: [image], faces: 'largest' })
          : database.enroll({ gallery, identity, embeddings: [embedding] });
      });
    }),
  );
  const [{ p50Ms, p99Ms, maxMs, ownMaxMs, peakMemoryMiB }, { maxMs: idleMaxMs, ownMaxMs: idleOwnMaxMs }] = [
    await harmonid.report(),
    await idle.report(),
  ];
  await Promise.all(clients.map((database) => database.close()));
  return {
    calls: loads.reduce((sum, { callMs }) => sum + callMs.length, 0),
    imageCallsPerSecond: rounded(sumOf(loads.filter((_, client) => client % 2 === 0)), 1),
    vectorCallsPerSecond: rounded(sumOf(loads.filter((_, client) => client % 2 === 1)), 1),
    delayP50Ms: rounded(p50Ms, 2),
    delayP99Ms: rounded(p99Ms, 2),
    delayMaxMs: rounded(maxMs, 2),
    delayOwnMaxMs: ownMaxMs === null ? null : rounded(ownMaxMs, 2),
    idleOwnMaxMs: idleOwnMaxMs === null ? null : rounded(idleOwnMaxMs, 2),
    idleProcessMaxMs: rounded(idleMaxMs, 2),
    serverPeakMemoryMiB: peakMemoryMiB,
  };
}

/**
 * What the loop itself did counts where the system tells, elsewhere the whole delay; unless a process that did nothing was held up
 * as long: a virtual machine's host takes its cores away without telling.
 */
function judgeDelay({ delayMaxMs, delayOwnMaxMs, idleProcessMaxMs, idleOwnMaxMs }: Row): string {
  if (Number(delayOwnMaxMs ?? delayMaxMs) < delayTargetMs) return 'met';
  if (Number(idleOwnMaxMs ?? idleProcessMaxMs) < delayTargetMs) return 'MISSED';
  return 'not decidable, an idle process was held up beyond it, too';
}

function sumOf(loads: readonly Load[]): number {
  return loads.reduce((sum, { perSecond }) => sum + perSecond, 0);
}

function rates(loads: readonly Load[]): readonly number[] {
  return loads.map(({ perSecond }) => perSecond);
}

function figures(loads: readonly Load[]): Row {
  const callMs = loads.flatMap((load) => load.callMs);
  return {
    callsPerSecond: rounded(spread(rates(loads)).median, 0),
    p50Ms: rounded(percentile(callMs, 0.5), 2),
    p99Ms: rounded(percentile(callMs, 0.99), 2),
  };
}
