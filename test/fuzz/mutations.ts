/**
 * Spoils messages as a protobuf decoder sees them: field by field, at any depth, without knowing what the fields mean.
 *
 * Promises: the same random numbers spoil the same bytes in the same way. A mutation changes bytes only within a few megabytes.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { pick, type Random } from '../index/faces.js';

/** `bytes` is what stands behind the tag: of a length-delimited field without its length. */
export interface Field {
  readonly number: number;
  readonly wireType: WireType;
  readonly bytes: Uint8Array;
}

/** The fields of a message; null when it is none. Groups are not looked into. */
export function fieldsOf(message: Uint8Array): Field[] | null {
  const reader = new BinaryReader(message);
  const fields: Field[] = [];
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      if (wireType === WireType.StartGroup || wireType === WireType.EndGroup) return null;
      const start = reader.pos;
      const bytes = wireType === WireType.LengthDelimited ? reader.bytes() : reader.skip(wireType, number);
      fields.push({
        number,
        wireType,
        bytes: wireType === WireType.LengthDelimited ? bytes : message.slice(start, reader.pos),
      });
    }
  } catch {
    return null;
  }
  return fields;
}

export function messageOf(fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const { number, wireType, bytes } of fields) {
    writer.tag(number, wireType);
    if (wireType === WireType.LengthDelimited) writer.bytes(bytes);
    else writer.raw(bytes);
  }
  return writer.finish();
}

/** One to three mutations of a message. */
export function mutated(random: Random, message: Uint8Array): Uint8Array {
  let spoiled = message;
  for (let count = 1 + Math.floor(3 * random()); count > 0; count--) spoiled = mutatedOnce(random, spoiled);
  return spoiled;
}

/** Somewhere in the tree of messages, each level as likely as all below it. */
function mutatedOnce(random: Random, message: Uint8Array): Uint8Array {
  const fields = fieldsOf(message);
  if (!fields || fields.length === 0 || random() < 0.1) return spoilBytes(random, message);
  const position = Math.floor(random() * fields.length);
  const field = fields[position];
  if (!field) return message;
  const inner = field.wireType === WireType.LengthDelimited && field.bytes.length > 0 ? fieldsOf(field.bytes) : null;
  if (inner && random() < 0.5) {
    return messageOf(fields.with(position, { ...field, bytes: mutatedOnce(random, field.bytes) }));
  }
  if (random() < 0.4) return messageOf(spoilPlace(random, fields, position, field));
  return messageOf(fields.with(position, spoilValue(random, field)));
}

/** Where fields stand, and how often. */
function spoilPlace(random: Random, fields: readonly Field[], position: number, field: Field): readonly Field[] {
  switch (Math.floor(random() * 4)) {
    case 0:
      return fields.toSpliced(position, 1);
    case 1:
      return fields.toSpliced(position, 0, field);
    case 2:
      // Within what one message may hold.
      return fields.toSpliced(
        position,
        0,
        ...Array.from({ length: Math.min(5_000, 4_000_000 / (field.bytes.length + 1)) }, () => field),
      );
    default:
      return fields.toReversed();
  }
}

const wireTypes = [
  WireType.Varint,
  WireType.Bit64,
  WireType.LengthDelimited,
  WireType.StartGroup,
  WireType.EndGroup,
  WireType.Bit32,
];

function spoilValue(random: Random, field: Field): Field {
  if (random() < 0.15) return { ...field, wireType: pick(random, wireTypes) ?? field.wireType };
  if (random() < 0.1) return { ...field, number: 1 + Math.floor(random() * 2 ** (29 * random())) };
  switch (field.wireType) {
    case WireType.Varint:
      return { ...field, bytes: pick(random, varints) ?? field.bytes };
    case WireType.Bit64:
      return { ...field, bytes: doubleBytes(pick(random, numbers) ?? 0) };
    case WireType.Bit32:
      return { ...field, bytes: floatBytes(pick(random, numbers) ?? 0) };
    case WireType.LengthDelimited:
      return { ...field, bytes: spoilDelimited(random, field.bytes) };
    case WireType.StartGroup:
    case WireType.EndGroup:
      return field;
  }
}

