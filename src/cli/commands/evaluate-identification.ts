/** `harmonid evaluate identification`: who is found in a gallery, who is missed, and who is taken for somebody else. */
import { Command, Option } from 'commander';
import { withEmbedder } from '../connection.js';
import { printReport, withStages } from '../evaluation.js';
import { exitCodes, type ExitCode } from '../failure.js';
import { describe, embedderOptions, wholeNumber, wholeNumbers, type EmbedderOptions } from '../options.js';
import { peopleOptions, readPeople, type PeopleEvaluationOptions } from '../people-evaluation.js';
import type { Run } from '../run.js';
import type { Terminal } from '../terminal.js';

interface IdentificationOptions extends PeopleEvaluationOptions, EmbedderOptions {
  readonly sizes?: readonly number[];
  readonly distractors?: readonly number[];
  readonly engine: 'exact' | 'hnsw' | 'both';
  readonly ef?: number;
  readonly seed: number;
}

export function identificationEvaluation(run: Run): Command {
  const command = new Command('identification').description(
    'Open-set search of one among many (NIST FRTE 1:N): some people are enrolled with one photo, their other photos and those of people who are not enrolled are ' +
      'searched for. FNIR at FPIR 1e-1, 1e-2 and 1e-3 with intervals over people, as the gallery grows. Photos: one folder a person.',
  );
  peopleOptions(command)
    .option('--sizes <list>', 'people enrolled, e.g. 500,1000 (default: half of them)', wholeNumbers)
    .option('--distractors <list>', 'synthetic strangers beside the largest of them, e.g. 10000,100000', wholeNumbers)
    .addOption(
      new Option('--engine <which>', 'exact search, the graph, or both, which also tells its recall')
        .choices(['exact', 'hnsw', 'both'])
        .default('both'),
    )
    .option(
      '--ef <n>',
      'width of the walk through the graph: larger finds more and takes longer (default: 128)',
      wholeNumber,
    )
    .addOption(
      new Option('--seed <n>', 'of who is enrolled, and of everything random').argParser(wholeNumber).default(1),
    );
  describe(
    command,
    [
      'harmonid evaluate identification --images ./people --cache vectors.jsonl --html report.html',
      'harmonid evaluate identification --images ./people --sizes 500,1000 --distractors 10000,100000 --json',
    ],
    'Synthetic strangers are drawn from a Gaussian of people’s vectors, and are easier than real ones.\n' +
      'With --json: the report, with "galleries" ("rank1", "atFpir", "det", "recall"), "searches" and "nearest". It and the page name people.',
  );
  embedderOptions(command);
  return command.action((options: IdentificationOptions) => run(command, (terminal) => identify(terminal, options)));
}

async function identify(terminal: Terminal, options: IdentificationOptions): Promise<ExitCode> {
  const people = await readPeople(terminal, options);
  const { sizes, distractors, engine, ef, seed } = options;
  const engines = engine === 'both' ? (['exact', 'hnsw'] as const) : [engine];
  const { evaluateIdentification } = await import('../../evaluate/identification.js');
  const report = await withStages(terminal, (onProgress) =>
    withEmbedder(options, (embedder) =>
      evaluateIdentification({ ...people, embedder, sizes, distractors, engines, ef, seed, onProgress }),
    ),
  );
  const { formatIdentificationReport } = await import('../../evaluate/identification-table.js');
  await printReport(terminal, options, report, {
    table: () => formatIdentificationReport(report),
    page: async () => (await import('../../evaluate/identification-page.js')).renderIdentificationPage(report),
  });
  return exitCodes.done;
}
