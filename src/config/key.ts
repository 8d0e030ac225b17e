/**
 * How the configuration is written down: sections of keys, as zod schemas that carry what people are told of them.
 *
 * Promises: a key is described in one place. Its type, range and default are its schema's; what else the parser, the reference and the command
 * line must know stands beside them in `KeyNotes`. `outline.ts` reads both.
 */
import { z } from 'zod';

/** What a schema cannot say of a key. */
export interface KeyNotes {
  /** The values that are taken, in words. Default: told from the schema. */
  readonly wanted?: string;
  /** What holds when a key without a default is not set. */
  readonly unset?: string;
  /** A file or folder: relative to the configuration file where that names it. */
  readonly isPath?: boolean;
  /** Its value is never printed, in no answer and in no error. */
  readonly isSecret?: boolean;
  /** The option of `harmonid serve` that overrides it, e.g. `--drain`. */
  readonly flag?: string;
  /** Its environment variable. Default: `HARMONID_` and its name in upper snake case. */
  readonly variable?: string;
}

/** Notes are kept by zod beside its schemas, and do not reach the JSON Schema. */
export const keyNotes = z.registry<KeyNotes>();

/** A key. @param says what it does, and what larger and smaller cost; the reference is made of it */
export function key<T extends z.ZodType>(schema: T, says: string, notes: KeyNotes = {}): T {
  const described = schema.describe(says);
  keyNotes.add(described, notes);
  return described;
}

/** Keys that belong together. All of them may be left out, so each has a default or is optional. */
export function section<T extends z.ZodObject>(object: T, says: string): z.ZodPrefault<T> {
  return z.prefault(object.describe(says), {} as z.input<T>);
}

/** A text that is not empty. */
export const text = z.string().min(1);
