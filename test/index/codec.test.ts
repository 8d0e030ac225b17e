/**
 * Method: round trips of random records; every single flipped bit and every cut of the bytes must be found, and a record under
 * another's key, too. The template's layout is checked against bytes written out by hand from docs/FORMAT.md.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { isHarmonidError } from '../../src/errors.js';
import {
  changeCodec,
  checkpointCodec,
  galleryCodec,
  identityCodec,
  keyParts,
  keys,
  ranges,
  templateCodec,
  type TemplateRecord,
} from '../../src/index/codec.js';
import { makeFaces, pick, randomFrom, runSeed, type Random } from './faces.js';

const dimensions = 9;

function randomText(random: Random): string {
  const letters = ['a', 'Z', '9', ' ', 'é', '漢', '😀', '"', '\\', '/'];
  return Array.from({ length: Math.floor(random() * 12) }, () => pick(random, letters)).join('');
}

function randomTemplate(random: Random): TemplateRecord {
  return {
    space: randomText(random),
    origin: pick(random, ['native', 'mapped', 're-embedded'] as const) ?? 'native',
    quality: random() < 0.5 ? null : random(),
    imageDigest: random() < 0.5 ? null : Buffer.from(Array.from({ length: 32 }, () => random() * 256)).toString('hex'),
    enrolledAt: Math.floor(random() * 2 ** 41),
    vector: makeFaces(random, { dimensions }).face(0),
  };
}

/** Every way in which one bit may be wrong, or the end missing. */
function* damages(bytes: Buffer): Iterable<Buffer> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = Buffer.from(bytes);
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    yield damaged;
  }
  for (let length = 0; length < bytes.length; length++) yield bytes.subarray(0, length);
  yield Buffer.concat([bytes, Buffer.alloc(1)]);
}

function assertCorrupt(decode: () => unknown, key: Buffer): void {
  assert.throws(decode, (error) => {
    assert.ok(isHarmonidError(error));
    assert.equal(error.code, 'DATA_CORRUPT');
    assert.equal(error.details['key'], key.toString('hex'));
    return true;
  });
}

