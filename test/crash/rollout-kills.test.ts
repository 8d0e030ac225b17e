/** Method: a short run of the rollouts that are killed (`npm run rollout-crash-test` for longer ones). Where kills fall is the machine's choice. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { runSeed } from '../index/faces.js';
import { runRolloutKills } from './rollout-kills.js';

describe('rollouts that are killed', function () {
  this.timeout(120_000);

  it('resume, or stand where they were, never half switched', async () => {
    const report = await runRolloutKills({ kills: 6, seed: runSeed('rollout kills') }, () => undefined);
    assert.deepEqual(report.faults, []);
    assert.ok(Object.keys(report.steps).length > 1, 'steps were done at all');
  });
});
