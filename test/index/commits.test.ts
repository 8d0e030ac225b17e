import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { openLmdbStore } from '../../src/index/lmdb-store.js';
import { inTemporaryFolder } from './folders.js';

describe('commits', () => {
  it('are told with the time that they took, once for all writes that share one, and not when nothing was written', () =>
    inTemporaryFolder(async (path) => {
      const told: number[] = [];
      const store = openLmdbStore({ path, readOnly: false, onCommit: (ms) => told.push(ms) });
      const put = (key: number): Promise<unknown> =>
        store.write((writer) => writer.put('meta', Buffer.of(key), Buffer.of(1)));
      try {
        await Promise.all([put(1), put(2), put(3)]);
        assert.equal(told.length, 1);
        await put(4);
        assert.equal(told.length, 2);
        for (const ms of told) assert.ok(ms > 0 && ms < 60_000, String(ms));
        const failure = new Error('on purpose');
        await assert.rejects(
          store.write(() => {
            throw failure;
          }),
          failure,
        );
        assert.equal(told.length, 2);
      } finally {
        await store.close();
      }
    }));
});
