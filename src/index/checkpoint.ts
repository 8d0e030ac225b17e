/**
 * Graph files: written beside, verified by reading back, cleaned of what was removed, synced, renamed, and only then named in the store.
 *
 * hnswlib's own files carry no checksum, and its writer reports neither a full disk nor a missing folder. So a file is read back after
 * writing, its structure walked to the last byte, and its SHA-256 kept in the store; at opening the digest is compared before any
 * native code sees the file. A file that no checkpoint names is litter: it is overwritten and removed, as it holds faces.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { HarmonidError } from '../errors.js';
import { diskError, isDiskFull } from './disk-errors.js';
import { cleanGraphFile, digestFile, type GraphFileFacts } from './graph-file.js';
import { forgetLoading, loadingMark } from './load-guard.js';

/** What is known of a graph file that was read from end to end. */
export interface GraphFile extends GraphFileFacts {
  readonly name: string;
}

const temporaryMark = '.part-';
/** What is overwritten at once. */
const shredBytes = 1 << 20;

export function graphsFolder(path: string): string {
  return join(path, 'graphs');
}

/**
 * Lets `write` make a file, cleans it of the vectors whose labels are not live by then, and puts it in place once it is proved complete.
 * Null when `write` had nothing to write.
 * @throws DISK_FULL or whatever the file system says; the folder is then as it was before
 */
export async function placeGraphFile(
  path: string,
  name: string,
  write: (file: string) => Promise<number | null>,
  isLive: (label: number) => boolean,
): Promise<GraphFile | null> {
  const folder = graphsFolder(path);
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `${temporaryMark}${randomUUID()}`);
  try {
    const count = await write(temporary);
    if (count === null) return null;
    const facts = await cleanAndSync(temporary, isLive);
    if (facts.count !== count) throw new Error(`the file holds ${facts.count} entries, the graph ${count}`);
    await rename(temporary, join(folder, name));
    await syncFolder(folder);
    return { name, ...facts };
  } catch (error) {
    // The native writer says nothing of a full disk: it is the file that is too short.
    if (isDiskFull(folder)) {
      throw new HarmonidError('DISK_FULL', `the disk of ${folder} is full; no checkpoint was written`, {
        cause: error,
      });
    }
    throw diskError(error, folder);
  } finally {
    // It is removed in any case; on a full disk perhaps without having been overwritten, and that says nothing new.
    await shredFile(temporary).catch(() => undefined);
  }
}

async function cleanAndSync(path: string, isLive: (label: number) => boolean): Promise<GraphFileFacts> {
  const handle = await open(path, 'r+');
  try {
    const facts = await cleanGraphFile(handle, isLive);
    await handle.sync();
    return facts;
  } finally {
    await handle.close();
  }
}

/** Makes the names in a folder durable. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** @throws DATA_CORRUPT, naming both digests, unless the file is exactly the one that the checkpoint names */
export async function verifyGraphFile(
  path: string,
  expected: { readonly name: string; readonly sha256: string },
): Promise<string> {
  const file = join(graphsFolder(path), expected.name);
  const damaged = (what: string, cause?: unknown): HarmonidError =>
    new HarmonidError('DATA_CORRUPT', `graph file ${expected.name}: ${what}`, {
      details: { file: expected.name },
      cause,
    });
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (cause) {
    throw damaged('it cannot be opened', cause);
  }
  try {
    const sha256 = await digestFile(handle);
    if (sha256 !== expected.sha256) throw damaged(`SHA-256 is ${sha256}, its checkpoint says ${expected.sha256}`);
    return file;
  } finally {
    await handle.close();
  }
}

/** Removes what no checkpoint names: temporary files of a run that was killed, files of older checkpoints, and marks of both. */
export async function removeStrayGraphFiles(path: string, named: ReadonlySet<string>): Promise<void> {
  const folder = graphsFolder(path);
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const isMark = name.endsWith(loadingMark);
    if (named.has(isMark ? name.slice(0, -loadingMark.length) : name)) continue;
    if (isMark || name.startsWith(temporaryMark) || name.endsWith('.hnsw')) await shredFile(join(folder, name));
  }
}

/** Removes a file that no checkpoint names any more. */
export async function removeGraphFile(path: string, name: string): Promise<void> {
  const file = join(graphsFolder(path), name);
  await shredFile(file);
  await forgetLoading(file);
}

/**
 * Overwrites a file with zeros, syncs and removes it; one that is not there is fine. A file system that copies on write, or a disk that
 * moves its blocks, may still have the old bytes: that is for encryption.
 */
export async function shredFile(file: string): Promise<void> {
  try {
    const handle = await open(file, 'r+');
    try {
      const { size } = await handle.stat();
      const zeros = Buffer.alloc(Math.min(size, shredBytes));
      for (let position = 0; position < size; position += zeros.length) {
        await handle.write(zeros, 0, Math.min(zeros.length, size - position), position);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
    // What cannot be overwritten is still removed, and the caller told.
    await rm(file, { force: true });
    throw error;
  }
  await rm(file, { force: true });
}
