/** `harmonid gallery doctor`: duplicates, mislabelled templates and weak enrolments, and a plan to mend them. */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import type { Database } from '../../api.js';
import type { DoctorReport } from '../../doctor/gallery-doctor.js';
import type { TreatmentPlan, TreatmentStep } from '../../doctor/treatment-plan.js';
import { weaknessWords } from '../../doctor/weakness-words.js';
import { confirm } from '../confirmation.js';
import { withDatabase } from '../connection.js';
import { exitCodes, usageError, type ExitCode } from '../failure.js';
import { decimalNumber, describe, targetOptions, wholeNumber, type TargetOptions } from '../options.js';
import type { Run } from '../run.js';
import { note, painter, printJson, printLine, type Terminal } from '../terminal.js';
import { counted, distanceText, nothing, table } from '../wording.js';

interface DoctorOptions extends TargetOptions {
  readonly threshold?: number;
  readonly margin?: number;
  readonly qualityMin?: number;
  readonly html?: string;
  readonly plan?: string;
  readonly apply?: string;
  readonly yes?: boolean;
  readonly show: number;
}

export function doctorCommand(run: Run): Command {
  const command = new Command('doctor')
    .description(
      'Looks for the same person under two names, templates under the wrong name, and weak enrolments. Changes nothing: it proposes a plan, which --apply carries out when it was read and confirmed.',
    )
    .argument('<name>', 'the gallery');
  targetOptions(command);
  command
    .option('--threshold <distance>', "two templates within it are one person (default: the gallery's)", decimalNumber)
    .option(
      '--margin <distance>',
      "nearer by so much to others than to its own (default: the gallery's)",
      decimalNumber,
    )
    .option('--quality-min <score>', 'the best template is low quality below it, 0 to 1 (default: 0.1)', decimalNumber)
    .option('--html <file>', 'also write a page with a map of the gallery (readable by its owner only)')
    .option('--plan <file>', 'write the plan to this file, to be read and edited')
    .option('--apply <file>', 'merge and move templates after this plan; writes FILE.undo, a plan that takes it back')
    .option('-y, --yes', 'do not ask before a plan is applied')
    .option('--show <n>', 'findings of a kind to print; --json has all', wholeNumber, 20);
  describe(
    command,
    [
      'harmonid gallery doctor lobby',
      'harmonid gallery doctor lobby --html lobby.html --plan plan.json',
      'harmonid gallery doctor lobby --apply plan.json',
      'harmonid gallery doctor lobby --apply plan.json.undo',
    ],
    `A plan: {"gallery","steps":[{"action":"merge","identity","into"},{"action":"move","identity","template","into"}]}. A move into a new name
splits a person. Who was merged away stays, without templates; \`harmonid erase\` removes the name.
With --json: {"gallery","space","identityCount","templateCount","limits","duplicates","mislabelled","weak","plan"}; with --apply {"gallery","applied":[{"step","templates","lost","undo"}],"undo"}.`,
  );
  return command.action((gallery: string, options: DoctorOptions) =>
    run(command, (terminal) =>
      options.apply === undefined
        ? examine(terminal, gallery, options)
        : apply(terminal, gallery, options.apply, options),
    ),
  );
}

async function examine(terminal: Terminal, gallery: string, options: DoctorOptions): Promise<ExitCode> {
  const { threshold, margin, qualityMin } = options;
  const { examineGallery } = await import('../../doctor/gallery-doctor.js');
  const report = await withDatabase(options, { images: false, create: false }, (database) =>
    examineGallery(database, {
      gallery,
      threshold,
      margin,
      qualityMin,
      map: options.html !== undefined,
      signal: terminal.interrupt,
    }),
  );
  if (options.html !== undefined) {
    const { renderDoctorPage } = await import('../../doctor/doctor-page.js');
    // It names people.
    await writeFile(options.html, await renderDoctorPage(report), { mode: 0o600 });
    note(terminal, `written: ${options.html}`);
  }
  if (options.plan !== undefined) {
    await writeJson(options.plan, report.plan);
    note(terminal, `written: ${options.plan}, ${counted(report.plan.steps.length, 'step')}`);
  }
  // The same with and without a page: places on a map are to be looked at.
  const { map: _, ...findings } = report;
  if (options.json) printJson(terminal, findings);
  else printLine(terminal, reportText(terminal, report, options.show));
  return exitCodes.done;
}

/** It names people: for its owner only. */
async function writeJson(file: string, plan: TreatmentPlan): Promise<void> {
  await writeFile(file, `${JSON.stringify(plan, null, 2)}\n`, { mode: 0o600 });
}

