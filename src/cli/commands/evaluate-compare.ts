/** `harmonid evaluate compare`: LFW's protocol on several model packs. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { openEmbedder } from '../connection.js';
import { printReport, withProgress } from '../evaluation.js';
import { exitCodes, type ExitCode } from '../failure.js';
import { describe, embedderOptions, type EmbedderOptions } from '../options.js';
import { pairOptions, readProtocol, type PairEvaluationOptions } from '../pair-evaluation.js';
import type { Run } from '../run.js';
import type { Terminal } from '../terminal.js';

interface CompareOptions extends PairEvaluationOptions, Omit<EmbedderOptions, 'pack'> {
  readonly packs: readonly string[];
}

export function compareEvaluation(run: Run): Command {
  const command = new Command('compare').description(
    'Two or more model packs on the same photos and pairs: accuracy, VAL, thresholds, faces not found, speed, and how much they differ from the first, fold by fold.',
  );
  command.addOption(
    new Option('--packs <ids>', 'model packs, with commas between; the others are compared with the first')
      .argParser(parsePacks)
      .makeOptionMandatory(),
  );
  pairOptions(command, ['full', 'centre', 'aligned', 'arcface112']);
  describe(
    command,
    [
      'harmonid evaluate compare --packs dlib-resnet-v1,arcface-r50 --images ./lfw --pairs pairs.txt',
      'harmonid evaluate compare --packs v1,v2,v3 --images ./lfw --pairs pairs.txt --cache vectors.jsonl --html report.html',
    ],
    'Packs that are read from a cache have no speed. With --json: the report, with "packs": each with its "report", "vals" and "accuracyDifference".',
  );
  embedderOptions(command, { pack: false });
  return command.action((options: CompareOptions) => run(command, (terminal) => compare(terminal, options)));
}

async function compare(terminal: Terminal, options: CompareOptions): Promise<ExitCode> {
  const protocol = await readProtocol(terminal, options);
  const { comparePacks } = await import('../../evaluate/pack-comparison.js');
  const packs = options.packs.map((pack) => () => openEmbedder({ ...options, pack }));
  const report = await withProgress(terminal, 'photos', (onProgress) =>
    comparePacks({ ...protocol, packs, onProgress }),
  );
  const { formatPackComparison } = await import('../../evaluate/pack-comparison-table.js');
  await printReport(terminal, options, report, {
    table: () => formatPackComparison(report),
    page: async () => (await import('../../evaluate/pack-comparison-page.js')).renderPackComparisonPage(report),
  });
  return exitCodes.done;
}

export function parsePacks(text: string): readonly string[] {
  const packs = text.split(',').map((pack) => pack.trim());
  if (packs.length < 2 || packs.includes('')) throw new InvalidArgumentError('Two or more packs are wanted: A,B.');
  if (new Set(packs).size < packs.length) throw new InvalidArgumentError('A pack is named twice.');
  return packs;
}
