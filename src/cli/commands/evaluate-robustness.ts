/** `harmonid evaluate robustness`: LFW's protocol on photos that are made worse. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { withEmbedder } from '../connection.js';
import { printReport, withProgress } from '../evaluation.js';
import { exitCodes, type ExitCode } from '../failure.js';
import type { DegradationKind } from '../../embedder/degradation.js';
import { describe, embedderOptions, rate, type EmbedderOptions } from '../options.js';
import { pairOptions, readProtocol, type PairEvaluationOptions } from '../pair-evaluation.js';
import type { Run } from '../run.js';
import type { Terminal } from '../terminal.js';

/** Said here once more, so that help loads no decoder. */
const kinds = [
  'jpeg',
  'size',
  'blur',
  'brightness',
  'rotation',
  'eyes',
  'mouth',
] as const satisfies readonly DegradationKind[];

interface RobustnessOptions extends PairEvaluationOptions, EmbedderOptions {
  readonly only?: readonly DegradationKind[];
  readonly far: number;
}

export function robustnessEvaluation(run: Run): Command {
  const command = new Command('robustness').description(
    'How much of its VAL a model keeps when both photos of a pair are compressed, shrunk, blurred, darkened, turned or covered, before a face is looked for. Each ' +
      'degradation is a run over all photos: with --only and --cache it can be done piece by piece.',
  );
  pairOptions(command, ['full', 'aligned', 'arcface112']);
  command
    .addOption(
      new Option('--only <kinds>', `of ${kinds.join(', ')}, with commas between (default: all)`).argParser(parseKinds),
    )
    .addOption(new Option('--far <rate>', 'the FAR at which thresholds are chosen').argParser(rate).default(1e-3));
  describe(
    command,
    [
      'harmonid evaluate robustness --images ./lfw --pairs pairs.txt --cache vectors.jsonl --html report.html',
      'harmonid evaluate robustness --images ./lfw --pairs pairs.txt --only jpeg,size --json',
    ],
    'With --json: the report, with "rows": one a degradation and level, the photos as they are first.',
  );
  embedderOptions(command);
  return command.action((options: RobustnessOptions) => run(command, (terminal) => degraded(terminal, options)));
}

async function degraded(terminal: Terminal, options: RobustnessOptions): Promise<ExitCode> {
  const protocol = await readProtocol(terminal, options);
  const { evaluateRobustness, standardDegradations } = await import('../../evaluate/robustness.js');
  const degradations = options.only && standardDegradations(options.only);
  const report = await withProgress(terminal, 'photos', (onProgress) =>
    withEmbedder(options, (embedder) =>
      evaluateRobustness({ ...protocol, embedder, degradations, far: options.far, onProgress }),
    ),
  );
  const { formatRobustnessReport } = await import('../../evaluate/robustness-table.js');
  await printReport(terminal, options, report, {
    table: () => formatRobustnessReport(report),
    page: async () => (await import('../../evaluate/robustness-page.js')).renderRobustnessPage(report),
  });
  return exitCodes.done;
}

function parseKinds(text: string): readonly DegradationKind[] {
  return text.split(',').map((name) => {
    const kind = kinds.find((known) => known === name.trim());
    if (!kind) throw new InvalidArgumentError(`Known kinds are ${kinds.join(', ')}.`);
    return kind;
  });
}
