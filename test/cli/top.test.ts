/** Method: a real server with calls on it, and what `harmonid top` prints of them; the numbers are what the test itself asked. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { connectDatabase } from '../../src/client/remote-database.js';
import { axis, makeVectorGallery } from '../server/served.js';
import { harmonid, serve } from './command-line.js';

describe('harmonid top', () => {
  it('shows what the server does', async () => {
    const data = await mkdtemp(join(tmpdir(), 'harmonid-top-'));
    const serving = await serve(['--data', data, '--vectors-only', '--status', '127.0.0.1:0']);
    const remote = connectDatabase({ address: serving.address });
    try {
      const status = String(serving.log.find(({ msg }) => msg === 'tells its status')?.['address']);
      await makeVectorGallery(remote);
      await remote.enroll({ gallery: 'lobby', identity: 'a', embeddings: [axis(0)] });
      const shown = harmonid(['top', '--status', status, '--interval', '3']);
      let isOver = false;
      const asking = (async () => {
        while (!isOver) await remote.identify({ gallery: 'lobby', embedding: axis(0) });
      })();
      const { code, stdout, stderr } = await shown;
      isOver = true;
      await asking;
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^harmonid \d+\.\d+\.\d+ {2}vectors only/);
      assert.match(stdout, /^Identify +[1-9]\d*(\.\d)? +\d+ +\d+\.\d ms +\d+(\.\d)? ms +0\.0/m);
      assert.match(stdout, /match [1-9]\d*(\.\d)?\/s {3}no-match 0\.0\/s/);
      assert.match(stdout, /^search +[1-9]/m);
      assert.match(stdout, /^lobby +1 +1 +\d+ /m);
    } finally {
      await remote.close();
      await serving.stop();
      await rm(data, { recursive: true });
    }
  });

  it('says where it looked when no server is there', async () => {
    const { code, stderr } = await harmonid(['top', '--status', '127.0.0.1:1', '--once']);
    assert.deepEqual(
      [code, /127\.0\.0\.1:1\/metrics.*UNAVAILABLE/.test(stderr.replaceAll('\n', ' '))],
      [1, true],
      stderr,
    );
  });
});
