/**
 * Method: health is asked for under names that nobody has, megabytes long, over raw HTTP/2. Found by the fuzzer: such a check was never answered,
 * since the package quoted the name in a header, and each name that was watched stayed in memory.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { describe, it } from 'mocha';
import { FuzzedServer } from '../fuzz/server.js';
import { endOf, framed, withWire } from '../fuzz/wire-call.js';
import { temporaryFolder } from '../support/database.js';

const nameBytes = 2 ** 20;
const names = 64;

function request(letter: number): Buffer {
  const name = Buffer.alloc(nameBytes, letter);
  return framed(new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(name).finish());
}

describe('regression: the health of a service that there is not', () => {
  it('is unknown, however long its name, and nothing of it is kept', async () => {
    const folder = temporaryFolder();
    const server = await FuzzedServer.start(['--data', folder, '--vectors-only'], () => undefined);
    try {
      await withWire(server.port, async (wire) => {
        const { outcome } = await wire.call('/grpc.health.v1.Health/Check', request(0x61));
        assert.equal(outcome, 'gRPC NOT_FOUND');
        const before = await server.memory();
        for (let name = 0; name < names; name++) {
          const watch = wire.open('/grpc.health.v1.Health/Watch');
          const end = endOf(watch);
          watch.end(request(0x40 + name));
          // The first answer: it is watched.
          await new Promise((resolve) => watch.once('data', resolve));
          watch.close();
          await end;
        }
        const { heapBytes, externalBytes } = await server.memory();
        const grown = heapBytes + externalBytes - before.heapBytes - before.externalBytes;
        assert.ok(grown < (names * nameBytes) / 2, `${grown} bytes stayed`);
      });
    } finally {
      assert.deepEqual(await server.stop(), []);
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
