/** `harmonid rollout probes`: what live image probes are used for while a gallery moves. */
import type { Command } from 'commander';
import type { RolloutProbesRequest } from '../../api.js';
import { withDatabase } from '../connection.js';
import { exitCodes, usageError } from '../failure.js';
import {
  decimalNumber,
  describe,
  embedderOptions,
  wholeNumber,
  type EmbedderOptions,
  type TargetOptions,
} from '../options.js';
import { statusText } from '../rollout-text.js';
import type { Run } from '../run.js';
import { printRollout, rolloutJson, stepCommand } from './rollout-step.js';

interface ProbesOptions extends TargetOptions, EmbedderOptions {
  readonly share?: number;
  readonly collectPairs?: boolean;
  readonly consent?: boolean;
  readonly retentionDays?: number;
}

export function probesCommand(run: Run): Command {
  const command = stepCommand(
    'probes',
    'Sets what live image probes are used for: a share of them goes through both models, to compare what both spaces say, and to be kept as pairs for the fit. From the draft on: where there are no photos, pairs come from the door.',
  );
  command
    .summary('sets what live image probes are used for: comparisons, and pairs for the fit')
    .option(
      '--share <share>',
      'share of the image probes that go through both models, 0 to 1 (default: 1)',
      decimalNumber,
    )
    .option('--collect-pairs', 'keep those that match somebody as pairs (with --consent and --retention-days)')
    .option('--consent', 'the people have agreed to that')
    .option('--retention-days <n>', 'how long such a pair is kept', wholeNumber);
  describe(
    command,
    [
      'harmonid rollout probes lobby --collect-pairs --consent --retention-days 30',
      'harmonid rollout probes lobby --share 0.2',
    ],
    `Without --collect-pairs none is kept any more; those that are stay until their time is over.\n${rolloutJson}`,
  );
  embedderOptions(command);
  return command.action((gallery: string, options: ProbesOptions) =>
    run(command, async (terminal) => {
      const collectPairs = collectPairsOf(options);
      const request = { gallery, share: options.share, collectPairs, signal: terminal.interrupt };
      const need = { images: collectPairs !== undefined, create: false };
      const rollout = await withDatabase(options, need, ({ rollouts }) => rollouts.probes(request));
      printRollout(terminal, rollout, options.json, statusText);
      return exitCodes.done;
    }),
  );
}

/** @throws a usage error when consent or retention are missing, or stand alone */
function collectPairsOf({ collectPairs, consent, retentionDays }: ProbesOptions): RolloutProbesRequest['collectPairs'] {
  if (!collectPairs) {
    if (consent || retentionDays !== undefined)
      throw usageError('--consent and --retention-days go with --collect-pairs');
    return undefined;
  }
  if (!consent || retentionDays === undefined)
    throw usageError('--collect-pairs keeps faces: it needs --consent and --retention-days N');
  return { consent, retentionDays };
}
