/**
 * The bytes of a backup: a preamble, then parts one after the other, the last of which is the trailer. Pure; docs/FORMAT.md describes the
 * same bytes for people.
 *
 * Promises: every byte is under a checksum before it is believed, lengths included; a part's checksum covers its place in the stream, so
 * that a part that was moved, repeated or left out is found where it is missed; the preamble never changes, so that any version can say
 * that a backup is too new for it.
 */
import { crc32 } from 'node:zlib';
import { assertInvariant, HarmonidError } from '../errors.js';
import { tableNames, type StoreEntry, type TableName } from './store.js';

/** Version of the stream; one with a larger version is refused as DATA_FORMAT_NEWER. */
export const backupFormatVersion = 1;

/**
 * Tables that are in no backup. Checkpoints name graph files, which are caches. What belongs to the process that has the directory open
 * (the holder in `meta`) is left out by its key.
 */
export const backupTables: readonly TableName[] = tableNames.filter((name) => name !== 'checkpoints');

export const preambleBytes = 16;
export const partHeadBytes = 16;
/** More than any part holds: a chunk of records, or one large record. */
const payloadBytesMax = 64 << 20;

const magic = Buffer.from('HDBACKUP');

/** Kinds of parts; numbers are part of the format and never reused. Files that belong to a directory (keys, say) would be a kind of their own. */
const partKinds = { header: 1, records: 2, trailer: 3 } as const;
export type PartKind = keyof typeof partKinds;

/** What a backup says of itself before its records. */
export interface BackupHeader {
  /** Version of the data directory whose records these are. */
  readonly directoryFormat: number;
  /** Version of harmonid that made it. */
  readonly product: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What a backup says of itself after its records. */
export interface BackupTrailer {
  /** Records of each table, those without any included. */
  readonly records: Readonly<Record<string, number>>;
  /** Bytes before the trailer's part, and their SHA-256, hex. */
  readonly bytes: number;
  readonly sha256: string;
}

/** Records of one table, in the order of their keys. */
export interface RecordChunk {
  readonly table: TableName;
  readonly entries: readonly StoreEntry[];
}

/** @throws BACKUP_INVALID, saying where, and both sides of the disagreement */
export function backupInvalid(offset: number, what: string, details: object = {}, cause?: unknown): HarmonidError {
  return new HarmonidError('BACKUP_INVALID', `the backup is damaged at byte ${offset}: ${what}`, {
    details: { offset, ...details },
    cause,
  });
}

export function backupCutShort(offset: number, wanted: string): HarmonidError {
  return new HarmonidError('BACKUP_INVALID', `the backup ends at byte ${offset}, ${wanted}`, { details: { offset } });
}

// ── The preamble ─────────────────────────────────────────────────────────────────────────────────────────────────────

export function encodePreamble(): Buffer {
  const bytes = Buffer.alloc(preambleBytes);
  bytes.set(magic);
  bytes.writeUInt32LE(backupFormatVersion, 8);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 12)), 12);
  return bytes;
}

/** @throws BACKUP_INVALID, DATA_FORMAT_NEWER */
export function checkPreamble(bytes: Buffer): void {
  if (!bytes.subarray(0, magic.length).equals(magic.subarray(0, bytes.length)) || bytes.length === 0) {
    throw new HarmonidError('BACKUP_INVALID', 'this is no backup of harmonid: it does not begin like one', {
      details: { offset: 0 },
    });
  }
  if (bytes.length < preambleBytes) throw backupCutShort(bytes.length, `a preamble has ${preambleBytes} bytes`);
  checkSum(0, 'preamble', bytes.readUInt32LE(12), crc32(bytes.subarray(0, 12)));
  const version = bytes.readUInt32LE(8);
  if (version > backupFormatVersion) {
    throw new HarmonidError(
      'DATA_FORMAT_NEWER',
      `the backup has format ${version}, this version of harmonid reads up to ${backupFormatVersion}`,
      { details: { format: version, formatMax: backupFormatVersion } },
    );
  }
}

// ── Parts ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** @param offset of the part in the stream */
export function encodePart(kind: PartKind, offset: number, payload: Uint8Array): Buffer {
  assertInvariant(payload.length <= payloadBytesMax, 'a part of a backup has at most 64 MiB');
  const bytes = Buffer.alloc(partHeadBytes + payload.length);
  bytes.writeUInt32LE(partKinds[kind], 0);
  bytes.writeUInt32LE(payload.length, 4);
  bytes.writeUInt32LE(crc32(payload), 8);
  bytes.writeUInt32LE(headChecksum(offset, bytes), 12);
  bytes.set(payload, partHeadBytes);
  return bytes;
}

export interface PartHead {
  readonly kind: PartKind;
  readonly payloadBytes: number;
  readonly payloadChecksum: number;
}

