/**
 * A backup: every table as it was at one moment, as one stream of bytes.
 *
 * Promises: it is consistent while writes go on, for all of it is read from one snapshot; values are copied exactly as they are stored; a
 * record whose own checksum does not hold ends it, because what cannot be restored is no backup; it reads a chunk only when the one before
 * was taken and gives the event loop a turn in between; the snapshot is released however it ends. It works on the raw store, below everything
 * that gives records a meaning.
 */
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { assertInvariant, throwIfAborted } from '../errors.js';
import {
  backupTables,
  encodeHeader,
  encodePart,
  encodePreamble,
  encodeRecords,
  encodeTrailer,
  recordBytes,
  type PartKind,
} from './backup-format.js';
import { formatCodec, keys, verifyFrame } from './codec.js';
import { keyBytesMax, type StoreEntry, type StoreReader, type StoreSnapshot, type TableName } from './store.js';

/** Bytes of records that are read at once. Larger makes fewer parts, smaller holds up the event loop for less time. */
const chunkBytes = 256 * 1024;

export interface BackupOptions {
  /** Taken when the first byte is asked for. */
  readonly snapshot: () => StoreSnapshot;
  /** Version of harmonid, for people who find the backup. */
  readonly product: string;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly signal?: AbortSignal | undefined;
}

/** @throws DATA_CORRUPT, CLOSED, CANCELLED, DEADLINE_EXCEEDED */
export async function* writeBackup(options: BackupOptions): AsyncGenerator<Uint8Array, void, void> {
  const { product, clock, signal } = options;
  throwIfAborted(signal);
  const snapshot = options.snapshot();
  try {
    const stream = new PartStream();
    const records: Record<string, number> = {};
    yield stream.preamble();
    const directoryFormat = directoryFormatOf(snapshot);
    yield stream.part('header', encodeHeader({ directoryFormat, product, at: clock() }));
    for (const table of backupTables) {
      let count = 0;
      for (const entries of chunksOf(snapshot, table)) {
        count += entries.length;
        yield stream.part('records', encodeRecords({ table, entries }));
        await nextTurn();
        throwIfAborted(signal);
      }
      records[table] = count;
    }
    yield stream.part('trailer', encodeTrailer({ records, ...stream.digest() }));
  } finally {
    snapshot.release();
  }
}

function directoryFormatOf(reader: StoreReader): number {
  const bytes = reader.get('meta', keys.format());
  assertInvariant(bytes, 'an open directory has its format record');
  return formatCodec.decode(keys.format(), bytes).format;
}

/** Every record of a table in chunks. No cursor stays open between two of them. */
function* chunksOf(reader: StoreReader, table: TableName): Generator<readonly StoreEntry[], void, void> {
  const end = Buffer.alloc(keyBytesMax, 0xff);
  // No key is empty.
  let start: Buffer = Buffer.alloc(1);
  for (;;) {
    const entries: StoreEntry[] = [];
    let bytes = 0;
    let next: Buffer | undefined;
    for (const entry of reader.range(table, start, end)) {
      if (bytes >= chunkBytes) {
        next = entry.key;
        break;
      }
      if (table === 'meta' && entry.key.equals(keys.holder())) continue;
      verifyFrame(entry.key, entry.value);
      entries.push(entry);
      bytes += recordBytes(entry.key, entry.value);
    }
    if (entries.length > 0) yield entries;
    if (!next) return;
    start = next;
  }
}

/** Parts in their places, and the digest of what was handed out. */
class PartStream {
  readonly #hash = createHash('sha256');
  #offset = 0;

  preamble(): Buffer {
    return this.#passOn(encodePreamble());
  }

  part(kind: PartKind, payload: Buffer): Buffer {
    return this.#passOn(encodePart(kind, this.#offset, payload));
  }

  digest(): { readonly bytes: number; readonly sha256: string } {
    return { bytes: this.#offset, sha256: this.#hash.copy().digest('hex') };
  }

  #passOn(bytes: Buffer): Buffer {
    this.#hash.update(bytes);
    this.#offset += bytes.length;
    return bytes;
  }
}
