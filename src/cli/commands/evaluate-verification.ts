/** `harmonid evaluate verification`: LFW's protocol on photos and a list of pairs. */
import { Command } from 'commander';
import { withEmbedder } from '../connection.js';
import { printReport, withProgress } from '../evaluation.js';
import { exitCodes, type ExitCode } from '../failure.js';
import { describe, embedderOptions, type EmbedderOptions } from '../options.js';
import { pairOptions, readProtocol, type PairEvaluationOptions } from '../pair-evaluation.js';
import type { Run } from '../run.js';
import type { Terminal } from '../terminal.js';

type VerificationOptions = PairEvaluationOptions & EmbedderOptions;

export function verificationEvaluation(run: Run): Command {
  const command = new Command('verification').description(
    'Ten-fold verification as on LFW (view 2): accuracy with its standard error, VAL at FAR 1e-1 and as far down as the pairs can tell, threshold, faces not ' +
      'found, photos a second. The page shows every pair that was decided wrongly.',
  );
  pairOptions(command, ['full', 'centre', 'aligned', 'arcface112']);
  describe(
    command,
    [
      'harmonid evaluate verification --images ./lfw --pairs pairs.txt',
      'harmonid evaluate verification --images ./lfw --pairs pairs.txt --mirror --html report.html',
      'harmonid evaluate verification --images ./lfw --pairs pairs.txt --mode centre --json',
    ],
    'With --json: the report, with "accuracy", "valAtFar", "threshold", "facesNotFound", "wronglyClassified" and "imagesPerSecond".',
  );
  embedderOptions(command);
  return command.action((options: VerificationOptions) => run(command, (terminal) => verify(terminal, options)));
}

async function verify(terminal: Terminal, options: VerificationOptions): Promise<ExitCode> {
  const protocol = await readProtocol(terminal, options);
  const { evaluateVerification } = await import('../../evaluate/verification.js');
  const report = await withProgress(terminal, 'photos', (onProgress) =>
    withEmbedder(options, (embedder) => evaluateVerification({ ...protocol, embedder, onProgress })),
  );
  const { formatVerificationReport } = await import('../../evaluate/verification-table.js');
  await printReport(terminal, options, report, {
    table: () => formatVerificationReport(report),
    page: async () => {
      const { renderVerificationPage } = await import('../../evaluate/verification-page.js');
      const { readPhoto } = await import('../../evaluate/photo-vectors.js');
      return renderVerificationPage(report, (photo) => readPhoto(options.images, photo));
    },
  });
  return exitCodes.done;
}
