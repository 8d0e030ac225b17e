/**
 * Records <-> bytes, and the keys under which they are stored. Pure; docs/FORMAT.md describes the same bytes for people.
 *
 * Every record is a 12-byte header (magic, record type, version, CRC-32) and a payload. The checksum covers the key, the type, the version and
 * the payload, so that a record under another record's key is found, too. Encoding asserts what decoding re-checks as DATA_CORRUPT.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { assertInvariant, HarmonidError } from '../errors.js';
import { trustUnitVector, type UnitVector } from '../vector.js';
import type { Calibration, DuplicatePolicy, PairSource, PresentationPolicy, TemplateOrigin } from './records.js';
import { keyBytesMax, type TableName } from './store.js';

/** Version of the data directory; a larger one is refused as DATA_FORMAT_NEWER, a smaller one upgraded (format-upgrade.ts). */
export const formatVersion = 3;

/** A retry with the same idempotency key gets the first answer for this long. */
export const expireAfterMs = 24 * 60 * 60 * 1000;

const magic = 0x6448; // 'Hd' little-endian
const recordVersion = 1;
const headerBytes = 12;

/** Record types; numbers are part of the format and never reused. 3, 4 and 7 were of format 1 only (format-upgrade.ts). */
const recordTypes = {
  format: 1,
  gallery: 2,
  'identity of format 1': 3,
  'owner of format 1': 4,
  template: 5,
  change: 6,
  'answer of format 1': 7,
  checkpoint: 8,
  mark: 9,
  holder: 10,
  identity: 11,
  pointer: 12,
  answer: 13,
  receipt: 14,
  suppression: 15,
  sealed: 16,
  chain: 17,
  unscrubbed: 18,
  quarantined: 19,
  pair: 20,
  document: 21,
} as const;
export type RecordType = keyof typeof recordTypes;

// ── Records as they are stored ───────────────────────────────────────────────────────────────────────────────────────

export interface FormatRecord {
  readonly format: number;
  readonly nextGalleryNumber: number;
  /** Of an encrypted directory: the name that its keyring has, too. */
  readonly keyDirectory?: string;
  /** While an upgrade is under way: the format that the directory had. */
  readonly upgradingFrom?: number;
}

/** A gallery's settings, counters and next numbers. `number` stands for the gallery in every key; never reused. */
export interface GalleryRecord {
  readonly number: number;
  readonly space: string;
  readonly dimensions: number;
  readonly threshold: number;
  readonly thresholdSource: string;
  readonly margin: number;
  readonly duplicates: DuplicatePolicy;
  readonly refuseReasons: readonly string[];
  readonly templatesPerIdentityMax: number;
  readonly description: string;
  readonly identityCount: number;
  readonly templateCount: number;
  readonly sequence: number;
  readonly nextOwner: number;
  readonly nextTemplate: number;
  /** Milliseconds since 1970, as are all times here. */
  readonly createdAt: number;
  /** Default `ignore`. */
  readonly presentation?: PresentationPolicy;
  /** Wanted error rates; absent where nobody wants one. */
  readonly fpirTarget?: number | null;
  readonly fmrTarget?: number | null;
  /** Number of the lane that serves, to which space, dimensions, threshold and templateCount belong (lanes.ts). Default 0. */
  readonly lane?: number;
  readonly calibration?: Calibration;
  /** While the gallery moves to another space. */
  readonly beside?: LaneRecord;
  /** Default 1. */
  readonly nextLane?: number;
  /** Default 1. */
  readonly nextPair?: number;
}

/** A lane as its gallery's record tells it. */
export interface LaneRecord {
  readonly lane: number;
  readonly space: string;
  readonly dimensions: number;
  readonly threshold: number;
  readonly thresholdSource: string;
  readonly templateCount: number;
  readonly calibration?: Calibration;
}

