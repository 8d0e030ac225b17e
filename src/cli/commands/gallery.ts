/** `harmonid gallery`: make, look at, change and delete galleries. */
import { Command, Option } from 'commander';
import type { DuplicatePolicy, Gallery, GallerySettings, PresentationPolicy } from '../../api.js';
import type { QualityReason } from '../../embedder/face.js';
import { confirm } from '../confirmation.js';
import { withDatabase } from '../connection.js';
import { exitCodes, usageError } from '../failure.js';
import {
  collectReason,
  decimalNumber,
  describe,
  duplicatesOption,
  embedderOptions,
  targetOf,
  targetOptions,
  wholeNumber,
  type EmbedderOptions,
  type TargetOptions,
  type TargetRate,
} from '../options.js';
import type { Run } from '../run.js';
import { painter, printJson, printLine, type Terminal } from '../terminal.js';
import { distanceText, facts, listText, nothing, rateText, table, timeText } from '../wording.js';
import { targetRatesOptions } from './calibrate.js';
import { doctorCommand } from './gallery-doctor.js';

interface SettingsOptions extends TargetOptions {
  readonly threshold?: number;
  readonly fpir?: TargetRate;
  readonly fmr?: TargetRate;
  readonly margin?: number;
  readonly duplicates?: DuplicatePolicy;
  /** False: `--no-refuse` accepts any face. */
  readonly refuse?: readonly QualityReason[] | false;
  readonly presentation?: PresentationPolicy;
  readonly templatesMax?: number;
  readonly description?: string;
}

interface CreateOptions extends SettingsOptions, EmbedderOptions {
  readonly space?: string;
  readonly dimensions?: number;
}

interface DeleteOptions extends TargetOptions {
  readonly yes?: boolean;
}

const galleryJson =
  'With --json: {"gallery","space","dimensions","threshold","thresholdSource","fpirTarget","fmrTarget","margin","duplicates","refuseReasons","presentation","templatesPerIdentityMax","description","identityCount","templateCount","sequence","createdAt"}.';

export function galleryCommand(run: Run): Command {
  const command = new Command('gallery')
    .summary('make, show, change, examine and delete galleries')
    .description('A gallery is a named set of people in one space, with its own threshold and policies.');
  command.addHelpText(
    'after',
    '\nExamples:\n  $ harmonid gallery create lobby --threshold 0.15\n  $ harmonid gallery list',
  );
  for (const make of [
    createCommand,
    listGalleriesCommand,
    showGalleryCommand,
    setCommand,
    doctorCommand,
    deleteCommand,
  ])
    command.addCommand(make(run));
  return command;
}

function createCommand(run: Run): Command {
  const command = new Command('create')
    .description('Makes a gallery in the space of the model, or in one of your own.')
    .argument('<name>', 'its name');
  targetOptions(command);
  settingsOptions(command);
  command
    .option('--space <name>', 'for vectors made elsewhere: the name of their space (with --dimensions and --threshold)')
    .option('--dimensions <n>', 'length of those vectors', wholeNumber);
  describe(
    command,
    [
      'harmonid gallery create lobby',
      'harmonid gallery create vectors --space my-model-v2 --dimensions 512 --threshold 0.9',
    ],
    galleryJson,
  );
  embedderOptions(command);
  return command.action((name: string, options: CreateOptions) =>
    run(command, async (terminal) => {
      const need = { images: options.space === undefined, create: true };
      const gallery = await withDatabase(options, need, (database) =>
        database.createGallery({
          gallery: name,
          space: options.space,
          dimensions: options.dimensions,
          ...settingsOf(options),
          signal: terminal.interrupt,
        }),
      );
      printGallery(terminal, gallery, options.json ?? false);
      return exitCodes.done;
    }),
  );
}

function listGalleriesCommand(run: Run): Command {
  const command = new Command('list').description('Lists the galleries.');
  targetOptions(command);
  describe(
    command,
    ['harmonid gallery list', 'harmonid gallery list --json'],
    'With --json: {"galleries":[…]}, each as `harmonid gallery show --json` prints it.',
  );
  return command.action((options: TargetOptions) =>
    run(command, async (terminal) => {
      const galleries = await withDatabase(options, { images: false, create: false }, (database) =>
        database.listGalleries({ signal: terminal.interrupt }),
      );
      if (options.json) printJson(terminal, { galleries });
      else {
        const rows = galleries.map(({ gallery, identityCount, templateCount, threshold, space }) => [
          gallery,
          `${identityCount}`,
          `${templateCount}`,
          distanceText(threshold),
          space,
        ]);
        printLine(
          terminal,
          rows.length === 0
            ? 'no galleries yet'
            : table(painter(terminal, 'stdout'), ['gallery', 'people', 'templates', 'threshold', 'space'], rows),
        );
      }
      return exitCodes.done;
    }),
  );
}

function showGalleryCommand(run: Run): Command {
  const command = new Command('show')
    .description('Shows the settings and counts of a gallery.')
    .argument('<name>', 'the gallery');
  targetOptions(command);
  describe(command, ['harmonid gallery show default'], galleryJson);
  return command.action((name: string, options: TargetOptions) =>
    run(command, async (terminal) => {
      const gallery = await withDatabase(options, { images: false, create: false }, (database) =>
        database.getGallery({ gallery: name, signal: terminal.interrupt }),
      );
      printGallery(terminal, gallery, options.json ?? false);
      return exitCodes.done;
    }),
  );
}

