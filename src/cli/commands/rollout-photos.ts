/** `harmonid rollout pairs` and `backfill`: photos for the fit, and in the places of mapped templates. */
import { Option, type Command } from 'commander';
import type { BackfillResult, BackfillSample, PairResult, PairSample, Rollouts } from '../../api.js';
import { withDatabase } from '../connection.js';
import type { ExitCode } from '../failure.js';
import { describe, embedderOptions, wholeNumber, type EmbedderOptions, type TargetOptions } from '../options.js';
import { endOfPhotos, sendPhotos, type PhotoStreamEnd } from '../photo-stream.js';
import { listPeople, noteIgnored, photoExtensions, type PeopleFolder } from '../photos.js';
import { refusalText } from '../refusals.js';
import type { Run } from '../run.js';
import { note, painter, printJson, printLine, type Paint, type Terminal } from '../terminal.js';
import { counted } from '../wording.js';
import { stepCommand } from './rollout-step.js';

interface PhotosOptions extends TargetOptions, EmbedderOptions {
  readonly images: string;
  readonly aligned?: 'arcface112';
  readonly allowRefused?: boolean;
  readonly show: number;
}

const endJson = '"refused":[{"photo","identity","error"}],"ignored","seconds","complete"}';

export function pairsCommand(run: Run): Command {
  const command = stepCommand(
    'pairs',
    `Embeds every photo (${photoExtensions.join(' ')}) of a folder that holds one folder a person with both models, and keeps the vectors for the fit. The people need not be enrolled.`,
  );
  command.summary('adds faces in both spaces, from a folder that holds one folder a person');
  photosOptions(command);
  describe(
    command,
    [
      'harmonid rollout pairs lobby --images ./consented',
      'harmonid rollout pairs lobby --images ./crops --aligned arcface112 --json',
    ],
    `Photos that are kept already are passed over. With --json: {"gallery","people","photos","added","alreadyThere",${endJson}.`,
  );
  embedderOptions(command);
  return command.action((gallery: string, options: PhotosOptions) =>
    run(command, (terminal) =>
      onFolder(terminal, options, (rollouts, folder) => addPairs(terminal, rollouts, gallery, folder, options)),
    ),
  );
}

async function addPairs(
  terminal: Terminal,
  rollouts: Rollouts,
  gallery: string,
  folder: PeopleFolder,
  options: PhotosOptions,
): Promise<ExitCode> {
  let added = 0;
  let alreadyThere = 0;
  const end = await sendPhotos<PairSample, PairResult & { readonly added: boolean }>(terminal, folder.photos, {
    sampleOf: ({ identity }, bytes) => ({ person: identity, ...faceOf(bytes, options) }),
    send: (samples) => rollouts.addPairs({ gallery, signal: terminal.interrupt }, samples),
    take: (result) => {
      if (result.added) added++;
      else alreadyThere++;
    },
  });
  printEnd(terminal, { gallery, folder, end, options, counts: { added, alreadyThere } }, (paint) => [
    paint('green', `${added} added`),
    ...(alreadyThere > 0 ? [`${alreadyThere} already there`] : []),
  ]);
  const kept = 'what was added stays; repeat it to go on';
  return endOfPhotos(terminal, end, { kept, allowRefused: options.allowRefused ?? false });
}

export function backfillCommand(run: Run): Command {
  const command = stepCommand(
    'backfill',
    `Embeds every photo (${photoExtensions.join(' ')}) of a folder that holds one folder a person with the new model, in the places of mapped templates. \`harmonid rollout order\` lists whose photos help most.`,
  );
  command.summary('puts photos in the places of mapped templates, from a folder that holds one folder a person');
  photosOptions(command);
  describe(
    command,
    [
      'harmonid rollout backfill lobby --images ./people',
      'harmonid rollout backfill lobby --images ./people --server localhost:50051',
    ],
    `With --json: {"gallery","people","photos","taken","replaced",${endJson}; "replaced" counts templates.`,
  );
  embedderOptions(command);
  return command.action((gallery: string, options: PhotosOptions) =>
    run(command, (terminal) =>
      onFolder(terminal, options, (rollouts, folder) => backfill(terminal, rollouts, gallery, folder, options)),
    ),
  );
}

async function backfill(
  terminal: Terminal,
  rollouts: Rollouts,
  gallery: string,
  folder: PeopleFolder,
  options: PhotosOptions,
): Promise<ExitCode> {
  let taken = 0;
  let replaced = 0;
  const end = await sendPhotos<BackfillSample, BackfillResult & { readonly replaced: number }>(
    terminal,
    folder.photos,
    {
      sampleOf: ({ identity }, bytes) => ({ identity, ...faceOf(bytes, options) }),
      send: (samples) => rollouts.backfill({ gallery, signal: terminal.interrupt }, samples),
      take: (result) => {
        taken++;
        replaced += result.replaced;
      },
    },
  );
  printEnd(terminal, { gallery, folder, end, options, counts: { taken, replaced } }, (paint) => [
    `${taken} taken, ${paint('green', `${counted(replaced, 'mapped template')} replaced`)}`,
  ]);
  const kept = 'what was replaced stays; repeat it to go on';
  return endOfPhotos(terminal, end, { kept, allowRefused: options.allowRefused ?? false });
}

function photosOptions(command: Command): void {
  command
    .requiredOption('--images <dir>', 'the folder of people')
    .addOption(
      new Option('--aligned <how>', "the photos are crops, aligned as InsightFace's of 112x112").choices([
        'arcface112',
      ]),
    )
    .option('--allow-refused', 'exit 0 although photos were refused')
    .option('--show <n>', 'refusals to print; --json has all', wholeNumber, 20);
}

async function onFolder(
  terminal: Terminal,
  options: PhotosOptions,
  work: (rollouts: Rollouts, folder: PeopleFolder) => Promise<ExitCode>,
): Promise<ExitCode> {
  const folder = await listPeople(options.images);
  if (folder.photos.length === 0) note(terminal, `note: ${options.images} holds no photos in folders of people`);
  return withDatabase(options, { images: true, create: false }, ({ rollouts }) => work(rollouts, folder));
}

function faceOf(bytes: Uint8Array, { aligned }: PhotosOptions): Pick<BackfillSample, 'image' | 'alignedCrop'> {
  return aligned === undefined ? { image: bytes } : { alignedCrop: bytes };
}

interface PhotosEnd {
  readonly gallery: string;
  readonly folder: PeopleFolder;
  readonly end: PhotoStreamEnd;
  readonly options: PhotosOptions;
  readonly counts: Readonly<Record<string, number>>;
}

/** @param done what was done, in words */
function printEnd(
  terminal: Terminal,
  { gallery, folder, end, options, counts }: PhotosEnd,
  done: (paint: Paint) => readonly string[],
): void {
  const { people, photos, ignored } = folder;
  const { refused, seconds, complete } = end;
  if (options.json) {
    printJson(terminal, { gallery, people, photos: photos.length, ...counts, refused, ignored, seconds, complete });
    return;
  }
  const paint = painter(terminal, 'stdout');
  const parts = [...done(paint), refused.length > 0 ? paint('red', `${refused.length} refused`) : 'none refused'];
  const what = `${counted(photos.length, 'photo')} of ${counted(people, 'person', 'people')}`;
  printLine(terminal, `${what}: ${parts.join(', ')} (${seconds.toFixed(1)} s)`);
  if (refused.length > 0) {
    const rows = refused.map(({ photo, error }) => ({ item: photo, error }));
    printLine(terminal, `\n${refusalText(paint, 'photo', rows, options.show)}`);
  }
  noteIgnored(terminal, ignored);
}
