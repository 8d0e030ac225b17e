/**
 * Lists of photo pairs in the format of LFW's `pairs.txt` (Huang et al., Labeled Faces in the Wild, 2007, View 2).
 *
 * The first line holds the number of folds and of pairs: `folds<TAB>n`. Each fold is n genuine lines `name i j` and then n
 * impostor lines `name1 i name2 j`. Photo i of `name` lies in `name/name_000i.jpg` (or `.png`). A list that comes out of
 * `parsePairs` is complete: every fold has n of either kind, names cannot leave the folder, and no pair contradicts its
 * kind. Pure: no file is opened here.
 */
import { HarmonidError } from '../errors.js';

/** Names one photo: `Name/Name_0001` as LFW does, without extension, or `Name/any.png`. */
export type PhotoName = string;

/** Two photos and whether they show the same person. */
export interface Pair {
  readonly a: PhotoName;
  readonly b: PhotoName;
  readonly genuine: boolean;
}

export interface PairList {
  /** At least two; each holds n genuine and n impostor pairs. Folds share no people in LFW's own lists. */
  readonly folds: readonly (readonly Pair[])[];
  /** Pairs of either kind in a fold. */
  readonly pairsPerFold: number;
}

/**
 * Reads a pairs file.
 * @param source names the file in messages.
 * @throws INVALID_ARGUMENT with the line number and what was expected there.
 */
export function parsePairs(text: string, source: string): PairList {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  while (lines.at(-1)?.trim() === '') lines.pop();
  const refuse = (line: number, problem: string): never => {
    throw new HarmonidError('INVALID_ARGUMENT', `${source}, line ${line}: ${problem}`, { details: { source, line } });
  };

  const header = fields(lines[0] ?? '').map(positiveInteger);
  const [foldCount, pairsPerFold] = header;
  if (header.length !== 2 || !foldCount || !pairsPerFold || foldCount < 2) {
    return refuse(1, `expected "folds<TAB>pairs per fold", at least two folds, found "${clip(lines[0] ?? '')}"`);
  }
  const expected = 1 + foldCount * 2 * pairsPerFold;
  if (lines.length !== expected) {
    const announced = `${foldCount} folds of ${pairsPerFold} genuine and ${pairsPerFold} impostor pairs`;
    return refuse(
      Math.min(lines.length, expected) + 1,
      `line 1 announces ${announced}, ${expected} lines; the file has ${lines.length}`,
    );
  }

  const folds = Array.from({ length: foldCount }, (_, fold) =>
    Array.from({ length: 2 * pairsPerFold }, (__, position) => {
      const line = 2 + fold * 2 * pairsPerFold + position;
      const parsed = parsePair(lines[line - 1] ?? '', position < pairsPerFold);
      return typeof parsed === 'string' ? refuse(line, parsed) : parsed;
    }),
  );
  return { folds, pairsPerFold };
}

/** Every photo that the list names, once, in the order of first mention. */
export function photosOf({ folds }: PairList): readonly PhotoName[] {
  return [...new Set(folds.flat().flatMap(({ a, b }) => [a, b]))];
}

/** The pair, or what is wrong with the line. */
function parsePair(line: string, genuine: boolean): Pair | string {
  const parts = fields(line);
  const found = `found "${clip(line)}"`;
  if (parts.length !== (genuine ? 3 : 4)) {
    return genuine
      ? `expected a genuine pair "name i j", ${found}`
      : `expected an impostor pair "name1 i name2 j", ${found}`;
  }
  const [nameA = '', numberA = ''] = parts;
  const [nameB = '', numberB = ''] = genuine ? [nameA, parts[2]] : [parts[2], parts[3]];
  for (const name of [nameA, nameB]) {
    if (!/^[^/\\]+$/.test(name) || name === '.' || name === '..') return `"${clip(name)}" is not a folder's name`;
  }
  const [i, j] = [positiveInteger(numberA), positiveInteger(numberB)];
  if (!i || !j) return `photo numbers are whole and start at 1, ${found}`;
  if (genuine && i === j) return `a genuine pair needs two photos, ${found}`;
  if (!genuine && nameA === nameB) return `an impostor pair needs two people, ${found}`;
  return { a: photoName(nameA, i), b: photoName(nameB, j), genuine };
}

function photoName(name: string, number: number): PhotoName {
  return `${name}/${name}_${String(number).padStart(4, '0')}`;
}

/** LFW separates by tabs; names with blanks are possible only then. */
function fields(line: string): readonly string[] {
  return line.trim().split(line.includes('\t') ? /\t+/ : /\s+/);
}

function positiveInteger(text: string): number | undefined {
  return /^[1-9]\d{0,8}$/.test(text.trim()) ? Number(text) : undefined;
}

/** What a message quotes of a line. */
export function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
