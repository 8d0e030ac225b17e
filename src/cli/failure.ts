/**
 * How a command fails: one line that says what is wrong, one that says what to do next, and an exit code.
 *
 * With `--json` the same goes to stderr as `{"error":{code,message,details,next}}`. Causes are shown with `--verbose` only.
 */
import { inspect } from 'node:util';
import { CommanderError } from 'commander';
import { asHarmonidError, isHarmonidError, type ErrorCode, type HarmonidError } from '../errors.js';
import { refusedGateLines } from './rollout-text.js';
import { jsonValue, note, painter, type Terminal } from './terminal.js';

/** What the process says when it ends; printed in every command's help. */
export const exitCodes = {
  /** Done; every face matched. */
  done: 0,
  /** Refused, or failed. */
  refused: 1,
  /** The command line is wrong. */
  usage: 2,
  /** Done, and the answer is no: no match, ambiguous, nobody. */
  no: 3,
  /** Stopped by SIGINT or SIGTERM. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodesHelp = `
Exit codes:
  0  done; a match
  1  refused or failed; the reason is on stderr (with --json as {"error":{"code","message","details","next"}})
  2  the command line is wrong
  3  done, and the answer is no: no match, ambiguous, or nobody
  130  interrupted`;

const usageCode = 'harmonid.usage';

/** The command line is wrong in a way that commander cannot see. */
export function usageError(message: string): CommanderError {
  return new CommanderError(exitCodes.usage, usageCode, message);
}

/** An error as JSON carries it. */
export interface FailureJson {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly next?: string | undefined;
}

export function failureJson(error: unknown): FailureJson {
  const known = knownError(error);
  const next = nextStep(known);
  return { code: known.code, message: known.message, details: known.details, ...(next && { next }) };
}

export interface FailureOptions {
  readonly json: boolean;
  readonly verbose: boolean;
  /** The command as it is called, e.g. `harmonid gallery create`. */
  readonly command: string;
}

/** Prints why the command ends, and chooses its exit code. */
export function reportFailure(terminal: Terminal, error: unknown, options: FailureOptions): ExitCode {
  if (error instanceof CommanderError) return reportUsage(terminal, error, options);
  if (isBrokenPipe(error)) return exitCodes.done;
  const known = knownError(error);
  const interrupted = terminal.interrupt.aborted && known.code === 'CANCELLED';
  if (options.json) note(terminal, JSON.stringify({ error: failureJson(error) }, jsonValue));
  else {
    const paint = painter(terminal, 'stderr');
    const next = nextStep(known);
    note(terminal, `${paint('red', 'harmonid:')} ${known.message} ${paint('dim', `(${known.code})`)}`);
    if (known.code === 'GATE_REFUSED') for (const line of refusedGateLines(known.details)) note(terminal, `  ${line}`);
    if (next) note(terminal, `  ${next}`);
    if (options.verbose) note(terminal, inspect(error, { depth: 6 }));
    else if (known.code === 'INTERNAL') note(terminal, '  --verbose shows where it comes from');
  }
  return interrupted ? exitCodes.interrupted : exitCodes.refused;
}

function reportUsage(terminal: Terminal, error: CommanderError, options: FailureOptions): ExitCode {
  // Help and version were printed, and that is all that was asked for.
  if (error.exitCode === 0) return exitCodes.done;
  // Commander's own errors were printed when they were found.
  if (error.code === usageCode) printUsageError(terminal, error.message, options);
  return exitCodes.usage;
}

/** What is wrong with the command line, and whose help to read. */
export function printUsageError(
  terminal: Terminal,
  text: string,
  { json, command }: Omit<FailureOptions, 'verbose'>,
): void {
  const message = text.trim().replace(/^error: /, '');
  const next = `see \`${command} --help\``;
  if (json) note(terminal, JSON.stringify({ error: { code: 'INVALID_ARGUMENT', message, details: {}, next } }));
  else note(terminal, `${painter(terminal, 'stderr')('red', 'harmonid:')} ${message}\n  ${next}`);
}

/** An unknown failure keeps its own words here: who runs the command line may see them. */
function knownError(error: unknown): HarmonidError {
  const known = asHarmonidError(error);
  if (!isHarmonidError(error) && error instanceof Error) known.message = `unexpected: ${error.message}`;
  return known;
}

/** The reader of a pipe has gone (`harmonid export | head`). */
function isBrokenPipe(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_PREMATURE_CLOSE')
  );
}

