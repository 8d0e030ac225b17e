/**
 * The identity index: galleries of identities over one store and its graphs.
 *
 * `openIdentityIndex` takes the lock, checks the format, reads the galleries and opens their graphs (from checkpoints where these
 * hold), finishes what a killed process left undone, and hands out an `IdentityIndex`. One writer a directory.
 */
import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { emitWarning } from 'node:process';
import { templatesMax } from '../engine/engine-memory.js';
import { HarmonidError } from '../errors.js';
import { writeBackup } from './backup.js';
import { checkIndex } from './check-index.js';
import { removeGraphFile, removeStrayGraphFiles } from './checkpoint.js';
import {
  checkpointCodec,
  formatCodec,
  galleryCodec,
  galleryTables,
  keyParts,
  keys,
  markCodec,
  ranges,
  type FormatRecord,
  type GalleryRecord,
} from './codec.js';
import { refuseHeld, takeDataLock, type DataLock } from './data-lock.js';
import { diskError } from '../files/disk-errors.js';
import { openEncryption } from './encryption.js';
import { isOlder, readFormat, upgradeFormat } from './format-upgrade.js';
import { freezeStore } from './frozen-store.js';
import { Gallery, type GalleryOptions } from './gallery.js';
import { startGraphThreads, type GraphThreads } from './graph-threads.js';
import { shredMemoryFiles } from './graph-sealing.js';
import { lanesOf } from './lanes.js';
import { HeldSnapshots } from './held-snapshots.js';
import { readGalleries } from './identity-reads.js';
import type { GalleryChange, GalleryDraft, IdentityIndex, IdentityIndexOptions } from './index-api.js';
import { shredGraphFilesAside } from './quarantine.js';
import { openLmdbStore, type LmdbStore } from './lmdb-store.js';
import type { Gallery as GalleryView } from './records.js';
import { openScrubber, unscrubbedGalleries } from './scrubber.js';
import { sealStore } from './sealed-store.js';
import type { Store } from './store.js';

export { checkDirectory, type DirectoryQuestion } from './check-directory.js';
export { rotateMasterKey } from './encryption.js';
export { repairDirectory, type RepairCounts, type RepairQuestion } from './repair.js';
export type {
  CheckOptions,
  EncryptionOptions,
  EnrollDraft,
  Enrolment,
  GalleryChange,
  GalleryDraft,
  IdentityIndex,
  IdentityIndexOptions,
  SearchAnswer,
  SearchRequest,
  TemplateDraft,
  VerifyAnswer,
} from './index-api.js';

/** Beyond some five times what a thread answers, whoever asks from one thread has no time to ask more. */
const searchThreadsDefaultMax = 4;
const exactMaxDefault = 2_000;
const recallMinDefault = 0.9;
const checkpointEveryDefault = 20_000;
/** Records of a deleted gallery that one transaction removes. */
const purgeBatch = 500;

/**
 * Opens (and makes, when absent) the index in a directory.
 * @throws DATA_NOT_FOUND, DATA_LOCKED, DATA_READ_ONLY, DATA_FORMAT_NEWER, DATA_CORRUPT, DISK_FULL
 */
export async function openIdentityIndex(options: IdentityIndexOptions): Promise<IdentityIndex> {
  const { path, readOnly = false } = options;
  prepareFolder(path, readOnly);
  const opened = openLmdbStore({
    path,
    readOnly,
    flushes: options.durability !== 'committed',
    onCommit: options.onCommit,
  });
  let raw = opened;
  let encryption: Awaited<ReturnType<typeof openEncryption>> = null;
  let lock: DataLock | null = null;
  let thread: GraphThreads | null = null;
  const onWarning = options.onWarning ?? warnProcess;
  try {
    const format = readFormat(raw, path);
    if (readOnly) {
      refuseOlder(format, path);
      await refuseHeld(raw, path);
      raw = freezeStore(opened);
    } else {
      lock = await takeDataLock(raw, path);
    }
    encryption = await openEncryption({ path, format, options: options.encryption });
    if (!readOnly) await upgradeFormat(raw, path, encryption?.keyring.directory);
    const store = encryption ? sealStore(raw, encryption.keyring) : raw;
    const galleries = new Map<string, Gallery>();
    thread = startGraphThreads({
      // A read-only index is that of a moment, which a thread that begins later would not see.
      searchThreads: readOnly ? 0 : (options.searchThreads ?? searchThreadsDefault()),
      onDeath: (cause) => onWarning('the graph thread has died', { path, error: cause }),
      onWarning({ graph, message, facts }) {
        const gallery = [...galleries.values()].find((one) => one.graphs.has(graph))?.name ?? graph;
        onWarning(message, { gallery, ...facts });
      },
    });
    const { engine = 'harmonid', rerank = 'memory' } = options;
    const galleryOptions: GalleryOptions = {
      path,
      durability: options.durability ?? 'flushed',
      checkpointEvery: options.checkpointEvery ?? checkpointEveryDefault,
      engine,
      rerank,
      templatesMax: (dimensions) => (engine === 'harmonid' ? templatesMax(dimensions, rerank === 'memory') : Infinity),
      exactMax: options.exactMax ?? exactMaxDefault,
      recallMin: options.recallMin ?? recallMinDefault,
      readOnly,
      keyring: encryption?.keyring ?? null,
      encryption: encryption && { masterKey: encryption.master, directory: encryption.keyring.directory },
      scrubber: openScrubber(raw, { path, encrypted: encryption !== null, onWarning }),
      clock: options.clock ?? Date.now,
      onWarning,
    };
    const parts: Parts = {
      options: galleryOptions,
      readOnly,
      raw,
      store,
      lock,
      thread,
      galleries,
    };
    for (const { name, record } of readGalleries(store)) await openGallery(parts, name, record, false);
    if (!readOnly) await tidy(parts);
    if (!readOnly || !encryption) for (const gallery of galleries.values()) await gallery.refuseIncomplete();
    return makeIndex(parts);
  } catch (error) {
    await thread?.close();
    await lock?.release().catch(() => undefined);
    encryption?.keyring.close();
    await raw.close();
    throw diskError(error, path);
  }
}

