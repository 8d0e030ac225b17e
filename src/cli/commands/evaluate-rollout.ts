/** `harmonid evaluate rollout`: what a change of models would bring. */
import { Command, Option } from 'commander';
import { withEmbedder } from '../connection.js';
import { alignedOption, faceOption, kindOf, type Alignment } from '../evaluation.js';
import { exitCodes, usageError, type ExitCode } from '../failure.js';
import { executionProviders } from '../../embedder/embedder.js';
import type { FaceChoice } from '../../evaluate/face-choice.js';
import type { RolloutEvaluationOptions } from '../../evaluate/rollout.js';
import type { PairSet } from '../../migrate/pair-set.js';
import { dataDefault, describe, rate, wholeNumber, type EmbedderOptions, type OutputOptions } from '../options.js';
import { listPeople } from '../photos.js';
import { startProgress, type Progress } from '../progress.js';
import type { Run } from '../run.js';
import { note, printJson, printLine, type Terminal } from '../terminal.js';

interface RolloutOptions extends OutputOptions, Omit<EmbedderOptions, 'pack'> {
  readonly data: string;
  readonly from: string;
  readonly to: string;
  readonly images?: string;
  readonly fitImages?: string;
  readonly testImages?: string;
  readonly folds: number;
  readonly aligned?: Alignment;
  readonly face: FaceChoice;
  readonly people?: number;
  readonly probeMap?: boolean;
  readonly backfill?: boolean;
  readonly far: number;
  readonly seed: number;
  readonly cache?: string;
}

export function rolloutEvaluation(run: Run): Command {
  const command = new Command('rollout')
    .description(
      'What a change of models would bring without enrolling anybody again: the gallery of the old model, mapped, against probes of the new one, on people ' +
        'outside the fit. An adapter is chosen on the way as a rollout would choose it. Photos: one folder a person.',
    )
    .option('-d, --data <dir>', 'the data directory whose model packs are used', dataDefault)
    .requiredOption('--from <pack>', 'the model pack of the gallery')
    .requiredOption('--to <pack>', 'the model pack to move to')
    .option('--images <dir>', 'photos to fit on and to test with, in folds of people')
    .addOption(new Option('--folds <n>', 'folds of --images').argParser(wholeNumber).default(5))
    .addOption(new Option('--fit-images <dir>', 'photos to fit on').conflicts('images'))
    .addOption(
      new Option('--test-images <dir>', 'photos to test with; whoever is in both is tested').conflicts('images'),
    );
  alignedOption(command);
  faceOption(command);
  command
    .option('--people <n>', 'fit on at most so many people: a learning curve', wholeNumber)
    .option('--probe-map', 'also a map of new probes into the old space; twice the time')
    .option(
      '--backfill',
      'also galleries in which photos have replaced some mapped templates, the least certain first or at random',
    )
    .addOption(new Option('--far <rate>', 'the FAR at which adapters are compared').argParser(rate).default(1e-3))
    .addOption(new Option('--seed <n>', 'of everything random').argParser(wholeNumber).default(1))
    .option('--cache <file>', 'keep the vectors in this file, so that a second run resumes')
    .addOption(new Option('--provider <name>', 'where networks run').choices(executionProviders))
    .option('--detector <name>', 'face detector of the packs')
    .option('--threads <n>', 'CPU threads for networks', wholeNumber)
    .option('--models <dir>', 'where model packs are kept (default: DATA/models)');
  describe(
    command,
    [
      'harmonid evaluate rollout --from dlib-resnet-v1 --to arcface-r50 --images ./people --cache vectors.jsonl',
      'harmonid evaluate rollout --from v1 --to v2 --fit-images ./consented --test-images ./others --json',
    ],
    'With --json: the report, with "rows" (VAL and FNIR by way of comparing), "updateGain" and "selections".',
  );
  return command.action((options: RolloutOptions) => run(command, (terminal) => rollout(terminal, options)));
}

async function rollout(terminal: Terminal, options: RolloutOptions): Promise<ExitCode> {
  const { images, fitImages, testImages, folds, people, probeMap = false, backfill = false, far, seed } = options;
  if ((images === undefined) === (fitImages === undefined || testImages === undefined))
    throw usageError('either --images, or --fit-images and --test-images are wanted');
  if (folds < 2) throw usageError(`--folds is ${folds}, at least 2 are wanted`);
  const pair = (directory: string): Promise<PairSet> => pairFolder(terminal, options, directory);
  const split: RolloutEvaluationOptions['split'] =
    images !== undefined
      ? { kind: 'folds', pairs: await pair(images), folds }
      : { kind: 'given', fit: await pair(fitImages ?? ''), test: await pair(testImages ?? '') };
  const { openAlgebra } = await import('../../migrate/dense-algebra.js');
  const { evaluateRollout } = await import('../../evaluate/rollout.js');
  const algebra = await openAlgebra();
  let progress: Progress | undefined;
  try {
    const report = await evaluateRollout(algebra, {
      split,
      fitPeopleMax: people,
      far,
      fpir: 0.01,
      selectionFolds: 3,
      probeMap,
      backfill,
      seed,
      onProgress: (done, total) => (progress ??= startProgress(terminal, total, 'fits')).reach(done),
      signal: terminal.interrupt,
    });
    progress?.stop();
    const { formatRolloutReport } = await import('../../evaluate/rollout-table.js');
    if (options.json) printJson(terminal, report);
    else printLine(terminal, formatRolloutReport(report));
    return exitCodes.done;
  } finally {
    progress?.stop();
    await algebra.close();
  }
}

/** The photos of a folder through both models. */
async function pairFolder(terminal: Terminal, options: RolloutOptions, directory: string): Promise<PairSet> {
  const { photos } = await listPeople(directory);
  if (photos.length === 0) throw usageError(`there are no photos in folders of people in ${directory}`);
  const { pairPhotos } = await import('../../evaluate/rollout-pairs.js');
  const progress = startProgress(terminal, photos.length, 'photos');
  try {
    const { pairs, notFound } = await withEmbedder({ ...options, pack: options.from }, (from) =>
      withEmbedder({ ...options, pack: options.to }, (to) =>
        pairPhotos({
          from,
          to,
          photos: photos.map(({ identity, path }) => ({ person: identity, path })),
          kind: kindOf(options.aligned),
          faceChoice: options.face,
          cachePath: options.cache,
          onProgress: (done) => progress.reach(done),
          signal: terminal.interrupt,
        }),
      ),
    );
    progress.stop();
    if (notFound.length > 0) note(terminal, `no face found in ${notFound.length} of ${photos.length} photos`);
    return pairs;
  } finally {
    progress.stop();
  }
}
