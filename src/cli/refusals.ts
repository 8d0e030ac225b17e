/** What an import refused, for people: how many of each code, the first of them, and what to do. */
import type { FailureJson } from './failure.js';
import type { Paint } from './terminal.js';
import { printable, table } from './wording.js';

export interface Refusal {
  /** What was refused: a photo's path, an item's number. */
  readonly item: string;
  readonly error: FailureJson;
}

/** @param unit the title over the items, e.g. `photo` */
export function refusalText(paint: Paint, unit: string, refused: readonly Refusal[], show: number): string {
  const counts = new Map<string, number>();
  for (const { error } of refused) counts.set(error.code, (counts.get(error.code) ?? 0) + 1);
  const summary = [...counts].toSorted(([, a], [, b]) => b - a).map(([code, count]) => `${count} ${code}`);
  const rows = refused.slice(0, show).map(({ item, error }) => [error.code, printable(item), error.message]);
  const rest =
    refused.length > show
      ? `\n… and ${refused.length - show} more: --show ${refused.length}, --json or --report FILE`
      : '';
  const hints = new Map(refused.flatMap(({ error }) => (error.next === undefined ? [] : [[error.code, error.next]])));
  const advice = [...hints].map(([code, next]) => `\n${paint('dim', `${code}:`)} ${next}`).join('');
  return `refused: ${summary.join(', ')}${rows.length > 0 ? `\n${table(paint, ['code', unit, 'why'], rows)}` : ''}${rest}${advice}`;
}
