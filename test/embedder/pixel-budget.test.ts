// Method: the order in which waiters get in is written down by the waiters themselves.
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { PixelBudget } from '../../src/embedder/pixel-budget.js';
import { isHarmonidError } from '../../src/errors.js';

const code = (wanted: string) => (error: unknown) => isHarmonidError(error) && error.code === wanted;

describe('pixel budget', () => {
  it('lets in what fits, and the others in order of arrival', async () => {
    const budget = new PixelBudget(100);
    const entered: string[] = [];
    const enter = (name: string, pixels: number): Promise<void> =>
      budget.acquire(pixels).then(() => {
        entered.push(name);
      });
    await Promise.all([enter('a', 60), enter('b', 40)]);
    const [c, d] = [enter('c', 50), enter('d', 10)];
    await new Promise(setImmediate);
    assert.deepEqual(entered, ['a', 'b'], 'd would fit no better: everything is taken');
    budget.release(40);
    await new Promise(setImmediate);
    assert.deepEqual(entered, ['a', 'b'], 'd does not overtake c');
    budget.release(60);
    await Promise.all([c, d]);
    assert.deepEqual(entered, ['a', 'b', 'c', 'd']);
  });

  it('lets one in that is larger than everything', async () => {
    const budget = new PixelBudget(100);
    await budget.acquire(1000);
    const next = budget.acquire(1);
    budget.release(1000);
    await next;
  });

  it('forgets those who leave, and lets in who stood behind them', async () => {
    const budget = new PixelBudget(100);
    await budget.acquire(50);
    const abort = new AbortController();
    const large = budget.acquire(80, abort.signal);
    const small = budget.acquire(20);
    abort.abort();
    await assert.rejects(large, code('CANCELLED'));
    await small;
    budget.release(70);
    await budget.acquire(100);
  });

  it('refuses everyone who waits or comes once it is closed', async () => {
    const budget = new PixelBudget(10);
    await budget.acquire(10);
    const waiting = budget.acquire(5);
    budget.close();
    await assert.rejects(waiting, code('CLOSED'));
    await assert.rejects(budget.acquire(1), code('CLOSED'));
    budget.release(10);
  });
});
