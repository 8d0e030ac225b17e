/**
 * Where the command line reads and prints: the process's streams and environment, as arguments.
 *
 * Answers go to stdout, everything else (progress, notes, errors) to stderr, so that stdout can be piped. Colours are only
 * for a terminal and honour NO_COLOR. `interrupt` fires at the first SIGINT or SIGTERM; the second one ends the process.
 */
import { styleText } from 'node:util';

export interface Terminal {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Whether NO_COLOR is unset. */
  readonly colour: boolean;
  readonly interrupt: AbortSignal;
  /** The variables of the process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow';

/** Wraps `text` in a colour, or leaves it alone. */
export type Paint = (style: Style, text: string) => string;

/** Colours for one of the two streams. */
export function painter(terminal: Terminal, stream: 'stdout' | 'stderr'): Paint {
  if (!terminal.colour || !terminal[stream].isTTY) return (_, text) => text;
  return (style, text) => styleText(style, text, { validateStream: false });
}

export function printLine(terminal: Terminal, text: string): void {
  terminal.stdout.write(`${text}\n`);
}

/** One JSON document. */
export function printJson(terminal: Terminal, value: unknown): void {
  printLine(terminal, JSON.stringify(value, jsonValue, 2));
}

/** A remark for people beside the answer. */
export function note(terminal: Terminal, text: string): void {
  terminal.stderr.write(`${text}\n`);
}

/** Vectors as plain arrays: nine digits bring every float32 back exactly. */
export function jsonValue(_key: string, value: unknown): unknown {
  return value instanceof Float32Array ? Array.from(value, (component) => Number(component.toPrecision(9))) : value;
}
