/** `harmonid evaluate dimensions`: LFW's protocol on embeddings with fewer dimensions or fewer bits. */
import { Command } from 'commander';
import { withEmbedder } from '../connection.js';
import { printReport, withProgress } from '../evaluation.js';
import { exitCodes, type ExitCode } from '../failure.js';
import { describe, embedderOptions, type EmbedderOptions } from '../options.js';
import { pairOptions, readProtocol, type PairEvaluationOptions } from '../pair-evaluation.js';
import type { Run } from '../run.js';
import type { Terminal } from '../terminal.js';

type DimensionsOptions = PairEvaluationOptions & EmbedderOptions;

export function dimensionsEvaluation(run: Run): Command {
  const command = new Command('dimensions').description(
    'What embeddings are worth when they are cut to fewer dimensions, projected on fewer, or stored in one byte a dimension, with the difference to float32 on ' +
      'the same pairs. Whatever is learned for it comes from other people than those judged.',
  );
  pairOptions(command, ['full', 'centre', 'aligned', 'arcface112']);
  describe(
    command,
    [
      'harmonid evaluate dimensions --images ./lfw --pairs pairs.txt --cache vectors.jsonl',
      'harmonid evaluate dimensions --images ./lfw --pairs pairs.txt --html report.html --json',
    ],
    'With --json: the report, with "rows": one a way of compressing, float32 first.',
  );
  embedderOptions(command);
  return command.action((options: DimensionsOptions) => run(command, (terminal) => compress(terminal, options)));
}

async function compress(terminal: Terminal, options: DimensionsOptions): Promise<ExitCode> {
  const protocol = await readProtocol(terminal, options);
  const { openAlgebra } = await import('../../migrate/dense-algebra.js');
  const { evaluateDimensions } = await import('../../evaluate/dimensions.js');
  const algebra = await openAlgebra();
  try {
    const report = await withProgress(terminal, 'photos', (onProgress) =>
      withEmbedder(options, (embedder) => evaluateDimensions({ ...protocol, embedder, algebra, onProgress })),
    );
    const { formatDimensionsReport } = await import('../../evaluate/dimensions-table.js');
    await printReport(terminal, options, report, {
      table: () => formatDimensionsReport(report),
      page: async () => (await import('../../evaluate/dimensions-page.js')).renderDimensionsPage(report),
    });
    return exitCodes.done;
  } finally {
    await algebra.close();
  }
}