/** @throws DATA_READ_ONLY */
function refuseOlder(format: FormatRecord | undefined, path: string): void {
  if (!format || !isOlder(format)) return;
  throw new HarmonidError(
    'DATA_READ_ONLY',
    `the data directory ${path} is of an older format; open it once for writing, which upgrades it`,
    { details: { path, format: format.upgradingFrom ?? format.format } },
  );
}

/** What an open index consists of. */
interface Parts {
  readonly options: GalleryOptions;
  readonly readOnly: boolean;
  readonly store: LmdbStore;
  /** The same without the sealing: records as they lie in the file. */
  readonly raw: LmdbStore;
  readonly lock: DataLock | null;
  readonly thread: GraphThreads;
  readonly galleries: Map<string, Gallery>;
}

/** What is done with warnings when nobody asks for them. */
export function warnProcess(message: string, facts: object): void {
  const error: unknown = 'error' in facts ? facts.error : undefined;
  emitWarning(error instanceof Error ? `${message}: ${error.message}` : message, 'HarmonidWarning');
}

/** @throws DATA_NOT_FOUND, DATA_READ_ONLY, DISK_FULL, INVALID_ARGUMENT */
function prepareFolder(path: string, readOnly: boolean): void {
  if (existsSync(path) && !statSync(path).isDirectory()) {
    throw new HarmonidError('INVALID_ARGUMENT', `${path} is a file, a data directory is wanted`);
  }
  if (readOnly) {
    if (!existsSync(path)) throw new HarmonidError('DATA_NOT_FOUND', `there is no data directory at ${path}`);
    return;
  }
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
  } catch (error) {
    throw diskError(error, path);
  }
}

/** The graphs' own thread searches, too. */
function searchThreadsDefault(): number {
  return Math.min(searchThreadsDefaultMax, availableParallelism() - 1);
}

// ── What a killed process left undone ──────────────────────────────────────────────────────────────────────────────

/** Finishes deletions that were cut short and removes graph files that no checkpoint names. */
async function tidy(parts: Parts): Promise<void> {
  const { store, options } = parts;
  const { path } = options;
  await finishErasures(parts);
  const purges = Array.from(store.keys('meta', ...ranges.purges()), (key) => keyParts.purge(key));
  for (const number of purges) {
    await options.keyring?.dropGallery(number);
    await purge(store, number);
  }
  if (purges.length > 0) await options.scrubber.overwrite();
  for (const gallery of parts.galleries.values()) await gallery.graphs.clearDropped();
  const named = new Set<string>();
  for (const { key, value } of store.range('checkpoints', ...ranges.all())) {
    const name = checkpointCodec.decode(key, value).file?.name;
    if (name !== undefined) named.add(name);
  }
  await removeStrayGraphFiles(path, named);
  if (options.keyring) await shredMemoryFiles(options.keyring.directory);
}

/** Erasures that a killed process had begun: of people whose keys are gone, in graph files, in the data file. */
async function finishErasures({ store, galleries, options: { scrubber } }: Parts): Promise<void> {
  for (const gallery of galleries.values()) await gallery.finishErasures();
  const unscrubbed = unscrubbedGalleries(store);
  if (unscrubbed.length === 0) return;
  let areReplaced = true;
  for (const gallery of galleries.values()) {
    if (unscrubbed.includes(gallery.number)) areReplaced = (await gallery.graphs.replaceFiles()) && areReplaced;
  }
  if (areReplaced) await scrubber.overwrite();
}

