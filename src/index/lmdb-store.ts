/**
 * The store on LMDB, and the only importer of lmdb.
 *
 * One environment holds every table. A write is a child transaction: several of them, from several galleries, share one commit and one
 * flush, and one that throws takes back only its own puts. (In lmdb-js an exception in a plain `transaction()` keeps the puts
 * made before it.) Several threads of one process may open the same directory; each gets its own handle on the same environment.
 */
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { open, type Database, type RootDatabase, type Transaction } from 'lmdb';
import { HarmonidError, isHarmonidError } from '../errors.js';
import { diskError } from './disk-errors.js';
import { tableNames, type Store, type StoreReader, type StoreWriter, type TableName, type Written } from './store.js';

export interface LmdbStoreOptions {
  /** The data directory; it exists. */
  readonly path: string;
  /** Never writes to the data file; a file that is not there is DATA_NOT_FOUND. */
  readonly readOnly: boolean;
}

type Bytes = Database<Buffer, Buffer>;

/** A store whose tables may also be read and written at once, before anything asynchronous has begun. */
export interface LmdbStore extends Store {
  /** As `write`, but done (visible, not durable) when it returns: for taking the lock. */
  writeNow<T>(change: (writer: StoreWriter) => T): T;
}

/** Beginning of a meta page of 64-bit LMDB: a page header of 24 bytes, then the magic number; the page size is within. */
const metaBytes = 52;
const metaMagicOffset = 24;
const metaMagic = 0xbeefc0de;
const metaPageBytesOffset = 48;

/** The file of the environment; its `-lock` file lies beside it. */
export function dataFile(path: string): string {
  return join(path, 'data.lmdb');
}

/** @throws DATA_NOT_FOUND, DATA_READ_ONLY, DATA_CORRUPT, DISK_FULL */
export function openLmdbStore({ path, readOnly }: LmdbStoreOptions): LmdbStore {
  const file = dataFile(path);
  if (readOnly && !existsSync(file)) throw new HarmonidError('DATA_NOT_FOUND', `there is no data file in ${path}`);
  refuseForeignFile(file);
  const { root, tables } = openTables(file, readOnly, path);
  return makeStore(root, tables, path, file, readOnly);
}

/** LMDB itself crashes on a file that is not its own: the two meta pages are looked at before it is. */
function refuseForeignFile(file: string): void {
  if (!existsSync(file) || statSync(file).size === 0) return;
  const handle = openSync(file, 'r');
  try {
    const page = Buffer.alloc(metaBytes);
    const hasMeta = (position: number): boolean =>
      readSync(handle, page, 0, metaBytes, position) === metaBytes && page.readUInt32LE(metaMagicOffset) === metaMagic;
    const pageBytes = hasMeta(0) ? page.readUInt32LE(metaPageBytesOffset) : 0;
    if (pageBytes === 0 || !hasMeta(pageBytes)) {
      throw new HarmonidError('DATA_CORRUPT', `${file} is not an LMDB file, or its beginning is damaged`, {
        details: { file },
      });
    }
  } finally {
    closeSync(handle);
  }
}

function openTables(
  file: string,
  readOnly: boolean,
  path: string,
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
      // With it every commit has a promise of lmdb-js's own that nobody can handle: on a full disk its rejection ends the process.
      eventTurnBatching: false,
    });
    root = opened;
    const tables = new Map<TableName, Bytes>();
    for (const name of tableNames) {
      const table: Bytes | undefined = opened.openDB<Buffer, Buffer>({
        name,
        encoding: 'binary',
        keyEncoding: 'binary',
      });
      if (!table) throw new HarmonidError('DATA_CORRUPT', `table ${name} is missing in ${file}`);
      tables.set(name, table);
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
  path: string,
  file: string,
  readOnly: boolean,
): LmdbStore {
  let closing: Promise<void> | undefined;
  let lastCommitFailed = false;
  const table = (name: TableName): Bytes => {
    if (closing) throw new HarmonidError('CLOSED', 'the store is closed');
    return tables.get(name) as Bytes;
  };
  const writer: StoreWriter = {
    ...readerOf(table),
    put: (name, key, value) => table(name).putSync(asBuffer(key), asBuffer(value)),
    remove: (name, key) => void table(name).removeSync(asBuffer(key)),
  };
  const refuseReadOnly = (): void => {
    if (readOnly) throw new HarmonidError('DATA_READ_ONLY', `the data directory ${path} was opened read-only`);
  };
  return {
    ...readerOf(table),
    snapshot() {
      table('meta');
      const transaction = root.useReadTransaction();
      return { ...readerOf(table, transaction), release: () => transaction.done() };
    },
    async write<T>(change: (writer: StoreWriter) => T): Promise<Written<T>> {
      refuseReadOnly();
      const meta = table('meta');
      let outcome: { value: T } | undefined;
      let thrown: { error: unknown } | undefined;
      const committed = meta.childTransaction(() => {
        try {
          outcome = { value: change(writer) };
        } catch (error) {
          thrown = { error };
          throw error;
        }
      });
      // Taken in the same turn: it stands for this commit. It never settles when the commit fails, so that it is only waited for after.
      const flushed = new Promise<void>((resolve, reject) => void meta.flushed.then(() => resolve(), reject));
      flushed.catch(() => undefined);
      try {
        await committed;
        lastCommitFailed = false;
      } catch (error) {
        lastCommitFailed = thrown === undefined;
        if (thrown) throw isHarmonidError(thrown.error) ? thrown.error : diskError(thrown.error, path);
        throw diskError(await commitCause(error), path);
      }
      if (!outcome) throw new HarmonidError('INTERNAL', 'a transaction was committed without running');
      const durable = flushed.catch((error: unknown) => {
        throw diskError(error, path);
      });
      // Whoever does not wait for durability is not told of its failure.
      durable.catch(() => undefined);
      return { value: outcome.value, durable };
    },
    writeNow<T>(change: (writer: StoreWriter) => T): T {
      refuseReadOnly();
      try {
        return root.transactionSync(() => change(writer));
      } catch (error) {
        throw isHarmonidError(error) ? error : diskError(error, path);
      }
    },
    bytes: () => statSync(file).size,
    async close() {
      closing ??= (async () => {
        // lmdb-js waits for the flush of the last commit, which never comes when it failed; an empty one needs no room, and takes its place.
        if (lastCommitFailed) await root.childTransaction(() => undefined);
        await root.close();
      })();
      await closing;
    },
  };
}

/** The same bytes, not a copy: in a transaction LMDB takes them before the call returns. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads in the transaction under way; in the given one, when there is one. */
function readerOf(table: (name: TableName) => Bytes, transaction?: Transaction): StoreReader {
  const within = transaction && { transaction };
  return {
    get: (name, key) => table(name).get(asBuffer(key), within),
    range: (name, start, end) =>
      table(name)
        .getRange({ start: asBuffer(start), end: asBuffer(end), ...within })
        .map(({ key, value }) => ({ key, value })),
    keys: (name, start, end) => table(name).getKeys({ start: asBuffer(start), end: asBuffer(end), ...within }),
  };
}

/** lmdb-js rejects with a general error whose `commitError` tells the cause a little later. */
async function commitCause(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('commitError' in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}
