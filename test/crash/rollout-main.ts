/** `npm run rollout-crash-test`: kills rollouts for a while and tells what came of it. Exits 1 when anything was wrong. */
import { parseCount, runSeeded } from '../support/seeded-run.js';
import { runRolloutKills } from './rollout-kills.js';

const usage = `npm run rollout-crash-test -- [--kills N] [--seed S] [--json]

Kills processes in the middle of rollouts with SIGKILL, opens their data directories again, and looks for a gallery that is in one space or the other
and lacks nobody.

  --kills N  processes to kill (default 50)
  --seed S   of what is done and when (default: a new one, printed)
  --json     the summary as one line of JSON

Exits 1 when anything was lost or half done.
`;

await runSeeded({
  usage,
  words: { kills: '50' },
  parse: ({ kills }, seed) => ({ kills: parseCount('--kills', kills), seed }),
  run: runRolloutKills,
  format: (report) => `${JSON.stringify(report, null, 2)}\n`,
  isClean: ({ faults }) => faults.length === 0,
});
