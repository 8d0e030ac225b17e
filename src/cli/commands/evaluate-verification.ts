/** `harmonid evaluate verification`: LFW's protocol on photos and a list of pairs. */
import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { withEmbedder } from '../connection.js';
import { isDirectory } from '../directories.js';
import { exitCodes, usageError, type ExitCode } from '../failure.js';
import { dataDefault, describe, embedderOptions, type EmbedderOptions, type OutputOptions } from '../options.js';
import { startProgress } from '../progress.js';
import type { Run } from '../run.js';
import { printJson, printLine, type Terminal } from '../terminal.js';

interface VerificationOptions extends OutputOptions, EmbedderOptions {
  readonly data: string;
  readonly images: string;
  readonly pairs: string;
  readonly aligned?: boolean;
  readonly face: 'central' | 'largest';
  readonly cache?: string;
}

export function verificationEvaluation(run: Run): Command {
  const command = new Command('verification')
    .description(
      'Ten-fold verification as on LFW (view 2): accuracy with its standard error, VAL at FAR 1e-2 and 1e-3, threshold, faces not found, photos a second.',
    )
    .option('-d, --data <dir>', 'the data directory whose model packs are used', dataDefault)
    .requiredOption('--images <dir>', 'photos: one folder a person, NAME/NAME_0001.jpg')
    .requiredOption('--pairs <file>', "pairs in the format of LFW's pairs.txt")
    .option('--aligned', "the photos are already aligned to the model's chip")
    .addOption(
      new Option('--face <which>', 'the face that is meant when a photo shows several')
        .choices(['central', 'largest'])
        .default('central'),
    )
    .option('--cache <file>', 'keep the vectors in this file, so that a second run resumes');
  describe(
    command,
    [
      'harmonid evaluate verification --images ./lfw --pairs pairs.txt',
      'harmonid evaluate verification --images ./lfw --pairs pairs.txt --mirror --json',
    ],
    'With --json: the report, with "accuracy", "valAtFar", "threshold", "facesNotFound" and "imagesPerSecond".',
  );
  embedderOptions(command);
  return command.action((options: VerificationOptions) => run(command, (terminal) => verify(terminal, options)));
}

async function verify(terminal: Terminal, options: VerificationOptions): Promise<ExitCode> {
  if (!(await isDirectory(options.images))) throw usageError(`no such directory: ${options.images}`);
  const { parsePairs, photosOf } = await import('../../evaluate/pairs.js');
  const pairs = parsePairs(await readText(options.pairs), options.pairs);
  const { evaluateVerification } = await import('../../evaluate/verification.js');
  const progress = startProgress(terminal, photosOf(pairs).length, 'photos');
  try {
    const report = await withEmbedder(options, (embedder) =>
      evaluateVerification({
        embedder,
        imagesPath: options.images,
        pairs,
        mode: options.aligned ? 'aligned' : 'full',
        faceChoice: options.face,
        cachePath: options.cache,
        onProgress: (done) => progress.reach(done),
        signal: terminal.interrupt,
      }),
    );
    progress.stop();
    const { formatVerificationReport } = await import('../../evaluate/verification-table.js');
    if (options.json) printJson(terminal, report);
    else printLine(terminal, formatVerificationReport(report));
    return exitCodes.done;
  } finally {
    progress.stop();
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    throw usageError(`cannot read ${path}`);
  }
}
