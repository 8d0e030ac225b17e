/**
 * The options that several commands share, and how their texts become values.
 *
 * Only the form is checked here (a number is a number); ranges and names are the database's to judge, so that the command
 * line refuses what the library refuses, in the same words.
 */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { qualityReasons, type QualityReason } from '../embedder/face.js';
import { executionProviders, type ExecutionProvider } from '../embedder/embedder.js';
import { exitCodesHelp } from './failure.js';

/** Every command has these. */
export interface OutputOptions {
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** Commands on a database have these. */
export interface KeyOptions {
  readonly keyFile?: string | undefined;
  readonly masterKey?: string | undefined;
}

/** How a server is reached. */
export interface ServerTargetOptions {
  readonly server?: string;
  readonly apiKeyFile?: string;
  readonly apiKey?: string;
  readonly tls?: boolean;
  readonly tlsCa?: string;
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
  readonly tlsName?: string;
}

export interface TargetOptions extends OutputOptions, KeyOptions, ServerTargetOptions {
  readonly data: string;
}

export interface GalleryOption {
  readonly gallery?: string;
}

/** Commands that turn images into vectors have these; they are for the embedded database only. */
export interface EmbedderOptions {
  readonly pack?: string;
  readonly provider?: ExecutionProvider;
  readonly detector?: string;
  readonly mirror?: boolean;
  readonly threads?: number;
  readonly embedWorkers?: number;
  readonly models?: string;
}

export type FaceChoice = 'one' | 'largest';

export const dataDefault = './data';

/** Adds --json and --verbose, the examples and the exit codes. */
export function describe(command: Command, examples: readonly string[], remarks = ''): Command {
  return command
    .option('--json', 'print JSON')
    .option('-v, --verbose', 'show causes of failures')
    .addHelpText(
      'after',
      `${remarks && `\n${remarks}\n`}\nExamples:\n${examples.map((line) => `  $ ${line}`).join('\n')}\n${exitCodesHelp}`,
    );
}

/** The key of an encrypted directory. There is a variable for the key itself, and no option: others could read it off the process list. */
export function keyOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--key-file <file>', 'the master key of an encrypted data directory').env('HARMONID_KEY_FILE'),
    )
    .addOption(new Option('--master-key <text>').env('HARMONID_KEY').hideHelp());
}

export function targetOptions(command: Command): Command {
  return keyOptions(command)
    .addOption(new Option('-d, --data <dir>', 'the data directory to work on').default(dataDefault))
    .addOption(
      new Option('-s, --server <host:port>', 'the server to work on, in place of a data directory')
        .argParser(hostAndPort)
        .conflicts('data'),
    )
    .addOption(new Option('--api-key-file <file>', 'the key to show to the server').env('HARMONID_API_KEY_FILE'))
    .addOption(new Option('--api-key <text>').env('HARMONID_API_KEY').hideHelp())
    .addOption(new Option('--tls', 'connect encrypted').env('HARMONID_TLS'))
    .addOption(
      new Option('--tls-ca <file>', 'who signs the server’s certificate (implies --tls)').env('HARMONID_TLS_CA'),
    )
    .addOption(
      new Option('--tls-certificate <file>', 'the certificate to show to the server').env('HARMONID_TLS_CERTIFICATE'),
    )
    .addOption(new Option('--tls-key <file>', 'its key').env('HARMONID_TLS_KEY'))
    .addOption(
      new Option('--tls-name <name>', 'the name in the server’s certificate').env('HARMONID_TLS_NAME').hideHelp(),
    );
}

export function galleryOption(command: Command): Command {
  return command.option('-g, --gallery <name>', 'the gallery (default: "default")');
}

/** @param options.pack whether one pack is meant, which is the usual case */
export function embedderOptions(command: Command, { pack }: { readonly pack: boolean } = { pack: true }): Command {
  command.optionsGroup('Options of the model (with --data; a server has its own):');
  if (pack) command.option('--pack <id>', 'the model pack');
  return command
    .addOption(new Option('--provider <name>', 'where networks run').choices(executionProviders))
    .option('--detector <name>', 'face detector of the pack: ssd (default), or tiny, which is faster and misses more')
    .option('--mirror', 'average with the mirrored face: more accurate, embedding costs twice')
    .option('--no-mirror', 'do not average with the mirrored face')
    .option('--threads <n>', 'CPU threads for networks, of each worker', wholeNumber)
    .option('--embed-workers <n>', 'threads that embed images side by side (default: by cores)', wholeNumber)
    .option('--models <dir>', 'where model packs are kept (default: DATA/models)');
}

export function groupOption(command: Command, description: string): Command {
  return command.option('--group <name>', `${description}; may be repeated`, collect);
}

export function facesOption(command: Command, choices: readonly string[], standard: string): Command {
  return command.addOption(
    new Option('--faces <which>', 'when a photo shows several faces').choices(choices).default(standard),
  );
}

export function duplicatesOption(command: Command): Command {
  return command.addOption(
    new Option('--duplicates <policy>', 'when the face is somebody else already').choices([
      'refuse',
      'report',
      'ignore',
    ]),
  );
}

/** The address of a server; whether there is one is seen when it is called. */
function hostAndPort(value: string): string {
  if (!/^\S+:\d{1,5}$/.test(value)) throw new InvalidArgumentError('HOST:PORT is wanted, e.g. localhost:50051.');
  return value;
}

/** One value more of an option that may be repeated. */
export function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}

export function collectAttribute(
  value: string,
  previous: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> {
  const [, key, text] = /^([^=]+)=(.*)$/s.exec(value) ?? [];
  if (key === undefined || text === undefined) throw new InvalidArgumentError('KEY=VALUE is wanted.');
  return { ...previous, [key]: text };
}

export function collectReason(value: string, previous: readonly QualityReason[] | undefined): readonly QualityReason[] {
  const reason = qualityReasons.find((known) => known === value.toUpperCase().replaceAll('-', '_'));
  if (!reason) throw new InvalidArgumentError(`Known reasons are ${qualityReasons.join(', ')}.`);
  return [...(previous ?? []), reason];
}

export function wholeNumber(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new InvalidArgumentError('A whole number is wanted.');
  return Number(value);
}

/** Several, with commas between them. */
export function wholeNumbers(value: string): readonly number[] {
  if (!/^\d{1,15}(,\d{1,15})*$/.test(value))
    throw new InvalidArgumentError('Whole numbers with commas between them are wanted, e.g. 500,1000.');
  return value.split(',').map(Number);
}

/** An error rate, as 0.001 or 1e-3. */
export function rate(value: string): number {
  const number = Number(value);
  if (value.trim() === '' || !(number > 0 && number < 1))
    throw new InvalidArgumentError('A rate between 0 and 1 is wanted, e.g. 1e-3.');
  return number;
}

/** A rate, or none. commander takes null for a value that could not be parsed, so that the word stays until `targetOf`. */
export type TargetRate = number | 'none';

export function targetRate(value: string): TargetRate {
  return value === 'none' ? value : rate(value);
}

export function targetOf(rate: TargetRate | undefined): number | null | undefined {
  return rate === 'none' ? null : rate;
}

export function decimalNumber(value: string): number {
  if (!/^\d*\.?\d+$/.test(value)) throw new InvalidArgumentError('A number is wanted.');
  return Number(value);
}
