/**
 * The options of a server, and the configuration that comes of them, of the environment and of a file.
 *
 * Promises: `serve` and `config` take the same options. An option counts only where it was written: what the help shows as its default is the
 * configuration's.
 */
import { Option, type Command } from 'commander';
import type { EffectiveConfiguration } from '../config/configuration.js';
import type { Given } from '../config/origin.js';
import { keysOf } from '../config/outline.js';
import { defaultConfiguration, outline } from '../config/schema.js';
import { graphEngines } from '../config/sections/graph.js';
import { logLevels } from '../config/sections/log.js';
import { embedderOptions, keyOptions, wholeNumber } from './options.js';
import type { Terminal } from './terminal.js';

/** Adds `--config` and the flags that override it. */
export function serverOptions(command: Command): Command {
  const { data, listen, drainSeconds, graph, log } = defaultConfiguration;
  return command
    .option('-c, --config <file>', 'the configuration, in YAML; the other options override it (env: HARMONID_CONFIG)')
    .option('-d, --data <dir>', 'the data directory; made when there is none', data)
    .option('-l, --listen <host:port>', 'where to listen; port 0 takes a free one', listen)
    .option('--drain <seconds>', 'how long calls in work may take when stopping', wholeNumber, drainSeconds)
    .addOption(
      new Option('--engine <name>', 'what searches large galleries').choices(graphEngines).default(graph.engine),
    )
    .option('--vectors-only', 'load no model: only vectors are taken')
    .option('--access <file>', 'who may come in (default: DATA/access.json when it is there; see `harmonid keys`)')
    .option('--tls-certificate <file>', 'the server’s certificate, PEM; followed while the server runs')
    .option('--tls-key <file>', 'its key, PEM')
    .option('--tls-client-ca <file>', 'who signs the certificates of clients, PEM')
    .option('--require-client-certificate', 'turn away clients without a certificate, also those with a key')
    .option('--insecure-plaintext', 'listen unencrypted where others can listen in')
    .option('--insecure-anonymous', 'let everybody who reaches the address do everything')
    .option('--audit', 'record who did what, in DATA/audit; see `harmonid audit`')
    .option('--status <host:port>', 'where /metrics, /livez and /readyz are asked for, over HTTP')
    .addOption(
      new Option('--log <format>', 'json lines or plain text (default: plain at a terminal)').choices([
        'json',
        'plain',
      ]),
    )
    .addOption(new Option('--log-level <level>', 'the least that is logged').choices(logLevels).default(log.level));
}

/** The options of the key and of the model, which come after the others in the help. */
export function serverModelOptions(command: Command): Command {
  return embedderOptions(keyOptions(command));
}

/** @throws CONFIG_INVALID */
export async function configurationOf(command: Command, { environment }: Terminal): Promise<EffectiveConfiguration> {
  // Loaded when it is wanted: help needs no YAML.
  const { readConfiguration } = await import('../config/configuration.js');
  const { config } = command.opts<{ readonly config?: string }>();
  return readConfiguration({ file: config, environment, flags: flagsOf(command) });
}

/** What was written on the command line. Commander gives options their variables' values, too; those are the environment's to tell. */
function flagsOf(command: Command): readonly Given[] {
  return keysOf(outline).flatMap((key): Given[] => {
    const option = command.options.find(({ long }) => long !== undefined && long === key.flag);
    if (!option || command.getOptionValueSource(option.attributeName()) !== 'cli') return [];
    const value: unknown = command.getOptionValue(option.attributeName());
    const name = value === false ? `--no-${option.name()}` : `--${option.name()}`;
    return [{ key, value, origin: { kind: 'flag', name } }];
  });
}
