/**
 * Method: a served process and a header with letters that gRPC does not allow in it, over raw HTTP/2. The call must be answered, and nothing be
 * written to the standard error or to the log. Found by the fuzzer: grpc-js quoted such headers there, tokens and all.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { describe, it } from 'mocha';
import { framed, withWire } from '../fuzz/wire-call.js';
import { FuzzedServer } from '../fuzz/server.js';
import { temporaryFolder } from '../support/database.js';

describe('regression: a header that cannot be read', () => {
  it('is quoted nowhere', async () => {
    const folder = temporaryFolder();
    const troubles: string[] = [];
    const server = await FuzzedServer.start(['--data', folder, '--vectors-only'], (text) => troubles.push(text));
    try {
      await withWire(server.port, async (wire) => {
        const headers = { authorization: 'Bearer secr\u00e9t' };
        const { outcome } = await wire.call(
          '/harmonid.v1.AdminService/ListGalleries',
          framed(Buffer.alloc(0)),
          headers,
        );
        assert.equal(outcome, 'gRPC OK');
      });
    } finally {
      assert.deepEqual(await server.stop(), []);
      rmSync(folder, { recursive: true, force: true });
    }
    assert.deepEqual(troubles, []);
  });
});
