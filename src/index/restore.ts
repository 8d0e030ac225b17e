/**
 * A data directory made of a backup.
 *
 * Promises: nothing is written that was not verified before; the new directory is made beside its place and takes it with one rename, when
 * the trailer has agreed and everything is on the disk; a refusal leaves nothing behind, and what was at the place untouched.
 */
import { randomUUID } from 'node:crypto';
import { chmod, copyFile, mkdir, open, readdir, realpath, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { HarmonidError } from '../errors.js';
import { readBackup, type BackupSummary, type ReadBackupOptions } from './backup-reader.js';
import { diskError } from '../files/disk-errors.js';
import { keysFolder } from './keyring.js';
import { dataFile, openLmdbStore } from './lmdb-store.js';

export interface RestoreOptions extends ReadBackupOptions {
  /** The data directory to be; not there yet, or an empty folder. */
  readonly path: string;
  /** Of an encrypted directory: a copy of its `keys` folder, which is in no backup. Without it, put one into the new directory before it is opened. */
  readonly keys?: string | undefined;
  /** The backup: a file's stream, `Database.backup()`. */
  readonly from: AsyncIterable<Uint8Array>;
}

/**
 * Makes a data directory of a backup.
 * @throws BACKUP_INVALID, DATA_EXISTS, DATA_FORMAT_NEWER, DISK_FULL, DATA_READ_ONLY, INVALID_ARGUMENT
 */
export async function restoreDatabase({ path, from, keys, ...options }: RestoreOptions): Promise<BackupSummary> {
  const target = await realpath(path).catch(() => resolve(path));
  const parent = dirname(target);
  const mode = await refuseOccupied(target, parent);
  const unfinished = `${target}.restoring-${randomUUID().slice(0, 8)}`;
  let parentMade: string | undefined;
  try {
    parentMade = await mkdir(parent, { recursive: true });
    // For its owner only, unless the empty folder that was made for it says otherwise.
    await mkdir(unfinished, { mode: 0o700 });
    const summary = await fill(unfinished, from, options);
    if (keys !== undefined) await copyKeys(keys, keysFolder(unfinished));
    if (mode !== undefined) await chmod(unfinished, mode);
    await takePlace(unfinished, target);
    await sync(parent);
    return summary;
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if (parentMade !== undefined) await removeEmpty(parent, parentMade);
    throw diskError(error, parent);
  }
}

/** The mode of the empty folder that is there; undefined for nothing. @throws DATA_EXISTS, INVALID_ARGUMENT */
async function refuseOccupied(target: string, parent: string): Promise<number | undefined> {
  const found = await stat(target).catch(() => undefined);
  if (!found) return undefined;
  if (!found.isDirectory()) throw dataExists(target, 'is a file');
  const names = await readdir(target);
  if (names.length > 0) throw dataExists(target, `is not empty: it holds ${names.slice(0, 3).join(', ')}`);
  if (found.dev !== (await stat(parent)).dev) {
    throw new HarmonidError(
      'INVALID_ARGUMENT',
      `${target} is a file system of its own, which no rename can replace: name a folder inside it`,
      { details: { path: target } },
    );
  }
  return found.mode & 0o7777;
}

function dataExists(target: string, what: string): HarmonidError {
  return new HarmonidError('DATA_EXISTS', `${target} ${what}; a backup is restored into a new or an empty folder`, {
    details: { path: target },
  });
}

async function fill(
  folder: string,
  from: AsyncIterable<Uint8Array>,
  options: ReadBackupOptions,
): Promise<BackupSummary> {
  const store = openLmdbStore({ path: folder, readOnly: false });
  let summary: BackupSummary;
  try {
    let durable: Promise<void> = Promise.resolve();
    summary = await readBackup(from, options, async ({ table, entries }) => {
      ({ durable } = await store.write((writer) => {
        for (const { key, value } of entries) writer.put(table, key, value);
      }));
    });
    await durable;
  } finally {
    await store.close();
  }
  const file = dataFile(folder);
  // Locks and readers of this process; LMDB makes it anew.
  await rm(`${file}-lock`, { force: true });
  await sync(file);
  await sync(folder);
  return summary;
}

/** @throws INVALID_ARGUMENT when there are no keys */
async function copyKeys(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 });
  const names = await readdir(from).catch(() => []);
  const wanted = names.filter((name) => !name.startsWith('.'));
  if (wanted.length === 0) {
    throw new HarmonidError('INVALID_ARGUMENT', `there are no keys in ${from}; a copy of a keys folder is wanted`);
  }
  for (const name of wanted) {
    await copyFile(join(from, name), join(to, name));
    await sync(join(to, name));
  }
  await sync(to);
}

async function takePlace(unfinished: string, target: string): Promise<void> {
  try {
    await rename(unfinished, target);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOTDIR')
      throw dataExists(target, 'is not empty any more');
    throw error;
  }
}

/** Makes a file, or the names in a folder, durable. */
async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes the folders from `folder` up to `top`, as far as nobody has put anything into them. */
async function removeEmpty(folder: string, top: string): Promise<void> {
  for (let at = folder; at.length >= top.length; at = dirname(at)) {
    try {
      await rmdir(at);
    } catch {
      return;
    }
  }
}
