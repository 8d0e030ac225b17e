/**
 * A configuration file in YAML 1.2, as values with their places. Pure; with `environment.ts` the only importer of yaml.
 *
 * Promises: nothing is skipped. A key that is not known, twice there, or not where it belongs is a problem with its line and column, and all
 * problems are told at once; of a file that is not YAML, only why not. No text of the file but names of keys and the values of keys that are no
 * secrets gets into a problem.
 */
import { isAbsolute, dirname, join } from 'node:path';
import { isMap, isNode, isScalar, LineCounter, parseDocument, visit, type Node, type YAMLMap } from 'yaml';
import { nearest } from './nearest.js';
import type { Given, Origin, Problem, Reading } from './origin.js';
import { isSection, keysOf, type Key, type Section } from './outline.js';

/** @param file its name, as places show it and as paths in it are relative to */
export function readConfigurationText(file: string, yaml: string, outline: Section): Reading {
  const lines = new LineCounter();
  // Pretty errors would show lines of the file, and with them what may be a secret.
  const document = parseDocument(yaml, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): Origin => {
    const { line, col } = lines.linePos(offset);
    return { kind: 'file', file, line, column: col };
  };
  const refusals = [...document.errors, ...document.warnings].map(({ message, pos }): Problem => {
    return { message: `not YAML: ${message}`, origin: at(pos[0]), key: null };
  });
  visit(document, {
    Alias: (_, alias) => {
      refusals.push({ message: 'aliases are not taken: write the value', origin: at(startOf(alias)), key: null });
    },
  });
  if (refusals.length > 0) return { given: [], problems: refusals };
  const reading: { readonly given: Given[]; readonly problems: Problem[] } = { given: [], problems: [] };
  if (document.contents) readSection(document.contents, at(startOf(document.contents)), outline);
  return reading;

  function readSection(node: unknown, origin: Origin, section: Section): void {
    if (isMap(node)) readMap(node, section);
    // Empty is `log:` with every key of it commented out.
    else if (isNode(node) && !isEmpty(node)) {
      const key = section.name || null;
      const message = `${key ?? 'the configuration'} is no section: keys with values are wanted`;
      reading.problems.push({ message, origin, key });
    }
  }

  function readMap(map: YAMLMap, section: Section): void {
    for (const { key, value } of map.items) {
      const segment = isScalar(key) ? String(key.value) : String(key);
      const keyOrigin = at(isNode(key) ? startOf(key) : startOf(map));
      const valueOrigin = isNode(value) && !isEmpty(value) ? at(startOf(value)) : keyOrigin;
      const member = section.members.get(segment);
      if (!member)
        reading.problems.push({ message: unknownKey(segment, section, outline), origin: keyOrigin, key: null });
      else if (isSection(member)) readSection(value, valueOrigin, member);
      else {
        const raw = isNode(value) ? (value.toJS(document) as unknown) : null;
        reading.given.push({ key: member, value: besideFile(file, member, raw), origin: valueOrigin });
      }
    }
  }
}

function startOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

function isEmpty(node: Node): boolean {
  return isScalar(node) && node.value === null;
}

/** Paths in a file are relative to the file, so that it means the same wherever the server is started. */
function besideFile(file: string, key: Key, value: unknown): unknown {
  if (!key.isPath || typeof value !== 'string' || value === '' || isAbsolute(value)) return value;
  return join(dirname(file), value);
}

function unknownKey(segment: string, section: Section, outline: Section): string {
  const name = section.name ? `${section.name}.${segment}` : segment;
  const near = nearest(segment, [...section.members.keys()]);
  const meant = near === undefined ? elsewhere(segment, outline) : section.members.get(near)?.name;
  return `there is no key ${name}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}

/** A key of the right name in the wrong section. */
function elsewhere(segment: string, outline: Section): string | undefined {
  return keysOf(outline).find(({ segments }) => segments.at(-1) === segment)?.name;
}
