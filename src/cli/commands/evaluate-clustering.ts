/** `harmonid evaluate clustering`: how well clusters of faces are people, with the cut from other people. */
import { Command, Option } from 'commander';
import { withEmbedder } from '../connection.js';
import { printReport, withStages } from '../evaluation.js';
import { exitCodes, type ExitCode } from '../failure.js';
import { describe, embedderOptions, wholeNumber, type EmbedderOptions } from '../options.js';
import { peopleOptions, readPeople, type PeopleEvaluationOptions } from '../people-evaluation.js';
import type { Run } from '../run.js';
import type { Terminal } from '../terminal.js';

interface ClusteringOptions extends PeopleEvaluationOptions, EmbedderOptions {
  readonly photosMin: number;
  readonly seed: number;
}

export function clusteringEvaluation(run: Run): Command {
  const command = new Command('clustering').description(
    'How well clusters of faces are people: pairwise F1 and BCubed F of all linkages. The cut is chosen on half of the people and scored on the other half, both ways. Photos: one folder a person.',
  );
  peopleOptions(command)
    .option('--photos-min <n>', 'leave out people with fewer photos', wholeNumber, 3)
    .addOption(new Option('--seed <n>', 'of the halves').argParser(wholeNumber).default(1));
  describe(
    command,
    [
      'harmonid evaluate clustering --images ./people --cache vectors.jsonl --html report.html',
      'harmonid evaluate clustering --images ./crops --aligned arcface112 --seed 2 --json',
    ],
    'With --json: the report, with "rows": each linkage with "pairwiseF", "bcubedF" and both "halves" with "cut" and "scores".',
  );
  embedderOptions(command);
  return command.action((options: ClusteringOptions) => run(command, (terminal) => evaluate(terminal, options)));
}

async function evaluate(terminal: Terminal, options: ClusteringOptions): Promise<ExitCode> {
  const people = await readPeople(terminal, options);
  const { photosMin, seed } = options;
  const { evaluateClustering } = await import('../../evaluate/clustering.js');
  const report = await withStages(terminal, (onProgress) =>
    withEmbedder(options, (embedder) => evaluateClustering({ ...people, embedder, photosMin, seed, onProgress })),
  );
  const { formatClusteringReport } = await import('../../evaluate/clustering-table.js');
  await printReport(terminal, options, report, {
    table: () => formatClusteringReport(report),
    page: async () => (await import('../../evaluate/clustering-page.js')).renderClusteringPage(report),
  });
  return exitCodes.done;
}