/** Removes everything of a gallery that is no longer there, a little at a time, and last the mark that says so. */
async function purge(store: Store, number: number): Promise<void> {
  for (const table of [...galleryTables, 'quarantine'] as const) {
    for (let removed = purgeBatch; removed === purgeBatch;) {
      const { value } = await store.write((writer) => {
        let count = 0;
        for (const key of writer.keys(table, ...ranges.gallery(number))) {
          if (count === purgeBatch) break;
          writer.remove(table, key);
          count++;
        }
        return count;
      });
      removed = value;
    }
  }
  const { durable } = await store.write((writer) => writer.remove('meta', keys.purge(number)));
  await durable;
}

// ── Galleries ────────────────────────────────────────────────────────────────────────────────────────────────────────

async function openGallery(parts: Parts, name: string, record: GalleryRecord, isNew: boolean): Promise<Gallery> {
  const { store, thread, options } = parts;
  const gallery = new Gallery(name, record, store, thread, options);
  await openGraphs(gallery, isNew);
  parts.galleries.set(name, gallery);
  return gallery;
}

async function openGraphs({ graphs, record }: Gallery, isNew: boolean): Promise<void> {
  for (const lane of lanesOf(record)) await graphs.open(lane, { isNew });
}

async function createGallery(parts: Parts, draft: GalleryDraft): Promise<GalleryView> {
  const { store, options, galleries } = parts;
  const { gallery: name, ...settings } = draft;
  const present = galleries.get(name);
  if (present) {
    const [key] =
      Object.entries(settings).find(([key, value]) => !isSame(value, present.view[key as keyof GalleryView])) ?? [];
    if (key === undefined) return present.view;
    throw new HarmonidError(
      'GALLERY_EXISTS',
      `gallery "${name}" exists with ${key} ${JSON.stringify(present.view[key as keyof GalleryView])}, the request says ${JSON.stringify(settings[key as keyof typeof settings])}`,
      { details: { gallery: name, setting: key } },
    );
  }
  const { value: record, durable } = await store.write((writer) => {
    const format = formatCodec.decode(keys.format(), writer.get('meta', keys.format()) ?? Buffer.alloc(0));
    const made: GalleryRecord = {
      ...settings,
      number: format.nextGalleryNumber,
      identityCount: 0,
      templateCount: 0,
      sequence: 0,
      nextOwner: 0,
      nextTemplate: 1,
      createdAt: options.clock(),
    };
    const next = { ...format, nextGalleryNumber: format.nextGalleryNumber + 1 };
    writer.put('meta', keys.format(), formatCodec.encode(keys.format(), next));
    writer.put('galleries', keys.gallery(name), galleryCodec.encode(keys.gallery(name), made));
    return made;
  });
  await durable;
  return (await openGallery(parts, name, record, true)).view;
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The gallery is gone when its record is; what it held is removed afterwards, and at the next opening if that is cut short. */
async function deleteGallery(
  { store, galleries, options: { path, keyring, scrubber, onWarning } }: Parts,
  name: string,
): Promise<boolean> {
  const gallery = galleries.get(name);
  if (!gallery) return false;
  await gallery.retire();
  const { number } = gallery;
  const graphFiles = gallery.graphs.files;
  try {
    const { durable } = await store.write((writer) => {
      writer.remove('galleries', keys.gallery(name));
      writer.put('meta', keys.purge(number), markCodec.encode(keys.purge(number), {}));
    });
    await durable;
  } catch (error) {
    gallery.reinstate();
    throw error;
  }
  galleries.delete(name);
  await gallery.graphs.dropAll();
  await keyring?.dropGallery(number);
  await purge(store, number);
  try {
    for (const file of graphFiles) await removeGraphFile(path, file);
    await shredGraphFilesAside(path, number);
  } catch (error) {
    onWarning('a graph file of a deleted gallery could not be removed; it is tried again at the next opening', {
      gallery: name,
      error,
    });
  }
  await scrubber.overwrite();
  return true;
}

// ── The index ────────────────────────────────────────────────────────────────────────────────────────────────────────

function makeIndex(parts: Parts): IdentityIndex {
  const { galleries, store, thread, lock, readOnly, options, raw } = parts;
  let closing: Promise<void> | null = null;
  const snapshots = new HeldSnapshots(raw);
  /** Galleries are made and deleted one at a time. */
  let administration: Promise<unknown> = Promise.resolve();

  function checkOpen(): void {
    if (closing) throw new HarmonidError('CLOSED', 'the index is closed');
  }

  function gallery(name: string): Gallery {
    checkOpen();
    const found = galleries.get(name);
    if (!found)
      throw new HarmonidError('GALLERY_NOT_FOUND', `there is no gallery "${name}"`, { details: { gallery: name } });
    return found;
  }

  function writable(name: string): Gallery {
    refuseReadOnly();
    return gallery(name);
  }

  function refuseReadOnly(): void {
    checkOpen();
    if (readOnly) throw new HarmonidError('DATA_READ_ONLY', `the data directory ${options.path} was opened read-only`);
  }

  function administer<T>(work: () => Promise<T>): Promise<T> {
    refuseReadOnly();
    const done = administration.then(work);
    administration = done.catch(() => undefined);
    return done;
  }

  async function close(): Promise<void> {
    snapshots.close();
    await administration;
    for (const open of galleries.values()) {
      await open.drained();
      if (!readOnly) await open.graphs.saveOrWarn();
    }
    await thread.close();
    await options.scrubber.close();
    try {
      await lock?.release();
    } finally {
      options.keyring?.close();
      await store.close();
    }
  }

  return {
    createGallery: async (draft) => administer(() => createGallery(parts, draft)),
    getGallery: (name) => gallery(name).view,
    findGallery(name) {
      checkOpen();
      return galleries.get(name)?.view;
    },
    listGalleries() {
      checkOpen();
      return readGalleries(store).flatMap(({ name }) => galleries.get(name)?.view ?? []);
    },
    updateGallery: async (name: string, change: GalleryChange) => writable(name).updateSettings(change),
    deleteGallery: async (name) => administer(() => deleteGallery(parts, name)),

    enroll: async (draft) => writable(draft.gallery).enroll(draft),
    findEnrolment: async (name, idempotency) => gallery(name).replay(idempotency, { isDurable: readOnly }),
    search: async (request) => gallery(request.gallery).search(request),
    verify: (request) => gallery(request.gallery).verify(request),

    getIdentity: (name, identity) => gallery(name).getIdentity(identity),
    listIdentities: ({ gallery: name, after, limit, groups }) => gallery(name).listIdentities(after, limit, groups),
    updateIdentity: async ({ gallery: name, ...update }) => writable(name).updateIdentity(update),
    removeTemplate: async (name, identity, template) => writable(name).removeTemplate(identity, template),
    eraseIdentity: async (name, identity, { prove = false } = {}) => writable(name).eraseIdentity(identity, prove),
    exportTemplates: (name) => gallery(name).exportTemplates(),

    move: async (name, move) => writable(name).move(move),
    fillLane: async (name, space, templates) => writable(name).fillLane(space, templates),
    replaceTemplate: async (name, owner, template, draft) => writable(name).replaceTemplate(owner, template, draft),
    laneCalibration: (name, space) => gallery(name).laneCalibration(space),
    identityOf: (name, owner) => gallery(name).identityOf(owner),
    templatesOf: (name, identity) => gallery(name).templatesOf(identity),
    templatesAfter: (name, after, limit) => gallery(name).templatesAfter(after, limit),
    document: (name, document) => gallery(name).document(document),
    documentNames: (name, beginning) => gallery(name).documentNames(beginning),
    addPairs: async (name, pairs) => writable(name).addPairs(pairs),
    pairs: (name, from, to) => gallery(name).pairs(from, to),
    pairCounts: (name) => gallery(name).pairCounts(),
    pairOwners: (name) => gallery(name).pairOwners(),
    originCounts: async (name, space) => gallery(name).originCounts(space),
    removePairs: async (name, filter) => writable(name).removePairs(filter),

    backup({ product, signal }) {
      checkOpen();
      return writeBackup({ snapshot: () => snapshots.take(), product, clock: options.clock, signal });
    },

    check(options = {}) {
      checkOpen();
      return checkIndex({ ...parts, ...parts.options, snapshots }, options);
    },
    async stats() {
      checkOpen();
      return Promise.all(Array.from(galleries.values(), (open) => open.stats()));
    },
    searchStats() {
      checkOpen();
      return thread.searchStats();
    },
    storeBytes() {
      checkOpen();
      return store.bytes();
    },
    async checkpoint(name) {
      refuseReadOnly();
      const chosen = name === undefined ? [...galleries.values()] : [gallery(name)];
      for (const open of chosen) await open.graphs.save();
    },
    async settle() {
      checkOpen();
      await Promise.all(Array.from(galleries.values(), (open) => open.graphs.settle()));
    },
    async close() {
      closing ??= close();
      await closing;
    },
  };
}
