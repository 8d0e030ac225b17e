/** The command line of a test that runs for a while from a seed: its help, the seed as the first line, a report as text or JSON, and whether it was clean as the exit code. */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { HarmonidError, isHarmonidError } from '../../src/errors.js';

export interface SeededRun<Options, Report> {
  /** Names `--seed`, `--json` and the options of `words`. */
  readonly usage: string;
  /** Options with a word, and what they are when they are not given. */
  readonly words: Readonly<Record<string, string | undefined>>;
  /** @throws INVALID_ARGUMENT */
  readonly parse: (words: Readonly<Record<string, string | undefined>>, seed: number) => Options;
  readonly run: (options: Options, say: (line: string) => void) => Promise<Report>;
  readonly format: (report: Report) => string;
  readonly isClean: (report: Report) => boolean;
}

/** Exits with 1 for a report that is not clean, with 2 for words that are wrong. */
export async function runSeeded<Options, Report>(command: SeededRun<Options, Report>): Promise<void> {
  try {
    const { help, json, seed: given, ...words } = parseWords(command.words);
    if (help) return void process.stdout.write(command.usage);
    const seed = typeof given === 'string' ? parseCount('--seed', given) : 1 + Math.floor(Math.random() * 999_999_999);
    const options = command.parse(words as Readonly<Record<string, string | undefined>>, seed);
    process.stderr.write(`seed ${seed}\n`);
    const report = await command.run(options, (line) => void process.stderr.write(`${line}\n`));
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : command.format(report));
    if (!command.isClean(report)) process.exitCode = 1;
  } catch (error) {
    if (!isHarmonidError(error)) throw error;
    process.stderr.write(`${error.code}: ${error.message}\n`);
    process.exitCode = 2;
  }
}

/** A whole number from 1. @throws INVALID_ARGUMENT */
export function parseCount(name: string, text: string | undefined): number {
  if (text === undefined || !/^[1-9]\d{0,8}$/.test(text)) {
    throw new HarmonidError('INVALID_ARGUMENT', `${name} takes whole numbers from 1, found "${text ?? ''}"`);
  }
  return Number(text);
}

function parseWords(words: Readonly<Record<string, string | undefined>>) {
  const own = Object.entries(words).map(([name, value]) => [
    name,
    { type: 'string' as const, ...(value !== undefined && { default: value }) },
  ]);
  try {
    return parseArgs({
      options: {
        ...(Object.fromEntries(own) as Record<string, { type: 'string' }>),
        seed: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values as Readonly<Record<string, string | boolean | undefined>>;
  } catch (error) {
    throw new HarmonidError('INVALID_ARGUMENT', error instanceof Error ? error.message : String(error));
  }
}
