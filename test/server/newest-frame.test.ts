/** Method: the slot alone, against the rule in words: of what comes between two takes only the newest is seen, the rest is counted. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { NewestFrame } from '../../src/server/newest-frame.js';

describe('NewestFrame', () => {
  it('hands on what comes one at a time', async () => {
    const newest = new NewestFrame<number>();
    for (const frame of [1, 2, 3]) {
      newest.put(frame);
      assert.equal(await newest.take(), frame);
    }
    assert.equal(newest.dropped, 0);
  });

  it('keeps the newest and counts the others', async () => {
    const newest = new NewestFrame<number>();
    for (const frame of [1, 2, 3, 4]) newest.put(frame);
    assert.equal(newest.dropped, 3);
    assert.equal(await newest.take(), 4);
    newest.put(5);
    newest.put(6);
    assert.equal(await newest.take(), 6);
    assert.equal(newest.dropped, 4);
  });

  it('wakes a taker that came first', async () => {
    const newest = new NewestFrame<string>();
    const taken = newest.take();
    newest.put('late');
    assert.equal(await taken, 'late');
  });

  it('gives what still waits after the end, then undefined', async () => {
    const newest = new NewestFrame<number>();
    newest.put(1);
    newest.end();
    newest.put(2);
    assert.equal(await newest.take(), 1);
    assert.equal(await newest.take(), undefined);
  });

  it('wakes a waiting taker at the end', async () => {
    const newest = new NewestFrame<number>();
    const taken = newest.take();
    newest.end();
    assert.equal(await taken, undefined);
  });

  it('throws the failure of its source after what still waits', async () => {
    async function* broken(): AsyncGenerator<number, void, void> {
      yield 1;
      throw new Error('the camera fell down');
    }
    const newest = new NewestFrame<number>();
    await newest.fillFrom(broken());
    assert.equal(await newest.take(), 1);
    await assert.rejects(newest.take(), /the camera fell down/);
  });
});
