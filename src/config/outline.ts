/**
 * The schema as a tree that can be walked: sections, and keys with everything that is known of each. Pure.
 *
 * Promises: it is the one reading of the schema. The file, the variables, the reference and `config print` go by it, so that they
 * cannot name different keys, and a key that is added to a section needs nothing else.
 */
import { z } from 'zod';
import { assertInvariant } from '../errors.js';
import { keyNotes, type KeyNotes } from './key.js';

export interface Key {
  /** E.g. `embedder.threads`. */
  readonly name: string;
  /** The same, in parts. */
  readonly segments: readonly string[];
  readonly schema: z.ZodType;
  /** Whether a text of the environment is its value as it stands. */
  readonly isText: boolean;
  readonly says: string;
  /** The values that are taken, in words: `a whole number from 0 to 256`. */
  readonly wanted: string;
  /** Undefined when there is none; `unset` says what holds then. */
  readonly default: unknown;
  readonly unset: string | undefined;
  readonly isPath: boolean;
  readonly isSecret: boolean;
  readonly flag: string | undefined;
  readonly variable: string;
}

export interface Section {
  /** Empty for the whole. */
  readonly name: string;
  readonly says: string;
  readonly members: ReadonlyMap<string, Key | Section>;
}

export const variablePrefix = 'HARMONID_';

export function isSection(member: Key | Section): member is Section {
  return 'members' in member;
}

/** Every key of a section and of the sections in it, in the order in which they are written. */
export function keysOf(section: Section): readonly Key[] {
  return [...section.members.values()].flatMap((member) => (isSection(member) ? keysOf(member) : [member]));
}

export function outlineOf(object: z.ZodObject, segments: readonly string[] = []): Section {
  const members = Object.entries(object.shape).map(([segment, schema]): [string, Key | Section] => {
    const path = [...segments, segment];
    const inner = schema instanceof z.ZodPrefault ? schema.unwrap() : schema;
    return [segment, inner instanceof z.ZodObject ? outlineOf(inner, path) : keyOf(schema as z.ZodType, path)];
  });
  return { name: segments.join('.'), says: object.description ?? '', members: new Map(members) };
}

function keyOf(schema: z.ZodType, segments: readonly string[]): Key {
  assertInvariant(keyNotes.has(schema), 'every key of the configuration is made by key()');
  const notes: KeyNotes = keyNotes.get(schema) ?? {};
  const json = z.toJSONSchema(schema, { io: 'input' });
  return {
    name: segments.join('.'),
    segments,
    schema,
    isText: json.type === 'string',
    says: json.description ?? '',
    wanted: notes.wanted ?? wantedOf(json, notes.isPath),
    default: json.default,
    unset: notes.unset,
    isPath: notes.isPath ?? false,
    isSecret: notes.isSecret ?? false,
    flag: notes.flag,
    variable: notes.variable ?? variableOf(segments),
  };
}

/** `embedder.batchMax` is HARMONID_EMBEDDER_BATCH_MAX. */
export function variableOf(segments: readonly string[]): string {
  const words = segments.map((segment) => segment.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, '_'));
  return variablePrefix + words.join('_').toUpperCase();
}

function wantedOf({ type, enum: choices, minimum, maximum }: z.core.JSONSchema.BaseSchema, isPath = false): string {
  if (choices) return `one of ${choices.join(', ')}`;
  if (type === 'integer') return `a whole number from ${minimum} to ${maximum}`;
  if (type === 'number') return `a number from ${minimum} to ${maximum}`;
  if (type === 'boolean') return 'true or false';
  assertInvariant(type === 'string', 'a key of another type says what is wanted');
  return isPath ? 'a path' : 'a text';
}