describe('codec', () => {
  it('gives templates back as they were, whatever they hold', () => {
    const random = randomFrom(runSeed('codec'));
    for (let round = 0; round < 300; round++) {
      const record = randomTemplate(random);
      const key = keys.template(Math.floor(random() * 2 ** 32), Math.floor(random() * 2 ** 32), round);
      const bytes = templateCodec.encode(key, record);
      assert.deepEqual(templateCodec.decode(key, bytes, dimensions), record);
      assert.deepEqual(templateCodec.decodeVector(key, bytes, dimensions), record.vector);
    }
  });

  it('gives other records back as they were', () => {
    const random = randomFrom(11);
    for (let round = 0; round < 100; round++) {
      const text = randomText(random);
      const identity = {
        identity: text,
        label: text,
        groups: [text, randomText(random)],
        attributes: { [text]: randomText(random) },
        version: 3,
        createdAt: 4,
        updatedAt: 5,
      };
      const key = keys.owner(1, round);
      assert.deepEqual(identityCodec.decode(key, identityCodec.encode(key, identity)), identity);
      const change = { kind: 'enroll' as const, owner: round, added: [1, round], removed: [], at: 6 };
      const changeKey = keys.change(1, round);
      assert.deepEqual(changeCodec.decode(changeKey, changeCodec.encode(changeKey, change)), change);
    }
  });

  it('finds every flipped bit and every cut, and says which record and both checksums', () => {
    const key = keys.template(1, 2, 3);
    const bytes = templateCodec.encode(key, randomTemplate(randomFrom(12)));
    for (const damaged of damages(bytes)) assertCorrupt(() => templateCodec.decode(key, damaged, dimensions), key);
    const checkpointKey = keys.checkpoint(1);
    const checkpoint = checkpointCodec.encode(checkpointKey, { sequence: 1, at: 2, file: null });
    for (const damaged of damages(checkpoint))
      assertCorrupt(() => checkpointCodec.decode(checkpointKey, damaged), checkpointKey);
    const flipped = Buffer.from(bytes);
    flipped[40] = (flipped[40] ?? 0) ^ 1;
    assert.throws(
      () => templateCodec.decode(key, flipped, dimensions),
      /stored checksum 0x[0-9a-f]{8}, computed 0x[0-9a-f]{8}/,
    );
  });

  it('finds a record under the key of another, of another type or of another size', () => {
    const key = keys.template(1, 2, 3);
    const other = keys.template(1, 2, 4);
    const bytes = templateCodec.encode(key, randomTemplate(randomFrom(13)));
    assertCorrupt(() => templateCodec.decode(other, bytes, dimensions), other);
    assertCorrupt(() => galleryCodec.decode(key, bytes), key);
    assert.throws(() => templateCodec.decode(key, bytes, dimensions + 1), /9 dimensions, its gallery has 10/);
  });

  it('lays a template out as docs/FORMAT.md says', () => {
    const vector = makeFaces(randomFrom(14), { dimensions: 2 }).face(0);
    const bytes = templateCodec.encode(keys.template(1, 2, 3), {
      space: 'ab',
      origin: 'mapped',
      quality: 0.5,
      imageDigest: '01'.repeat(32),
      enrolledAt: 1_700_000_000_000,
      vector,
    });
    assert.equal(bytes.length, 12 + 56 + 2 * 4 + 2);
    assert.equal(bytes.toString('latin1', 0, 2), 'Hd');
    assert.deepEqual([...bytes.subarray(2, 8)], [5, 1, 66, 0, 0, 0], 'type, version, bytes of the payload');
    const payload = bytes.subarray(12);
    assert.deepEqual(
      [...payload.subarray(0, 8)],
      [1, 3, 2, 0, 2, 0, 0, 0],
      'origin, flags, bytes of the space, dimensions',
    );
    assert.equal(payload.readDoubleLE(8), 1_700_000_000_000);
    assert.equal(payload.readDoubleLE(16), 0.5);
    assert.deepEqual(
      [...payload.subarray(24, 56)],
      Array.from({ length: 32 }, () => 1),
    );
    assert.deepEqual([payload.readFloatLE(56), payload.readFloatLE(60)], [...vector]);
    assert.equal(payload.toString('utf8', 64), 'ab');
  });

  it('orders keys as numbers and names, and keeps galleries and groups apart', () => {
    const inRange = (key: Buffer, [start, end]: readonly [Buffer, Buffer]): boolean =>
      Buffer.compare(key, start) >= 0 && Buffer.compare(key, end) < 0;
    assert.ok(Buffer.compare(keys.change(1, 255), keys.change(1, 256)) < 0);
    assert.ok(Buffer.compare(keys.change(1, 2 ** 40), keys.change(2, 1)) < 0);
    assert.ok(inRange(keys.identity(7, 'zz'), ranges.gallery(7)));
    assert.ok(!inRange(keys.identity(8, 'a'), ranges.gallery(7)));
    assert.ok(inRange(keys.membership(7, 'staff', 5), ranges.membersOf(7, 'staff')));
    assert.ok(!inRange(keys.membership(7, 'staff 2', 5), ranges.membersOf(7, 'staff')));
    assert.ok(!inRange(keys.membership(7, 'staf', 5), ranges.membersOf(7, 'staff')));
    assert.ok(inRange(keys.identity(7, 'bob '), ranges.identitiesAfter(7, 'bob')));
    assert.ok(!inRange(keys.identity(7, 'bob'), ranges.identitiesAfter(7, 'bob')));
    assert.ok(inRange(keys.template(7, 0xffffffff, 9), ranges.templatesOf(7, 0xffffffff)));
    assert.ok(
      inRange(keys.change(7, 20), ranges.changesTo(7, 20)) && !inRange(keys.change(7, 21), ranges.changesTo(7, 20)),
    );
    assert.ok(keys.identity(1, '漢'.repeat(128)).length < 1978);
    assert.equal(keyParts.identity(keys.identity(1, 'é 😀')), 'é 😀');
    assert.equal(keyParts.member(keys.membership(1, 'g', 77)), 77);
    assert.equal(keyParts.expiry(keys.expiry(1, 5, 'retry-1')), 'retry-1');
    assert.equal(keyParts.purge(keys.purge(12)), 12);
  });
});
