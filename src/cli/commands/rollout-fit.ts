/** `harmonid rollout fit`, `report` and `shadow`: the adapter, what it is worth, and its use. */
import { writeFile } from 'node:fs/promises';
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Database, GateName, Rollout, RolloutProgress, ShadowRolloutRequest } from '../../api.js';
import { HarmonidError, isHarmonidError } from '../../errors.js';
import { isRefusing } from '../../migrate/gates.js';
import { estimators, gateNames, type Estimator } from '../../migrate/rollout.js';
import { withDatabase } from '../connection.js';
import { exitCodes } from '../failure.js';
import { describe, rate, wholeNumber, type TargetOptions } from '../options.js';
import { startProgress, type Progress } from '../progress.js';
import { gatesText, reportText } from '../rollout-text.js';
import type { Run } from '../run.js';
import { note, painter, printJson, printLine, type Terminal } from '../terminal.js';
import { printRollout, rolloutJson, stepCommand } from './rollout-step.js';

const nothingEmbedded = { images: false, create: false };

interface FitOptions extends TargetOptions {
  readonly far?: number;
  readonly seed?: number;
  readonly estimators?: readonly Estimator[];
}

export function fitCommand(run: Run): Command {
  const command = stepCommand(
    'fit',
    'Fits the whole ladder of adapters on the pairs, and asks the gates whether the best may serve, on people outside its fit. It takes minutes.',
  );
  command
    .option(
      '--far <rate>',
      'the FAR at which it will operate (default: that of the present threshold if the pairs can tell it, else 1e-3)',
      rate,
    )
    .option('--seed <n>', 'of everything random (default: 1)', wholeNumber)
    .addOption(
      new Option('--estimators <names...>', 'the rungs of the ladder that are tried (default: all)').choices(
        estimators,
      ),
    );
  describe(
    command,
    ['harmonid rollout fit lobby', 'harmonid rollout fit lobby --far 1e-4 --json'],
    `${rolloutJson}\nExit code 1 when a gate refuses; "fit"."gates" says which, and what would help.`,
  );
  return command.action((gallery: string, options: FitOptions) =>
    run(command, async (terminal) => {
      const { far, seed, estimators: tried } = options;
      const rollout = await withDatabase(options, nothingEmbedded, ({ rollouts }) =>
        follow(terminal, rollouts.fit({ gallery, far, seed, estimators: tried, signal: terminal.interrupt })),
      );
      if (!options.json && rollout.fit)
        printLine(terminal, `${gatesText(painter(terminal, 'stdout'), rollout.fit.gates)}\n`);
      printRollout(terminal, rollout, options.json);
      return rollout.state === 'fitted' ? exitCodes.refused : exitCodes.done;
    }),
  );
}

interface ReportOptions extends TargetOptions {
  readonly html?: string;
}

export function reportCommand(run: Run): Command {
  const command = stepCommand(
    'report',
    'Shows what the newest fit measured: VAL at its FAR, gates, estimators, thresholds, people lost.',
  );
  command.option('--html <file>', 'also write a page with the curves (readable by its owner only)');
  describe(
    command,
    ['harmonid rollout report lobby', 'harmonid rollout report lobby --html report.html'],
    'The page names people who were lost. With --json: the report, with "gates", "val", "updateGain", "scores", "cells", "curves" and "lost".',
  );
  return command.action((gallery: string, options: ReportOptions) =>
    run(command, async (terminal) => {
      const asked = { gallery, signal: terminal.interrupt };
      const { report, rollout } = await withDatabase(options, nothingEmbedded, async ({ rollouts }) => ({
        report: await rollouts.report(asked),
        rollout: await rollouts.get(asked),
      }));
      if (options.html !== undefined) {
        // It names people.
        const { renderRolloutPage } = await import('../../evaluate/rollout-page.js');
        await writeFile(options.html, await renderRolloutPage(report, rollout), { mode: 0o600 });
        note(terminal, `written: ${options.html}`);
      }
      if (options.json) printJson(terminal, report);
      else printLine(terminal, reportText(painter(terminal, 'stdout'), report));
      return exitCodes.done;
    }),
  );
}

interface ShadowOptions extends TargetOptions {
  readonly overrule?: readonly GateName[];
}

export function shadowCommand(run: Run): Command {
  const command = stepCommand(
    'shadow',
    'Opens the new space beside the old one and maps the gallery into it. From then on writes go to both; the old one serves.',
  );
  command.option(
    '--overrule <gate>',
    'go on although this gate refuses; it is written into the journal; may be repeated',
    collectGate,
  );
  describe(
    command,
    ['harmonid rollout shadow lobby', 'harmonid rollout shadow lobby --overrule groups'],
    `Gates: ${gateNames.join(', ')}.\n${rolloutJson}`,
  );
  return command.action((gallery: string, options: ShadowOptions) =>
    run(command, async (terminal) => {
      const request = { gallery, overrule: options.overrule, signal: terminal.interrupt };
      const rollout = await withDatabase(options, nothingEmbedded, (database) => shadow(terminal, database, request));
      printRollout(terminal, rollout, options.json);
      return exitCodes.done;
    }),
  );
}

/** A refusal that comes from a server has no details when they are too long for its trailer: the gates are the fit's. */
async function shadow(terminal: Terminal, { rollouts }: Database, request: ShadowRolloutRequest): Promise<Rollout> {
  try {
    return await follow(terminal, rollouts.shadow(request));
  } catch (error) {
    if (!isHarmonidError(error) || error.code !== 'GATE_REFUSED' || error.details['gates'] !== undefined) throw error;
    const { fit } = await rollouts.get({ gallery: request.gallery });
    const gates = fit?.gates.filter(isRefusing);
    throw new HarmonidError(error.code, error.message, { details: { ...error.details, gates }, cause: error });
  }
}

function collectGate(value: string, previous: readonly GateName[] | undefined): readonly GateName[] {
  const gate = gateNames.find((known) => known === value);
  if (!gate) throw new InvalidArgumentError(`Known gates are ${gateNames.join(', ')}.`);
  return [...(previous ?? []), gate];
}

/** What is counted in each stage. */
const stageUnits = {
  pairs: 'pairs',
  select: 'fits to choose by',
  fit: 'adapters',
  gates: 'gates',
  map: 'templates mapped',
  embed: 'photos',
  clear: 'templates removed',
} as const satisfies Record<RolloutProgress['stage'], string>;

/** A progress bar a stage; returns the rollout at the end. */
async function follow(terminal: Terminal, steps: AsyncGenerator<RolloutProgress, Rollout, void>): Promise<Rollout> {
  let stage: RolloutProgress['stage'] | undefined;
  let bar: Progress | undefined;
  try {
    for (;;) {
      const next = await steps.next();
      if (next.done) return next.value;
      const { done, total } = next.value;
      if (next.value.stage !== stage) {
        stage = next.value.stage;
        bar?.stop();
        bar = startProgress(terminal, total, stageUnits[stage]);
      }
      bar?.reach(done);
    }
  } finally {
    bar?.stop();
  }
}
