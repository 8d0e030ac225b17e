/**
 * `harmonid import`: enroll everybody of a folder that holds one folder a person.
 *
 * Every photo is an enrolment of its own, so that a bad photo costs nobody the good ones. A photo that its person already
 * has (by the digest of the file) is not sent again: an import that is repeated or was interrupted adds nothing twice,
 * however much later.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { defaultGallery, type Database, type EnrollRequest } from '../../api.js';
import { asHarmonidError, HarmonidError, isHarmonidError } from '../../errors.js';
import { sha256 } from '../../requests.js';
import { withDatabase } from '../connection.js';
import { exitCodes, failureJson, usageError, type ExitCode, type FailureJson } from '../failure.js';
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
import { listPeople, photoExtensions, type PeopleFolder, type PersonPhoto } from '../photos.js';
import { startProgress } from '../progress.js';
import { refusalText } from '../refusals.js';
import type { Run } from '../run.js';
import { note, painter, printJson, printLine, type Terminal } from '../terminal.js';
import { counted, printable } from '../wording.js';
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

interface RefusedPhoto {
  readonly photo: string;
  readonly identity: string;
  readonly error: FailureJson;
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

  const startedMs = performance.now();
  const tally = new Tally();
  let failure: HarmonidError | undefined;
  const progress = startProgress(terminal, folder.photos.length, 'photos');
  try {
    const requests = enrollmentsOf(database, folder.photos, tally, options);
    for await (const result of database.importAll(requests, { signal: terminal.interrupt })) {
      const photo = tally.takeSent(result.index);
      // What was cancelled is not refused: the next import takes it.
      if (result.error && isHarmonidError(result.error) && result.error.code === 'CANCELLED') continue;
      if (result.error) tally.refuse(photo, result.error);
      else tally.enroll(photo, result.answer.created);
      progress.reach(tally.done);
    }
  } catch (error) {
    failure = asHarmonidError(error);
  } finally {
    progress.stop();
  }
  const report: ImportReport = {
    gallery,
    people: folder.people,
    photos: folder.photos.length,
    ...tally.counts(),
    ignored: folder.ignored,
    seconds: Number(((performance.now() - startedMs) / 1000).toFixed(3)),
    complete: !failure && !terminal.interrupt.aborted,
  };
  if (options.report !== undefined) await writeFile(options.report, `${JSON.stringify(report, null, 2)}\n`);
  if (options.json) printJson(terminal, report);
  else printReport(terminal, report, options.show);
  if (terminal.interrupt.aborted) {
    note(terminal, 'interrupted: what was enrolled stays; repeat the import to go on');
    return exitCodes.interrupted;
  }
  if (failure) {
    note(terminal, 'stopped: what was enrolled stays; repeat the import to go on');
    throw failure;
  }
  return report.refused.length > 0 && !options.allowRefused ? exitCodes.refused : exitCodes.done;
}

/** The enrolments, read from disk as the import asks for them. */
async function* enrollmentsOf(
  database: Database,
  photos: readonly PersonPhoto[],
  tally: Tally,
  options: ImportOptions,
): AsyncGenerator<EnrollRequest> {
  let person: string | undefined;
  let digests = new Set<string>();
  for (const photo of photos) {
    if (photo.identity !== person) {
      person = photo.identity;
      digests = await enrolledDigests(database, options.gallery, person);
    }
    let image: Uint8Array;
    try {
      image = await readFile(photo.path);
    } catch (cause) {
      tally.refuse(photo, new HarmonidError('IMAGE_UNREADABLE', 'the file cannot be read', { cause }));
      continue;
    }
    const digest = sha256(image);
    if (digests.has(digest)) {
      tally.alreadyThere++;
      continue;
    }
    digests.add(digest);
    tally.send(photo);
    yield {
      gallery: options.gallery,
      identity: photo.identity,
      images: [image],
      groups: options.group,
      faces: options.faces,
      duplicates: options.duplicates,
      refuseReasons: options.anyQuality ? [] : undefined,
    };
  }
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

/** Counts results, and remembers which photo is behind an item of the stream while it is in work. */
class Tally {
  alreadyThere = 0;
  readonly #sent = new Map<number, PersonPhoto>();
  readonly #refused: RefusedPhoto[] = [];
  readonly #people = new Set<string>();
  #sentCount = 0;
  #enrolled = 0;
  #peopleCreated = 0;

  send(photo: PersonPhoto): void {
    this.#sent.set(this.#sentCount++, photo);
  }

  /** Photos that need no more work. */
  get done(): number {
    return this.#enrolled + this.alreadyThere + this.#refused.length;
  }

  /** The photo of the item with this index. */
  takeSent(index: number): PersonPhoto {
    const photo = this.#sent.get(index);
    if (!photo) throw new HarmonidError('INTERNAL', `the import answered item ${index}, which was not sent`);
    this.#sent.delete(index);
    return photo;
  }

  enroll(photo: PersonPhoto, created: boolean): void {
    this.#enrolled++;
    this.#people.add(photo.identity);
    if (created) this.#peopleCreated++;
  }

  refuse(photo: PersonPhoto, error: unknown): void {
    this.#refused.push({ photo: photo.path, identity: photo.identity, error: failureJson(error) });
  }

  counts(): Pick<ImportReport, 'peopleCreated' | 'peopleEnrolled' | 'enrolled' | 'alreadyThere' | 'refused'> {
    return {
      peopleCreated: this.#peopleCreated,
      peopleEnrolled: this.#people.size,
      enrolled: this.#enrolled,
      alreadyThere: this.alreadyThere,
      // Several are in work at the same time; people read names in their order.
      refused: this.#refused.toSorted((a, b) => (a.photo < b.photo ? -1 : 1)),
    };
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
  if (ignored.length > 0) {
    const shown = ignored.slice(0, 5).map(printable).join(', ');
    note(
      terminal,
      `ignored, not photos of a person: ${shown}${ignored.length > 5 ? ` and ${ignored.length - 5} more` : ''}`,
    );
  }
}
