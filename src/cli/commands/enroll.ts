/** `harmonid enroll`: add photos of one person. */
import { Command } from 'commander';
import type { DuplicatePolicy, EnrollAnswer } from '../../api.js';
import { HarmonidError, isHarmonidError } from '../../errors.js';
import { withDatabase } from '../connection.js';
import { exitCodes } from '../failure.js';
import {
  collectAttribute,
  describe,
  duplicatesOption,
  embedderOptions,
  facesOption,
  galleryOption,
  groupOption,
  targetOptions,
  type EmbedderOptions,
  type FaceChoice,
  type GalleryOption,
  type TargetOptions,
} from '../options.js';
import { photoName, readPhoto } from '../photos.js';
import type { Run } from '../run.js';
import { note, painter, printJson, printLine, type Paint } from '../terminal.js';
import { counted, distanceText, nothing, printable, table } from '../wording.js';

interface EnrollOptions extends TargetOptions, GalleryOption, EmbedderOptions {
  readonly label?: string;
  readonly group?: readonly string[];
  readonly attribute?: Readonly<Record<string, string>>;
  readonly faces: FaceChoice;
  readonly duplicates?: DuplicatePolicy;
  readonly anyQuality?: boolean;
  readonly key?: string;
}

export function enrollCommand(run: Run): Command {
  const command = new Command('enroll')
    .summary('add photos of a person')
    .description('Adds a template for each photo to a person, who is made if unknown. All photos are enrolled or none.')
    .argument('<identity>', "the person's id")
    .argument('<photo...>', 'photos of the person; - reads one from standard input');
  targetOptions(command);
  galleryOption(command);
  command.option('--label <text>', 'a name for people to read');
  groupOption(command, 'put the person into this group (replaces all groups)');
  command.option(
    '--attribute <key=value>',
    'something to remember (replaces all attributes); may be repeated',
    collectAttribute,
  );
  facesOption(command, ['one', 'largest'], 'one');
  duplicatesOption(command);
  command
    .option('--any-quality', 'enroll poor faces, too')
    .option('--key <text>', 'idempotency key: repeating the same request with it adds nothing twice, for 24 hours');
  describe(
    command,
    [
      'harmonid enroll alice alice1.jpg alice2.jpg',
      'harmonid enroll 4711 badge.jpg --label "Alice Example" --group staff --attribute office=B2',
      'harmonid enroll alice group.jpg --faces largest --server localhost:50051',
    ],
    'With --json: {"gallery","identity","created","templates","faces","duplicates","sequence","replayed"}.',
  );
  embedderOptions(command);
  return command.action((identity: string, photos: string[], options: EnrollOptions) =>
    run(command, async (terminal) => {
      const images: Uint8Array[] = [];
      for (const path of photos) images.push(await readPhoto(terminal, path));
      const answer = await withDatabase(options, { images: true, create: true }, (database) =>
        namingPhotos(photos, () =>
          database.enroll({
            gallery: options.gallery,
            identity,
            images,
            label: options.label,
            groups: options.group,
            attributes: options.attribute,
            faces: options.faces,
            duplicates: options.duplicates,
            refuseReasons: options.anyQuality ? [] : undefined,
            idempotencyKey: options.key,
            signal: terminal.interrupt,
          }),
        ),
      );
      if (options.json) printJson(terminal, answer);
      else {
        printLine(terminal, answerText(painter(terminal, 'stdout'), answer, photos));
        for (const { identity: other, distance } of answer.duplicates) {
          note(terminal, `note: this face also matches ${other} (distance ${distanceText(distance)})`);
        }
      }
      return exitCodes.done;
    }),
  );
}

/** A refusal of one of several photos says which file it was. */
async function namingPhotos(photos: readonly string[], enroll: () => Promise<EnrollAnswer>): Promise<EnrollAnswer> {
  try {
    return await enroll();
  } catch (error) {
    if (!isHarmonidError(error)) throw error;
    const { sample } = error.details;
    const path = photos.length === 1 ? photos[0] : typeof sample === 'number' ? photos[sample] : undefined;
    if (path === undefined) throw error;
    throw new HarmonidError(error.code, `${printable(photoName(path))}: ${error.message}`, {
      details: { ...error.details, photo: path },
      cause: error,
    });
  }
}

function answerText(paint: Paint, answer: EnrollAnswer, photos: readonly string[]): string {
  const { identity, gallery, created, templates, replayed } = answer;
  const done = replayed ? 'enrolled before, nothing added' : `${counted(templates.length, 'template')} added`;
  const rows = templates.map(({ template, quality }, i) => [
    `${template}`,
    quality === null ? nothing : quality.toFixed(2),
    printable(photoName(photos[i] ?? nothing)),
  ]);
  return `${identity} ${created ? 'is new' : 'was known'} in gallery ${gallery}; ${done}\n${table(paint, ['template', 'quality', 'photo'], rows)}`;
}
