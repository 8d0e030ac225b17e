/** The store as a thread with graphs reads it: opened by itself, once, for the first graph that has one. */
import { freezeStore } from './frozen-store.js';
import type { GraphSource } from './graph-messages.js';
import { openKeyReader, openKeyring } from './keyring.js';
import { openLmdbStore } from './lmdb-store.js';
import { sealStore } from './sealed-store.js';
import {
  laneReading,
  laneSource,
  type LanePlace,
  type LaneTemplates,
  type TemplateReading,
  type TemplateSource,
} from './template-source.js';

export interface ThreadStore {
  reading(lane: LanePlace): TemplateReading;
  source(lane: LaneTemplates): TemplateSource;
  /** Keys of a gallery that is there no more. */
  forget(gallery: number): void;
  close(): Promise<void>;
}

export function openThreadStore({ path, readOnly, encryption }: GraphSource): ThreadStore {
  const opened = openLmdbStore({ path, readOnly });
  // As it was at the opening, which is what its owner sees.
  const raw = readOnly ? freezeStore(opened) : opened;
  const keys = encryption && openKeyReader(path, encryption.masterKey);
  const store = keys ? sealStore(raw, keys) : raw;
  return {
    reading: (lane) => laneReading(store, lane),
    source(lane) {
      const source = laneSource(store, lane);
      if (!encryption) return source;
      return {
        ...source,
        // All of a person's templates open with one key, which is kept for as long as they are read.
        *templates() {
          const keyring = openKeyring(path, encryption.masterKey);
          try {
            yield* laneSource(sealStore(raw, keyring), lane).templates();
          } finally {
            keyring.close();
          }
        },
      };
    },
    forget: (gallery) => keys?.forget(gallery),
    async close() {
      keys?.close();
      await raw.close();
    },
  };
}