function reportText(terminal: Terminal, report: DoctorReport, show: number): string {
  const { identityCount, templateCount, duplicates, mislabelled, weak } = report;
  const paint = painter(terminal, 'stdout');
  const near = (distance: number | null): string => (distance === null ? nothing : distanceText(distance));
  const blocks = [
    `${counted(identityCount, 'person', 'people')}, ${counted(templateCount, 'template')}: ` +
      `${counted(duplicates.length, 'likely duplicate')}, ${counted(mislabelled.length, 'likely mislabelled template')}, ${counted(weak.length, 'weak enrolment')}`,
  ];
  const list = (title: string, head: readonly string[], rows: readonly (readonly string[])[]): void => {
    if (rows.length === 0) return;
    const more = rows.length > show ? `\nand ${rows.length - show} more` : '';
    blocks.push(`${paint('bold', title)}\n${table(paint, head, rows.slice(0, show))}${more}`);
  };
  list(
    'Likely the same person',
    ['one', 'the other', 'mean', 'nearest', 'within one', 'within the other'],
    duplicates.map((pair) => [pair.a, pair.b, ...[pair.mean, pair.nearest, pair.withinA, pair.withinB].map(near)]),
  );
  list(
    'Likely somebody else’s',
    ['enrolled for', 'template', 'likely of', 'to its own', 'to the other'],
    mislabelled.map((one) => [one.identity, `${one.template}`, one.other, near(one.toOwn), near(one.toOther)]),
  );
  list(
    'Weak',
    ['person', 'why', 'templates', 'quality', 'within'],
    weak.map(({ identity, weaknesses, templateCount, quality, within }) => [
      identity,
      weaknesses.map((weakness) => weaknessWords[weakness]).join(', '),
      `${templateCount}`,
      quality === null ? nothing : quality.toFixed(2),
      near(within),
    ]),
  );
  if (report.plan.steps.length > 0)
    blocks.push(
      `--plan FILE writes what would follow (${counted(report.plan.steps.length, 'step')}); read it before --apply FILE`,
    );
  return blocks.join('\n\n');
}

async function apply(terminal: Terminal, gallery: string, file: string, options: DoctorOptions): Promise<ExitCode> {
  const { parsePlan } = await import('../../doctor/treatment-plan.js');
  const text = await readFile(file, 'utf8').catch(() => {
    throw usageError(`cannot read ${file}`);
  });
  const plan = parsePlan(text, file);
  if (plan.gallery !== gallery) throw usageError(`${file} is a plan for gallery ${plan.gallery}, not for ${gallery}`);
  const undoFile = `${file}.undo`;
  if (existsSync(undoFile))
    throw usageError(`${undoFile} is there already, and takes back what was done before: move it away first`);
  for (const step of plan.steps) note(terminal, stepText(step));
  const question = `apply ${counted(plan.steps.length, 'step')} to gallery ${gallery}?`;
  if (!(await confirm(terminal, question, options.yes ?? false))) return exitCodes.no;
  return withDatabase(options, { images: false, create: false }, (database) =>
    applyPlan(terminal, database, plan, undoFile, options.json ?? false),
  );
}

async function applyPlan(
  terminal: Terminal,
  database: Database,
  plan: TreatmentPlan,
  undoFile: string,
  json: boolean,
): Promise<ExitCode> {
  const { treat } = await import('../../doctor/treatment.js');
  const applied = [];
  let undo: TreatmentPlan = { gallery: plan.gallery, steps: [] };
  try {
    for await (const treated of treat(database, plan, { signal: terminal.interrupt })) {
      applied.push(treated);
      undo = { ...undo, steps: [...treated.undo, ...undo.steps] };
      // After each step: what was done can be taken back, whatever comes.
      if (undo.steps.length > 0) await writeJson(undoFile, undo);
      for (const loss of treated.lost) note(terminal, `not kept: ${loss}`);
    }
  } finally {
    if (undo.steps.length > 0) note(terminal, `written: ${undoFile}, which takes it back`);
    if (applied.length < plan.steps.length)
      note(terminal, `stopped after ${counted(applied.length, 'step')}: strike them out of the plan to go on`);
  }
  if (json) printJson(terminal, { gallery: plan.gallery, applied, undo });
  else printLine(terminal, `${counted(applied.length, 'step')} applied to gallery ${plan.gallery}`);
  return exitCodes.done;
}

function stepText(step: TreatmentStep): string {
  switch (step.action) {
    case 'merge':
      return `merge ${step.identity} into ${step.into}`;
    case 'move':
      return `move template ${step.template} of ${step.identity} to ${step.into}`;
    case 'describe':
      return `describe ${step.identity} as before`;
  }
}
