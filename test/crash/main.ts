/** `npm run crash-test`: kills servers for a while and tells what came of it. Exits 1 when anything was wrong. */
import { parseCount, runSeeded } from '../support/seeded-run.js';
import { formatReport } from './report.js';
import { runCrashTest } from './rounds.js';

const usage = `npm run crash-test -- [--kills N] [--seed S] [--concurrency C] [--json]

Kills a server with SIGKILL while clients write to it, opens its data directory again, and compares every identity with what had
been acknowledged; every second time also as it would be after a power loss.

  --kills N        processes to kill (default 50)
  --seed S         of what is done and when (default: a new one, printed)
  --concurrency C  clients at the same time (default 8)
  --json           the summary as one line of JSON

Exits 1 when anything was lost, doubled or resurrected; the directory is then kept and its place printed.
`;

await runSeeded({
  usage,
  words: { kills: '50', concurrency: '8' },
  parse: ({ kills, concurrency }, seed) => ({
    kills: parseCount('--kills', kills),
    seed,
    concurrency: parseCount('--concurrency', concurrency),
  }),
  run: runCrashTest,
  format: formatReport,
  isClean: ({ faults }) => faults.length === 0,
});