/** @throws BACKUP_INVALID */
export function decodePartHead(offset: number, bytes: Buffer): PartHead {
  if (bytes.length < partHeadBytes) {
    throw backupCutShort(offset + bytes.length, bytes.length === 0 ? 'its trailer is missing' : 'within a part');
  }
  checkSum(offset, 'head of a part', bytes.readUInt32LE(12), headChecksum(offset, bytes));
  const number = bytes.readUInt32LE(0);
  const kind = Object.keys(partKinds).find((name): name is PartKind => partKinds[name as PartKind] === number);
  if (kind === undefined) throw backupInvalid(offset, `part of kind ${number}, known are 1 to 3`);
  const payloadBytes = bytes.readUInt32LE(4);
  if (payloadBytes > payloadBytesMax) {
    throw backupInvalid(offset, `part of ${payloadBytes} bytes, at most ${payloadBytesMax} are allowed`);
  }
  return { kind, payloadBytes, payloadChecksum: bytes.readUInt32LE(8) };
}

/** @param offset of the payload in the stream. @throws BACKUP_INVALID */
export function checkPayload({ kind, payloadBytes, payloadChecksum }: PartHead, offset: number, payload: Buffer): void {
  if (payload.length < payloadBytes) {
    throw backupCutShort(offset + payload.length, `within a part that has ${payloadBytes} bytes from ${offset} on`);
  }
  checkSum(offset, `${kind} of ${payloadBytes} bytes`, payloadChecksum, crc32(payload));
}

/** CRC-32 of the part's place (u64) and of the first 12 bytes of its head. */
function headChecksum(offset: number, head: Buffer): number {
  const place = Buffer.alloc(8);
  place.writeBigUInt64LE(BigInt(offset));
  return crc32(head.subarray(0, 12), crc32(place));
}

function checkSum(offset: number, what: string, stored: number, computed: number): void {
  if (stored === computed) return;
  const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;
  throw backupInvalid(offset, `${what}: stored checksum ${hex(stored)}, computed ${hex(computed)}`, {
    storedChecksum: hex(stored),
    computedChecksum: hex(computed),
  });
}

// ── Payloads ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export function encodeHeader(header: BackupHeader): Buffer {
  return Buffer.from(JSON.stringify(header));
}

/** @throws BACKUP_INVALID */
export function decodeHeader(offset: number, payload: Buffer): BackupHeader {
  const header = parseJson(offset, 'header', payload) as Partial<BackupHeader>;
  const { directoryFormat, product, at } = header;
  if (!Number.isInteger(directoryFormat) || typeof product !== 'string' || !Number.isFinite(at)) {
    throw backupInvalid(offset, 'the header lacks one of directoryFormat, product, at');
  }
  return header as BackupHeader;
}

export function encodeTrailer(trailer: BackupTrailer): Buffer {
  return Buffer.from(JSON.stringify(trailer));
}

/** @throws BACKUP_INVALID */
export function decodeTrailer(offset: number, payload: Buffer): BackupTrailer {
  const trailer = parseJson(offset, 'trailer', payload) as Partial<BackupTrailer>;
  if (typeof trailer.records !== 'object' || !Number.isInteger(trailer.bytes) || typeof trailer.sha256 !== 'string') {
    throw backupInvalid(offset, 'the trailer lacks one of records, bytes, sha256');
  }
  return trailer as BackupTrailer;
}

function parseJson(offset: number, what: string, payload: Buffer): object {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString());
  } catch (cause) {
    throw backupInvalid(offset, `the ${what} is no JSON`, {}, cause);
  }
  if (typeof value === 'object' && value !== null) return value;
  throw backupInvalid(offset, `the ${what} is no JSON object`);
}

/** Payload of a records part: u8 bytes of the table's name, the name; then for each record u16 bytes of the key, u32 of the value, key, value. */
export function encodeRecords({ table, entries }: RecordChunk): Buffer {
  const name = Buffer.from(table);
  const size = entries.reduce((sum, { key, value }) => sum + recordBytes(key, value), 1 + name.length);
  const payload = Buffer.allocUnsafe(size);
  payload.writeUInt8(name.length, 0);
  let position = 1 + name.copy(payload, 1);
  for (const { key, value } of entries) {
    position = payload.writeUInt16LE(key.length, position);
    position = payload.writeUInt32LE(value.length, position);
    position += key.copy(payload, position);
    position += value.copy(payload, position);
  }
  return payload;
}

/** What a record takes up in a chunk. */
export function recordBytes(key: Buffer, value: Buffer): number {
  return 6 + key.length + value.length;
}

/** Keys and values are views on the payload. @throws BACKUP_INVALID */
export function decodeRecords(offset: number, payload: Buffer): RecordChunk {
  const nameBytes = payload[0] ?? 0;
  const name = payload.toString('utf8', 1, 1 + nameBytes);
  const table = backupTables.find((known) => known === name);
  if (table === undefined) throw backupInvalid(offset, `records of table "${name}", which is in no backup`);
  const entries: StoreEntry[] = [];
  let position = 1 + nameBytes;
  while (position < payload.length) {
    const start = position + 6;
    if (start > payload.length) throw backupInvalid(offset + position, 'a record is cut short');
    const keyEnd = start + payload.readUInt16LE(position);
    const end = keyEnd + payload.readUInt32LE(position + 2);
    if (end > payload.length) throw backupInvalid(offset + position, 'a record is cut short');
    entries.push({ key: payload.subarray(start, keyEnd), value: payload.subarray(keyEnd, end) });
    position = end;
  }
  return { table, entries };
}
