/** `harmonid serve`: the database behind gRPC. */
import { Command, Option } from 'commander';
import type { Database } from '../../api.js';
import { openEmbedded } from '../connection.js';
import { exitCodes, type ExitCode } from '../failure.js';
import { logLevels, openLog, type LogOptions } from '../log.js';
import {
  dataDefault,
  describe,
  embedderOptions,
  wholeNumber,
  keyOptions,
  type EmbedderOptions,
  type KeyOptions,
  type OutputOptions,
} from '../options.js';
import type { Run } from '../run.js';
import { keepPausesShort } from '../short-pauses.js';
import type { Terminal } from '../terminal.js';

interface ServeOptions extends OutputOptions, EmbedderOptions, KeyOptions {
  readonly data: string;
  readonly listen: string;
  readonly drain: number;
  readonly vectorsOnly?: boolean;
  readonly logLevel: LogOptions['level'];
  readonly log?: 'json' | 'plain';
}

export function serveCommand(run: Run): Command {
  const command = new Command('serve')
    .summary('serve a data directory over gRPC')
    .description(
      'Serves a data directory over gRPC (harmonid.v1, with health checks and reflection) until SIGINT or SIGTERM, then finishes what has begun and exits 0; a second signal ends it at once.',
    )
    .option('-d, --data <dir>', 'the data directory; made when there is none', dataDefault)
    .option('-l, --listen <host:port>', 'where to listen; port 0 takes a free one', '127.0.0.1:50051')
    .option('--drain <seconds>', 'how long calls in work may take when stopping', wholeNumber, 10)
    .option('--vectors-only', 'load no model: only vectors are taken')
    .addOption(
      new Option('--log <format>', 'json lines or plain text (default: plain at a terminal)').choices([
        'json',
        'plain',
      ]),
    )
    .addOption(new Option('--log-level <level>', 'the least that is logged').choices(logLevels).default('info'));
  describe(
    command,
    [
      'harmonid serve',
      'harmonid serve --data /var/lib/harmonid --listen 0.0.0.0:50051',
      'harmonid serve --provider webgpu --listen 127.0.0.1:0',
    ],
    'The log goes to stdout. Its line "opened" has the model, the execution provider and why it was chosen, "listening" the address.\nThe connection is not encrypted: listen on a private address.',
  );
  keyOptions(command);
  embedderOptions(command);
  return command.action((options: ServeOptions) => run(command, (terminal) => serve(terminal, options)));
}

async function serve(terminal: Terminal, options: ServeOptions): Promise<ExitCode> {
  keepPausesShort();
  const log = openLog(terminal, { level: options.logLevel, ...(options.log && { format: options.log }) });
  const { startServer } = await import('../../server/server.js');
  const { logTransport } = await import('../../server/transport-log.js');
  logTransport(log);
  const database = await openEmbedded(options, { images: !options.vectorsOnly, create: true });
  try {
    log.info(await announcement(database, options.data), 'opened');
    // The server itself logs where it listens, and that it drains.
    const server = await startServer({ database, address: options.listen, logger: log });
    await untilAborted(terminal.interrupt);
    await server.close({ drainMs: options.drain * 1000 });
  } finally {
    await database.close();
  }
  log.info('stopped');
  return exitCodes.done;
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
