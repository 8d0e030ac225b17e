/** `harmonid identify`: who is in these photos? */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { Command } from 'commander';
import type { Database, Identification } from '../../api.js';
import type { Mark } from '../annotate.js';
import { withDatabase } from '../connection.js';
import { isDirectory } from '../directories.js';
import { exitCodes, failureJson, usageError, type ExitCode, type FailureJson } from '../failure.js';
import {
  decimalNumber,
  describe,
  embedderOptions,
  facesOption,
  galleryOption,
  groupOption,
  targetOptions,
  wholeNumber,
  type EmbedderOptions,
  type FaceChoice,
  type GalleryOption,
  type TargetOptions,
} from '../options.js';
import { checkPhotos, photoName, readPhoto } from '../photos.js';
import type { Run } from '../run.js';
import { note, painter, printJson, printLine, type Terminal } from '../terminal.js';
import { decisionText, distanceText, identityText, nothing, printable, rateText, table, type Row } from '../wording.js';

interface IdentifyOptions extends TargetOptions, GalleryOption, EmbedderOptions {
  readonly faces: FaceChoice | 'all';
  readonly k?: number;
  readonly group?: readonly string[];
  readonly threshold?: number;
  readonly exact?: boolean;
  readonly ef?: number;
  readonly annotate?: string;
}

/** What is printed about one photo with `--json`: its faces, largest first, or why it was refused. */
type PhotoAnswer =
  | { readonly photo: string; readonly identifications: readonly Identification[] }
  | { readonly photo: string; readonly error: FailureJson };

export function identifyCommand(run: Run): Command {
  const command = new Command('identify')
    .summary('say who is in a photo')
    .description(
      'Finds every face of each photo and says who it is: the nearest identity, its distance (squared L2, smaller is more alike), and a decision against the threshold.',
    )
    .argument('<photo...>', 'photos; - reads one from standard input');
  targetOptions(command);
  galleryOption(command);
  facesOption(command, ['all', 'one', 'largest'], 'all');
  groupOption(command, 'search only this group');
  command
    .option('-k, --k <n>', 'print the n nearest identities of each face', wholeNumber)
    .option('--threshold <distance>', "in place of the gallery's", decimalNumber)
    .option('--exact', 'compare with every template')
    .option('--ef <n>', 'width of the graph search: larger finds more and takes longer', wholeNumber)
    .option('--annotate <file>', 'draw boxes, names and distances into a PNG (a folder for several photos)');
  describe(
    command,
    [
      'harmonid identify group.jpg',
      'harmonid identify door.jpg --faces largest --k 3',
      'harmonid identify a.jpg b.jpg --annotate ./annotated',
      'curl -s http://camera/still.jpg | harmonid identify - --server localhost:50051 --json',
    ],
    'With --json: {"photos":[{"photo","identifications":[{"decision","candidates","threshold","margin","face",…}]}]};\na photo that was refused has "error" in place of "identifications", and the others go on.',
  );
  embedderOptions(command);
  return command.action((photos: string[], options: IdentifyOptions) =>
    run(command, async (terminal) => {
      const drawing = await parseDrawing(photos, options.annotate);
      await checkPhotos(photos);
      return withDatabase(options, { images: true, create: false }, (database) =>
        identifyPhotos(terminal, database, photos, drawing, options),
      );
    }),
  );
}

async function identifyPhotos(
  terminal: Terminal,
  database: Database,
  photos: readonly string[],
  drawing: Drawing | undefined,
  options: IdentifyOptions,
): Promise<ExitCode> {
  const answers: PhotoAnswer[] = [];
  for (const path of photos) {
    const bytes = await readPhoto(terminal, path);
    try {
      const identifications = await identifyPhoto(terminal, database, bytes, options);
      answers.push({ photo: photoName(path), identifications });
      if (drawing) await draw(bytes, identifications, drawing(path));
    } catch (error) {
      // Alone it is the command's failure; among others it must not hide their answers.
      if (photos.length === 1 || terminal.interrupt.aborted) throw error;
      answers.push({ photo: photoName(path), error: failureJson(error) });
    }
  }
  if (options.json) printJson(terminal, { photos: answers });
  else printAnswers(terminal, answers, options.k);
  if (drawing && !options.json) {
    const drawn = photos.filter((_, i) => answers[i] && 'identifications' in answers[i]);
    for (const path of drawn) note(terminal, `annotated: ${drawing(path)}`);
  }
  return conclude(answers);
}

