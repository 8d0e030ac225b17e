/** How one person is printed: by `show`, `update` and `remove-template` alike. */
import type { Identity } from '../api.js';
import { painter, printJson, printLine, type Terminal } from './terminal.js';
import { attributesText, facts, listText, nothing, table, timeText } from './wording.js';

export function printPerson(terminal: Terminal, person: Identity, json: boolean): void {
  if (json) return printJson(terminal, person);
  const paint = painter(terminal, 'stdout');
  const about = facts(paint, [
    ['identity', person.identity],
    ['label', person.label === '' ? nothing : person.label],
    ['gallery', person.gallery],
    ['groups', listText(person.groups)],
    ['attributes', attributesText(person.attributes)],
    ['created', timeText(person.createdAt)],
    ['updated', timeText(person.updatedAt)],
    ['version', `${person.version}`],
  ]);
  const rows = person.templates.map(({ template, quality, origin, enrolledAt, imageDigest, space }) => [
    `${template}`,
    quality === null ? nothing : quality.toFixed(2),
    origin,
    timeText(enrolledAt),
    imageDigest === null ? nothing : imageDigest.slice(0, 12),
    space,
  ]);
  const templates =
    rows.length === 0
      ? 'no templates: matches nothing'
      : table(paint, ['template', 'quality', 'origin', 'enrolled', 'image', 'space'], rows);
  printLine(terminal, `${about}\n\n${templates}`);
}