/** Stands under its owner, the identity's ordinal in its gallery; never reused. */
export interface IdentityRecord {
  readonly identity: string;
  readonly label: string;
  readonly groups: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** From an identity's id to its owner. */
export interface PointerRecord {
  readonly owner: number;
}

export interface TemplateRecord {
  readonly space: string;
  readonly origin: TemplateOrigin;
  readonly quality: number | null;
  readonly imageDigest: string | null;
  readonly enrolledAt: number;
  readonly vector: UnitVector;
}

/** One entry of a gallery's change log: what happened to which owner, and the templates that came and went. */
export interface ChangeRecord {
  readonly kind: 'enroll' | 'update' | 'remove' | 'erase' | 'settings' | 'lanes';
  readonly owner: number | null;
  readonly added: readonly number[];
  readonly removed: readonly number[];
  readonly at: number;
}

/** What an idempotent enrolment answered. Numbers only: what they stand for is read where it may since have been erased. */
export interface AnswerRecord {
  readonly digest: string;
  readonly at: number;
  readonly owner: number;
  readonly created: boolean;
  readonly templates: readonly number[];
  readonly duplicates: readonly { readonly owner: number; readonly template: number; readonly distance: number }[];
  readonly sequence: number;
}

/** An erasure that was done; see erasure-receipt.ts. Names nobody. */
export interface ReceiptRecord {
  readonly at: number;
  readonly gallery: number;
  /** SHA-256, hex, as in the suppression list. */
  readonly identityDigest: string;
  readonly templateCount: number;
  readonly sequence: number;
  /** Digest of the receipt before; 64 zeros in the first. */
  readonly previous: string;
  readonly digest: string;
}

/** The end of the chain of receipts. */
export interface ChainRecord {
  readonly count: number;
  /** Of the last receipt. */
  readonly digest: string;
}

/** Somebody, or an image of somebody, who must not come back with an import; `receipt` is the number of the erasure. */
export interface SuppressionRecord {
  readonly kind: 'identity' | 'image';
  readonly receipt: number;
}

/** A graph file that was verified after writing; `file` is null while the gallery is scanned exactly. */
export interface CheckpointRecord {
  readonly sequence: number;
  readonly at: number;
  readonly file: {
    readonly name: string;
    readonly sha256: string;
    readonly bytes: number;
    readonly dimensions: number;
    readonly space: string;
    readonly count: number;
    readonly m: number;
    readonly efConstruction: number;
    /** Of a file of our own engine: where its root is, of which `sha256` is then. */
    readonly root?: { readonly at: number; readonly bytes: number };
    /** Of a sealed file: its key, sealed with the directory's; base64. */
    readonly key?: string;
  } | null;
}

/** Who has the data directory open for writing; see data-lock.ts. */
export interface HolderRecord {
  readonly pid: number;
  readonly startedAt: string;
  readonly domain: string;
  readonly nonce: string;
}

// ── Bytes ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function frame(type: RecordType, key: Uint8Array, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(headerBytes + payload.length);
  bytes.writeUInt16LE(magic, 0);
  bytes.writeUInt8(recordTypes[type], 2);
  bytes.writeUInt8(recordVersion, 3);
  bytes.writeUInt32LE(payload.length, 4);
  bytes.set(payload, headerBytes);
  bytes.writeUInt32LE(checksum(key, bytes), 8);
  return bytes;
}

/** CRC-32 of the key, the first eight bytes of the header and the payload. */
function checksum(key: Uint8Array, bytes: Uint8Array): number {
  return crc32(bytes.subarray(headerBytes), crc32(bytes.subarray(0, 8), crc32(key)));
}

function unframe(type: RecordType, key: Uint8Array, bytes: Buffer): Buffer {
  const corrupt = (what: string, details: object = {}): HarmonidError =>
    new HarmonidError('DATA_CORRUPT', `${type} record ${printKey(key)}: ${what}`, {
      details: { record: type, key: printKey(key), ...details },
    });
  if (bytes.length < headerBytes) throw corrupt(`${bytes.length} bytes, a header has ${headerBytes}`);
  const stored = bytes.readUInt32LE(8);
  const computed = checksum(key, bytes);
  if (stored !== computed) {
    throw corrupt(`stored checksum ${hex(stored)}, computed ${hex(computed)}`, {
      storedChecksum: hex(stored),
      computedChecksum: hex(computed),
    });
  }
  if (bytes.readUInt16LE(0) !== magic) throw corrupt(`magic ${hex(bytes.readUInt16LE(0))}, expected ${hex(magic)}`);
  if (bytes[2] !== recordTypes[type]) throw corrupt(`record type ${bytes[2]}, expected ${recordTypes[type]}`);
  // The format record tells a newer directory by its content, so that it must be readable whatever its version.
  if (bytes[3] !== recordVersion && type !== 'format') throw corrupt(`version ${bytes[3]}, expected ${recordVersion}`);
  if (bytes.readUInt32LE(4) !== bytes.length - headerBytes) {
    throw corrupt(`payload of ${bytes.length - headerBytes} bytes, header says ${bytes.readUInt32LE(4)}`);
  }
  return bytes.subarray(headerBytes);
}

