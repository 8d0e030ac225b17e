/** `npm run fuzz`: attacks a server for a while and tells what came of it. Exits 1 when there is a finding. */
import { HarmonidError } from '../../src/errors.js';
import { parseCount, runSeeded } from '../support/seeded-run.js';
import type { FuzzOptions } from './options.js';
import { formatReport } from './report.js';
import { runFuzz } from './rounds.js';

const usage = `npm run fuzz -- [--minutes N] [--seed S] [--attacker NAME --iteration I] [--json]

Throws malformed bytes, frames, messages, streams and images at a real server, while somebody else goes on using it, and looks
for crashes, leaks and hangs.

  --minutes N      how long (default 1)
  --seed S         of all attacks (default: a new one, printed)
  --attacker NAME  with --iteration: only this attack, again and again, to replay a finding
  --iteration I
  --json           the report as one line of JSON

Exits 1 when there is a finding; the data directory is then kept and its place printed.
`;

function parse(words: Readonly<Record<string, string | undefined>>, seed: number): FuzzOptions {
  const { attacker, iteration } = words;
  if ((attacker === undefined) !== (iteration === undefined)) {
    throw new HarmonidError('INVALID_ARGUMENT', '--attacker and --iteration go together');
  }
  const minutes = parseCount('--minutes', words['minutes']);
  return {
    seconds: 60 * minutes,
    rounds: Math.max(5, minutes),
    seed,
    ...(attacker !== undefined && { replay: { attacker, iteration: parseCount('--iteration', iteration) } }),
  };
}

await runSeeded({
  usage,
  words: { minutes: '1', attacker: undefined, iteration: undefined },
  parse,
  run: runFuzz,
  format: formatReport,
  isClean: ({ findings }) => findings.length === 0,
});
