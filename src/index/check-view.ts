/**
 * What a check reads: the raw records of one snapshot, opened where they are sealed, a few at a time so that others get their turns.
 *
 * No cursor stays open between two turns. A record that cannot be opened because its key is destroyed, or because its key is damaged, is hidden:
 * it counts, and nothing is said of its content.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { asHarmonidError, isHarmonidError, throwIfAborted } from '../errors.js';
import { identityCodec, keys, sealedCodec, type IdentityRecord } from './codec.js';
import { damage, placeOf, type CheckCounts, type Damage } from './findings.js';
import type { Keyring } from './keyring.js';
import { opened, sealedTables } from './sealed-store.js';
import { keyBytesMax, type StoreEntry, type StoreReader, type TableName } from './store.js';

export interface CheckQuestion {
  /** A snapshot of the records as they lie in the store. */
  readonly reader: StoreReader;
  /** Null in a directory that is not encrypted; `missing` when its keys cannot be had: then sealed records are not opened. */
  readonly keyring: Keyring | 'missing' | null;
  /** The data directory. */
  readonly path: string;
  /** The store as it is now, when others may write meanwhile; null when nobody can. */
  readonly live: StoreReader | null;
  readonly signal?: AbortSignal | undefined;
}

/** An owner as a check sees it. */
export type OwnerView =
  | { readonly state: 'living'; readonly record: IdentityRecord }
  /** There, but not to be read. */
  | { readonly state: 'hidden' }
  | { readonly state: 'missing' };

/** Records that are read in one turn. */
const recordsPerTurn = 256;
/** Behind every key. */
export const lastKey: Buffer = Buffer.alloc(keyBytesMax, 0xff);

export class CheckView {
  readonly reader: StoreReader;
  readonly keyring: Keyring | 'missing' | null;
  readonly path: string;
  readonly live: StoreReader | null;
  readonly #signal: AbortSignal | undefined;
  #records = 0;
  #files = 0;
  #lastOwner: { readonly name: string; readonly view: OwnerView } | null = null;

  constructor({ reader, keyring, path, live, signal }: CheckQuestion) {
    this.reader = reader;
    this.keyring = keyring;
    this.path = path;
    this.live = live;
    this.#signal = signal;
  }

  get counts(): CheckCounts {
    return { records: this.#records, templates: 0, files: this.#files };
  }

  countFile(): void {
    this.#files++;
  }

  async *entries(table: TableName, [start, end]: readonly [Buffer, Buffer]): AsyncGenerator<StoreEntry, void, void> {
    for (let from = start; ;) {
      throwIfAborted(this.#signal);
      const some: StoreEntry[] = [];
      for (const entry of this.reader.range(table, from, end)) {
        some.push(entry);
        if (some.length === recordsPerTurn) break;
      }
      for (const entry of some) {
        this.#records++;
        yield entry;
      }
      const last = some.at(-1);
      if (!last || some.length < recordsPerTurn) return;
      from = Buffer.concat([last.key, Buffer.alloc(1)]);
      await nextTurn();
    }
  }

  all(table: TableName): AsyncGenerator<StoreEntry, void, void> {
    return this.entries(table, [Buffer.alloc(1), lastKey]);
  }

  /** The record itself; undefined when it is hidden. @throws DATA_CORRUPT */
  open(table: TableName, { key, value }: StoreEntry): Buffer | undefined {
    if (!this.keyring || !sealedTables.has(table)) return value;
    sealedCodec.decode(key, value);
    if (this.keyring === 'missing' || this.keyProblem(key) !== undefined) return undefined;
    return opened(this.keyring, table, key, value);
  }

  /** What is wrong with the key of the owner under whom something stands; undefined when nothing is, or when it is destroyed. */
  keyProblem(key: Buffer): string | undefined {
    if (!this.keyring || this.keyring === 'missing') return undefined;
    try {
      this.keyring.keyOf(key.readUInt32BE(0), key.readUInt32BE(4));
      return undefined;
    } catch (error) {
      return asHarmonidError(error).message;
    }
  }

  owner(gallery: number, owner: number): OwnerView {
    const name = `${gallery} ${owner}`;
    if (this.#lastOwner?.name !== name) this.#lastOwner = { name, view: this.#readOwner(gallery, owner) };
    return this.#lastOwner.view;
  }

  #readOwner(gallery: number, owner: number): OwnerView {
    const key = keys.owner(gallery, owner);
    const value = this.reader.get('owners', key);
    if (!value) return { state: 'missing' };
    try {
      const bytes = this.open('owners', { key, value });
      return bytes ? { state: 'living', record: identityCodec.decode(key, bytes) } : { state: 'hidden' };
    } catch {
      // Told where the owners are looked at.
      return { state: 'hidden' };
    }
  }
}

/** What `decode` makes of a record, or the finding that it cannot be read. */
export function readRecord<T>(
  decode: () => T,
  { table, key, gallery }: { readonly table: TableName; readonly key: Buffer; readonly gallery?: number },
): { readonly value: T; readonly problem?: undefined } | { readonly problem: Damage } {
  try {
    return { value: decode() };
  } catch (error) {
    const message = isHarmonidError(error) ? error.message : `it cannot be read: ${String(error)}`;
    const mend = { kind: 'quarantine', table, key } as const;
    return {
      problem: damage({
        kind: 'record',
        where: placeOf(table, key),
        message,
        mend,
        ...(gallery !== undefined && { gallery }),
      }),
    };
  }
}

/** Whether it does not throw. */
export function isReadable(decode: () => unknown): boolean {
  try {
    decode();
    return true;
  } catch {
    return false;
  }
}