/**
 * Checks a record that is passed on as it is stored, whatever its type and version: magic, length, checksum with its key.
 * @throws DATA_CORRUPT, naming both checksums
 */
export function verifyFrame(key: Uint8Array, bytes: Buffer): void {
  const corrupt = (what: string, details: object = {}): HarmonidError =>
    new HarmonidError('DATA_CORRUPT', `record ${printKey(key)}: ${what}`, {
      details: { key: printKey(key), ...details },
    });
  if (bytes.length < headerBytes) throw corrupt(`${bytes.length} bytes, a header has ${headerBytes}`);
  const stored = bytes.readUInt32LE(8);
  const computed = checksum(key, bytes);
  if (stored !== computed) {
    throw corrupt(`stored checksum ${hex(stored)}, computed ${hex(computed)}`, {
      storedChecksum: hex(stored),
      computedChecksum: hex(computed),
    });
  }
  if (bytes.readUInt16LE(0) !== magic) throw corrupt(`magic ${hex(bytes.readUInt16LE(0))}, expected ${hex(magic)}`);
  if (bytes.readUInt32LE(4) !== bytes.length - headerBytes) {
    throw corrupt(`payload of ${bytes.length - headerBytes} bytes, header says ${bytes.readUInt32LE(4)}`);
  }
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

/** A key as people can look it up. */
function printKey(key: Uint8Array): string {
  return Buffer.from(key).toString('hex');
}

export interface JsonCodec<T> {
  encode(key: Uint8Array, record: T): Buffer;
  decode(key: Uint8Array, bytes: Buffer): T;
}

/** Codec of a record whose payload is JSON with at least the named fields. */
export function jsonCodec<T extends object>(type: RecordType, fields: readonly (keyof T & string)[]): JsonCodec<T> {
  return {
    encode(key, record) {
      assertInvariant(
        fields.every((field) => record[field] !== undefined),
        'a record is complete before it is encoded',
      );
      return frame(type, key, Buffer.from(JSON.stringify(record)));
    },
    decode(key, bytes) {
      const payload = unframe(type, key, bytes);
      try {
        const record = JSON.parse(payload.toString()) as T;
        const missing = fields.find((field) => record[field] === undefined);
        if (missing === undefined) return record;
        throw new Error(`field ${missing} is missing`);
      } catch (cause) {
        throw new HarmonidError(
          'DATA_CORRUPT',
          `${type} record ${printKey(key)}: its payload is not what ${type} records hold`,
          {
            details: { record: type, key: printKey(key) },
            cause,
          },
        );
      }
    },
  };
}

export const formatCodec = jsonCodec<FormatRecord>('format', ['format', 'nextGalleryNumber']);
export const galleryCodec = jsonCodec<GalleryRecord>('gallery', [
  'number',
  'space',
  'dimensions',
  'threshold',
  'thresholdSource',
  'margin',
  'duplicates',
  'refuseReasons',
  'templatesPerIdentityMax',
  'description',
  'identityCount',
  'templateCount',
  'sequence',
  'nextOwner',
  'nextTemplate',
  'createdAt',
]);
export const identityCodec = jsonCodec<IdentityRecord>('identity', [
  'identity',
  'label',
  'groups',
  'attributes',
  'version',
  'createdAt',
  'updatedAt',
]);
export const pointerCodec = jsonCodec<PointerRecord>('pointer', ['owner']);
export const changeCodec = jsonCodec<ChangeRecord>('change', ['kind', 'owner', 'added', 'removed', 'at']);
export const answerCodec = jsonCodec<AnswerRecord>('answer', [
  'digest',
  'at',
  'owner',
  'created',
  'templates',
  'duplicates',
  'sequence',
]);
export const receiptCodec = jsonCodec<ReceiptRecord>('receipt', [
  'at',
  'gallery',
  'identityDigest',
  'templateCount',
  'sequence',
  'previous',
  'digest',
]);
export const chainCodec = jsonCodec<ChainRecord>('chain', ['count', 'digest']);
/** The change that removed what is to be overwritten in the files. */
export const unscrubbedCodec = jsonCodec<{ readonly sequence: number }>('unscrubbed', ['sequence']);
export const suppressionCodec = jsonCodec<SuppressionRecord>('suppression', ['kind', 'receipt']);
export const checkpointCodec = jsonCodec<CheckpointRecord>('checkpoint', ['sequence', 'at', 'file']);
export const holderCodec = jsonCodec<HolderRecord>('holder', ['pid', 'startedAt', 'domain', 'nonce']);
/** A record whose key says everything: memberships, expiries, galleries to purge. */
export const markCodec = jsonCodec<object>('mark', []);

const origins: readonly TemplateOrigin[] = ['native', 'mapped', 're-embedded'];

/**
 * Payload of a template: u8 origin, u8 flags (1 quality, 2 image digest), u16 bytes of the space's name, u32 dimensions, f64 enrolled at, f64
 * quality, 32 bytes SHA-256 of the image, the vector as float32, the space's name. All little-endian; absent parts are zero.
 */
const vectorOffset = 56;

export const templateCodec = {
  encode(key: Uint8Array, record: TemplateRecord): Buffer {
    const space = Buffer.from(record.space);
    assertInvariant(space.length <= 0xffff, 'the name of a space has at most 65535 bytes');
    const vector = Buffer.from(record.vector.buffer, record.vector.byteOffset, record.vector.byteLength);
    const payload = Buffer.alloc(vectorOffset + vector.length + space.length);
    payload.writeUInt8(origins.indexOf(record.origin), 0);
    payload.writeUInt8((record.quality === null ? 0 : 1) | (record.imageDigest === null ? 0 : 2), 1);
    payload.writeUInt16LE(space.length, 2);
    payload.writeUInt32LE(record.vector.length, 4);
    payload.writeDoubleLE(record.enrolledAt, 8);
    payload.writeDoubleLE(record.quality ?? 0, 16);
    if (record.imageDigest !== null) {
      assertInvariant(/^[0-9a-f]{64}$/.test(record.imageDigest), 'an image digest is 64 hexadecimal digits');
      payload.write(record.imageDigest, 24, 'hex');
    }
    payload.set(vector, vectorOffset);
    payload.set(space, vectorOffset + vector.length);
    return frame('template', key, payload);
  },

  /** @param dimensions of the gallery; the stored vector must have as many. */
  decode(key: Uint8Array, bytes: Buffer, dimensions: number): TemplateRecord {
    const payload = unframe('template', key, bytes);
    const vector = vectorIn(key, payload, dimensions);
    const origin = origins[payload.readUInt8(0)];
    if (origin === undefined) throw corruptTemplate(key, `origin ${payload.readUInt8(0)} is unknown`);
    const flags = payload.readUInt8(1);
    return {
      origin,
      space: payload.subarray(vectorOffset + dimensions * 4).toString(),
      enrolledAt: payload.readDoubleLE(8),
      quality: flags & 1 ? payload.readDoubleLE(16) : null,
      imageDigest: flags & 2 ? payload.toString('hex', 24, 56) : null,
      vector,
    };
  },

  /** As the record tells them, unchecked; undefined when it is too short. */
  dimensionsOf(bytes: Buffer): number | undefined {
    return bytes.length < headerBytes + vectorOffset ? undefined : bytes.readUInt32LE(headerBytes + 4);
  },

  /** Where the vector lies in a record in the clear, whatever became of its bytes; undefined when it is too short. */
  vectorBytesIn(bytes: Buffer, dimensions: number): Uint8Array | undefined {
    const start = headerBytes + vectorOffset;
    if (recordTypeOf(bytes) !== 'template' || bytes.length < start + dimensions * 4) return undefined;
    return Uint8Array.from(bytes.subarray(start, start + dimensions * 4));
  },

  /** As the record tells it, its checksum unread. */
  originOf(bytes: Buffer): TemplateOrigin | undefined {
    return origins[bytes[headerBytes] ?? origins.length];
  },

  /** The vector alone, which is all that a graph wants. */
  decodeVector(key: Uint8Array, bytes: Buffer, dimensions: number): UnitVector {
    return vectorIn(key, unframe('template', key, bytes), dimensions);
  },
};

/** One face in two spaces, for fitting an adapter between them. */
export interface PairRecord {
  readonly source: PairSource;
  readonly at: number;
  readonly imageDigest: string | null;
  readonly from: { readonly space: string; readonly vector: UnitVector };
  readonly to: { readonly space: string; readonly vector: UnitVector };
}

/** Payload: u32 bytes of a JSON text with everything but the vectors, that text, the vector before, the vector after, as float32. */
export const pairCodec = {
  encode(key: Uint8Array, { from, to, ...about }: PairRecord): Buffer {
    const bytesOf = ({ vector }: PairRecord['from']): Buffer =>
      Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
    const facts = { ...about, from: from.space, fromDimensions: from.vector.length, to: to.space };
    const text = Buffer.from(JSON.stringify(facts));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    return frame('pair', key, Buffer.concat([length, text, bytesOf(from), bytesOf(to)]));
  },
  decode(key: Uint8Array, bytes: Buffer): PairRecord {
    const payload = unframe('pair', key, bytes);
    const textEnd = 4 + payload.readUInt32LE(0);
    const { from, to, fromDimensions, ...about } = JSON.parse(payload.toString('utf8', 4, textEnd)) as Omit<
      PairRecord,
      'from' | 'to'
    > & { from: string; to: string; fromDimensions: number };
    const vectors = new Float32Array(Uint8Array.from(payload.subarray(textEnd)).buffer);
    return {
      ...about,
      from: { space: from, vector: trustUnitVector(vectors.slice(0, fromDimensions)) },
      to: { space: to, vector: trustUnitVector(vectors.slice(fromDimensions)) },
    };
  },
};

/** Bytes under a name, whose meaning is the business of whoever keeps them. */
export const documentCodec = {
  encode: (key: Uint8Array, payload: Uint8Array): Buffer => frame('document', key, payload),
  decode: (key: Uint8Array, bytes: Buffer): Buffer => unframe('document', key, bytes),
};

/** A record that only its owner's key opens: a nonce, another record encrypted, and the tag. The frame's checksum needs no key. */
export const sealedCodec = {
  encode: (key: Uint8Array, payload: Uint8Array): Buffer => frame('sealed', key, payload),
  decode: (key: Uint8Array, bytes: Buffer): Buffer => unframe('sealed', key, bytes),
};

/** What was taken out of a table because it could not stay there, with its bytes as they were. */
export interface QuarantinedRecord {
  readonly at: number;
  readonly reason: string;
  readonly table: string;
  /** Under which it stood, hex. */
  readonly key: string;
  readonly bytes: Buffer;
}

/** Payload: u32 bytes of a JSON text with everything but the bytes, that text, the bytes. */
export const quarantinedCodec = {
  encode(key: Uint8Array, { bytes, ...about }: QuarantinedRecord): Buffer {
    const text = Buffer.from(JSON.stringify(about));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    return frame('quarantined', key, Buffer.concat([length, text, bytes]));
  },
  decode(key: Uint8Array, record: Buffer): QuarantinedRecord {
    const payload = unframe('quarantined', key, record);
    const textEnd = 4 + payload.readUInt32LE(0);
    const about = JSON.parse(payload.toString('utf8', 4, textEnd)) as Omit<QuarantinedRecord, 'bytes'>;
    return { ...about, bytes: payload.subarray(textEnd) };
  },
};

/** What a record says that it is; undefined for a number that no type has. Checks nothing else. */
export function recordTypeOf(bytes: Buffer): RecordType | undefined {
  return (Object.keys(recordTypes) as RecordType[]).find((type) => recordTypes[type] === bytes[2]);
}

function corruptTemplate(key: Uint8Array, what: string): HarmonidError {
  return new HarmonidError('DATA_CORRUPT', `template record ${printKey(key)}: ${what}`, {
    details: { record: 'template', key: printKey(key) },
  });
}

function vectorIn(key: Uint8Array, payload: Buffer, dimensions: number): UnitVector {
  const stored = payload.length < vectorOffset ? 0 : payload.readUInt32LE(4);
  if (stored !== dimensions) throw corruptTemplate(key, `${stored} dimensions, its gallery has ${dimensions}`);
  if (payload.length !== vectorOffset + stored * 4 + payload.readUInt16LE(2)) {
    throw corruptTemplate(key, `payload of ${payload.length} bytes does not hold ${stored} dimensions`);
  }
  const vector = new Float32Array(dimensions);
  new Uint8Array(vector.buffer).set(payload.subarray(vectorOffset, vectorOffset + dimensions * 4));
  return trustUnitVector(vector);
}

// ── Keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
// Numbers are big-endian, so that byte order is numeric order. A name is always the last part of a key, or ends with a
// zero byte, which no name holds: keys are unambiguous.

function u32(...numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 4);
  numbers.forEach((number, i) => bytes.writeUInt32BE(number, i * 4));
  return bytes;
}

