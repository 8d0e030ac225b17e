/** `harmonid serve`: the database behind gRPC. */
import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import type { Database } from '../../api.js';
import type { Configuration } from '../../config/schema.js';
import type { DatabaseOptions } from '../../database.js';
import { configurationOf, serverModelOptions, serverOptions } from '../configuration.js';
import { encryptionOf, modelsPathOf } from '../connection.js';
import { exitCodes, type ExitCode } from '../failure.js';
import { openLog } from '../log.js';
import { describe } from '../options.js';
import type { Logger } from 'pino';
import type { Run } from '../run.js';
import type { Metrics } from '../../server/metrics.js';
import type { SecurityOptions } from '../../server/security.js';
import type { Tracing } from '../../server/tracing.js';
import type { StatusServer } from '../../server/status-server.js';
import { openAuditLog, type AuditLog } from '../../audit/audit-log.js';
import { auditFolderOf } from './audit.js';
import { accessFileOf } from './keys.js';
import { keepPausesShort } from '../short-pauses.js';
import type { Terminal } from '../terminal.js';

export function serveCommand(run: Run): Command {
  const command = serverOptions(
    new Command('serve')
      .summary('serve a data directory over gRPC')
      .description(
        'Serves a data directory over gRPC (harmonid.v1, with health checks and reflection) until SIGINT or SIGTERM, then finishes what has begun and exits 0; a second signal ends it at once.',
      ),
  );
  describe(
    command,
    [
      'harmonid serve',
      'harmonid serve --config harmonid.yaml',
      'harmonid serve --data /var/lib/harmonid --listen 0.0.0.0:50051 --tls-certificate tls.crt --tls-key tls.key',
      'harmonid serve --provider webgpu --listen 127.0.0.1:0',
    ],
    'Every option is a key of the configuration, too; options win over HARMONID_… variables, those over the file (see `harmonid config --help`).\nThe log goes to stdout. Its line "opened" has the model, the execution provider and why it was chosen, "listening" the address.\nBeyond loopback addresses a certificate and a list of keys are wanted.',
  );
  serverModelOptions(command);
  return command.action(() =>
    run(command, async (terminal) => {
      const { values, file } = await configurationOf(command, terminal);
      return serve(terminal, values, file);
    }),
  );
}

async function serve(terminal: Terminal, configuration: Configuration, file: string | null): Promise<ExitCode> {
  keepPausesShort();
  const { data, listen, drainSeconds, limits, status } = configuration;
  const log = openLog(terminal, configuration.log);
  const { startServer } = await import('../../server/server.js');
  const { checkSecurity } = await import('../../server/security.js');
  const { openDatabase } = await import('../../database.js');
  const { Metrics } = await import('../../server/metrics.js');
  const metrics = new Metrics();
  const tracing = await tracingOf(configuration);
  const { logTransport } = await import('../../server/transport-log.js');
  logTransport(log);
  const open: { close(): Promise<void> }[] = [];
  try {
    // Before the data: opening may take a while, and an orchestrator wants to know why.
    const statusServer = status.listen === undefined ? null : await openStatus(status.listen, metrics);
    if (statusServer) {
      open.unshift(statusServer);
      log.info({ address: statusServer.address }, 'tells its status');
    }
    // Before the data, too: a certificate that is not there should not be noticed only when a million templates have been read.
    const security = await securityOf(configuration);
    await checkSecurity(security, listen);
    const database = await openDatabase({
      ...databaseOptions(configuration),
      onWarning: (message, { error, ...facts }: { readonly error?: unknown }) =>
        log.warn(error === undefined ? facts : { ...facts, err: error }, message),
      onStage: (stage, ms) => {
        metrics.took(stage, ms);
        tracing?.took(stage, ms);
      },
      onCommit: (ms) => metrics.committed(ms),
    });
    open.unshift(database);
    metrics.watch(database);
    const audit = await auditOf(configuration, log);
    if (audit) open.unshift(audit);
    log.info({ ...(await announcement(database, data)), config: file }, 'opened');
    // The server itself logs where it listens, and that it drains.
    const server = await startServer({
      ...limits,
      ...security,
      database,
      metrics,
      tracing,
      audit,
      address: listen,
      logger: log,
    });
    statusServer?.serve(database);
    await untilAborted(terminal.interrupt);
    statusServer?.drain();
    await server.close({ drainMs: drainSeconds * 1000 });
  } finally {
    for (const each of open) await each.close();
    await tracing?.close();
  }
  log.info('stopped');
  return exitCodes.done;
}

async function auditOf({ data, audit }: Configuration, log: Logger): Promise<AuditLog | undefined> {
  const { enabled, folder, retentionDays = null, ...rest } = audit;
  if (!enabled) return undefined;
  return openAuditLog({
    ...rest,
    retentionDays,
    folder: auditFolderOf({ data, folder }),
    clock: () => new Date(),
    onWarning: (message, facts) => log.error(facts, message),
  });
}

/** Loaded when it is wanted: a collector is rare. */
async function tracingOf({ tracing: { endpoint, sampleRatio } }: Configuration): Promise<Tracing | undefined> {
  if (endpoint === undefined) return undefined;
  const { Tracing: OpenTracing } = await import('../../server/tracing.js');
  return new OpenTracing({ endpoint, sampleRatio });
}

async function openStatus(address: string, metrics: Metrics): Promise<StatusServer> {
  const { openStatusServer } = await import('../../server/status-server.js');
  return openStatusServer({ address, metrics });
}

async function securityOf({ data, tls, access }: Configuration): Promise<SecurityOptions> {
  const { certificateFile, keyFile, clientCaFile, requireClientCertificate, allowPlaintext } = tls;
  const isEncrypted = certificateFile !== undefined && keyFile !== undefined;
  return {
    tls: isEncrypted ? { certificateFile, keyFile, clientCaFile, requireClientCertificate } : undefined,
    accessFile: access.file ?? (await listInData(data)),
    allowPlaintext,
    allowAnonymous: access.allowAnonymous,
  };
}

/** A list that lies in the data directory is taken: whoever made it means it. */
async function listInData(data: string): Promise<string | undefined> {
  const file = accessFileOf({ data });
  return stat(file).then(
    () => file,
    () => undefined,
  );
}

function databaseOptions(configuration: Configuration): DatabaseOptions {
  const { data, admission, vectorsOnly, durability, encryption, embedder, graph, limits } = configuration;
  const modelsPath = modelsPathOf({ data, models: embedder.modelsPath });
  return {
    path: data,
    embedder: vectorsOnly ? false : { ...embedder, modelsPath },
    encryption: encryptionOf({ keyFile: encryption.keyFile, masterKey: encryption.key }),
    durability,
    ...graph,
    importConcurrency: limits.importConcurrency,
    admission,
  };
}

/** What an operator wants to know of a server that comes up. */
async function announcement(database: Database, data: string): Promise<object> {
  const { version, embedder, galleries } = await database.stats();
  const model = embedder?.info;
  return {
    version,
    data,
    people: galleries.reduce((sum, { identityCount }) => sum + identityCount, 0),
    ...(model
      ? {
          pack: model.pack,
          provider: model.provider,
          providerReason: model.providerReason,
          detector: model.detector,
          mirrorAveraging: model.mirrorAveraging,
          space: model.space,
        }
      : { pack: null }),
  };
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
