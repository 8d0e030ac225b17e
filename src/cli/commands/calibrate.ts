/** `harmonid calibrate`: which threshold gives which error rate on the people of a gallery? */
import { readFile, writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import type { Calibration, CalibratedThreshold, CalibrateAnswer, Database, KnownProbe } from '../../api.js';
import { isHarmonidError } from '../../errors.js';
import { withDatabase } from '../connection.js';
import { exitCodes, usageError, type ExitCode } from '../failure.js';
import {
  describe,
  embedderOptions,
  galleryOption,
  targetOptions,
  targetOf,
  targetRate,
  type EmbedderOptions,
  type GalleryOption,
  type TargetOptions,
  type TargetRate,
} from '../options.js';
import { listPeople } from '../photos.js';
import { startProgress } from '../progress.js';
import type { Run } from '../run.js';
import { note, painter, printJson, printLine, type Terminal } from '../terminal.js';
import { countText, distanceText, facts, printable, rateText, table, timeText, type Row } from '../wording.js';

interface CalibrateOptions extends TargetOptions, GalleryOption, EmbedderOptions {
  readonly space?: string;
  readonly fpir?: TargetRate;
  readonly fmr?: TargetRate;
  readonly probes?: string;
  readonly show?: boolean;
  readonly html?: string;
}

export function calibrateCommand(run: Run): Command {
  const command = new Command('calibrate')
    .summary('learn which threshold gives which error rate')
    .description(
      "Compares the people of a gallery with each other: which distance lets how many strangers in? Afterwards every decision tells the rate of its distance, and with a target the gallery's thresholds follow it, however large it grows.",
    );
  targetOptions(command);
  galleryOption(command);
  targetRatesOptions(command);
  command
    .option('--space <name>', 'the space to calibrate (default: the one that serves)')
    .addOption(
      new Option(
        '--probes <dir>',
        'photos as the door takes them, one folder a person; who is not in the gallery is a stranger',
      ).conflicts('show'),
    )
    .option('--show', 'what the newest calibration says of the gallery as large as it is now; nothing is compared')
    .option('--html <file>', 'also write a page with the curves');
  describe(
    command,
    [
      'harmonid calibrate --gallery lobby --fpir 0.01',
      'harmonid calibrate --gallery lobby --fpir 0.001 --fmr 0.0001 --probes ./door-photos',
      'harmonid calibrate --gallery lobby --show --html calibration.html',
    ],
    'With --json: {"calibration":{"thresholds":[{"kind","rate","threshold","low","high","support"}],"points",…},"probeCount","samePeople"}. Exits 3 when there are too few people.',
  );
  embedderOptions(command);
  return command.action((options: CalibrateOptions) => run(command, (terminal) => calibrate(terminal, options)));
}

/** `--fpir` and `--fmr`, here and for the settings of a gallery. */
export function targetRatesOptions(command: Command): void {
  command
    .option(
      '--fpir <rate>',
      'share of strangers that a search may take for somebody, e.g. 0.01; none: no target',
      targetRate,
    )
    .option(
      '--fmr <rate>',
      'share of strangers that a verification may accept, e.g. 0.0001; none: no target',
      targetRate,
    );
}

async function calibrate(terminal: Terminal, options: CalibrateOptions): Promise<ExitCode> {
  const { gallery = 'default', fpir, fmr, probes, show = false, html, json } = options;
  if (show && (fpir !== undefined || fmr !== undefined))
    throw usageError('--show changes nothing: leave --fpir and --fmr out');
  const { answer, targets } = await withDatabase(
    options,
    { images: probes !== undefined, create: false },
    async (database) => {
      const answer = await (show ? newest(terminal, database, options) : compare(terminal, database, options));
      const { fpirTarget, fmrTarget } = await database.getGallery({ gallery, signal: terminal.interrupt });
      return { answer, targets: { fpir: fpirTarget, fmr: fmrTarget } };
    },
  );
  if (json) printJson(terminal, answer);
  else print(terminal, answer, { show, targets });
  if (!answer.calibration) return exitCodes.no;
  if (html !== undefined) {
    const { renderCalibrationPage } = await import('../../evaluate/calibration-page.js');
    await writeFile(html, await renderCalibrationPage(answer.calibration), { mode: 0o600 });
    note(terminal, `written: ${html}`);
  }
  return exitCodes.done;
}

async function newest(
  terminal: Terminal,
  database: Database,
  { gallery, space }: CalibrateOptions,
): Promise<CalibrateAnswer> {
  const calibration = await database.getCalibration({ gallery, space, signal: terminal.interrupt });
  return { calibration, probeCount: calibration?.probeCount ?? 0, samePeople: [] };
}

async function compare(
  terminal: Terminal,
  database: Database,
  { gallery, space, fpir, fmr, probes }: CalibrateOptions,
): Promise<CalibrateAnswer> {
  const signal = terminal.interrupt;
  if (fpir !== undefined || fmr !== undefined)
    await database.updateGallery({
      gallery: gallery ?? 'default',
      fpirTarget: targetOf(fpir),
      fmrTarget: targetOf(fmr),
      signal,
    });
  const known = probes === undefined ? [] : await embedFolder(terminal, database, probes);
  const progress = startProgress(terminal, 100, '% compared');
  try {
    return await database.calibrate({
      gallery,
      space,
      probes: known,
      onProgress: (share) => progress.reach(Math.floor(100 * share)),
      signal,
    });
  } finally {
    progress.stop();
  }
}

/** Photos without one face are left out, and said to be. */
async function embedFolder(terminal: Terminal, database: Database, directory: string): Promise<readonly KnownProbe[]> {
  const { photos } = await listPeople(directory);
  if (photos.length === 0) throw usageError(`there are no photos in folders of people in ${directory}`);
  const progress = startProgress(terminal, photos.length, 'photos');
  const probes: KnownProbe[] = [];
  let leftOut = 0;
  try {
    for (const [at, { identity, path }] of photos.entries()) {
      try {
        const { faces } = await database.embed({ image: await readFile(path), signal: terminal.interrupt });
        const [face] = faces;
        if (face) probes.push({ identity, embedding: face.embedding });
        else leftOut++;
      } catch (error) {
        if (!isHarmonidError(error) || !error.code.startsWith('IMAGE_')) throw error;
        leftOut++;
      }
      progress.reach(at + 1);
    }
  } finally {
    progress.stop();
  }
  if (leftOut > 0) note(terminal, `no face found in ${leftOut} of ${photos.length} photos`);
  return probes;
}

/** Rates that the gallery is to keep; null without. */
type Targets = Readonly<Record<CalibratedThreshold['kind'], number | null>>;

function print(
  terminal: Terminal,
  { calibration, probeCount, samePeople }: CalibrateAnswer,
  { show, targets }: { readonly show: boolean; readonly targets: Targets },
): void {
  const paint = painter(terminal, 'stdout');
  if (!calibration) {
    printLine(
      terminal,
      show
        ? 'not calibrated yet; `harmonid calibrate` does it'
        : `too few people: ${probeCount} could be compared, 100 are wanted. Photos of the door can stand for them: --probes. Nothing has changed; the threshold stands as it is.`,
    );
    return;
  }
  printLine(terminal, facts(paint, factsOf(calibration)));
  printLine(terminal, '');
  printLine(
    terminal,
    table(
      paint,
      ['rate', 'threshold', 'rate with 90 % confidence', 'known by'],
      calibration.thresholds.map((threshold) => thresholdRow(threshold, targets)),
    ),
  );
  if (samePeople.length === 0) return;
  printLine(terminal, '');
  printLine(
    terminal,
    `left out, since they seem to be one person under two names (\`harmonid gallery doctor\` looks closer):`,
  );
  printLine(
    terminal,
    table(
      paint,
      ['identity', 'identity', 'distance'],
      samePeople.map(({ identities: [one, other], distance }) => [
        printable(one),
        printable(other),
        distanceText(distance),
      ]),
    ),
  );
}

function factsOf(calibration: Calibration): readonly (readonly [string, string])[] {
  const { identityCount, templateCount, mappedCount, probeCount, givenCount, comparisonCount } = calibration;
  return [
    ['gallery', calibration.gallery],
    ['space', calibration.space],
    ['calibrated', timeText(calibration.calibratedAt)],
    [
      'people then',
      `${countText(identityCount)}, ${countText(templateCount)} templates${mappedCount > 0 ? `, ${countText(mappedCount)} of them mapped` : ''}`,
    ],
    [
      'compared',
      `${countText(probeCount)} faces${givenCount > 0 ? ` (${countText(givenCount)} given)` : ''} with everybody, ${countText(comparisonCount)} comparisons`,
    ],
    ['people now', `${countText(calibration.searchedCount)}: FPIR is of a search among them`],
  ];
}

const supportTexts = {
  counted: 'counting',
  extrapolated: 'the model of the tail',
  'too-few': 'too few people to promise this',
} as const satisfies Record<CalibratedThreshold['support'], string>;

function thresholdRow({ kind, rate, threshold, low, high, support }: CalibratedThreshold, targets: Targets): Row {
  return [
    `${kind.toUpperCase()} ${rateText(rate)}${targets[kind] === rate ? ', the target' : ''}`,
    distanceText(threshold),
    `${rateText(low)} to ${rateText(high)}`,
    supportTexts[support],
  ];
}
