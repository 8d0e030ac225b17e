/** Method: real files; the clock alone is ours, so that a disk can be slow when we want it to be. */
import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { PromptWrites } from '../../src/files/prompt-writes.js';

describe('prompt writes', () => {
  it('write the same in either way, and turn to another thread while a disk is slow', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'harmonid-writes-'));
    const path = join(folder, 'lines');
    const handle = await open(path, 'w');
    let nowMs = 0;
    let stepMs = 0;
    const writes = new PromptWrites(() => (nowMs += stepMs));
    try {
      await writes.write(handle, Buffer.from('one '), 0);
      assert.ok(writes.isTrusting);
      // From here on each look at the clock is six milliseconds after the one before.
      stepMs = 6;
      await writes.write(handle, Buffer.from('two '), 4);
      stepMs = 0;
      assert.ok(!writes.isTrusting);
      await writes.write(handle, Buffer.from('three '), 8);
      nowMs += 10_000;
      assert.ok(writes.isTrusting);
      await writes.write(handle, Buffer.from('four'), 14);
      assert.equal(await readFile(path, 'utf8'), 'one two three four');
    } finally {
      await handle.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
