/**
 * A server in a process of its own: harmonid with a real database, or a bare grpc-js echo.
 *
 * Says where it listens, records its event-loop delay and memory when asked, and ends when told to or when its parent is gone.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import { Server, ServerCredentials, type handleUnaryCall } from '@grpc/grpc-js';
import { openAuditLog } from '../src/audit/audit-log.js';
import { openDatabase } from '../src/database.js';
import { keepPausesShort } from '../src/cli/short-pauses.js';
import { startServer } from '../src/server/server.js';
import { peakMemoryBytes } from './machine.js';
import { watchOwnDelay } from './own-delay.js';
import { echoPath, type ServerCommand, type ServerReply, type ServerSettings } from './server-messages.js';

interface Running {
  readonly address: string;
  readonly stop: () => Promise<void>;
}

/** The timer that measures the delay fires once in this time; the histogram contains it. */
const timerMs = 1;

async function startHarmonid(settings: ServerSettings): Promise<Running> {
  const { path, modelsPath, provider, engine, vectorsOnly, tls, accessFile, auditFolder } = settings;
  const database = await openDatabase({ path, engine, embedder: vectorsOnly ? false : { modelsPath, provider } });
  const audit =
    auditFolder === undefined
      ? undefined
      : await openAuditLog({
          folder: auditFolder,
          clock: () => new Date(),
          sync: 'interval',
          whenFull: 'refuse',
          fileBytesMax: 1 << 26,
          retentionDays: null,
          onWarning: (message) => void process.stderr.write(`${message}\n`),
        });
  const server = await startServer({ database, address: '127.0.0.1:0', tls, accessFile, audit });
  return {
    address: server.address,
    stop: async () => {
      await server.close({ drainMs: 1000 });
      await audit?.close();
      await database.close();
    },
  };
}

async function startEcho(): Promise<Running> {
  const server = new Server();
  const keep = (bytes: Buffer): Buffer => bytes;
  const echo: handleUnaryCall<Buffer, Buffer> = (call, answer) =>
    answer(null, Buffer.alloc(call.request.readUInt32LE(0)));
  server.addService(
    {
      echo: {
        path: echoPath,
        requestStream: false,
        responseStream: false,
        requestSerialize: keep,
        requestDeserialize: keep,
        responseSerialize: keep,
        responseDeserialize: keep,
      },
    },
    { echo },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { address: `127.0.0.1:${port}`, stop: async () => server.forceShutdown() };
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}

function say(reply: ServerReply): void {
  process.send?.(reply);
}

// As `harmonid serve` does.
keepPausesShort();
const settings = JSON.parse(process.argv[2] ?? '{}') as ServerSettings;
const running = settings.kind === 'echo' ? await startEcho() : await startHarmonid(settings);
const delay = monitorEventLoopDelay({ resolution: timerMs });
const ownDelay = watchOwnDelay();
let residentMax = process.memoryUsage.rss();
let cpuBefore = process.cpuUsage();
const memoryTimer = setInterval(() => (residentMax = Math.max(residentMax, process.memoryUsage.rss())), 250);

let stopping = false;

/** Asked to, or when the parent is gone; disconnecting tells of itself once more. */
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  delay.disable();
  ownDelay.close();
  clearInterval(memoryTimer);
  await running.stop();
  if (process.connected) process.disconnect();
}

process.on('message', (command: ServerCommand) => {
  if (command.kind === 'watch') {
    delay.reset();
    ownDelay.reset();
    residentMax = process.memoryUsage.rss();
    cpuBefore = process.cpuUsage();
    delay.enable();
  } else if (command.kind === 'report') {
    const { user, system } = process.cpuUsage(cpuBefore);
    const resident = process.memoryUsage.rss();
    const beyondTimer = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - timerMs);
    say({
      kind: 'report',
      p50Ms: beyondTimer(delay.percentile(50)),
      p99Ms: beyondTimer(delay.percentile(99)),
      maxMs: beyondTimer(delay.max),
      ownMaxMs: ownDelay.longestMs(),
      peakMemoryMiB: mebibytes(peakMemoryBytes()),
      residentMiB: mebibytes(resident),
      residentMaxMiB: mebibytes(Math.max(residentMax, resident)),
      cpuSeconds: (user + system) / 1e6,
    });
  } else void stop();
});
process.once('disconnect', () => void stop());
say({ kind: 'listening', address: running.address });