async function identifyPhoto(
  terminal: Terminal,
  database: Database,
  image: Uint8Array,
  options: IdentifyOptions,
): Promise<readonly Identification[]> {
  const request = {
    image,
    gallery: options.gallery,
    k: options.k,
    groups: options.group,
    threshold: options.threshold,
    exact: options.exact,
    ef: options.ef,
    signal: terminal.interrupt,
  };
  if (options.faces === 'all') return database.identifyFaces(request);
  return [await database.identify({ ...request, faces: options.faces })];
}

/** A refusal weighs most, then a "no". */
function conclude(answers: readonly PhotoAnswer[]): ExitCode {
  if (answers.some((answer) => 'error' in answer)) return exitCodes.refused;
  const everyFaceMatched = answers.every(
    (answer) =>
      'identifications' in answer &&
      answer.identifications.length > 0 &&
      answer.identifications.every(({ decision }) => decision === 'match'),
  );
  return everyFaceMatched ? exitCodes.done : exitCodes.no;
}

function printAnswers(terminal: Terminal, answers: readonly PhotoAnswer[], k: number | undefined): void {
  const paint = painter(terminal, 'stdout');
  const rows = answers.flatMap((answer): Row[] => {
    const photo = printable(answer.photo);
    if ('error' in answer) return [[photo, nothing, paint('red', 'refused'), answer.error.code, answer.error.message]];
    if (answer.identifications.length === 0) return [[photo, nothing, paint('yellow', 'no face')]];
    return answer.identifications.flatMap((identification, face) => [
      [
        photo,
        `${face + 1}`,
        decisionText(paint, identification.decision),
        identityText(identification),
        ...nearestCells(identification),
      ],
      ...(k === undefined ? [] : candidateRows(identification)),
    ]);
  });
  printLine(
    terminal,
    table(
      paint,
      ['photo', 'face', 'decision', 'identity', 'distance', 'threshold', 'fpir', 'nearest'],
      padRows(rows, 8),
    ),
  );
}

/** Distance, threshold, how many strangers are as near, and who is nearest although it is no match. */
function nearestCells(identification: Identification): Row {
  const [nearest] = identification.candidates;
  return [
    nearest ? distanceText(nearest.distance) : nothing,
    distanceText(identification.threshold),
    identification.fpir === null ? nothing : rateText(identification.fpir),
    nearest ? nameText(nearest) : '(gallery is empty)',
  ];
}

function candidateRows(identification: Identification): readonly Row[] {
  return identification.candidates.map((candidate, rank) => [
    '',
    '',
    '',
    `  ${rank + 1}. ${nameText(candidate)}`,
    distanceText(candidate.distance),
  ]);
}

function nameText({ identity, label }: { readonly identity: string; readonly label: string }): string {
  return label === '' || label === identity ? identity : `${identity} (${label})`;
}

function padRows(rows: readonly Row[], columns: number): readonly Row[] {
  return rows.map((row) => [...row, ...Array<string>(Math.max(0, columns - row.length)).fill('')]);
}

// ── Drawing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Where the annotated picture of a photo goes. */
type Drawing = (photo: string) => string;

async function parseDrawing(photos: readonly string[], target: string | undefined): Promise<Drawing | undefined> {
  if (target === undefined) return undefined;
  if (photos.length === 1 && !target.endsWith('/') && !(await isDirectory(target))) {
    if (extname(target).toLowerCase() !== '.png')
      throw usageError(`--annotate writes PNG, but ${target} is called otherwise`);
    return () => target;
  }
  if (extname(target).toLowerCase() === '.png')
    throw usageError(`--annotate ${target} is one file, but there are ${photos.length} photos: name a folder`);
  const names = photos.map(annotatedName);
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated)
    throw usageError(`two photos would be drawn to ${join(target, repeated)}: identify them one after the other`);
  return (photo) => join(target, annotatedName(photo));
}

function annotatedName(photo: string): string {
  return photo === '-' ? 'stdin.png' : `${basename(photo, extname(photo))}.png`;
}

async function draw(photo: Uint8Array, identifications: readonly Identification[], path: string): Promise<void> {
  const { annotatePhoto } = await import('../annotate.js');
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await annotatePhoto(photo, identifications.flatMap(markOf)));
}

/** How an answer is drawn; nothing for one that has no face. */
function markOf(identification: Identification): readonly Mark[] {
  const { face, decision, candidates, threshold } = identification;
  const [nearest] = candidates;
  if (!face) return [];
  const title = decision === 'no-match' ? 'unknown' : identityText(identification);
  const distance = nearest && distanceText(nearest.distance);
  const noteText = decision === 'no-match' && distance ? `${distance} > ${distanceText(threshold)}` : distance;
  return [{ box: face.box, title, note: noteText, tone: decision }];
}
