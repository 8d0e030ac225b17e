/**
 * Reads a backup, and believes nothing of it.
 *
 * Promises: what is handed on was verified before: each part, each record's own checksum, the order of the records; the end is told only
 * when the trailer has agreed, in the number of records of each table and in the SHA-256 of everything before it, and nothing comes after.
 */
import { createHash } from 'node:crypto';
import { ByteReader } from '../byte-reader.js';
import { asHarmonidError, HarmonidError, throwIfAborted } from '../errors.js';
import {
  backupInvalid,
  backupTables,
  checkPayload,
  checkPreamble,
  decodeHeader,
  decodePartHead,
  decodeRecords,
  decodeTrailer,
  partHeadBytes,
  preambleBytes,
  type BackupHeader,
  type BackupTrailer,
  type PartKind,
  type RecordChunk,
} from './backup-format.js';
import { formatCodec, formatVersion, keys, verifyFrame } from './codec.js';
import type { StoreEntry } from './store.js';

/** What a backup holds. */
export interface BackupSummary {
  /** The moment that it shows. */
  readonly at: Date;
  /** Version of harmonid that made it. */
  readonly product: string;
  /** Format of the data directory in it; an older one is upgraded when it is opened. */
  readonly directoryFormat: number;
  /** Records of each table; `identities` and `templates` count people and their vectors. */
  readonly records: Readonly<Record<string, number>>;
  /** Size of the whole stream, and its SHA-256, hex, as `sha256sum` gives it. */
  readonly bytes: number;
  readonly sha256: string;
}

export interface ReadBackupOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads a backup from end to end and says what is in it; writes nothing.
 * @throws BACKUP_INVALID, DATA_FORMAT_NEWER
 */
export async function verifyBackup(
  from: AsyncIterable<Uint8Array>,
  options: ReadBackupOptions = {},
): Promise<BackupSummary> {
  return readBackup(from, options, async () => undefined);
}

/**
 * Hands on chunk after chunk, and returns when the trailer has agreed.
 * @throws BACKUP_INVALID, DATA_FORMAT_NEWER, and whatever the source or `accept` throws
 */
export async function readBackup(
  from: AsyncIterable<Uint8Array>,
  { signal }: ReadBackupOptions,
  accept: (chunk: RecordChunk) => Promise<void>,
): Promise<BackupSummary> {
  const reader = new ByteReader(from);
  const hash = createHash('sha256');
  const count = new RecordCount();
  try {
    throwIfAborted(signal);
    const preamble = await reader.read(preambleBytes);
    checkPreamble(preamble);
    hash.update(preamble);
    let header: BackupHeader | undefined;
    for (;;) {
      const start = reader.position;
      const before = hash.copy();
      const { kind, offset, payload } = await readPart(reader, (bytes) => hash.update(bytes));
      throwIfAborted(signal);
      if (!header) {
        if (kind !== 'header') throw backupInvalid(start, `it begins with ${kind}, a header is wanted`);
        header = acceptHeader(offset, payload);
      } else if (kind === 'records') {
        const chunk = decodeRecords(offset, payload);
        count.add(offset, chunk, header);
        await accept(chunk);
      } else if (kind === 'trailer') {
        checkTrailer(offset, decodeTrailer(offset, payload), count, { bytes: start, sha256: before.digest('hex') });
        await refuseMore(reader);
        const { at, product, directoryFormat } = header;
        return {
          at: new Date(at),
          product,
          directoryFormat,
          records: count.records(),
          bytes: reader.position,
          sha256: hash.digest('hex'),
        };
      } else throw backupInvalid(start, 'a second header');
    }
  } finally {
    await reader.close();
  }
}

