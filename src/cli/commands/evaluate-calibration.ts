/** `harmonid evaluate calibration`: do thresholds that are calibrated on some people keep others out as often as they say? */
import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { withEmbedder } from '../connection.js';
import { exitCodes, usageError, type ExitCode } from '../failure.js';
import {
  dataDefault,
  describe,
  embedderOptions,
  wholeNumber,
  wholeNumbers,
  type EmbedderOptions,
  type OutputOptions,
} from '../options.js';
import { listPeople } from '../photos.js';
import { startProgress, type Progress } from '../progress.js';
import type { Run } from '../run.js';
import { printJson, printLine, type Terminal } from '../terminal.js';

interface CalibrationOptions extends OutputOptions, EmbedderOptions {
  readonly data: string;
  readonly images: string;
  readonly aligned?: 'chip' | 'arcface112';
  readonly face: 'central' | 'largest';
  readonly sizes: readonly number[];
  readonly draws: number;
  readonly same?: string;
  readonly seed: number;
  readonly cache?: string;
}

export function calibrationEvaluation(run: Run): Command {
  const command = new Command('calibration')
    .description(
      'Whether `harmonid calibrate` keeps its promise: some people are drawn as a gallery and calibrated, the others are searched for in it as strangers. Prints the FPIR and FMR that ' +
        'were asked for and those that came. Photos: one folder a person.',
    )
    .option('-d, --data <dir>', 'the data directory whose model packs are used', dataDefault)
    .requiredOption('--images <dir>', 'photos: one folder a person')
    .addOption(
      new Option('--aligned <how>', "the photos are crops: of the model's chip, or InsightFace's of 112x112").choices([
        'chip',
        'arcface112',
      ]),
    )
    .addOption(
      new Option('--face <which>', 'the face that is meant when a photo shows several')
        .choices(['central', 'largest'])
        .default('central'),
    )
    .requiredOption('--sizes <list>', 'people enrolled, e.g. 500,1400; at least 100', wholeNumbers)
    .addOption(new Option('--draws <n>', 'times that people are drawn').argParser(wholeNumber).default(20))
    .option('--same <file>', 'people who have two names: a line for each, the names with a comma between them')
    .addOption(new Option('--seed <n>', 'of who is enrolled').argParser(wholeNumber).default(1))
    .option('--cache <file>', 'keep the vectors in this file, so that a second run resumes');
  describe(
    command,
    [
      'harmonid evaluate calibration --images ./people --sizes 500,1400 --cache vectors.jsonl',
      'harmonid evaluate calibration --images ./people --sizes 500 --draws 50 --json',
    ],
    'With --json: the report, with "galleries" ("rates": "kind", "asked", "realised", "low", "high", "threshold").',
  );
  embedderOptions(command);
  return command.action((options: CalibrationOptions) => run(command, (terminal) => evaluate(terminal, options)));
}

async function evaluate(terminal: Terminal, options: CalibrationOptions): Promise<ExitCode> {
  const { images, aligned, draws } = options;
  if (draws < 2) throw usageError(`--draws is ${draws}, at least 2 are wanted`);
  const { photos } = await listPeople(images);
  if (photos.length === 0) throw usageError(`there are no photos in folders of people in ${images}`);
  const same = options.same === undefined ? [] : parseSame(await readNames(options.same), options.same);
  const { evaluateCalibration } = await import('../../evaluate/calibration.js');
  let progress: Progress | undefined;
  let shown = '';
  try {
    const report = await withEmbedder(options, (embedder) =>
      evaluateCalibration({
        embedder,
        photos: photos.map(({ identity, path }) => ({ person: identity, path })),
        kind: aligned === undefined ? 'full' : aligned === 'chip' ? 'aligned' : aligned,
        faceChoice: options.face,
        sizes: options.sizes,
        draws,
        same,
        seed: options.seed,
        cachePath: options.cache,
        onProgress: (stage, done, total) => {
          if (stage !== shown) {
            progress?.stop();
            progress = startProgress(terminal, total, stage);
            shown = stage;
          }
          progress?.reach(done);
        },
        signal: terminal.interrupt,
      }),
    );
    progress?.stop();
    const { formatCalibrationEvaluation } = await import('../../evaluate/calibration-table.js');
    if (options.json) printJson(terminal, report);
    else printLine(terminal, formatCalibrationEvaluation(report));
    return exitCodes.done;
  } finally {
    progress?.stop();
  }
}

async function readNames(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    throw usageError(`cannot read ${path}`);
  }
}

function parseSame(text: string, path: string): readonly (readonly [string, string])[] {
  return text.split('\n').flatMap((line, at) => {
    if (line.trim() === '') return [];
    const [one, other, ...more] = line.split(',').map((name) => name.trim());
    if (!one || !other || more.length > 0)
      throw usageError(`${path}, line ${at + 1}: two names with a comma between them are wanted, found "${line}"`);
    return [[one, other] as const];
  });
}
