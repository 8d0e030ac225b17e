/** Reading exact amounts, against plain slicing of the whole: the same bytes for every way of cutting them, from a printed seed. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { ByteReader } from '../src/byte-reader.js';
import { randomFrom, runSeed } from './index/faces.js';

async function* pieces(whole: Buffer, sizes: () => number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < whole.length;) {
    const size = sizes();
    yield whole.subarray(start, start + size);
    start += size;
  }
}

describe('byte reader', () => {
  it('gives what slicing the whole gives, however the source is cut', async () => {
    const random = randomFrom(runSeed('byte reader'));
    const whole = Buffer.from(Array.from({ length: 5_000 }, () => Math.floor(random() * 256)));
    for (let run = 0; run < 50; run++) {
      const reader = new ByteReader(pieces(whole, () => Math.floor(random() * 400)));
      let position = 0;
      while (position < whole.length) {
        const count = Math.floor(random() * 900);
        if (random() < 0.5) {
          const seen = await reader.peek(count);
          assert.ok(seen.length >= Math.min(count, whole.length - position));
          assert.ok(seen.equals(whole.subarray(position, position + seen.length)));
        }
        const bytes = await reader.read(count);
        assert.ok(bytes.equals(whole.subarray(position, position + count)));
        position += bytes.length;
        assert.equal(reader.position, position);
      }
      assert.equal((await reader.read(10)).length, 0);
    }
  });

  it('takes no more than it needs, and lets the source go', async () => {
    let taken = 0;
    let closed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          taken++;
          yield Buffer.alloc(10);
        }
      } finally {
        closed = true;
      }
    }
    const reader = new ByteReader(source());
    await reader.read(25);
    await reader.read(5);
    assert.equal(taken, 3);
    await reader.close();
    assert.ok(closed);
    assert.equal((await reader.read(1)).length, 0);
  });
});
