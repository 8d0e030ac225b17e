/**
 * The store on LMDB, and the only importer of lmdb.
 *
 * One environment holds every table. A write is a child transaction: several of them, from several galleries, share one commit and one
 * flush, and one that throws takes back only its own puts. (In lmdb-js an exception in a plain `transaction()` keeps the puts
 * made before it.) Several threads of one process may open the same directory; each gets its own handle on the same environment.
 *
 * A commit flushes: pages first, then the meta page, synchronously; lmdb-js's overlapping flushes are off. With them a commit is visible before
 * its flush, a flush that fails leaves it visible, and the next flush can succeed over pages that the kernel gave up, so that a later
 * acknowledgement would cover them. As it is, a flush that fails takes the whole commit back before anybody saw it, and what the kernel lost
 * belongs to no snapshot: the store goes on. One failure is beyond repair, that of the meta page: LMDB then refuses its environment (MDB_PANIC)
 * to every transaction of the process, and lmdb-js's writer would wait for ever. The store finds that out before it begins
 * anything more, and refuses everything from then on.
 */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pid as ownPid } from 'node:process';
import { open, type Database, type RootDatabase, type Transaction } from 'lmdb';
import { HarmonidError } from '../errors.js';
import { refuseDamagedFile } from './data-file.js';
import { diskError } from '../files/disk-errors.js';
import { OpenSnapshots } from './open-snapshots.js';
import { openCommits } from './commits.js';
import { tableNames, type Store, type StoreReader, type StoreWriter, type TableName, type Written } from './store.js';

export interface LmdbStoreOptions {
  /** The data directory; it exists. */
  readonly path: string;
  /** Never writes to the data file; a file that is not there is DATA_NOT_FOUND. */
  readonly readOnly: boolean;
  /** Default true. False: a commit is visible before it is flushed, and what the power loss takes may have been acknowledged. */
  readonly flushes?: boolean | undefined;
  /** Told how long each commit took to be written and flushed, milliseconds. Must not throw. */
  readonly onCommit?: ((ms: number) => void) | undefined;
}

type Bytes = Database<Buffer, Buffer>;

/** A store whose tables may also be read and written at once, before anything asynchronous has begun. */
export interface LmdbStore extends Store {
  /** As `write`, but done (visible, not durable) when it returns: for taking the lock. */
  writeNow<T>(change: (writer: StoreWriter) => T): T;
  /** Snapshots of this handle that are not released. */
  openSnapshotCount(): number;
  /** Whether another process reads the data file now. */
  hasForeignReaders(): boolean;
  /** The oldest transaction that anybody reads now, in whatever thread; null when nobody reads. A read that begins later is of the newest one. */
  oldestRead(): bigint | null;
}

/** The file of the environment; its `-lock` file lies beside it. */
export function dataFile(path: string): string {
  return join(path, 'data.lmdb');
}

/** @throws DATA_NOT_FOUND, DATA_READ_ONLY, DATA_CORRUPT, DISK_FULL */
export function openLmdbStore({ path, readOnly, flushes = true, onCommit }: LmdbStoreOptions): LmdbStore {
  const file = dataFile(path);
  if (readOnly && !existsSync(file)) throw new HarmonidError('DATA_NOT_FOUND', `there is no data file in ${path}`);
  const { isUnflushed } = refuseDamagedFile(file);
  if (isUnflushed && !readOnly) settleUnflushed(file, path);
  const { root, tables } = openTables(file, { readOnly, flushes, path });
  return makeStore(root, tables, { path, file, readOnly, onCommit });
}

/** Lets LMDB decide between a newest transaction that was written ahead of its flush and the last flushed one. */
function settleUnflushed(file: string, path: string): void {
  try {
    void open({ path: file, noSubdir: true, overlappingSync: true }).close();
  } catch (error) {
    throw diskError(error, path);
  }
}

