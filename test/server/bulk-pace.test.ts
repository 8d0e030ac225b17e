/** Method: a pace that is told when somebody was pressed; how long its pauses are is compared with what they were, not with a clock. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { BulkPace, givingWay } from '../../src/server/bulk-pace.js';

describe('the pace of imports', () => {
  async function msOf(items: number, pace: BulkPace, before: () => void = () => undefined): Promise<number> {
    const startedMs = performance.now();
    for (let item = 0; item < items; item++) {
      before();
      await pace.next();
    }
    return performance.now() - startedMs;
  }

  it('is theirs while nobody is pressed, slows down while somebody is, and comes back', async () => {
    let pressedAtMs = -Infinity;
    const press = (): void => {
      pressedAtMs = performance.now();
    };
    const pace = new BulkPace({
      get pressedAtMs() {
        return pressedAtMs;
      },
      load: { callMs: 10, share: 0 },
    });
    const fastMs = await msOf(100, pace);
    // 1, 2, 4 ... 64, 100, 100 ms.
    const slowMs = await msOf(9, pace, press);
    assert.ok(slowMs > 320 && slowMs > fastMs, `${slowMs} and ${fastMs}`);
    // It shrinks by a third each, to nothing after some fifteen.
    await msOf(60, pace);
    const again = await msOf(100, pace);
    assert.ok(again < slowMs, String(again));
  });

  it('leaves the event loop to people, also when they come in several imports', async () => {
    // Half of it, 2 ms each: 16 between items.
    const pace = new BulkPace({ pressedAtMs: -Infinity, load: { callMs: 2, share: 0.5 } });
    const startedMs = performance.now();
    await Promise.all([msOf(5, pace), msOf(5, pace)]);
    assert.ok(performance.now() - startedMs > 150);
  });

  it('never leaves an item out, however much others are pressed', async () => {
    const pace = new BulkPace({
      get pressedAtMs() {
        return performance.now();
      },
      load: { callMs: 1, share: 1 },
    });
    async function* items(): AsyncIterable<number> {
      for (let item = 0; item < 12; item++) yield item;
    }
    const passed: number[] = [];
    for await (const item of givingWay(items(), () => pace.next())) passed.push(item);
    assert.deepEqual(
      passed,
      Array.from({ length: 12 }, (_, item) => item),
    );
  });
});
