/**
 * A store as it was at one moment, for whoever only reads: what another process writes after is not seen. It keeps the pages that it sees from being
 * used again, so that the data file grows while it is open and something is written.
 */
import type { LmdbStore } from './lmdb-store.js';
import type { StoreReader } from './store.js';

/** @param store opened read-only; it is closed with what is returned */
export function freezeStore(store: LmdbStore): LmdbStore {
  const snapshot = store.snapshot();
  const reader: StoreReader = {
    get: (table, key) => snapshot.get(table, key),
    range: (table, start, end) => snapshot.range(table, start, end),
    keys: (table, start, end) => snapshot.keys(table, start, end),
  };
  return {
    ...store,
    ...reader,
    snapshot: () => ({ ...reader, release: () => undefined }),
    async close() {
      snapshot.release();
      await store.close();
    },
  };
}