const nextSteps: Partial<Record<ErrorCode, string>> = {
  NO_FACE: 'use a photo in which the face is larger, upright and not covered',
  SEVERAL_FACES: '--faces largest takes the largest face; or crop the photo',
  FACE_REFUSED:
    'use a better photo; --any-quality enrolls it as it is, unless the gallery requires a presentation score',
  NO_PRESENTATION_SCORE:
    'give a photo, and use a model pack with a network for presentation attacks; `harmonid gallery set NAME --presentation ignore` does without',
  DUPLICATE_FACE: 'if they are two people, --duplicates report enrolls anyway',
  EMBEDDER_MISSING: 'the server works on vectors only: start it with a model pack',
  SPACE_MISMATCH: 'use the model pack that the gallery was made with (--pack; see `harmonid gallery show`)',
  GALLERY_NOT_FOUND: '`harmonid gallery list` shows what there is, `harmonid gallery create NAME` makes one',
  GALLERY_EXISTS: '`harmonid gallery set` changes the settings of a gallery',
  KEY_REQUIRED: 'name the master key: --key-file FILE, or HARMONID_KEY_FILE, or the key itself in HARMONID_KEY',
  IDENTITY_ERASED: '`harmonid enroll` brings somebody back on purpose',
  IDENTITY_NOT_FOUND: '`harmonid list` shows who there is',
  TEMPLATE_NOT_FOUND: '`harmonid show IDENTITY` lists the templates with their numbers',
  VERSION_CONFLICT: 'look at it again with `harmonid show IDENTITY`, then repeat the change',
  LIMIT_EXCEEDED:
    '`harmonid remove-template` makes room, `harmonid gallery set --templates-max` raises the limit of templates',
  MODEL_NOT_FOUND: '`harmonid models list` shows what there is, `harmonid models add FOLDER` adds one',
  ROLLOUT_NOT_FOUND: '`harmonid rollout start GALLERY --to PACK` begins one',
  ROLLOUT_STATE: '`harmonid rollout status GALLERY` shows the state, what was done, and what comes next',
  GATE_REFUSED:
    '`harmonid rollout report GALLERY` shows what was measured; `harmonid rollout shadow GALLERY --overrule GATE` goes on all the same',
  PROVIDER_UNAVAILABLE: '--provider auto takes the best that starts, --provider cpu always does',
  DATA_NOT_FOUND:
    'enroll somebody first (`harmonid enroll`, `harmonid import`), name another directory with --data, or a server with --server HOST:PORT',
  DATA_FORMAT_NEWER: 'update harmonid to at least the version that wrote it',
  DATA_LOCKED: 'a server that has it open answers with --server HOST:PORT; otherwise end that process first',
  DATA_READ_ONLY: 'check the permissions of the directory and its file system',
  DATA_CORRUPT:
    '`harmonid check` shows what is wrong, `--repair` mends what can be mended; or restore a backup. Nothing was changed',
  DISK_FULL: 'make room, then repeat; nothing was lost',
  BACKUP_INVALID: 'take another backup; `harmonid restore FILE --verify-only` tells a whole one',
  DATA_EXISTS: 'name a place where there is nothing yet',
  CONFIG_INVALID:
    '`harmonid config schema` describes every key, `harmonid config check` looks at a file without starting anything',
  ADDRESS_IN_USE: 'choose another with --listen HOST:PORT (port 0 takes a free one), or end the process that has it',
  OVERLOADED: 'the server is busy: try again in a moment',
  UNAVAILABLE:
    'start one with `harmonid serve`, name another with --server HOST:PORT, or work on a directory with --data',
};

function nextStep(error: HarmonidError): string | undefined {
  return nextSteps[error.code];
}
