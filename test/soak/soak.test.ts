/**
 * Method: a short soak (`npm run soak` for longer ones): a real server, real images, a drain in the middle of the load. It is too short to judge memory; the rule for that is tried
 * on figures made by hand.
 */
import assert from 'node:assert/strict';
import { platform } from 'node:process';
import { describe, it } from 'mocha';
import { runSeed } from '../index/faces.js';
import type { ProcessFigures } from './process-figures.js';
import { runSoak } from './soak.js';
import { judgeHandles, judgeMemory } from './verdict.js';

const figures: ProcessFigures = {
  atSeconds: 0,
  residentMiB: 500,
  anonymousMiB: 400,
  heapMiB: 40,
  externalMiB: 20,
  storeMiB: 1,
  descriptors: 40,
  sockets: 4,
  threads: 20,
  callsInFlight: 0,
  people: {},
};

/** A sample a second for twenty minutes. */
function memory(anonymousMiB: (second: number) => number): readonly ProcessFigures[] {
  return Array.from({ length: 1200 }, (_, i) => ({ ...figures, atSeconds: i + 1, anonymousMiB: anonymousMiB(i + 1) }));
}

/** Filled for a minute and emptied at once, as by a collector. */
const sawtooth = (second: number): number => 400 + (second % 60);

describe('soak', function () {
  this.timeout(240_000);

  it('finds nothing that leaks, and nobody lost by a drain, in some seconds', async function () {
    if (platform !== 'linux') this.skip();
    const report = await runSoak({ minutes: 0.1, seed: runSeed('soak') }, () => undefined);
    assert.deepEqual(report.faults, []);
    assert.ok(report.errands > 20 && report.erased > 0, JSON.stringify(report));
    assert.equal(report.memory, null);
  });

  it('sees a floor that rises, and not teeth above it, nor what only warms up', () => {
    const steady = judgeMemory(memory(sawtooth));
    assert.ok(steady && Math.abs(steady.riseMiB) < 0.5, JSON.stringify(steady));
    const warmed = judgeMemory(memory((second) => sawtooth(second) + Math.min(second, 300)));
    assert.ok(warmed && warmed.riseMiB < warmed.allowedMiB, JSON.stringify(warmed));
    // Two MiB a minute: 30 in the quarter of an hour after the warm-up, 120 an hour.
    const leaking = judgeMemory(memory((second) => sawtooth(second) + (2 * second) / 60));
    assert.ok(leaking && leaking.riseMiB > leaking.allowedMiB, JSON.stringify(leaking));
    assert.ok(Math.abs(leaking.riseMiB - 30) < 1 && Math.abs(leaking.perHourMiB - 120) < 4, JSON.stringify(leaking));
    assert.equal(judgeMemory(memory(sawtooth).slice(0, 200)), null);
  });

  it('names every handle that did not come back', () => {
    assert.deepEqual(judgeHandles(figures, { ...figures, descriptors: 39 }), []);
    assert.deepEqual(judgeHandles(figures, { ...figures, descriptors: 42, sockets: 5, callsInFlight: 1 }), [
      'descriptors: 40 at rest before the load, 42 after it',
      'sockets: 4 at rest before the load, 5 after it',
      '1 calls are in flight at rest',
    ]);
  });
});