function openTables(
  file: string,
  { readOnly, flushes, path }: { readonly readOnly: boolean; readonly flushes: boolean; readonly path: string },
): { root: RootDatabase; tables: Map<TableName, Bytes> } {
  let root: RootDatabase | undefined;
  try {
    const opened = open({
      path: file,
      noSubdir: true,
      readOnly,
      encoding: 'binary',
      keyEncoding: 'binary',
      maxDbs: tableNames.length + 2,
      maxReaders: 512,
      // Erased vectors must not linger in unused parts of new pages.
      noMemInit: false,
      // A commit is visible when it is flushed, not before: see above.
      overlappingSync: !flushes,
    });
    root = opened;
    const tables = new Map<TableName, Bytes>();
    for (const name of tableNames) {
      const table: Bytes | undefined = opened.openDB<Buffer, Buffer>({
        name,
        encoding: 'binary',
        keyEncoding: 'binary',
      });
      // A reader of an older directory makes none: what is not there is empty.
      if (table) tables.set(name, table);
      else if (!readOnly) throw new HarmonidError('DATA_CORRUPT', `table ${name} is missing in ${file}`);
    }
    return { root: opened, tables };
  } catch (error) {
    void root?.close();
    throw diskError(error, path);
  }
}

function makeStore(
  root: RootDatabase,
  tables: Map<TableName, Bytes>,
  {
    path,
    file,
    readOnly,
    onCommit,
  }: Pick<LmdbStoreOptions, 'path' | 'readOnly' | 'onCommit'> & { readonly file: string },
): LmdbStore {
  const snapshots = new OpenSnapshots();
  let closing: Promise<void> | undefined;
  const commits = openCommits(root, { path, onCommit });
  const tableWithin = (name: TableName): Bytes => tables.get(name) as Bytes;
  const table = (name: TableName): Bytes | undefined => {
    if (closing) throw new HarmonidError('CLOSED', 'the store is closed');
    commits.refuseBroken();
    return tables.get(name);
  };
  // A write that was asked for before the store is closed is still done.
  const writer: StoreWriter = {
    ...readerOf(tableWithin),
    put: (name, key, value) => tableWithin(name).putSync(asBuffer(key), asBuffer(value)),
    remove: (name, key) => void tableWithin(name).removeSync(asBuffer(key)),
  };
  /** Whoever reads now, in any process. */
  const readers = (): readonly { readonly process: number; readonly transaction: bigint }[] => {
    table('meta');
    root.readerCheck();
    // A line a reader: process, thread, and the transaction that it reads, or a dash.
    const lines = root.readerList().matchAll(/^\s*(\d+)\s+\S+\s+(\d+)\s*$/gm);
    return Array.from(lines, ([, process, transaction = '0']) => ({
      process: Number(process),
      transaction: BigInt(transaction),
    }));
  };
  const refuseReadOnly = (): void => {
    if (readOnly) throw new HarmonidError('DATA_READ_ONLY', `the data directory ${path} was opened read-only`);
  };
  return {
    ...readerOf(table),
    snapshot() {
      table('meta');
      // As of now: without it lmdb-js may give the transaction of an earlier read of this turn.
      root.resetReadTxn();
      const transaction = root.useReadTransaction();
      return snapshots.track({ ...readerOf(table, transaction), release: () => transaction.done() });
    },
    snapshotsReleased: () => snapshots.released(),
    openSnapshotCount: () => snapshots.count,
    async write<T>(change: (writer: StoreWriter) => T): Promise<Written<T>> {
      refuseReadOnly();
      table('meta');
      return { value: await commits.run(() => change(writer)), durable: Promise.resolve() };
    },
    writeNow<T>(change: (writer: StoreWriter) => T): T {
      refuseReadOnly();
      return commits.runNow(() => change(writer));
    },
    hasForeignReaders: () => readers().some(({ process }) => process !== ownPid),
    oldestRead: () =>
      readers().reduce<bigint | null>(
        (oldest, { transaction }) => (oldest === null || transaction < oldest ? transaction : oldest),
        null,
      ),
    bytes: () => statSync(file).size,
    async close() {
      closing ??= commits.ended().then(() => root.close());
      await closing;
    },
  };
}

/** The same bytes, not a copy: in a transaction LMDB takes them before the call returns. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads in the transaction under way; in the given one, when there is one. */
function readerOf(table: (name: TableName) => Bytes | undefined, transaction?: Transaction): StoreReader {
  const within = transaction && { transaction };
  return {
    get: (name, key) => table(name)?.get(asBuffer(key), within),
    range: (name, start, end) =>
      table(name)
        ?.getRange({ start: asBuffer(start), end: asBuffer(end), ...within })
        .map(({ key, value }) => ({ key, value })) ?? [],
    keys: (name, start, end) => table(name)?.getKeys({ start: asBuffer(start), end: asBuffer(end), ...within }) ?? [],
  };
}
