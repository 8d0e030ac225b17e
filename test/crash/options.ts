/** What the crash test is told on its command line. */
import { parseArgs } from 'node:util';
import { HarmonidError } from '../../src/errors.js';

export interface CrashOptions {
  /** Processes to kill. More find rarer moments. */
  readonly kills: number;
  /** Decides what is done and when the kill is wanted; the machine decides what it hits. */
  readonly seed: number;
  /** Clients at the same time, each with people of its own. More share flushes, and leave more in flight. */
  readonly concurrency: number;
}

export type CrashCommand =
  { readonly kind: 'help' } | { readonly kind: 'run'; readonly json: boolean; readonly options: CrashOptions };

export const usage = `npm run crash-test -- [--kills N] [--seed S] [--concurrency C] [--json]

Kills a server with SIGKILL while clients write to it, opens its data directory again, and compares every identity with what had
been acknowledged; every second time also as it would be after a power loss.

  --kills N        processes to kill (default 50)
  --seed S         of what is done and when (default: a new one, printed)
  --concurrency C  clients at the same time (default 8)
  --json           the summary as one line of JSON

Exits 1 when anything was lost, doubled or resurrected; the directory is then kept and its place printed.
`;

/** @throws INVALID_ARGUMENT */
export function parseCommand(words: readonly string[], newSeed: number): CrashCommand {
  const values = parseWords(words);
  if (values.help) return { kind: 'help' };
  return {
    kind: 'run',
    json: values.json,
    options: {
      kills: parseCount('--kills', values.kills),
      seed: values.seed === undefined ? newSeed : parseCount('--seed', values.seed),
      concurrency: parseCount('--concurrency', values.concurrency),
    },
  };
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        kills: { type: 'string', default: '50' },
        seed: { type: 'string' },
        concurrency: { type: 'string', default: '8' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new HarmonidError('INVALID_ARGUMENT', error instanceof Error ? error.message : String(error));
  }
}

function parseCount(name: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new HarmonidError('INVALID_ARGUMENT', `${name} takes whole numbers from 1, found "${text}"`);
  }
  return Number(text);
}
