/** What `harmonid evaluate` has in common wherever pairs of photos are compared: its options, the list of pairs, the page. */
import { readFile, writeFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import type { PairList } from '../evaluate/pairs.js';
import type { PairProtocol } from '../evaluate/photo-vectors.js';
import { isDirectory } from './directories.js';
import { usageError } from './failure.js';
import { dataDefault, type OutputOptions } from './options.js';
import { startProgress, type Progress } from './progress.js';
import { note, printJson, printLine, type Terminal } from './terminal.js';

export interface PairEvaluationOptions extends OutputOptions {
  readonly data: string;
  readonly images: string;
  readonly pairs: string;
  readonly mode?: 'full' | 'centre' | 'aligned' | 'arcface112';
  readonly aligned?: boolean;
  readonly face: 'central' | 'largest';
  readonly cache?: string;
  readonly html?: string;
}

/** @param modes of which the first is the default */
export function pairOptions(command: Command, modes: readonly string[]): Command {
  return command
    .option('-d, --data <dir>', 'the data directory whose model packs are used', dataDefault)
    .requiredOption('--images <dir>', 'photos: one folder a person, NAME/NAME_0001.jpg')
    .requiredOption('--pairs <file>', "pairs in the format of LFW's pairs.txt")
    .addOption(
      new Option(
        '--mode <how>',
        `the photos are searched for faces (full${modes.includes('centre') ? '), cut in the middle without a look (centre' : ''}), or are crops: of the model's chip (aligned), or InsightFace's of 112x112 (arcface112)`,
      ).choices(modes),
    )
    .addOption(new Option('--aligned', 'the same as --mode aligned').conflicts('mode'))
    .addOption(
      new Option('--face <which>', 'the face that is meant when a photo shows several')
        .choices(['central', 'largest'])
        .default('central'),
    )
    .option('--cache <file>', 'keep the vectors in this file, so that a second run resumes')
    .option('--html <file>', 'also write a page with plots (readable by its owner only)');
}

/** What the options say, read and checked. @throws a usage error, INVALID_ARGUMENT for a list that is none */
export async function readProtocol(
  terminal: Terminal,
  { images, pairs, mode, aligned, face, cache }: PairEvaluationOptions,
): Promise<Omit<PairProtocol, 'onProgress'> & { readonly pairs: PairList }> {
  if (!(await isDirectory(images))) throw usageError(`no such directory: ${images}`);
  const { parsePairs } = await import('../evaluate/pairs.js');
  const text = await readFile(pairs, 'utf8').catch(() => {
    throw usageError(`cannot read ${pairs}`);
  });
  return {
    imagesPath: images,
    pairs: parsePairs(text, pairs),
    mode: mode ?? (aligned ? 'aligned' : 'full'),
    faceChoice: face,
    cachePath: cache,
    signal: terminal.interrupt,
  };
}

/** Works with a bar of `unit` that begins when the total is known, and is gone whatever happens. */
export async function withProgress<T>(
  terminal: Terminal,
  unit: string,
  work: (onProgress: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  let progress: Progress | undefined;
  try {
    return await work((done, total) => (progress ??= startProgress(terminal, total, unit)).reach(done));
  } finally {
    progress?.stop();
  }
}

/** The report as it was asked for: a page beside it, JSON or a table. The page names people. */
export async function printReport(
  terminal: Terminal,
  { html, json }: PairEvaluationOptions,
  report: unknown,
  formats: { readonly table: () => string; readonly page: () => Promise<string> },
): Promise<void> {
  if (html !== undefined) {
    await writeFile(html, await formats.page(), { mode: 0o600 });
    note(terminal, `written: ${html}`);
  }
  if (json) printJson(terminal, report);
  else printLine(terminal, formats.table());
}
