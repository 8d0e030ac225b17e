// Method: machines and what is wanted of them, written by hand.
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { planWorkers } from '../../src/embedder/worker-plan.js';

describe('worker plan', () => {
  it('takes one worker on small machines and leaves its threads to the runtime', () => {
    for (const cores of [1, 2, 3, 4, 7]) assert.deepEqual(planWorkers({}, 'cpu', cores), { workers: 1, threads: 0 });
    for (const cores of [1, 2, 3]) assert.deepEqual(planWorkers({}, 'webgpu', cores), { workers: 1, threads: 0 });
  });

  it('shares larger ones out, up to four workers', () => {
    assert.deepEqual(planWorkers({}, 'cpu', 8), { workers: 2, threads: 8 });
    assert.deepEqual(planWorkers({}, 'cpu', 16), { workers: 4, threads: 8 });
    assert.deepEqual(planWorkers({}, 'cpu', 96), { workers: 4, threads: 48 });
    assert.deepEqual(planWorkers({}, 'webgpu', 4), { workers: 2, threads: 4 });
    assert.deepEqual(planWorkers({}, 'cuda', 16), { workers: 4, threads: 8 });
    assert.deepEqual(planWorkers({}, 'tensorrt', 16), { workers: 1, threads: 0 });
  });

  it('keeps to what was asked for', () => {
    assert.deepEqual(planWorkers({ workers: 3 }, 'cpu', 8), { workers: 3, threads: 5 });
    assert.deepEqual(planWorkers({ workers: 1 }, 'cpu', 64), { workers: 1, threads: 0 });
    assert.deepEqual(planWorkers({ workers: 12 }, 'webgpu', 2), { workers: 12, threads: 1 });
    assert.deepEqual(planWorkers({ threads: 0 }, 'cpu', 16), { workers: 4, threads: 0 });
    assert.deepEqual(planWorkers({ workers: 2, threads: 7 }, 'cpu', 2), { workers: 2, threads: 7 });
  });
});