async function readPart(
  reader: ByteReader,
  onBytes: (bytes: Buffer) => void,
): Promise<{ readonly kind: PartKind; readonly offset: number; readonly payload: Buffer }> {
  const start = reader.position;
  const headBytes = await reader.read(partHeadBytes);
  const head = decodePartHead(start, headBytes);
  onBytes(headBytes);
  const offset = reader.position;
  const payload = await reader.read(head.payloadBytes);
  checkPayload(head, offset, payload);
  onBytes(payload);
  return { kind: head.kind, offset, payload };
}

/** @throws DATA_FORMAT_NEWER */
function acceptHeader(offset: number, payload: Buffer): BackupHeader {
  const header = decodeHeader(offset, payload);
  if (header.directoryFormat > formatVersion) {
    throw new HarmonidError(
      'DATA_FORMAT_NEWER',
      `the backup is of a data directory of format ${header.directoryFormat}, made by harmonid ${header.product}; this version reads up to ${formatVersion}`,
      { details: { format: header.directoryFormat, formatMax: formatVersion } },
    );
  }
  return header;
}

/** @throws BACKUP_INVALID */
function checkTrailer(
  offset: number,
  trailer: BackupTrailer,
  count: RecordCount,
  read: { readonly bytes: number; readonly sha256: string },
): void {
  if (trailer.bytes !== read.bytes) {
    throw backupInvalid(offset, `${read.bytes} bytes came before the trailer, it says ${trailer.bytes}`);
  }
  if (trailer.sha256 !== read.sha256) {
    throw backupInvalid(offset, `SHA-256 of what came before is ${read.sha256}, the trailer says ${trailer.sha256}`, {
      storedSha256: trailer.sha256,
      computedSha256: read.sha256,
    });
  }
  const records = count.records();
  for (const table of new Set([...Object.keys(records), ...Object.keys(trailer.records)])) {
    const [found, said] = [records[table] ?? 0, trailer.records[table] ?? 0];
    if (found !== said) {
      throw backupInvalid(offset, `${found} records of table "${table}", the trailer says ${said}`, { table });
    }
  }
  if (!count.hasFormat) throw backupInvalid(offset, "the record of the directory's format is missing");
}

/** @throws BACKUP_INVALID when something comes after the trailer */
async function refuseMore(reader: ByteReader): Promise<void> {
  const more = await reader.peek(1);
  if (more.length > 0) throw backupInvalid(reader.position, 'something comes after the trailer');
}

/** Counts records and holds them to their order, so that none is there twice; checks each one's own frame. */
class RecordCount {
  readonly #counts = new Map<string, number>();
  #last: { readonly table: string; readonly key: Buffer } | undefined;
  hasFormat = false;

  /** @throws BACKUP_INVALID */
  add(offset: number, { table, entries }: RecordChunk, header: BackupHeader): void {
    for (const entry of entries) {
      if (this.#last?.table === table && Buffer.compare(this.#last.key, entry.key) >= 0) {
        throw backupInvalid(offset, `key ${entry.key.toString('hex')} of table "${table}" is out of order`);
      }
      checkFrame(offset, entry);
      if (table === 'meta' && entry.key.equals(keys.format())) this.#checkFormat(offset, entry, header);
      this.#last = { table, key: entry.key };
    }
    this.#counts.set(table, (this.#counts.get(table) ?? 0) + entries.length);
  }

  records(): Record<string, number> {
    return Object.fromEntries(backupTables.map((table) => [table, this.#counts.get(table) ?? 0]));
  }

  #checkFormat(offset: number, { key, value }: StoreEntry, { directoryFormat }: BackupHeader): void {
    const { format } = formatCodec.decode(key, value);
    if (format !== directoryFormat) {
      throw backupInvalid(offset, `the directory's record says format ${format}, the header ${directoryFormat}`);
    }
    this.hasFormat = true;
  }
}

function checkFrame(offset: number, { key, value }: StoreEntry): void {
  try {
    verifyFrame(key, value);
  } catch (cause) {
    const { message, details } = asHarmonidError(cause);
    throw backupInvalid(offset, message, details, cause);
  }
}
