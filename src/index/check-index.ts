/**
 * The check of an open index: pages, records and searches, while others go on.
 */
import { checkRecords } from './check.js';
import { pageFinding } from './check-directory.js';
import { checkSearches } from './check-searches.js';
import type { LaneRecord } from './codec.js';
import { asFinding, type CheckCounts, type Finding } from './findings.js';
import type { Gallery } from './gallery.js';
import type { HeldSnapshots } from './held-snapshots.js';
import type { CheckOptions } from './index-api.js';
import type { Keyring } from './keyring.js';
import { keyOfLane, lanesOf } from './lanes.js';
import { dataFile, type LmdbStore } from './lmdb-store.js';
import { openScanThread } from './scan-thread.js';
import { sealReader } from './sealed-store.js';
import type { StoreReader } from './store.js';

/** What is needed of an open index. */
export interface OpenIndex {
  readonly path: string;
  /** The store below the sealing. */
  readonly raw: LmdbStore;
  readonly store: LmdbStore;
  readonly keyring: Keyring | null;
  /** Of `raw`. */
  readonly snapshots: HeldSnapshots;
  readonly galleries: ReadonlyMap<string, Gallery>;
  readonly onWarning: (message: string, facts: object) => void;
}

/** Findings about a gallery that is deleted meanwhile are dropped: its keys and files go before its records do. */
export async function* checkIndex(
  { raw, store, galleries, snapshots, path, keyring, onWarning }: OpenIndex,
  { records = true, searches = true, signal }: CheckOptions,
): AsyncGenerator<Finding, CheckCounts, void> {
  const reader = snapshots.take();
  const isThere = (number: number | null): boolean =>
    number === null || [...galleries.values()].some((one) => one.number === number);
  const damaged = new Set<number>();
  let counts: CheckCounts = { records: 0, templates: 0, files: 0 };
  try {
    if (records) {
      for (const message of await pageProblems(path)) yield asFinding(pageFinding(message));
      const findings = checkRecords({ reader, keyring, path, live: raw, signal });
      for (let next = await findings.next(); ; next = await findings.next()) {
        if (next.done) {
          counts = { ...next.value, files: next.value.files + 1 };
          break;
        }
        if (!isThere(next.value.gallery)) continue;
        if (next.value.gallery !== null) damaged.add(next.value.gallery);
        yield asFinding(next.value);
      }
    }
    if (!searches) return counts;
    const opened = keyring ? sealReader(reader, keyring) : reader;
    for (const gallery of [...galleries.values()].filter(({ number }) => !damaged.has(number))) {
      const { name, number } = gallery;
      try {
        for (const lane of lanesOf(gallery.record)) {
          const found = yield* checkLaneSearches(gallery, lane, { reader: opened, live: store, signal });
          counts = { ...counts, templates: counts.templates + found };
        }
      } catch (error) {
        if (isThere(number)) throw error;
        onWarning('a gallery was deleted while it was checked', { gallery: name });
      }
    }
    return counts;
  } finally {
    reader.release();
  }
}

async function* checkLaneSearches(
  gallery: Gallery,
  lane: LaneRecord,
  how: { readonly reader: StoreReader; readonly live: StoreReader; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Finding, number, void> {
  const { name, record } = gallery;
  const findings = checkSearches({
    ...how,
    name,
    lane: keyOfLane(record, lane),
    search: (probes, { exact }) => gallery.nearest(lane, probes, exact ? 'exact' : 'graph'),
  });
  for (;;) {
    const next = await findings.next();
    if (next.done) return next.value;
    yield asFinding(next.value);
  }
}

async function pageProblems(path: string): Promise<readonly string[]> {
  const thread = openScanThread();
  try {
    return (await thread.scan({ kind: 'pages', file: dataFile(path) })).findings.map(({ message }) => message);
  } finally {
    await thread.close();
  }
}
