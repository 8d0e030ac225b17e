/** `harmonid serve`: the database behind gRPC. */
import { Command } from 'commander';
import type { Database } from '../../api.js';
import type { Configuration } from '../../config/schema.js';
import type { DatabaseOptions } from '../../database.js';
import { configurationOf, serverModelOptions, serverOptions } from '../configuration.js';
import { encryptionOf, modelsPathOf } from '../connection.js';
import { exitCodes, type ExitCode } from '../failure.js';
import { openLog } from '../log.js';
import { describe } from '../options.js';
import type { Run } from '../run.js';
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
      'harmonid serve --data /var/lib/harmonid --listen 0.0.0.0:50051',
      'harmonid serve --provider webgpu --listen 127.0.0.1:0',
    ],
    'Every option is a key of the configuration, too; options win over HARMONID_… variables, those over the file (see `harmonid config --help`).\nThe log goes to stdout. Its line "opened" has the model, the execution provider and why it was chosen, "listening" the address.\nThe connection is not encrypted: listen on a private address.',
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
  const { data, listen, drainSeconds, limits } = configuration;
  const log = openLog(terminal, configuration.log);
  const { startServer } = await import('../../server/server.js');
  const { openDatabase } = await import('../../database.js');
  const database = await openDatabase(databaseOptions(configuration));
  try {
    log.info({ ...(await announcement(database, data)), config: file }, 'opened');
    // The server itself logs where it listens, and that it drains.
    const server = await startServer({ ...limits, database, address: listen, logger: log });
    await untilAborted(terminal.interrupt);
    await server.close({ drainMs: drainSeconds * 1000 });
  } finally {
    await database.close();
  }
  log.info('stopped');
  return exitCodes.done;
}

function databaseOptions(configuration: Configuration): DatabaseOptions {
  const { data, vectorsOnly, durability, encryption, embedder, graph, limits } = configuration;
  const modelsPath = modelsPathOf({ data, models: embedder.modelsPath });
  return {
    path: data,
    embedder: vectorsOnly ? false : { ...embedder, modelsPath },
    encryption: encryptionOf({ keyFile: encryption.keyFile, masterKey: encryption.key }),
    durability,
    ...graph,
    importConcurrency: limits.importConcurrency,
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
