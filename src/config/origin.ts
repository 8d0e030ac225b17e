/**
 * Where a value of the configuration comes from, and what is wrong with it, in words. Pure.
 *
 * Promises: every problem names its place, and none shows the value of a secret.
 */
import type { Key } from './outline.js';

/** From the weakest to the strongest. */
export type Origin =
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'flag'; readonly name: string };

/** A value as somebody gave it, not yet parsed. */
export interface Given {
  readonly key: Key;
  readonly value: unknown;
  readonly origin: Origin;
}

export interface Problem {
  /** What is wrong and what is wanted, without the place. */
  readonly message: string;
  readonly origin?: Origin | undefined;
  /** The key, or the section, that it speaks of; null when there is none of that name. */
  readonly key: string | null;
}

/** What one source gives. */
export interface Reading {
  readonly given: readonly Given[];
  readonly problems: readonly Problem[];
}

/** `harmonid.yaml:3:10`, `HARMONID_LOG_LEVEL`, `--log-level`, `default` */
export function originText(origin: Origin): string {
  switch (origin.kind) {
    case 'default':
      return 'default';
    case 'file':
      return `${origin.file}:${origin.line}:${origin.column}`;
    case 'variable':
    case 'flag':
      return origin.name;
  }
}

export function problemText({ message, origin }: Problem): string {
  return origin ? `${originText(origin)}: ${message}` : message;
}

export function wrongValue({ key, value, origin }: Given): Problem {
  const is = key.isSecret ? 'is not what it must be' : `is ${valueText(value)}`;
  return { message: `${key.name} ${is}, ${key.wanted} is wanted`, origin, key: key.name };
}

function valueText(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : JSON.stringify(value);
}
