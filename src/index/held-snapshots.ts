/**
 * Snapshots that live no longer than the store: closing takes them away from whoever still reads.
 *
 * LMDB must not be closed under a reader, and a reader of a stream may never come back. So every snapshot that outlives a turn of the
 * event loop is taken here; after its end every read of it is refused with CLOSED.
 */
import { HarmonidError } from '../errors.js';
import type { Store, StoreSnapshot } from './store.js';

export class HeldSnapshots {
  readonly #store: Store;
  readonly #held = new Set<StoreSnapshot>();
  #closed = false;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Release it when it has been read; twice is harmless. @throws CLOSED */
  take(): StoreSnapshot {
    if (this.#closed) throw closed();
    const inner = this.#store.snapshot();
    const held = this.#held;
    const open = (): StoreSnapshot => {
      if (!held.has(snapshot)) throw closed();
      return inner;
    };
    const snapshot: StoreSnapshot = {
      get: (table, key) => open().get(table, key),
      range: (table, start, end) => open().range(table, start, end),
      keys: (table, start, end) => open().keys(table, start, end),
      release: () => {
        if (held.delete(snapshot)) inner.release();
      },
    };
    held.add(snapshot);
    return snapshot;
  }

  /** Ends all of them, and gives no more. */
  close(): void {
    this.#closed = true;
    for (const snapshot of this.#held) snapshot.release();
  }
}

function closed(): HarmonidError {
  return new HarmonidError('CLOSED', 'the index was closed while a snapshot of it was read');
}
