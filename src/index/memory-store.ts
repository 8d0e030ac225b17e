/**
 * The store in memory: a sorted array of keys and a map a table. Nothing outlives the process.
 *
 * It is the plain model that the LMDB store is compared with, and a store for tests that want no disk.
 */
import { HarmonidError } from '../errors.js';
import { OpenSnapshots } from './open-snapshots.js';
import {
  tableNames,
  type Store,
  type StoreEntry,
  type StoreReader,
  type StoreWriter,
  type TableName,
  type Written,
} from './store.js';

interface Table {
  /** Sorted as unsigned bytes. */
  readonly keys: Buffer[];
  readonly values: Map<string, Buffer>;
}

type Undo = () => void;

/** Makes an empty store. */
export function openMemoryStore(): Store {
  const tables = new Map<TableName, Table>(tableNames.map((name) => [name, { keys: [], values: new Map() }]));
  const snapshots = new OpenSnapshots();
  let closed = false;
  const table = (name: TableName): Table => {
    if (closed) throw new HarmonidError('CLOSED', 'the store is closed');
    return tables.get(name) as Table;
  };
  const reader = readerOf(table);
  return {
    ...reader,
    async write<T>(change: (writer: StoreWriter) => T): Promise<Written<T>> {
      const undo: Undo[] = [];
      const writer: StoreWriter = {
        ...reader,
        put: (name, key, value) => undo.push(set(table(name), Buffer.from(key), Buffer.from(value))),
        remove: (name, key) => undo.push(set(table(name), Buffer.from(key), undefined)),
      };
      try {
        table('meta');
        return { value: change(writer), durable: Promise.resolve() };
      } catch (error) {
        for (const step of undo.toReversed()) step();
        throw error;
      }
    },
    snapshot() {
      const frozen = new Map<TableName, Table>(
        Array.from(tables, ([name, { keys, values }]) => [name, { keys: [...keys], values: new Map(values) }]),
      );
      const frozenTable = (name: TableName): Table => {
        table(name);
        return frozen.get(name) as Table;
      };
      return snapshots.track({ ...readerOf(frozenTable), release: () => undefined });
    },
    snapshotsReleased: () => snapshots.released(),
    bytes() {
      let sum = 0;
      for (const { values } of tables.values()) for (const [key, value] of values) sum += key.length + value.length;
      return sum;
    },
    async close() {
      closed = true;
    },
  };
}

function readerOf(table: (name: TableName) => Table): StoreReader {
  return {
    get: (name, key) => copyOf(table(name).values.get(text(key))),
    range: (name, start, end) => entriesOf(table(name), start, end),
    keys: (name, start, end) => entriesOf(table(name), start, end).map(({ key }) => key),
  };
}

function text(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}

function copyOf(value: Buffer | undefined): Buffer | undefined {
  return value && Buffer.from(value);
}

/** Position of the first key that is not before `key`. */
function lowerBound(keys: readonly Buffer[], key: Uint8Array): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare(keys[middle] as Buffer, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function set(table: Table, key: Buffer, value: Buffer | undefined): Undo {
  const before = table.values.get(text(key));
  const position = lowerBound(table.keys, key);
  if (value !== undefined) {
    if (before === undefined) table.keys.splice(position, 0, key);
    table.values.set(text(key), value);
  } else if (before !== undefined) {
    table.keys.splice(position, 1);
    table.values.delete(text(key));
  }
  return () => void set(table, key, before);
}

function entriesOf(table: Table, start: Uint8Array, end: Uint8Array): StoreEntry[] {
  return table.keys
    .slice(lowerBound(table.keys, start), lowerBound(table.keys, end))
    .map((key) => ({ key: Buffer.from(key), value: Buffer.from(table.values.get(text(key)) as Buffer) }));
}
