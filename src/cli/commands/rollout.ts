/** `harmonid rollout`: move a gallery to another model, step by step, and back. */
import { Command } from 'commander';
import type { Database } from '../../api.js';
import { confirm } from '../confirmation.js';
import { withDatabase } from '../connection.js';
import { exitCodes, usageError } from '../failure.js';
import {
  decimalNumber,
  describe,
  embedderOptions,
  groupOption,
  wholeNumber,
  type EmbedderOptions,
  type TargetOptions,
} from '../options.js';
import { statusText } from '../rollout-text.js';
import type { Run } from '../run.js';
import { painter, printJson, printLine } from '../terminal.js';
import { table } from '../wording.js';
import { fitCommand, reportCommand, shadowCommand } from './rollout-fit.js';
import { backfillCommand, pairsCommand } from './rollout-photos.js';
import { probesCommand } from './rollout-probes.js';
import { printRollout, rolloutJson, stepCommand } from './rollout-step.js';

export function rolloutCommand(run: Run): Command {
  const command = new Command('rollout')
    .summary('move a gallery to another model without its photos')
    .description(
      'Moves a gallery to another model: faces in both spaces (pairs) teach an adapter (fit) that maps the templates (shadow); the new space then answers some searches (canary) and all of them (activate). Until it is complete, the way back is open (rollback).',
    );
  command.addHelpText(
    'after',
    `
Examples:
  $ harmonid rollout start lobby --to arcface-r50
  $ harmonid rollout pairs lobby --images ./consented
  $ harmonid rollout fit lobby
  $ harmonid rollout shadow lobby
  $ harmonid rollout canary lobby --share 0.1
  $ harmonid rollout activate lobby
  $ harmonid rollout status lobby`,
  );
  const steps = [
    startCommand,
    pairsCommand,
    probesCommand,
    fitCommand,
    reportCommand,
    shadowCommand,
    canaryCommand,
    activateCommand,
  ];
  for (const make of [...steps, backfillCommand, orderCommand, statusCommand, rollbackCommand, completeCommand])
    command.addCommand(make(run));
  return command;
}

interface StartOptions extends TargetOptions, EmbedderOptions {
  readonly to?: string;
  readonly toSpace?: string;
  readonly dimensions?: number;
  readonly threshold?: number;
  readonly mapMapped?: boolean;
}

function startCommand(run: Run): Command {
  const command = stepCommand(
    'start',
    'Begins to move a gallery to another model pack, or to a space whose vectors are made elsewhere. Nothing changes for anybody yet.',
  );
  command
    .option('--to <pack>', 'the model pack to move to (`harmonid models list`)')
    .option('--to-space <name>', 'or a space of your own (with --dimensions and --threshold)')
    .option('--dimensions <n>', 'length of its vectors', wholeNumber)
    .option('--threshold <distance>', 'a match is within this there, squared L2', decimalNumber)
    .option('--map-mapped', 'map also what was mapped from a former model (a map of a map is worse)');
  describe(
    command,
    [
      'harmonid rollout start lobby --to arcface-r50',
      'harmonid rollout start vectors --to-space my-model-v3 --dimensions 512 --threshold 0.9',
    ],
    rolloutJson,
  );
  embedderOptions(command);
  return command.action((gallery: string, options: StartOptions) =>
    run(command, async (terminal) => {
      const { mapMapped } = options;
      const request = { gallery, ...destinationOf(options), mapMapped, signal: terminal.interrupt };
      const need = { images: options.to !== undefined, create: false };
      const rollout = await withDatabase(options, need, ({ rollouts }) => rollouts.start(request));
      printRollout(terminal, rollout, options.json);
      return exitCodes.done;
    }),
  );
}

/** @throws a usage error unless it is one pack, or one whole space */
function destinationOf({ to, toSpace, dimensions, threshold }: StartOptions) {
  if ((to === undefined) === (toSpace === undefined))
    throw usageError('one of --to PACK and --to-space NAME is wanted');
  if (toSpace === undefined) {
    if (dimensions !== undefined || threshold !== undefined)
      throw usageError('--dimensions and --threshold go with --to-space; a pack has its own');
    return { pack: to };
  }
  if (dimensions === undefined || threshold === undefined)
    throw usageError('--to-space needs --dimensions and --threshold');
  return { target: { space: toSpace, dimensions, threshold } };
}

interface CanaryOptions extends TargetOptions {
  readonly share?: number;
  readonly group?: readonly string[];
}

function canaryCommand(run: Run): Command {
  const command = stepCommand(
    'canary',
    'Lets the new space answer a share of the image probes, and all searches in some groups.',
  );
  command.option('--share <share>', 'share of the image probes, 0 to 1', decimalNumber);
  groupOption(command, 'searches that name this group are answered by the new space');
  describe(
    command,
    ['harmonid rollout canary lobby --share 0.1', 'harmonid rollout canary lobby --group staff'],
    rolloutJson,
  );
  return command.action((gallery: string, options: CanaryOptions) =>
    run(command, async (terminal) => {
      const { share, group: groups } = options;
      if (share === undefined && groups === undefined) throw usageError('--share or --group is wanted');
      const rollout = await onRollout(options, ({ rollouts }) =>
        rollouts.canary({ gallery, share, groups, signal: terminal.interrupt }),
      );
      printRollout(terminal, rollout, options.json);
      return exitCodes.done;
    }),
  );
}