/** Sequences and times: below 2^48. */
function u48(number: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(number, 0, 6);
  return bytes;
}

/** Tables whose keys begin with the number of a gallery that is there, or is just being removed. */
export const galleryTables = [
  'identities',
  'owners',
  'templates',
  'memberships',
  'changes',
  'idempotency',
  'expiries',
  'checkpoints',
  'pairs',
  'contributors',
  'documents',
] as const satisfies readonly TableName[];

export const keys = {
  format: (): Buffer => Buffer.from('format'),
  holder: (): Buffer => Buffer.from('holder'),
  purge: (gallery: number): Buffer => Buffer.concat([Buffer.from('purge'), u32(gallery)]),
  /** A lane that is no more, of which records may be left. */
  drop: (gallery: number, lane: number): Buffer => Buffer.concat([Buffer.from('drop'), u32(gallery, lane)]),
  gallery: (name: string): Buffer => Buffer.from(name),
  identity: (gallery: number, identity: string): Buffer => Buffer.concat([u32(gallery), Buffer.from(identity)]),
  owner: (gallery: number, owner: number): Buffer => u32(gallery, owner),
  /** Vectors of the first lane have no lane in their keys. */
  template: (gallery: number, owner: number, template: number, lane = 0): Buffer =>
    lane === 0 ? u32(gallery, owner, template) : u32(gallery, owner, template, lane),
  membership: (gallery: number, group: string, owner: number): Buffer =>
    Buffer.concat([u32(gallery), Buffer.from(`${group}\0`), u32(owner)]),
  change: (gallery: number, sequence: number): Buffer => Buffer.concat([u32(gallery), u48(sequence)]),
  idempotency: (gallery: number, key: string): Buffer => Buffer.concat([u32(gallery), Buffer.from(key)]),
  expiry: (gallery: number, at: number, key: string): Buffer =>
    Buffer.concat([u32(gallery), u48(at), Buffer.from(key)]),
  checkpoint: (gallery: number, lane = 0): Buffer => (lane === 0 ? u32(gallery) : u32(gallery, lane)),
  pair: (gallery: number, owner: number, pair: number): Buffer => u32(gallery, owner, pair),
  /** @param sha256 of the name of somebody who gave faces for pairs and is not enrolled, hex */
  contributor: (gallery: number, sha256: string): Buffer => Buffer.concat([u32(gallery), Buffer.from(sha256, 'hex')]),
  document: (gallery: number, name: string): Buffer => Buffer.concat([u32(gallery), Buffer.from(name)]),
  chain: (): Buffer => Buffer.from('receipts'),
  receipt: (number: number): Buffer => u48(number),
  suppression: (gallery: number, sha256: string): Buffer => Buffer.concat([u32(gallery), Buffer.from(sha256, 'hex')]),
  settled: (): Buffer => Buffer.from('settled'),
  unscrubbed: (gallery: number): Buffer => Buffer.concat([Buffer.from('unscrubbed'), u32(gallery)]),
  /** Begins with gallery and owner, so that erasing finds it; 0 and the largest number stand for none. The key within may be a digest. */
  quarantined: ({ gallery, owner, table, at, key }: QuarantinePlace): Buffer => {
    const beginning = Buffer.concat([u32(gallery ?? 0, owner ?? noOwner), Buffer.from(`${table}\0`), u48(at)]);
    const fits = beginning.length + key.length <= keyBytesMax;
    return Buffer.concat([beginning, fits ? key : createHash('sha256').update(key).digest()]);
  },
};

