/**
 * `harmonid import`: enroll everybody of a folder that holds one folder a person.
 *
 * Every photo is an enrolment of its own, so that a bad photo costs nobody the good ones. A photo that its person already
 * has (by the digest of the file) is not sent again: an import that is repeated or was interrupted adds nothing twice,
 * however much later.
 */
import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { defaultGallery, type Database, type EnrollAnswer, type EnrollRequest, type ImportResult } from '../../api.js';
import { isHarmonidError } from '../../errors.js';
import { sha256 } from '../../requests.js';
import { withDatabase } from '../connection.js';
import { usageError, type ExitCode } from '../failure.js';
import {
  describe,
  duplicatesOption,
  embedderOptions,
  facesOption,
  galleryOption,
  groupOption,
  targetOptions,
  decimalNumber,
  wholeNumber,
  type FaceChoice,
} from '../options.js';
import { endOfPhotos, sendPhotos, type RefusedPhoto } from '../photo-stream.js';
import { listPeople, noteIgnored, photoExtensions, type PeopleFolder } from '../photos.js';
import { refusalText } from '../refusals.js';
import type { Run } from '../run.js';
import { note, painter, printJson, printLine, type Terminal } from '../terminal.js';
import { counted } from '../wording.js';
import { importTemplates, type TemplateImportOptions } from './import-templates.js';

interface ImportOptions extends TemplateImportOptions {
  readonly group?: readonly string[];
  readonly faces: FaceChoice;
  readonly anyQuality?: boolean;
  readonly templates?: string;
}

/** What an import did; printed with --json and written with --report. */
interface ImportReport {
  readonly gallery: string;
  /** Folders of people, and photos in them. */
  readonly people: number;
  readonly photos: number;
  /** People who were new, and people who got a template. */
  readonly peopleCreated: number;
  readonly peopleEnrolled: number;
  /** Photos that became templates, and photos that their person has already or that lie in the folder twice. */
  readonly enrolled: number;
  readonly alreadyThere: number;
  readonly refused: readonly RefusedPhoto[];
  /** Files and folders that were not taken for photos of a person. */
  readonly ignored: readonly string[];
  readonly seconds: number;
  /** False when it was interrupted or failed on the way. */
  readonly complete: boolean;
}

export function importCommand(run: Run): Command {
  const command = new Command('import')
    .summary('enroll a folder of people, or exported templates')
    .description(
      `Enrolls every photo (${photoExtensions.join(' ')}) of a folder that holds one folder a person; the folder's name becomes the person's id. Folders inside those are ignored. Photos that a person has already are passed over, so an import can be repeated.\n\nWith --templates, enrolls what \`harmonid export\` wrote, with its provenance; that can be repeated, too.`,
    )
    .argument('[dir]', 'the folder of people');
  targetOptions(command);
  galleryOption(command);
  groupOption(command, 'put everybody who gets a photo into this group (replaces all groups)');
  facesOption(command, ['one', 'largest'], 'one');
  duplicatesOption(command);
  command
    .option('--any-quality', 'enroll poor faces, too')
    .option('--report <file>', 'write what happened as JSON')
    .option('--allow-refused', 'exit 0 although photos or templates were refused')
    .option('--show <n>', 'refusals to print; --json and --report have all', wholeNumber, 20)
    .option(
      '--templates <file>',
      'enroll exported templates, in either format, in place of a folder; - reads standard input',
    )
    .option('--create-gallery', 'with --templates: make galleries that are not there')
    .option('--threshold <distance>', 'with --create-gallery: a match is within this, squared L2', decimalNumber);
  describe(
    command,
    [
      'harmonid import ./people',
      'harmonid import ./staff --gallery lobby --group staff --report refused.json',
      'harmonid import ./people --server localhost:50051 --faces largest --allow-refused',
      'harmonid import --templates templates.jsonl --data ./copy --create-gallery',
    ],
    'Templates go where they came from, or all into --gallery; a face that is somebody else already is refused only with --duplicates refuse.\nWith --json: {"gallery","people","photos","peopleCreated","peopleEnrolled","enrolled","alreadyThere","refused":[{"photo","identity","error"}],"ignored","seconds","complete"};\nwith --templates {"templates","peopleCreated","added","alreadyThere","refused":[{"index","identity","error"}],"seconds","complete"}.',
  );
  embedderOptions(command);
  return command.action((directory: string | undefined, options: ImportOptions) =>
    run(command, async (terminal) => {
      if (options.templates !== undefined) {
        if (directory !== undefined || options.group || options.anyQuality)
          throw usageError('--templates takes no folder of photos, no --group and no --any-quality');
        return importTemplates(terminal, options.templates, options);
      }
      if (directory === undefined) throw usageError("missing required argument 'dir', or --templates FILE");
      if (options.createGallery || options.threshold !== undefined)
        throw usageError('--create-gallery and --threshold go with --templates');
      const folder = await listPeople(directory);
      if (folder.photos.length === 0) note(terminal, `note: ${directory} holds no photos in folders of people`);
      return withDatabase(options, { images: true, create: true }, (database) =>
        importFolder(terminal, database, folder, options),
      );
    }),
  );
}

