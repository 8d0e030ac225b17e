/**
 * The store port: ordered tables of bytes under one atomic, durable write. LMDB is the truth; memory is the model.
 *
 * Promises: a write is all or nothing, also when its callback throws; writes of one store are applied one after the other, in the
 * order of the calls; a read sees every write whose `write` call has resolved; `durable` resolves when the write would survive a power
 * loss. Keys are compared as unsigned bytes. A store knows nothing of galleries or records.
 */

/** Every table of a data directory; docs/FORMAT.md says what is in them. */
export const tableNames = [
  'meta',
  'galleries',
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
  'receipts',
  'suppressions',
  'quarantine',
] as const;
export type TableName = (typeof tableNames)[number];

/** Longest key in bytes: LMDB's limit at the default page size. */
export const keyBytesMax = 1978;

export interface StoreEntry {
  readonly key: Buffer;
  readonly value: Buffer;
}

export interface StoreReader {
  /** The caller's own copy of the value; undefined when there is none. */
  get(table: TableName, key: Uint8Array): Buffer | undefined;
  /** Entries with start <= key < end in key order, as a consistent snapshot; key and value are the caller's own. */
  range(table: TableName, start: Uint8Array, end: Uint8Array): Iterable<StoreEntry>;
  /** As `range`, the keys alone. */
  keys(table: TableName, start: Uint8Array, end: Uint8Array): Iterable<Buffer>;
}

/** All tables as they were at one moment. It keeps the pages that it sees from being used again: release it soon. */
export interface StoreSnapshot extends StoreReader {
  release(): void;
}

/** Valid only inside the callback of `Store.write`; sees the writes made before in the same callback. */
export interface StoreWriter extends StoreReader {
  put(table: TableName, key: Uint8Array, value: Uint8Array): void;
  remove(table: TableName, key: Uint8Array): void;
}

export interface Written<T> {
  /** What the callback returned. */
  readonly value: T;
  /** Resolves when the write is on stable storage; for LMDB it is when it is visible, and concurrent writes share the flush. */
  readonly durable: Promise<void>;
}

export interface Store extends StoreReader {
  /**
   * Runs `change` (synchronous) in one transaction; resolves when it is visible. When `change` throws, nothing is written and the
   * error is passed on.
   * @throws DISK_FULL, DATA_READ_ONLY, CLOSED, UNAVAILABLE when the disk fails; the message says whether something may be written
   */
  write<T>(change: (writer: StoreWriter) => T): Promise<Written<T>>;
  snapshot(): StoreSnapshot;
  /** Resolves when every snapshot that is open now is released. */
  snapshotsReleased(): Promise<void>;
  /** Size on disk (or in memory), bytes. */
  bytes(): number;
  close(): Promise<void>;
}