function setCommand(run: Run): Command {
  const command = new Command('set')
    .description('Changes settings of a gallery; what is not named stays as it is.')
    .argument('<name>', 'the gallery');
  targetOptions(command);
  settingsOptions(command);
  describe(
    command,
    [
      'harmonid gallery set default --threshold 0.15',
      'harmonid gallery set lobby --fpir 0.01 --fmr 0.0001',
      'harmonid gallery set lobby --refuse TOO_SMALL --refuse TOO_BLURRY',
      'harmonid gallery set lobby --no-refuse',
      'harmonid gallery set lobby --presentation require',
    ],
    galleryJson,
  );
  embedderOptions(command);
  return command.action((name: string, options: SettingsOptions & EmbedderOptions) =>
    run(command, async (terminal) => {
      const settings = settingsOf(options);
      if (Object.values(settings).every((value) => value === undefined))
        throw usageError('nothing to change: give at least one setting');
      // Whether its model scores presentations at all is looked up.
      const need = { images: options.presentation === 'require', create: false };
      const gallery = await withDatabase(options, need, (database) =>
        database.updateGallery({ gallery: name, ...settings, signal: terminal.interrupt }),
      );
      printGallery(terminal, gallery, options.json ?? false);
      return exitCodes.done;
    }),
  );
}

function deleteCommand(run: Run): Command {
  const command = new Command('delete')
    .description('Deletes a gallery with everybody in it. It cannot be undone.')
    .argument('<name>', 'the gallery');
  targetOptions(command);
  command.option('-y, --yes', 'do not ask');
  describe(
    command,
    ['harmonid gallery delete lobby', 'harmonid gallery delete lobby --yes'],
    'With --json: {"gallery","deleted"}; "deleted" is false when there was none.',
  );
  return command.action((name: string, options: DeleteOptions) =>
    run(command, async (terminal) => {
      if (!(await confirm(terminal, `delete gallery ${name} with everybody in it?`, options.yes ?? false)))
        return exitCodes.no;
      const deleted = await withDatabase(options, { images: false, create: false }, (database) =>
        database.deleteGallery({ gallery: name, signal: terminal.interrupt }),
      );
      if (options.json) printJson(terminal, { gallery: name, deleted });
      else
        printLine(terminal, deleted ? `gallery ${name} is deleted` : `there is no gallery ${name}; nothing to delete`);
      return exitCodes.done;
    }),
  );
}

function settingsOptions(command: Command): void {
  command
    .option(
      '--threshold <distance>',
      "a face within this distance is a match, squared L2 (default: the model's)",
      decimalNumber,
    )
    .option('--margin <distance>', 'two people nearer to each other than this are ambiguous', decimalNumber);
  targetRatesOptions(command);
  duplicatesOption(command);
  command
    .option(
      '--refuse <reason>',
      'refuse to enroll faces of this shortcoming (default: all but PRESENTATION_ATTACK); may be repeated',
      collectReason,
    )
    .option('--no-refuse', 'accept any face')
    .addOption(
      new Option(
        '--presentation <policy>',
        "require: refuse faces that the model's network for presentation attacks scores too low, and whatever has no score",
      ).choices(['ignore', 'require']),
    )
    .option('--templates-max <n>', 'most templates of a person', wholeNumber)
    .option('--description <text>', 'a description for people to read');
}

function settingsOf({
  threshold,
  fpir,
  fmr,
  margin,
  duplicates,
  refuse,
  presentation,
  templatesMax,
  description,
}: SettingsOptions): GallerySettings {
  return {
    threshold,
    fpirTarget: targetOf(fpir),
    fmrTarget: targetOf(fmr),
    margin,
    duplicates,
    refuseReasons: refuse === false ? [] : refuse,
    presentation,
    templatesPerIdentityMax: templatesMax,
    description,
  };
}

function targetsText({ fpirTarget, fmrTarget }: Gallery): string {
  const targets = [
    ...(fpirTarget === null ? [] : [`FPIR ${rateText(fpirTarget)}`]),
    ...(fmrTarget === null ? [] : [`FMR ${rateText(fmrTarget)}`]),
  ];
  return targets.length === 0 ? 'none: the threshold stands as it is' : targets.join(', ');
}

function printGallery(terminal: Terminal, gallery: Gallery, json: boolean): void {
  if (json) return printJson(terminal, gallery);
  printLine(
    terminal,
    facts(painter(terminal, 'stdout'), [
      ['gallery', gallery.gallery],
      ['description', gallery.description === '' ? nothing : gallery.description],
      ['people', `${gallery.identityCount}`],
      ['templates', `${gallery.templateCount} (at most ${gallery.templatesPerIdentityMax} a person)`],
      ['threshold', `${distanceText(gallery.threshold)} (${gallery.thresholdSource})`],
      ['targets', targetsText(gallery)],
      ['margin', distanceText(gallery.margin)],
      ['duplicates', gallery.duplicates],
      ['refused', gallery.refuseReasons.length === 0 ? 'no face for its quality' : listText(gallery.refuseReasons)],
      ['presentation', gallery.presentation],
      ['space', `${gallery.space}, ${gallery.dimensions} dimensions`],
      ['changes', `${gallery.sequence}`],
      ['created', timeText(gallery.createdAt)],
    ]),
  );
}
