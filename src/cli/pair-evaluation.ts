/** What `harmonid evaluate` has in common wherever pairs of photos are compared: the options and the list of pairs. */
import { readFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import type { PairList } from '../evaluate/pairs.js';
import type { PairProtocol } from '../evaluate/photo-vectors.js';
import type { PhotoKind } from '../evaluate/photo-embedding.js';
import { isDirectory } from './directories.js';
import { dataOption, faceOption, fileOptions, type EvaluationOptions } from './evaluation.js';
import { usageError } from './failure.js';
import { listPeople } from './photos.js';
import type { Terminal } from './terminal.js';

export interface PairEvaluationOptions extends EvaluationOptions {
  readonly images: string;
  readonly pairs?: string;
  readonly mode?: PhotoKind;
  readonly aligned?: boolean;
}

/** @param modes of which the first is the default */
export function pairOptions(command: Command, modes: readonly PhotoKind[]): Command {
  dataOption(command)
    .requiredOption('--images <dir>', 'photos: one folder a person')
    .option(
      '--pairs <file>',
      "pairs in the format of LFW's pairs.txt, of photos NAME/NAME_0001.jpg (default: drawn from the photos, ten folds of different people)",
    )
    .addOption(
      new Option(
        '--mode <how>',
        `the photos are searched for faces (full${modes.includes('centre') ? '), cut in the middle without a look (centre' : ''}), or are crops: of the model's chip (aligned), or InsightFace's of 112x112 (arcface112)`,
      ).choices(modes),
    )
    .addOption(new Option('--aligned', 'the same as --mode aligned').conflicts('mode'));
  faceOption(command);
  return fileOptions(command);
}

/** What the options say, read and checked. @throws a usage error, INVALID_ARGUMENT for a list that is none */
export async function readProtocol(
  terminal: Terminal,
  { images, pairs, mode, aligned, face, cache }: PairEvaluationOptions,
): Promise<Omit<PairProtocol, 'onProgress'> & { readonly pairs: PairList }> {
  if (!(await isDirectory(images))) throw usageError(`no such directory: ${images}`);
  return {
    imagesPath: images,
    pairs: await readPairs(images, pairs),
    mode: mode ?? (aligned ? 'aligned' : 'full'),
    faceChoice: face,
    cachePath: cache,
    signal: terminal.interrupt,
  };
}

/** @param path default: pairs are drawn from the photos */
export async function readPairs(images: string, path: string | undefined): Promise<PairList> {
  if (path === undefined) {
    const { drawPairs } = await import('../evaluate/drawn-pairs.js');
    const { photos } = await listPeople(images);
    return drawPairs(photos.map(({ identity, path }) => ({ person: identity, path })));
  }
  const { parsePairs } = await import('../evaluate/pairs.js');
  const text = await readFile(path, 'utf8').catch(() => {
    throw usageError(`cannot read ${path}`);
  });
  return parsePairs(text, path);
}
