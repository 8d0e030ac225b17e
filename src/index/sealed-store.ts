/**
 * A store in which what tells of a person is sealed with that person's key: the tables whose keys begin with a gallery and an owner.
 *
 * Everything else passes through as it is. A record whose key was destroyed is not there any more: reads leave it out, though its bytes
 * may stay a while. A record that does not open with a key that is there is DATA_CORRUPT, as is one that was moved: its place is
 * authenticated with it. Keys are listed without opening what they stand for.
 */
import { HarmonidError } from '../errors.js';
import { keyParts, sealedCodec } from './codec.js';
import type { Keyring } from './keyring.js';
import type { LmdbStore } from './lmdb-store.js';
import { seal, unseal } from './sealing.js';
import type { StoreEntry, StoreReader, StoreWriter, TableName } from './store.js';

/** What opens and seals records. */
export type Keys = Pick<Keyring, 'keyOf'>;

/** Tables whose keys begin with a gallery's number and an owner's. */
export const sealedTables: ReadonlySet<TableName> = new Set(['owners', 'templates', 'pairs']);

/** @param store is used through what is returned only */
export function sealStore(store: LmdbStore, keyring: Keys): LmdbStore {
  const readerOf = (reader: StoreReader): StoreReader => sealReader(reader, keyring);
  const writerOf = (writer: StoreWriter): StoreWriter => ({
    ...readerOf(writer),
    put: (table, key, value) =>
      writer.put(table, key, sealedTables.has(table) ? sealed(keyring, table, key, value) : value),
    remove: (table, key) => writer.remove(table, key),
  });
  return {
    ...readerOf(store),
    write: (change) => store.write((writer) => change(writerOf(writer))),
    writeNow: (change) => store.writeNow((writer) => change(writerOf(writer))),
    snapshot() {
      const snapshot = store.snapshot();
      return { ...readerOf(snapshot), release: () => snapshot.release() };
    },
    openSnapshotCount: () => store.openSnapshotCount(),
    hasForeignReaders: () => store.hasForeignReaders(),
    oldestRead: () => store.oldestRead(),
    snapshotsReleased: () => store.snapshotsReleased(),
    bytes: () => store.bytes(),
    close: () => store.close(),
  };
}

/** What `reader` reads, opened. */
export function sealReader(reader: StoreReader, keyring: Keys): StoreReader {
  return {
    get(table, key) {
      const value = reader.get(table, key);
      return value && sealedTables.has(table) ? opened(keyring, table, key, value) : value;
    },
    range: (table, start, end) =>
      sealedTables.has(table)
        ? openedRange(keyring, table, reader.range(table, start, end))
        : reader.range(table, start, end),
    keys: (table, start, end) => reader.keys(table, start, end),
  };
}

function* openedRange(keyring: Keys, table: TableName, entries: Iterable<StoreEntry>): Iterable<StoreEntry> {
  for (const { key, value } of entries) {
    const plain = opened(keyring, table, key, value);
    if (plain) yield { key, value: plain };
  }
}

/** The record within; undefined when its key is destroyed. @throws DATA_CORRUPT */
export function opened(keyring: Keys, table: TableName, key: Uint8Array, value: Buffer): Buffer | undefined {
  const payload = sealedCodec.decode(key, value);
  const dataKey = dataKeyOf(keyring, key);
  if (!dataKey) return undefined;
  const plain = unseal(dataKey, contextOf(table, key), payload);
  if (plain) return plain;
  const name = Buffer.from(key).toString('hex');
  throw new HarmonidError('DATA_CORRUPT', `sealed record ${name} of table ${table} does not open with its key`, {
    details: { table, key: name },
  });
}

function sealed(keyring: Keys, table: TableName, key: Uint8Array, value: Uint8Array): Buffer {
  const dataKey = dataKeyOf(keyring, key);
  if (!dataKey) {
    throw new HarmonidError(
      'INTERNAL',
      `nothing is stored under ${Buffer.from(key).toString('hex')}: its key is destroyed`,
    );
  }
  return sealedCodec.encode(key, seal(dataKey, contextOf(table, key), value));
}

function dataKeyOf(keyring: Keys, key: Uint8Array): Buffer | null {
  const { gallery, owner } = keyParts.owned(Buffer.from(key.buffer, key.byteOffset, key.byteLength));
  return keyring.keyOf(gallery, owner);
}

function contextOf(table: TableName, key: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${table} `), key]);
}
