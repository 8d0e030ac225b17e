/**
 * `harmonid import --templates`: enroll what `harmonid export` wrote, with its provenance.
 *
 * What a person has already is passed over by the database, so that it can be repeated, or go on where it was interrupted.
 */
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { Database, DuplicatePolicy } from '../../api.js';
import { ByteReader } from '../../byte-reader.js';
import { asHarmonidError, isHarmonidError, type HarmonidError } from '../../errors.js';
import { readTemplates } from '../../template-file.js';
import { withDatabase } from '../connection.js';
import { exitCodes, failureJson, usageError, type ExitCode, type FailureJson } from '../failure.js';
import type { EmbedderOptions, GalleryOption, TargetOptions } from '../options.js';
import { checkPhotos } from '../photos.js';
import { refusalText } from '../refusals.js';
import { note, painter, printJson, printLine, type Terminal } from '../terminal.js';
import { counted } from '../wording.js';

export interface TemplateImportOptions extends TargetOptions, GalleryOption, EmbedderOptions {
  readonly duplicates?: DuplicatePolicy;
  readonly createGallery?: boolean;
  readonly threshold?: number;
  readonly report?: string;
  readonly allowRefused?: boolean;
  readonly show: number;
}

/** What an import of templates did; printed with --json and written with --report. */
interface TemplateReport {
  readonly templates: number;
  readonly peopleCreated: number;
  readonly added: number;
  /** Templates that their person has already. */
  readonly alreadyThere: number;
  readonly refused: readonly RefusedTemplate[];
  readonly seconds: number;
  /** False when it was interrupted or failed on the way, e.g. because the file is damaged. */
  readonly complete: boolean;
}

interface RefusedTemplate {
  /** Position in the file, from 0. */
  readonly index: number;
  readonly identity: string;
  readonly error: FailureJson;
}

export async function importTemplates(
  terminal: Terminal,
  file: string,
  options: TemplateImportOptions,
): Promise<ExitCode> {
  if (options.threshold !== undefined && !options.createGallery)
    throw usageError('--threshold is of a gallery that is made: it needs --create-gallery');
  // Tells a name that cannot be read before the database is opened.
  await checkPhotos([file]);
  // Without a threshold it is the model that knows one for its space.
  const images = options.createGallery === true && options.threshold === undefined;
  return withDatabase(options, { images, create: options.createGallery ?? false }, (database) =>
    importFile(terminal, database, file, options),
  );
}

async function importFile(
  terminal: Terminal,
  database: Database,
  file: string,
  options: TemplateImportOptions,
): Promise<ExitCode> {
  const { gallery, duplicates, createGallery, threshold } = options;
  const signal = terminal.interrupt;
  // A typing error is told once, not for every template.
  if (gallery !== undefined && !createGallery) await database.getGallery({ gallery, signal });

  const startedMs = performance.now();
  const counts = { templates: 0, peopleCreated: 0, added: 0, alreadyThere: 0 };
  const refused: RefusedTemplate[] = [];
  let failure: HarmonidError | undefined;
  try {
    const source = file === '-' ? terminal.stdin : createReadStream(file);
    const templates = readTemplates(new ByteReader(source as AsyncIterable<Buffer>));
    const settings = createGallery ? { threshold } : undefined;
    const results = database.importTemplates(templates, { gallery, duplicates, createGallery: settings, signal });
    for await (const { index, identity, answer, error } of results) {
      // What was cancelled is not refused: the next import takes it.
      if (error && isHarmonidError(error) && error.code === 'CANCELLED') continue;
      counts.templates++;
      if (error) refused.push({ index, identity, error: failureJson(error) });
      else if (answer.added) counts.added++;
      else counts.alreadyThere++;
      if (answer?.identityCreated) counts.peopleCreated++;
    }
  } catch (error) {
    failure = asHarmonidError(error);
  }
  const report: TemplateReport = {
    ...counts,
    refused: refused.toSorted((a, b) => a.index - b.index),
    seconds: Number(((performance.now() - startedMs) / 1000).toFixed(3)),
    complete: !failure && !signal.aborted,
  };
  if (options.report !== undefined) await writeFile(options.report, `${JSON.stringify(report, null, 2)}\n`);
  if (options.json) printJson(terminal, report);
  else printReport(terminal, report, options.show);
  if (signal.aborted) {
    note(terminal, 'interrupted: what was enrolled stays; repeat the import to go on');
    return exitCodes.interrupted;
  }
  if (failure) {
    note(terminal, 'stopped: what was enrolled stays; repeat the import to go on');
    throw failure;
  }
  return refused.length > 0 && !options.allowRefused ? exitCodes.refused : exitCodes.done;
}

function printReport(terminal: Terminal, report: TemplateReport, show: number): void {
  const paint = painter(terminal, 'stdout');
  const { templates, added, alreadyThere, refused, peopleCreated, seconds } = report;
  const parts = [
    paint('green', `${added} added`),
    ...(alreadyThere > 0 ? [`${alreadyThere} already there`] : []),
    refused.length > 0 ? paint('red', `${refused.length} refused`) : 'none refused',
  ];
  printLine(terminal, `${counted(templates, 'template')}: ${parts.join(', ')} (${seconds.toFixed(1)} s)`);
  printLine(terminal, counted(peopleCreated, 'new person', 'new people'));
  if (refused.length === 0) return;
  const rows = refused.map(({ index, identity, error }) => ({ item: `${index + 1}, ${identity}`, error }));
  printLine(terminal, `\n${refusalText(paint, 'template', rows, show)}`);
}
