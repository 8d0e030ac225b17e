/** `harmonid evaluate calibration`: do thresholds that are calibrated on some people keep others out as often as they say? */
import { readFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { withEmbedder } from '../connection.js';
import { printReport, withStages } from '../evaluation.js';
import { exitCodes, usageError, type ExitCode } from '../failure.js';
import { describe, embedderOptions, wholeNumber, wholeNumbers, type EmbedderOptions } from '../options.js';
import { peopleOptions, readPeople, type PeopleEvaluationOptions } from '../people-evaluation.js';
import type { Run } from '../run.js';
import type { Terminal } from '../terminal.js';

interface CalibrationOptions extends PeopleEvaluationOptions, EmbedderOptions {
  readonly sizes: readonly number[];
  readonly draws: number;
  readonly same?: string;
  readonly seed: number;
}

export function calibrationEvaluation(run: Run): Command {
  const command = new Command('calibration').description(
    'Whether `harmonid calibrate` keeps its promise: some people are drawn as a gallery and calibrated, the others are searched for in it as strangers. Prints the FPIR and FMR that ' +
      'were asked for and those that came. Photos: one folder a person.',
  );
  peopleOptions(command)
    .requiredOption('--sizes <list>', 'people enrolled, e.g. 500,1400; at least 100', wholeNumbers)
    .addOption(new Option('--draws <n>', 'times that people are drawn').argParser(wholeNumber).default(20))
    .option('--same <file>', 'people who have two names: a line for each, the names with a comma between them')
    .addOption(new Option('--seed <n>', 'of who is enrolled').argParser(wholeNumber).default(1));
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
  const { sizes, draws, seed } = options;
  if (draws < 2) throw usageError(`--draws is ${draws}, at least 2 are wanted`);
  const people = await readPeople(terminal, options);
  const same = options.same === undefined ? [] : await readSame(options.same);
  const { evaluateCalibration } = await import('../../evaluate/calibration.js');
  const report = await withStages(terminal, (onProgress) =>
    withEmbedder(options, (embedder) =>
      evaluateCalibration({ ...people, embedder, sizes, draws, same, seed, onProgress }),
    ),
  );
  const { formatCalibrationEvaluation } = await import('../../evaluate/calibration-table.js');
  await printReport(terminal, options, report, {
    table: () => formatCalibrationEvaluation(report),
    page: async () =>
      (await import('../../evaluate/calibration-evaluation-page.js')).renderCalibrationEvaluationPage(report),
  });
  return exitCodes.done;
}

/** Names of people who have two. @throws a usage error for a file that is none */
export async function readSame(path: string): Promise<readonly (readonly [string, string])[]> {
  const text = await readFile(path, 'utf8').catch(() => {
    throw usageError(`cannot read ${path}`);
  });
  return text.split('\n').flatMap((line, at) => {
    if (line.trim() === '') return [];
    const [one, other, ...more] = line.split(',').map((name) => name.trim());
    if (!one || !other || more.length > 0)
      throw usageError(`${path}, line ${at + 1}: two names with a comma between them are wanted, found "${line}"`);
    return [[one, other] as const];
  });
}
