/**
 * Overwrites what removed records leave in the data file, and searches the files for remains of somebody.
 *
 * LMDB writes pages anew and leaves the old ones as they were until it needs the room, so that the bytes of a removed record stay in the file.
 * Everything that no tree of either meta page uses is overwritten with zeros, inside a write transaction, when nobody can be handing out pages:
 * a page that was written since it was looked at is left alone. Snapshots that are open are waited for, as they still read what was, and so are the
 * threads that search, each of which reads the store in snapshots of its own for some milliseconds.
 *
 * A mark in the store says which galleries have something to overwrite; it is set with the erasure and goes when nothing is left to do.
 */
import { closeSync, fdatasync, openSync, readSync, writeSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Quantiser } from '../engine/quantiser.js';
import { codeBytes, fineVectorBytes } from '../engine/stored-vector.js';
import { checkpointCodec, keyParts, keys, markCodec, ranges } from './codec.js';
import { readQuantiser } from './engine-file.js';
import { newestFirst, readMetas } from './lmdb-meta.js';
import { dataFile, type LmdbStore } from './lmdb-store.js';
import type { ErasureProof } from './records.js';
import { openScanThread, type DeadPlace } from './scan-thread.js';

const sync = promisify(fdatasync);

/** How long an erasure waits for backups and exports that began before it. What they hold up is done when they have ended. */
const snapshotPatienceMs = 1_000;
/** How often it is looked whether threads still read what was. */
const readersPollMs = 2;
/** Bytes overwritten in one transaction: no other write waits for long. */
const bytesPerTransaction = 1 << 20;
/** Pages that are written while they are looked at are looked at again, so many times. */
const passesMax = 5;
/** Shorter codes would be found anywhere. */
const codeBytesMin = 16;
/** Folders of a data directory with nothing of anybody in them. */
const foldersWithoutPeople: ReadonlySet<string> = new Set(['models', 'keys']);

export interface Scrubber {
  /**
   * Overwrites what was removed before the call. False when that could not be done now; then the galleries' marks stay, and it is done with
   * the next call. Never rejects: what called for it is done. Concurrent calls share the work.
   */
  overwrite(): Promise<boolean>;
  /** Searches every file of the directory that may hold people for any 32 bytes of the vectors, as they are stored and as graphs keep them: as codes and beside them. */
  search(vectors: readonly Uint8Array[]): Promise<Omit<ErasureProof, 'keyDestroyed'>>;
  close(): Promise<void>;
}

/** What nobody sees who begins to read now. */
interface Dead {
  readonly transaction: bigint;
  /** Whoever reads an older one may still see it. */
  readonly oldest: bigint;
  readonly places: readonly DeadPlace[];
}

export interface ScrubberOptions {
  readonly path: string;
  /** Then the bytes in the data file are of no use to anybody once their key is gone, and stay. */
  readonly encrypted: boolean;
  readonly onWarning: (message: string, facts: object) => void;
}

