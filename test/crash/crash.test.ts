/**
 * Method: a short run of the crash test (`npm run crash-test` for longer ones): real servers, real kills, and every identity compared with
 * what had been acknowledged. Where kills fall is the machine's choice; what is done is the seed's.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { runSeed } from '../index/faces.js';
import { runCrashTest } from './rounds.js';

describe('crash test', function () {
  this.timeout(120_000);

  it('finds nothing lost, doubled or resurrected after a few kills', async () => {
    const kills = 6;
    const report = await runCrashTest({ kills, seed: runSeed('crash test'), concurrency: 4 }, () => undefined);
    assert.deepEqual(report.faults, []);
    assert.equal(report.kills, kills);
    assert.ok(report.examined['as it is'] >= kills, 'every directory was read');
  });
});
