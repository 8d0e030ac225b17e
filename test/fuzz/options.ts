/** What a fuzz run is told on its command line. */
import { parseArgs } from 'node:util';
import { HarmonidError } from '../../src/errors.js';

/** One attack of an earlier run, to be done again and again instead of all others. */
export interface Replay {
  readonly attacker: string;
  readonly iteration: number;
}

export interface FuzzOptions {
  /** How long attacks go on, seconds; the quiet after each round comes on top. */
  readonly seconds: number;
  /** Equal parts of that time. The first warms the server up; floors of memory of the others are compared. At least 3. */
  readonly rounds: number;
  /** Decides every attack; how they fall together is the machine's choice. */
  readonly seed: number;
  readonly replay?: Replay | undefined;
  /** Of the server: how soon it notices that a client is gone, which the end of a run waits for. Default: the server's own. */
  readonly keepaliveSeconds?: number | undefined;
}

export type FuzzCommand =
  { readonly kind: 'help' } | { readonly kind: 'run'; readonly json: boolean; readonly options: FuzzOptions };

export const usage = `npm run fuzz -- [--minutes N] [--seed S] [--attacker NAME --iteration I] [--json]

Throws malformed bytes, frames, messages, streams and images at a real server, while somebody else goes on using it, and looks
for crashes, leaks and hangs.

  --minutes N      how long (default 1)
  --seed S         of all attacks (default: a new one, printed)
  --attacker NAME  with --iteration: only this attack, again and again, to replay a finding
  --iteration I
  --json           the report as one line of JSON

Exits 1 when there is a finding; the data directory is then kept and its place printed.
`;

/** @throws INVALID_ARGUMENT */
export function parseCommand(words: readonly string[], newSeed: number): FuzzCommand {
  const { help, json, minutes, seed, attacker, iteration } = parseWords(words);
  if (help) return { kind: 'help' };
  if ((attacker === undefined) !== (iteration === undefined)) {
    throw new HarmonidError('INVALID_ARGUMENT', '--attacker and --iteration go together');
  }
  const wantedMinutes = parseCount('--minutes', minutes);
  return {
    kind: 'run',
    json,
    options: {
      seconds: 60 * wantedMinutes,
      rounds: Math.max(5, wantedMinutes),
      seed: seed === undefined ? newSeed : parseCount('--seed', seed),
      ...(attacker !== undefined &&
        iteration !== undefined && { replay: { attacker, iteration: parseCount('--iteration', iteration) } }),
    },
  };
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        minutes: { type: 'string', default: '1' },
        seed: { type: 'string' },
        attacker: { type: 'string' },
        iteration: { type: 'string' },
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