export function openScrubber(store: LmdbStore, { path, encrypted, onWarning }: ScrubberOptions): Scrubber {
  const file = dataFile(path);
  const thread = openScanThread();
  let lastRound: Promise<unknown> = Promise.resolve();
  let nextRound: Promise<boolean> | null = null;
  /** For what a snapshot held up. */
  let followUp: Promise<void> | null = null;
  let isClosed = false;

  async function runRound(): Promise<boolean> {
    if (isClosed) return false;
    try {
      const marks = Array.from(store.range('meta', ...ranges.unscrubbed()));
      if (!encrypted && !(await clear())) return false;
      const { durable } = await store.write((writer) => {
        for (const { key, value } of marks) {
          // A mark that was set again since has another number in it.
          if (writer.get('meta', key)?.equals(value)) writer.remove('meta', key);
        }
      });
      await durable;
      return true;
    } catch (error) {
      onWarning('what was removed is not overwritten in the data file yet; it is tried again with the next erasure', {
        error,
      });
      return false;
    }
  }

  /** True when a pass found nothing to overwrite, or overwrote all that it found. */
  async function clear(): Promise<boolean> {
    const handle = openSync(file, 'r+');
    try {
      for (let pass = 0; pass < passesMax; pass++) {
        if (!(await othersAreGone())) return false;
        // LMDB writes its two meta pages in turn: after this commit neither knows what was removed before.
        await commitMark(() => undefined);
        const found = await findDead(handle);
        if (!found) continue;
        if (!(await readersHavePassed(found.oldest))) return false;
        if (await clearOnce(handle, found)) return true;
      }
      return false;
    } finally {
      closeSync(handle);
    }
  }

  /** Whether nobody reads what was there before: no snapshot of this process, no other process. */
  async function othersAreGone(): Promise<boolean> {
    const released = await Promise.race([
      store.snapshotsReleased().then(() => true),
      delay(snapshotPatienceMs, false, { ref: false }),
    ]);
    if (!released) {
      followUp ??= store.snapshotsReleased().then(async () => {
        followUp = null;
        if (!isClosed) await overwrite();
      });
    }
    return released && !store.hasForeignReaders();
  }

  async function clearOnce(handle: number, { transaction, places }: Dead): Promise<boolean> {
    const withoutHeader = places.filter(({ page }) => page === null);
    let left = 0;
    if (withoutHeader.length > 0) {
      await commitMark(() => {
        if (newestTransaction(handle) === transaction) for (const place of withoutHeader) zero(handle, place);
        else left += withoutHeader.length;
      });
    }
    for (const some of inTransactions(places.filter(({ page }) => page !== null))) {
      await commitMark(() => {
        for (const place of some) {
          if (isRewritten(handle, place)) left++;
          else zero(handle, place);
        }
      });
    }
    await sync(handle);
    return left === 0;
  }

  /**
   * What is dead to the newest snapshot and the one before, and so to every snapshot that is taken from now on. Null when one is open that was taken
   * before: to be asked in the same turn in which the snapshot is taken.
   */
  async function findDead(handle: number): Promise<Dead | null> {
    if (store.openSnapshotCount() > 0) return null;
    const snapshot = store.snapshot();
    try {
      const metas = readMetas(handle);
      if ('damage' in metas) throw new Error(`the beginning of the data file is damaged: ${metas.damage}`);
      const snapshots = newestFirst(metas);
      const [{ transaction }, { transaction: oldest }] = snapshots;
      return { transaction, oldest, places: await thread.scan({ kind: 'dead', file, snapshots }) };
    } finally {
      snapshot.release();
    }
  }

  /** Whether nobody reads an older transaction any more; waits for it. Nobody begins to. */
  async function readersHavePassed(transaction: bigint): Promise<boolean> {
    const untilMs = performance.now() + snapshotPatienceMs;
    for (;;) {
      const oldest = store.oldestRead();
      if (oldest === null || oldest >= transaction) return true;
      if (performance.now() >= untilMs) return false;
      await delay(readersPollMs, undefined, { ref: false });
    }
  }

  async function commitMark(within: () => void): Promise<void> {
    const { durable } = await store.write((writer) => {
      const key = keys.settled();
      writer.put('meta', key, markCodec.encode(key, {}));
      within();
    });
    await durable;
  }

  function overwrite(): Promise<boolean> {
    const round = (nextRound ??= lastRound.then(() => {
      nextRound = null;
      return runRound();
    }));
    lastRound = round;
    return round;
  }

  return {
    overwrite,
    async search(vectors) {
      const quantisers = encrypted ? [] : await quantisersOf(store, path);
      const needles = vectors.flatMap((bytes) => {
        const vector = new Float32Array(Uint8Array.from(bytes).buffer);
        const codes = quantisers
          .filter(({ centre }) => vector.length >= codeBytesMin && vector.length <= centre.length)
          .map((quantiser) => Buffer.from(codeBytes(vector, quantiser).buffer));
        return [bytes, fineVectorBytes(vector), ...codes];
      });
      const files = await filesOf(path);
      const remains = await thread.scan({ kind: 'anywhere', files: files.map(({ name }) => name), needles });
      return {
        filesScanned: files.length,
        bytesScanned: files.reduce((sum, { bytes }) => sum + bytes, 0),
        remainsFound: remains,
      };
    },
    async close() {
      isClosed = true;
      await lastRound;
      await thread.close();
    },
  };
}

function* inTransactions(places: readonly DeadPlace[]): Iterable<readonly DeadPlace[]> {
  let some: DeadPlace[] = [];
  let bytes = 0;
  for (const place of places) {
    some.push(place);
    bytes += place.length;
    if (bytes < bytesPerTransaction) continue;
    yield some;
    [some, bytes] = [[], 0];
  }
  if (some.length > 0) yield some;
}

/** A page that was written since has another header: LMDB puts the number of the transaction into it. */
function isRewritten(handle: number, { page }: DeadPlace): boolean {
  if (!page) return true;
  const header = Buffer.alloc(page.header.length);
  return readSync(handle, header, 0, header.length, page.position) !== header.length || !header.equals(page.header);
}

function newestTransaction(handle: number): bigint | undefined {
  const metas = readMetas(handle);
  return 'damage' in metas ? undefined : newestFirst(metas)[0].transaction;
}

function zero(handle: number, { position, length }: DeadPlace): void {
  writeSync(handle, Buffer.alloc(length), 0, length, position);
}

/** Galleries in which something was removed that is not overwritten yet. */
export function unscrubbedGalleries(store: LmdbStore): readonly number[] {
  return Array.from(store.keys('meta', ...ranges.unscrubbed()), (key) => keyParts.unscrubbed(key));
}

/** Those by which graph files hold codes. A checkpoint may take another's place meanwhile: then they are looked for again. */
async function quantisersOf(store: LmdbStore, path: string, attempts = 3): Promise<readonly Quantiser[]> {
  const files = Array.from(
    store.range('checkpoints', ...ranges.all()),
    ({ key, value }) => checkpointCodec.decode(key, value).file,
  );
  try {
    // Those of hnswlib have no root, and the vectors as they are.
    return await Promise.all(files.flatMap((file) => (file?.root ? [readQuantiser(path, file)] : [])));
  } catch (error) {
    if (attempts === 1) throw error;
    return quantisersOf(store, path, attempts - 1);
  }
}

async function filesOf(path: string): Promise<readonly { readonly name: string; readonly bytes: number }[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const searched = files.filter((name) => !foldersWithoutPeople.has(relative(path, name).split(sep)[0] ?? ''));
  return Promise.all(searched.map(async (name) => ({ name, bytes: (await stat(name)).size })));
}
