/**
 * Pairs of tracks in the format of YouTube Faces' `splits.txt` (Wolf, Hassner, Maoz 2011).
 *
 * A header, then `split number, first name, second name, similarity, is same` a line; a name is `PERSON/TRACK`. The similarity is the
 * set's own and is not used. What `parseTrackSplits` gives is complete: splits count from 1 without a gap, each has pairs of either kind, names cannot
 * leave the folder, and no pair contradicts its kind. Pure: no file is opened here.
 */
import { HarmonidError } from '../errors.js';
import { clip, type Pair } from './pairs.js';

/** Names one track: `PERSON/TRACK`. */
export type TrackName = string;

export interface TrackSplits {
  /** At least two; `a` and `b` of a pair are tracks. */
  readonly folds: readonly (readonly Pair[])[];
}

const wanted = 'split number, first name, second name, similarity, is same';

/**
 * @param source names the file in messages.
 * @throws INVALID_ARGUMENT with the line number and what was expected there.
 */
export function parseTrackSplits(text: string, source: string): TrackSplits {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  while (lines.at(-1)?.trim() === '') lines.pop();
  const refuse = (line: number, problem: string): never => {
    throw new HarmonidError('INVALID_ARGUMENT', `${source}, line ${line}: ${problem}`, { details: { source, line } });
  };
  const [header = ''] = lines;
  if (header.split(',').length !== 5 || /^\s*\d/.test(header))
    refuse(1, `expected the header "${wanted}", found "${clip(header)}"`);
  const folds: Pair[][] = [];
  lines.slice(1).forEach((line, i) => {
    const parsed = parseLine(line);
    if (typeof parsed === 'string') return refuse(i + 2, parsed);
    const { split, pair } = parsed;
    if (split > folds.length + 1) return refuse(i + 2, `split ${split} comes after split ${folds.length}`);
    if (split === folds.length + 1) folds.push([]);
    folds[split - 1]?.push(pair);
  });
  folds.forEach((fold, position) => {
    const same = fold.filter(({ genuine }) => genuine).length;
    if (same === 0 || same === fold.length)
      refuse(lines.length, `split ${position + 1} has ${same} pairs of one person and ${fold.length - same} of two`);
  });
  if (folds.length < 2) refuse(lines.length, `at least two splits are wanted, the file has ${folds.length}`);
  return { folds };
}

/** The pair with its split, or what is wrong with the line. */
function parseLine(line: string): { readonly split: number; readonly pair: Pair } | string {
  const parts = line.split(',').map((part) => part.trim());
  const found = `found "${clip(line)}"`;
  if (parts.length !== 5) return `expected "${wanted}", ${found}`;
  const [split = '', a = '', b = '', similarity = '', same = ''] = parts;
  if (!/^[1-9]\d{0,5}$/.test(split)) return `split numbers are whole and start at 1, ${found}`;
  for (const name of [a, b]) if (!isTrackName(name)) return `"${clip(name)}" is not a track, PERSON/TRACK is expected`;
  if (similarity === '' || !Number.isFinite(Number(similarity))) return `the similarity is not a number, ${found}`;
  if (same !== '0' && same !== '1') return `"is same" is 0 or 1, ${found}`;
  if (a === b) return `a pair needs two tracks, ${found}`;
  const genuine = same === '1';
  if (genuine !== (a.split('/')[0] === b.split('/')[0]))
    return `"is same" is ${same}, but the tracks are of ${genuine ? 'two people' : 'one person'}, ${found}`;
  return { split: Number(split), pair: { a, b, genuine } };
}

function isTrackName(name: string): boolean {
  const parts = name.split('/');
  return parts.length === 2 && parts.every((part) => /^[^\\]+$/.test(part) && part !== '.' && part !== '..');
}
