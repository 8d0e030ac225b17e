// Method: models written out in the test record which batches they were given; promises, not clocks, hold them busy.
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { Batcher } from '../../src/embedder/batcher.js';
import { HarmonidError, isHarmonidError } from '../../src/errors.js';

/** A model that doubles numbers, and stays busy with each batch until it is released. */
function heldModel(): {
  batches: number[][];
  release: () => void;
  run: (items: readonly number[]) => Promise<number[]>;
} {
  const batches: number[][] = [];
  const held: (() => void)[] = [];
  let open = 0;
  return {
    batches,
    release: () => {
      const next = held.shift();
      if (next) next();
      else open++;
    },
    run: async (items) => {
      batches.push([...items]);
      if (open > 0) open--;
      else await new Promise<void>((resolve) => held.push(resolve));
      return items.map((item) => item * 2);
    },
  };
}

const code = (wanted: string) => (error: unknown) => isHarmonidError(error) && error.code === wanted;

describe('batcher', () => {
  it('gives each caller its own result, whatever the batches', async () => {
    const sizes: number[] = [];
    const batcher = new Batcher<number, number>(7, async (items) => {
      sizes.push(items.length);
      return items.map((item) => item * item);
    });
    const items = Array.from({ length: 100 }, (_, i) => i);
    assert.deepEqual(
      await Promise.all(items.map((item) => batcher.submit(item))),
      items.map((item) => item ** 2),
    );
    assert.ok(sizes.every((size) => size <= 7));
    assert.deepEqual(batcher.counts, { batches: Math.ceil(100 / 7), items: 100 });
  });

  it('batches what came while the model was busy, in order, up to the maximum', async () => {
    const model = heldModel();
    const batcher = new Batcher(3, model.run);
    const first = batcher.submit(1);
    model.release();
    assert.equal(await first, 2);
    const second = batcher.submit(2);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    assert.deepEqual(model.batches, [[1], [2]]);
    const others = [3, 4, 5, 6, 7].map((item) => batcher.submit(item));
    for (let i = 0; i < 3; i++) model.release();
    assert.deepEqual(await Promise.all([second, ...others]), [4, 6, 8, 10, 12, 14]);
    assert.deepEqual(model.batches, [[1], [2], [3, 4, 5], [6, 7]]);
  });

  it('lets a bad item fail alone', async () => {
    const batcher = new Batcher<number, number>(4, async (items) => {
      if (items.includes(13)) throw new HarmonidError('INTERNAL', 'thirteen');
      return [...items];
    });
    const settled = await Promise.allSettled([11, 12, 13, 14].map((item) => batcher.submit(item)));
    assert.deepEqual(
      settled.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    );
    assert.equal(await batcher.submit(15), 15, 'and works on');
  });

  it('drops aborted items that have not begun, and finishes those that have', async () => {
    const model = heldModel();
    const batcher = new Batcher(2, model.run);
    const begun = new AbortController();
    const waiting = new AbortController();
    const late = new AbortController();
    const one = batcher.submit(1, begun.signal);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    const two = batcher.submit(2, waiting.signal);
    const three = batcher.submit(3);
    const four = batcher.submit(4, late.signal);
    begun.abort();
    waiting.abort();
    late.abort(new HarmonidError('DEADLINE_EXCEEDED', 'too late'));
    for (let i = 0; i < 2; i++) model.release();
    assert.equal(await one, 2);
    assert.equal(await three, 6);
    await assert.rejects(two, code('CANCELLED'));
    await assert.rejects(four, code('DEADLINE_EXCEEDED'));
    assert.deepEqual(model.batches, [[1], [3]]);
  });

  it('calls a model that answers with too few results a broken invariant', async () => {
    const batcher = new Batcher<number, number>(2, async () => []);
    await assert.rejects(batcher.submit(1), code('INTERNAL'));
  });
});
