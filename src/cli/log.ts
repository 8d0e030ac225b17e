/**
 * The log of the server: JSON lines for machines, plain lines for a person at a terminal.
 */
import { Writable } from 'node:stream';
import { pino, type Logger } from 'pino';
import type { Configuration } from '../config/schema.js';
import { painter, type Paint, type Terminal } from './terminal.js';
import { printable } from './wording.js';

/** A logger on stdout. */
export function openLog(terminal: Terminal, { level, format }: Configuration['log']): Logger {
  const plain = format === 'auto' ? terminal.stdout.isTTY : format === 'plain';
  return pino({ level, base: null }, plain ? plainLines(terminal) : terminal.stdout);
}

/** Turns pino's lines into `22:34:13 info  message  key=value …`. */
function plainLines(terminal: Terminal): Writable {
  const paint = painter(terminal, 'stdout');
  return new Writable({
    write(line: Buffer, _encoding, done) {
      terminal.stdout.write(`${plainLine(paint, line.toString())}\n`, done);
    },
  });
}

function plainLine(paint: Paint, line: string): string {
  const record = JSON.parse(line) as Record<string, unknown>;
  const { level, time, msg, ...rest } = record;
  const name = pino.levels.labels[Number(level)] ?? 'info';
  const style = name === 'error' || name === 'fatal' ? 'red' : name === 'warn' ? 'yellow' : 'green';
  const clock = new Date(Number(time)).toISOString().slice(11, 19);
  const fields = Object.entries(rest).map(([key, value]) => {
    const shown = typeof value === 'string' && !/\s/.test(value) ? value : JSON.stringify(value);
    return `${paint('dim', `${key}=`)}${printable(shown)}`;
  });
  return [
    paint('dim', clock),
    paint(style, name.padEnd(5)),
    printable(typeof msg === 'string' ? msg : ''),
    ...fields,
  ].join(' ');
}