/** No identity has this ordinal. */
const noOwner = 0xffff_ffff;

export interface QuarantinePlace {
  /** Null when it cannot be told, or belongs to none. */
  readonly gallery: number | null;
  readonly owner: number | null;
  readonly table: string;
  readonly at: number;
  readonly key: Uint8Array;
}

/** Ranges [start, end) of keys with a common beginning. */
export const ranges = {
  all: (): readonly [Buffer, Buffer] => [Buffer.alloc(1), Buffer.alloc(1, 0xff)],
  unscrubbed: (): readonly [Buffer, Buffer] => [Buffer.from('unscrubbed'), Buffer.from('unscrubbee')],
  drops: (): readonly [Buffer, Buffer] => [Buffer.from('drop'), Buffer.from('droq')],
  purges: (): readonly [Buffer, Buffer] => [Buffer.from('purge'), Buffer.from('purgf')],
  gallery: (gallery: number): readonly [Buffer, Buffer] => [u32(gallery), u32(gallery + 1)],
  /** Identities strictly after `after`, in UTF-8 byte order. */
  identitiesAfter: (gallery: number, after: string): readonly [Buffer, Buffer] => [
    Buffer.concat([u32(gallery), Buffer.from(`${after}\0`)]),
    u32(gallery + 1),
  ],
  ownerOf: (gallery: number, owner: number): readonly [Buffer, Buffer] => [
    u32(gallery, owner),
    Buffer.concat([u32(gallery, owner), Buffer.alloc(1)]),
  ],
  templatesOf: (gallery: number, owner: number): readonly [Buffer, Buffer] => [
    u32(gallery, owner),
    owner === 0xffffffff ? u32(gallery + 1) : u32(gallery, owner + 1),
  ],
  membersOf: (gallery: number, group: string): readonly [Buffer, Buffer] => [
    Buffer.concat([u32(gallery), Buffer.from(`${group}\0`)]),
    Buffer.concat([u32(gallery), Buffer.from(`${group}\x01`)]),
  ],
  changesTo: (gallery: number, sequence: number): readonly [Buffer, Buffer] => [
    u32(gallery),
    keys.change(gallery, sequence + 1),
  ],
  expiriesBefore: (gallery: number, at: number): readonly [Buffer, Buffer] => [
    u32(gallery),
    Buffer.concat([u32(gallery), u48(at)]),
  ],
};

