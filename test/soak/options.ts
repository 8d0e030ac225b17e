/** What the soak is told on its command line. */
import { parseArgs } from 'node:util';
import { HarmonidError } from '../../src/errors.js';

export interface SoakOptions {
  /** How long the load goes on, without the start, the rest and the end. Memory is judged from five minutes on. */
  readonly minutes: number;
  /** Decides what is asked and in which order; the machine decides what meets what. */
  readonly seed: number;
}

export type SoakCommand =
  { readonly kind: 'help' } | { readonly kind: 'run'; readonly json: boolean; readonly options: SoakOptions };

export const usage = `npm run soak -- [--minutes N] [--seed S] [--json]

Serves a data directory with \`harmonid serve\` and loads it steadily with all kinds of calls: enrolments, identifications, verifications and erasures by image
and by vector, imports, exports, streams that come and go, calls that are cancelled, clients that vanish. As many people are erased as are enrolled. Prints
memory, descriptors, threads and calls in flight, then drains the server in the middle of the load, opens its directory again, and looks for everybody
who was acknowledged. Reads /proc, so it wants Linux.

  --minutes N   of load (default 20; a fraction is allowed)
  --seed S      of what is asked (default: a new one, printed)
  --json        the report as one line of JSON

Exits 1 when memory grew, a handle leaked, an answer was wrong or lost, or somebody was.
`;

/** @throws INVALID_ARGUMENT */
export function parseCommand(words: readonly string[], newSeed: number): SoakCommand {
  const values = parseWords(words);
  if (values.help) return { kind: 'help' };
  const seed = values.seed === undefined ? newSeed : Number(values.seed);
  if (!Number.isInteger(seed) || seed < 1) throw refused('--seed takes a whole number from 1');
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= 10_080)) throw refused('--minutes takes a number above 0, a week at most');
  return { kind: 'run', json: values.json, options: { minutes, seed } };
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        minutes: { type: 'string', default: '20' },
        seed: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw refused(error instanceof Error ? error.message : String(error));
  }
}

function refused(message: string): HarmonidError {
  return new HarmonidError('INVALID_ARGUMENT', message);
}