async function importFolder(
  terminal: Terminal,
  database: Database,
  folder: PeopleFolder,
  options: ImportOptions,
): Promise<ExitCode> {
  const gallery = options.gallery ?? defaultGallery;
  // Only the default gallery makes itself; a typing error is told before the first photo.
  if (gallery !== defaultGallery) await database.getGallery({ gallery, signal: terminal.interrupt });

  const counts = { peopleCreated: 0, enrolled: 0, alreadyThere: 0 };
  const enrolledPeople = new Set<string>();
  let person: string | undefined;
  let digests = new Set<string>();
  const end = await sendPhotos<EnrollRequest, ImportResult & { readonly answer: EnrollAnswer }>(
    terminal,
    folder.photos,
    {
      sampleOf: async ({ identity }, image) => {
        if (identity !== person) {
          person = identity;
          digests = await enrolledDigests(database, options.gallery, person);
        }
        const digest = sha256(image);
        if (digests.has(digest)) {
          counts.alreadyThere++;
          return undefined;
        }
        digests.add(digest);
        return enrollmentOf(identity, image, options);
      },
      send: (requests) => database.importAll(requests, { signal: terminal.interrupt }),
      take: ({ answer }, { identity }) => {
        counts.enrolled++;
        enrolledPeople.add(identity);
        if (answer.created) counts.peopleCreated++;
      },
    },
  );
  const { refused, seconds, complete } = end;
  const report: ImportReport = {
    gallery,
    people: folder.people,
    photos: folder.photos.length,
    peopleCreated: counts.peopleCreated,
    peopleEnrolled: enrolledPeople.size,
    enrolled: counts.enrolled,
    alreadyThere: counts.alreadyThere,
    refused,
    ignored: folder.ignored,
    seconds,
    complete,
  };
  if (options.report !== undefined) await writeFile(options.report, `${JSON.stringify(report, null, 2)}\n`);
  if (options.json) printJson(terminal, report);
  else printReport(terminal, report, options.show);
  const kept = 'what was enrolled stays; repeat the import to go on';
  return endOfPhotos(terminal, end, { kept, allowRefused: options.allowRefused ?? false });
}

function enrollmentOf(identity: string, image: Uint8Array, options: ImportOptions): EnrollRequest {
  return {
    gallery: options.gallery,
    identity,
    images: [image],
    groups: options.group,
    faces: options.faces,
    duplicates: options.duplicates,
    refuseReasons: options.anyQuality ? [] : undefined,
  };
}

/** The files that a person was enrolled from; none for somebody new. */
async function enrolledDigests(
  database: Database,
  gallery: string | undefined,
  identity: string,
): Promise<Set<string>> {
  try {
    const { templates } = await database.getIdentity({ gallery, identity });
    return new Set(templates.flatMap(({ imageDigest }) => imageDigest ?? []));
  } catch (error) {
    // Anything else that is wrong with the name is told with the first photo.
    const expected = ['IDENTITY_NOT_FOUND', 'GALLERY_NOT_FOUND', 'INVALID_IDENTIFIER'];
    if (isHarmonidError(error) && expected.includes(error.code)) return new Set();
    throw error;
  }
}

function printReport(terminal: Terminal, report: ImportReport, show: number): void {
  const paint = painter(terminal, 'stdout');
  const { refused, ignored } = report;
  const parts = [
    paint('green', `${report.enrolled} enrolled`),
    ...(report.alreadyThere > 0 ? [`${report.alreadyThere} already there`] : []),
    refused.length > 0 ? paint('red', `${refused.length} refused`) : 'none refused',
  ];
  const done = report.enrolled + report.alreadyThere + refused.length;
  const rate = report.seconds > 0 ? `, ${(done / report.seconds).toFixed(1)} a second` : '';
  printLine(
    terminal,
    `${counted(report.photos, 'photo')} of ${counted(report.people, 'person', 'people')}: ${parts.join(', ')} (${report.seconds.toFixed(1)} s${rate})`,
  );
  printLine(
    terminal,
    `gallery ${report.gallery}: ${counted(report.peopleCreated, 'new person', 'new people')}, ${counted(report.peopleEnrolled, 'person', 'people')} with new templates`,
  );
  if (refused.length > 0)
    printLine(
      terminal,
      `\n${refusalText(
        paint,
        'photo',
        refused.map(({ photo, error }) => ({ item: photo, error })),
        show,
      )}`,
    );
  noteIgnored(terminal, ignored);
}