function activateCommand(run: Run): Command {
  const command = stepCommand(
    'activate',
    'The new space serves from now on; the old one is kept up to date, so that the way back stays open.',
  );
  command
    .option('--fuse', 'judge photos by both models together until it is complete, at twice the cost')
    .option('--re-enrol', 'let confident live probes of good quality take the places of mapped templates');
  describe(command, ['harmonid rollout activate lobby', 'harmonid rollout activate lobby --fuse'], rolloutJson);
  return command.action((gallery: string, options: ActivateOptions) =>
    run(command, async (terminal) => {
      const rollout = await onRollout(options, ({ rollouts }) =>
        rollouts.activate({ gallery, fuse: options.fuse, reEnrol: options.reEnrol, signal: terminal.interrupt }),
      );
      printRollout(terminal, rollout, options.json);
      return exitCodes.done;
    }),
  );
}

interface ActivateOptions extends TargetOptions {
  readonly fuse?: boolean;
  readonly reEnrol?: boolean;
}

interface OrderOptions extends TargetOptions {
  readonly limit?: number;
}

function orderCommand(run: Run): Command {
  const command = stepCommand(
    'order',
    'Lists whose photos to look for first: the people whose mapped templates are the least certain.',
  );
  command.option('--limit <n>', 'so many people at most (default: 100)', wholeNumber);
  describe(
    command,
    ['harmonid rollout order lobby', 'harmonid rollout order lobby --limit 1000 --json'],
    'With --json: {"candidates":[{"identity","uncertainty"}]}, the least certain first.',
  );
  return command.action((gallery: string, options: OrderOptions) =>
    run(command, async (terminal) => {
      const { limit } = options;
      const candidates = await onRollout(options, ({ rollouts }) =>
        rollouts.backfillOrder({ gallery, limit, signal: terminal.interrupt }),
      );
      if (options.json) printJson(terminal, { candidates });
      else {
        const rows = candidates.map(({ identity, uncertainty }) => [identity, uncertainty.toPrecision(3)]);
        printLine(
          terminal,
          rows.length === 0
            ? 'nobody has mapped templates'
            : table(painter(terminal, 'stdout'), ['identity', 'uncertainty'], rows),
        );
      }
      return exitCodes.done;
    }),
  );
}

function statusCommand(run: Run): Command {
  const command = stepCommand(
    'status',
    'Shows where the rollout of a gallery stands, or how its newest one ended, with its journal.',
  );
  describe(command, ['harmonid rollout status lobby', 'harmonid rollout status lobby --json'], rolloutJson);
  return command.action((gallery: string, options: TargetOptions) =>
    run(command, async (terminal) => {
      const rollout = await onRollout(options, ({ rollouts }) => rollouts.get({ gallery, signal: terminal.interrupt }));
      printRollout(terminal, rollout, options.json, statusText);
      return exitCodes.done;
    }),
  );
}

interface RollbackOptions extends TargetOptions {
  readonly yes?: boolean;
}

function rollbackCommand(run: Run): Command {
  const command = stepCommand('rollback', 'The old space serves again, with everybody in it, and the rollout ends.');
  command.option('-y, --yes', 'do not ask');
  describe(command, ['harmonid rollout rollback lobby', 'harmonid rollout rollback lobby --yes'], rolloutJson);
  return command.action((gallery: string, options: RollbackOptions) =>
    run(command, async (terminal) => {
      if (!(await confirm(terminal, `end the rollout of gallery ${gallery} and go back?`, options.yes ?? false)))
        return exitCodes.no;
      const rollout = await onRollout(options, ({ rollouts }) =>
        rollouts.rollback({ gallery, signal: terminal.interrupt }),
      );
      printRollout(terminal, rollout, options.json);
      return exitCodes.done;
    }),
  );
}

interface CompleteOptions extends TargetOptions {
  readonly now?: boolean;
  readonly yes?: boolean;
}

function completeCommand(run: Run): Command {
  const command = stepCommand(
    'complete',
    'Removes the old vectors. There is no way back. It waits for 7 days after the activation, unless --now is given.',
  );
  command.option('--now', 'do not wait for the grace period').option('-y, --yes', 'do not ask');
  describe(command, ['harmonid rollout complete lobby', 'harmonid rollout complete lobby --now --yes'], rolloutJson);
  return command.action((gallery: string, options: CompleteOptions) =>
    run(command, async (terminal) => {
      const question = `remove the old vectors of gallery ${gallery} for good?`;
      if (!(await confirm(terminal, question, options.yes ?? false))) return exitCodes.no;
      const { now } = options;
      const rollout = await onRollout(options, ({ rollouts }) =>
        rollouts.complete({ gallery, now, signal: terminal.interrupt }),
      );
      printRollout(terminal, rollout, options.json);
      return exitCodes.done;
    }),
  );
}

/** Steps that embed nothing. */
async function onRollout<T>(options: TargetOptions, work: (database: Database) => Promise<T>): Promise<T> {
  return withDatabase(options, { images: false, create: false }, work);
}