function spoilDelimited(random: Random, bytes: Uint8Array): Uint8Array {
  switch (Math.floor(random() * 7)) {
    case 0:
      return Buffer.alloc(0);
    case 1:
      return pick(random, texts) ?? bytes;
    case 2:
      return nested(1 + Math.floor(random() * 20_000));
    case 3:
      return spoilBytes(random, bytes);
    case 4:
      return Buffer.alloc(Math.floor(2 ** (22 * random())), Math.floor(256 * random()));
    case 5:
      return withNumbers(random, bytes);
    default:
      return Buffer.concat([bytes, bytes]);
  }
}

/** Below the structure: flipped, cut, stretched, or nothing of it. */
export function spoilBytes(random: Random, bytes: Uint8Array): Uint8Array {
  const spoiled = Buffer.from(bytes);
  switch (Math.floor(random() * 4)) {
    case 0:
      return spoiled.subarray(0, Math.floor(random() * spoiled.length));
    case 1:
      return randomBytes(random, Math.floor(2 ** (14 * random())));
    case 2:
      return Buffer.concat([spoiled, randomBytes(random, 1 + Math.floor(16 * random()))]);
    default:
      for (let flips = 1 + Math.floor(20 * random() ** 2); flips > 0 && spoiled.length > 0; flips--) {
        const at = Math.floor(random() * spoiled.length);
        spoiled[at] = (spoiled[at] ?? 0) ^ (1 << Math.floor(8 * random()));
      }
      return spoiled;
  }
}

export function randomBytes(random: Random, count: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: count }, () => Math.floor(256 * random())));
}

/** Packed floats with what is no coordinate among them. */
function withNumbers(random: Random, bytes: Uint8Array): Buffer {
  const spoiled = Buffer.from(bytes);
  const places = spoiled.length >> 2;
  if (places === 0) return floatBytes(Number.NaN);
  for (let count = 1 + Math.floor(4 * random()); count > 0; count--) {
    spoiled.writeFloatLE(pick(random, numbers) ?? 0, 4 * Math.floor(random() * places));
  }
  return spoiled;
}

/** A message in a message in a message, as field 1 of each. */
function nested(depth: number): Uint8Array {
  // Written from the inside out; lengths below 2^21 take three bytes, padded, so that each level adds the same.
  const level = 4;
  const bytes = Buffer.alloc(depth * level);
  for (let i = 0; i < depth; i++) {
    const length = (depth - 1 - i) * level;
    bytes.set([0x0a, (length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, (length >> 14) & 0x7f], i * level);
  }
  return bytes;
}

/** Whole numbers at the edges of all types that the wire has, one that never ends, and one padded beyond its ten bytes. */
const varints: readonly Uint8Array[] = [
  ...[
    0n,
    1n,
    2n ** 31n - 1n,
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 53n,
    2n ** 53n + 1n,
    2n ** 63n - 1n,
    2n ** 63n,
    2n ** 64n - 1n,
  ].map((value) => new BinaryWriter().uint64(value).finish()),
  new BinaryWriter().int32(-5).finish(),
  Buffer.alloc(11, 0xff),
  Buffer.alloc(40, 0x80),
];

const numbers = [Number.NaN, Infinity, -Infinity, 0, -0, -1, 1e308, -1e308, 5e-324, 3.5e38, 1.4e-45, 2 ** 53, 4.000001];

const texts: readonly Buffer[] = [
  // A lone surrogate, an overlong slash, and bytes that are not UTF-8 at all.
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from([0x61, 0xed, 0xbf, 0xbf, 0x62]),
  Buffer.from([0xc0, 0xaf]),
  Buffer.from([0xff, 0xfe, 0x00]),
  ...[
    '__proto__',
    'constructor',
    'a\0b',
    '../../etc',
    '\u202e\u0000',
    '😀'.repeat(64),
    'ﷺ'.repeat(500),
    'a'.repeat(129),
  ].map((text) => Buffer.from(text)),
  Buffer.alloc(1_000_000, 'a'),
];

function doubleBytes(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

function floatBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}
