/**
 * The repair of a data directory that nobody has open: what a check finds is mended, and what that brings to light, until nothing is left to mend.
 *
 * Promises: bytes that were somebody's are moved to the quarantine, never deleted; what is removed are caches and logs (checkpoints, change
 * logs), which are made again; what follows from other records is written anew. Each step is one small transaction and the whole may
 * be cut short at any moment and begun again. Nothing is done about damaged pages, keys, or receipts: for these there are backups.
 */
import { openDirectory, pageDamage, type DirectoryQuestion } from './check-directory.js';
import { galleryTables, ranges } from './codec.js';
import { asFinding, type Damage, type Finding } from './findings.js';
import type { LmdbStore } from './lmdb-store.js';
import { copyAside, setAside, setGraphFileAside } from './quarantine.js';
import type { StoreReader, StoreWriter, TableName } from './store.js';

export interface RepairQuestion extends DirectoryQuestion {
  /** Milliseconds since 1970. Default the system's clock. */
  readonly clock?: (() => number) | undefined;
}

export interface RepairCounts {
  /** Findings that something was done about. */
  readonly mended: number;
  /** Findings for which there is nothing that could be done. */
  readonly left: number;
}

/** Findings that one transaction mends. */
const mendsPerTransaction = 100;
/** Records that one transaction moves or removes. */
const recordsPerTransaction = 500;
/** A lost identity brings its templates to light, and these the counters: few looks are needed. */
const looksMax = 12;

/**
 * Yields what was mended, as it was found.
 * @throws see `checkDirectory`
 */
export async function* repairDirectory(question: RepairQuestion): AsyncGenerator<Finding, RepairCounts, void> {
  const { path, clock = Date.now } = question;
  const pages = await pageDamage(path);
  if (pages.length > 0) return { mended: 0, left: pages.length };
  const directory = await openDirectory(question);
  let mended = 0;
  let left = 0;
  try {
    for (const finding of directory.damage) {
      if (finding.mend.kind === 'none') continue;
      mended++;
      yield asFinding(finding);
    }
    for (let look = 0; look < looksMax; look++) {
      left = directory.damage.filter(({ mend }) => mend.kind === 'none').length;
      let mendedNow = 0;
      let batch: Damage[] = [];
      const findings = directory.check((finding) => finding);
      for await (const finding of findings) {
        if (finding.severity === 'warning') continue;
        if (finding.mend.kind === 'none') {
          left++;
          continue;
        }
        batch.push(finding);
        if (batch.length < mendsPerTransaction) continue;
        yield* await mendAll(directory.store, path, batch, clock());
        mendedNow += batch.length;
        batch = [];
      }
      yield* await mendAll(directory.store, path, batch, clock());
      mendedNow += batch.length;
      mended += mendedNow;
      if (mendedNow === 0) break;
    }
    return { mended, left };
  } finally {
    await directory.close();
  }
}

async function mendAll(
  store: LmdbStore,
  path: string,
  batch: readonly Damage[],
  atMs: number,
): Promise<readonly Finding[]> {
  await store.write((writer) => {
    for (const each of batch) mendRecord(writer, each, atMs);
  });
  for (const { mend, message } of batch) {
    switch (mend.kind) {
      case 'quarantine-gallery':
        await setGalleryAside(store, mend.number, message, atMs);
        break;
      case 'drop-log':
        await inSteps(store, 'checkpoints', mend.number, (writer, key) => writer.remove('checkpoints', key));
        await inSteps(store, 'changes', mend.number, (writer, key) => writer.remove('changes', key));
        break;
      case 'drop-checkpoint':
        // The file first: a record without its file is found again.
        if (mend.file !== null) await setGraphFileAside(path, mend.file);
        await store.write((writer) => writer.remove('checkpoints', mend.key));
        break;
      case 'none':
      case 'put':
      case 'replace':
      case 'quarantine':
        break;
    }
  }
  return batch.map(asFinding);
}

function mendRecord(writer: StoreWriter, { mend, message }: Damage, atMs: number): void {
  switch (mend.kind) {
    case 'quarantine':
      setAside(writer, { table: mend.table, key: mend.key, reason: message, atMs });
      break;
    case 'replace':
      copyAside(writer, { table: mend.table, key: mend.key, reason: message, atMs });
      writer.put(mend.table, mend.key, mend.value);
      break;
    case 'put':
      writer.put(mend.table, mend.key, mend.value);
      break;
    case 'none':
    case 'quarantine-gallery':
    case 'drop-log':
    case 'drop-checkpoint':
      break;
  }
}

async function setGalleryAside(store: LmdbStore, number: number, reason: string, atMs: number): Promise<void> {
  for (const table of galleryTables) {
    await inSteps(store, table, number, (writer, key) => setAside(writer, { table, key, reason, atMs }));
  }
}

async function inSteps(
  store: LmdbStore,
  table: TableName,
  gallery: number,
  each: (writer: StoreWriter, key: Buffer) => void,
): Promise<void> {
  for (let done = recordsPerTransaction; done === recordsPerTransaction;) {
    const { value } = await store.write((writer) => {
      const some = firstKeys(writer, table, gallery);
      for (const key of some) each(writer, key);
      return some.length;
    });
    done = value;
  }
}

/** Read before anything is written: a cursor does not outlive the writes to its table. */
function firstKeys(reader: StoreReader, table: TableName, gallery: number): readonly Buffer[] {
  const some: Buffer[] = [];
  for (const key of reader.keys(table, ...ranges.gallery(gallery))) {
    some.push(key);
    if (some.length === recordsPerTransaction) break;
  }
  return some;
}