/** What can be read back from keys. */
export const keyParts = {
  galleryName: (key: Buffer): string => key.toString(),
  identity: (key: Buffer): string => key.toString('utf8', 4),
  purge: (key: Buffer): number => key.readUInt32BE(5),
  drop: (key: Buffer): { readonly gallery: number; readonly lane: number } => ({
    gallery: key.readUInt32BE(4),
    lane: key.readUInt32BE(8),
  }),
  unscrubbed: (key: Buffer): number => key.readUInt32BE(10),
  /** Of the tables whose keys begin with a gallery and an owner. */
  owned: (key: Buffer): { readonly gallery: number; readonly owner: number } => ({
    gallery: key.readUInt32BE(0),
    owner: key.readUInt32BE(4),
  }),
  receipt: (key: Buffer): number => key.readUIntBE(0, 6),
  template: (key: Buffer): { readonly owner: number; readonly template: number; readonly lane: number } => ({
    owner: key.readUInt32BE(4),
    template: key.readUInt32BE(8),
    lane: key.length > 12 ? key.readUInt32BE(12) : 0,
  }),
  /** The number of a change. */
  change: (key: Buffer): number => key.readUIntBE(4, 6),
  pair: (key: Buffer): number => key.readUInt32BE(8),
  document: (key: Buffer): string => key.toString('utf8', 4),
  member: (key: Buffer): number => key.readUInt32BE(key.length - 4),
  expiry: (key: Buffer): string => key.toString('utf8', 10),
};
