/**
 * How values read in tables: three decimals for distances, whole units for sizes, one line a row. Pure.
 */
import Table from 'cli-table3';
import type { Decision, Identification } from '../api.js';
import { rateMin } from '../calibration/calibration-report.js';
import type { BackupSummary } from '../database.js';
import type { Paint } from './terminal.js';

/** What stands where there is nothing. */
export const nothing = '-';

export type Row = readonly string[];

/** A table without lines, so that it can be read, grepped and pasted. Columns are aligned for wide characters, too. */
export function table(paint: Paint, head: Row, rows: readonly Row[]): string {
  const grid = new Table({
    // prettier-ignore
    chars: {
      top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '',
      'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ',
    },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  });
  grid.push(head.map((title) => paint('bold', title.toUpperCase())));
  for (const row of rows) grid.push([...row]);
  return trimLines(grid.toString());
}

/** Names and values under each other. */
export function facts(paint: Paint, rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${paint('dim', name.padEnd(width))}  ${value}`).join('\n');
}

function trimLines(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

export function distanceText(distance: number): string {
  return distance.toFixed(3);
}

/** A share of people or comparisons: 0.012, 3.1e-5. */
export function rateText(rate: number): string {
  const rounded = rate < rateMin ? 0 : Number(rate.toPrecision(2));
  return rounded === 0 || rounded >= 1e-3 ? `${rounded}` : rounded.toExponential();
}

export function countText(count: number): string {
  return count.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

export function decisionText(paint: Paint, decision: Decision): string {
  const style = { match: 'green', 'no-match': 'red', ambiguous: 'yellow' } as const;
  return paint(style[decision], decision);
}

/** Who it is: the identity of a match, the two nearest when they cannot be told apart, nobody otherwise. */
export function identityText({ decision, candidates }: Identification): string {
  const [first, second] = candidates;
  if (!first || decision === 'no-match') return nothing;
  return decision === 'ambiguous' && second ? `${first.identity} or ${second.identity}` : first.identity;
}

/** What detects presentation attacks. @param threshold of the network and its source; null without one */
export function presentationText(threshold: readonly [value: number, source: string] | null): string {
  return threshold ? `attacks are scores below ${threshold[0]} (${threshold[1]})` : 'attacks are not detected';
}

export function listText(values: readonly string[]): string {
  return values.length === 0 ? nothing : values.join(', ');
}

export function attributesText(attributes: Readonly<Record<string, string>>): string {
  return listText(Object.entries(attributes).map(([key, value]) => `${key}=${value}`));
}

/** `2026-11-23 22:34:13Z` */
export function timeText(time: Date | null): string {
  return time === null ? nothing : `${time.toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(4, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${'KMGT'[power - 1] ?? ''}iB`;
}

/** What is in a backup, and how to know it again. */
export function backupText({ records, at, product, bytes, sha256 }: BackupSummary): string {
  const count = (table: string): number => records[table] ?? 0;
  const held = [
    counted(count('galleries'), 'gallery', 'galleries'),
    counted(count('identities'), 'person', 'people'),
    counted(count('templates'), 'template'),
  ];
  return `${held.join(', ')} as of ${timeText(at)}, by harmonid ${product}\n${bytesText(bytes)}, SHA-256 ${sha256}`;
}

export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${count} ${count === 1 ? singular : plural}`;
}

/** File names come from the disk and may hold anything; a terminal must not obey them. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '\uFFFD');
}
