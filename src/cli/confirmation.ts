/**
 * Asks before what cannot be undone. Only a person at a terminal can be asked; everybody else says --yes.
 */
import { createInterface } from 'node:readline/promises';
import { usageError } from './failure.js';
import { note, type Terminal } from './terminal.js';

/** Whether to go on. @throws a usage error when nobody can be asked */
export async function confirm(terminal: Terminal, question: string, yes: boolean): Promise<boolean> {
  if (yes) return true;
  if (!terminal.stdin.isTTY) throw usageError(`this cannot be undone, and nobody can be asked: repeat it with --yes`);
  const dialogue = createInterface({ input: terminal.stdin, output: terminal.stderr });
  try {
    const answer = await dialogue.question(`${question} [y/N] `, { signal: terminal.interrupt });
    if (/^y(es)?$/i.test(answer.trim())) return true;
    note(terminal, 'nothing was changed');
    return false;
  } finally {
    dialogue.close();
  }
}
