/**
 * Graph files: written beside, verified by reading back, cleaned of what was removed, synced, renamed, and only then named in the store.
 *
 * hnswlib's own files carry no checksum, and its writer reports neither a full disk nor a missing folder. So a file is read back after
 * writing, its structure walked to the last byte, and its SHA-256 kept in the store; at opening the digest is compared before any
 * native code sees the file. A file that no checkpoint names is litter: it is overwritten and removed, as it holds faces.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { HarmonidError } from '../errors.js';
import { diskError, isDiskFull } from '../files/disk-errors.js';
import { shredFile, syncFolder } from '../files/durable-files.js';
import { cleanGraphFile, CutGraphFile, digestFile, type GraphFileCleaning, type GraphFileFacts } from './graph-file.js';
import { sealFile, withMemoryFile } from './graph-sealing.js';
import { forgetLoading, loadingMark } from './load-guard.js';

/** What is known of a graph file that was read from end to end. */
export interface GraphFile extends GraphFileFacts {
  readonly name: string;
  /** Of a file of our own engine: where its root is, of which `sha256` is then. */
  readonly root?: { readonly at: number; readonly bytes: number };
}

/** How a graph file of an encrypted directory is sealed. */
export interface GraphSealing {
  /** Name of the directory's keyring; names its files in memory. */
  readonly directory: string;
  readonly key: Uint8Array;
  readonly bytesExpected: number;
}

export const temporaryMark = '.part-';
/** Begins the name of a graph file that a repair has set aside (quarantine.ts); only an erasure removes it. */
export const quarantineMark = 'quarantine-';

export function graphsFolder(path: string): string {
  return join(path, 'graphs');
}

/**
 * Lets `write` make a file, cleans it of the vectors whose labels are not live by then, and puts it in place once it is proved complete.
 * Null when `write` had nothing to write, or when the file is to be sealed and there is no room in memory for the clear one.
 * @throws DISK_FULL or whatever the file system says; the folder is then as it was before
 */
export async function placeGraphFile(
  path: string,
  name: string,
  write: (file: string) => Promise<number | null>,
  cleaning: GraphFileCleaning,
  sealing: GraphSealing | null,
): Promise<GraphFile | null> {
  const folder = graphsFolder(path);
  const temporary = join(folder, `${temporaryMark}${randomUUID()}`);
  try {
    await mkdir(folder, { recursive: true });
    const facts = sealing
      ? await withMemoryFile(sealing.directory, sealing.bytesExpected, (clear) =>
          writeSealed(clear, temporary, write, cleaning, sealing.key),
        )
      : await writeClean(temporary, write, cleaning);
    if (!facts) return null;
    await rename(temporary, join(folder, name));
    await syncFolder(folder);
    return { name, ...facts };
  } catch (error) {
    // The native writer says nothing of a full disk, a quota or a limit of file sizes: it is the file that is too short.
    if (error instanceof CutGraphFile || isDiskFull(folder)) {
      throw new HarmonidError(
        'DISK_FULL',
        `the disk of ${folder} is full or takes no larger file; no checkpoint was written`,
        { details: { path: folder }, cause: error },
      );
    }
    throw diskError(error, folder);
  } finally {
    // It is removed in any case; on a full disk perhaps without having been overwritten, and that says nothing new.
    await shredFile(temporary).catch(() => undefined);
  }
}

async function writeClean(
  file: string,
  write: (file: string) => Promise<number | null>,
  cleaning: GraphFileCleaning,
): Promise<GraphFileFacts | null> {
  const count = await write(file);
  if (count === null) return null;
  const facts = await cleanAndSync(file, cleaning);
  if (facts.count !== count) throw new Error(`the file holds ${facts.count} entries, the graph ${count}`);
  return facts;
}

/** The digest is that of the sealed file, so that it is compared before anything is opened. */
async function writeSealed(
  clear: string,
  sealed: string,
  write: (file: string) => Promise<number | null>,
  cleaning: GraphFileCleaning,
  key: Uint8Array,
): Promise<GraphFileFacts | null> {
  const facts = await writeClean(clear, write, cleaning);
  if (!facts) return null;
  await sealFile(clear, sealed, key);
  const handle = await open(sealed, 'r+');
  try {
    await handle.sync();
    const { size: bytes } = await handle.stat();
    return { ...facts, bytes, sha256: await digestFile(handle) };
  } finally {
    await handle.close();
  }
}

async function cleanAndSync(path: string, cleaning: GraphFileCleaning): Promise<GraphFileFacts> {
  const handle = await open(path, 'r+');
  try {
    const facts = await cleanGraphFile(handle, cleaning);
    await handle.sync();
    return facts;
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
    const isOurs = isMark || name.startsWith(temporaryMark) || /\.(hnsw|graph)$/.test(name);
    if (isOurs && !name.startsWith(quarantineMark)) await shredFile(join(folder, name));
  }
}

/** Removes a file that no checkpoint names any more. */
export async function removeGraphFile(path: string, name: string): Promise<void> {
  const file = join(graphsFolder(path), name);
  await shredFile(file);
  await forgetLoading(file);
}
