/**
 * Graph files: written beside, verified by reading back, synced, renamed, and only then named in the store.
 *
 * hnswlib's own files carry no checksum, and its writer reports neither a full disk nor a missing folder. So a file is read back after
 * writing, its structure walked to the last byte, and its SHA-256 kept in the store; at opening the digest is compared before any
 * native code sees the file. A file that no checkpoint names is litter and is removed.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { HarmonidError } from '../errors.js';
import { diskError, isDiskFull } from './disk-errors.js';

/** What is known of a graph file that was read from end to end. */
export interface GraphFile {
  readonly name: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly dimensions: number;
  /** Entries, removed ones included. */
  readonly count: number;
  readonly m: number;
  readonly efConstruction: number;
}

/** hnswlib 0.8 writes sizes and offsets (u64), two u32, three u64, a double and a u64, then the entries, then their upper layers. */
const headerBytes = 96;
const temporaryMark = '.part-';
const readBytes = 1 << 20;

export function graphsFolder(path: string): string {
  return join(path, 'graphs');
}

/**
 * Lets `write` make a file, and puts it in place once it is proved complete. Null when `write` had nothing to write.
 * @throws DISK_FULL or whatever the file system says; the folder is then as it was before
 */
export async function placeGraphFile(
  path: string,
  name: string,
  write: (file: string) => Promise<number | null>,
): Promise<GraphFile | null> {
  const folder = graphsFolder(path);
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `${temporaryMark}${randomUUID()}`);
  try {
    const count = await write(temporary);
    if (count === null) return null;
    const file = await readGraphFile(temporary, name);
    if (file.count !== count) throw new Error(`the file holds ${file.count} entries, the graph ${count}`);
    await rename(temporary, join(folder, name));
    await syncFolder(folder);
    return file;
  } catch (error) {
    // The native writer says nothing of a full disk: it is the file that is too short.
    if (isDiskFull(folder)) {
      throw new HarmonidError('DISK_FULL', `the disk of ${folder} is full; no checkpoint was written`, {
        cause: error,
      });
    }
    throw diskError(error, folder);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Syncs and reads a file from end to end. Throws a plain Error that says where its structure breaks. */
async function readGraphFile(path: string, name: string): Promise<GraphFile> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
    const { sha256, bytes } = await digest(handle);
    if (bytes < headerBytes) throw new Error(`the file has ${bytes} bytes, a header has ${headerBytes}`);
    const header = await readAt(handle, 0, headerBytes);
    const count = size(header, 16);
    const dimensions = (size(header, 32) - size(header, 40)) / 4;
    await walkUpperLayers(handle, headerBytes + count * size(header, 24), count, bytes);
    return { name, sha256, bytes, dimensions, count, m: size(header, 72), efConstruction: size(header, 88) };
  } finally {
    await handle.close();
  }
}

/** After the entries, each has its length and so many bytes of links; the last one ends the file. */
async function walkUpperLayers(handle: FileHandle, start: number, count: number, bytes: number): Promise<void> {
  if (start > bytes) throw new Error(`the file has ${bytes} bytes, its ${count} entries need ${start}`);
  const tail = await readAt(handle, start, bytes - start);
  let position = 0;
  for (let entry = 0; entry < count; entry++) {
    if (position + 4 > tail.length) throw new Error(`the file ends within the links of entry ${entry}`);
    position += 4 + tail.readUInt32LE(position);
  }
  if (position !== tail.length) throw new Error(`the links end at byte ${start + position}, the file at ${bytes}`);
}

function size(header: Buffer, offset: number): number {
  return Number(header.readBigUInt64LE(offset));
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, position);
  if (bytesRead !== length) throw new Error(`read ${bytesRead} bytes at ${position}, wanted ${length}`);
  return buffer;
}

async function digest(handle: FileHandle): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(readBytes);
  let bytes = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, readBytes, bytes);
    if (bytesRead === 0) return { sha256: hash.digest('hex'), bytes };
    hash.update(buffer.subarray(0, bytesRead));
    bytes += bytesRead;
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
    const { sha256 } = await digest(handle);
    if (sha256 !== expected.sha256) throw damaged(`SHA-256 is ${sha256}, its checkpoint says ${expected.sha256}`);
    return file;
  } finally {
    await handle.close();
  }
}

/** Removes what no checkpoint names: temporary files of a run that was killed, and files of older checkpoints. */
export async function removeStrayGraphFiles(path: string, named: ReadonlySet<string>): Promise<void> {
  const folder = graphsFolder(path);
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    if (!named.has(name) && (name.startsWith(temporaryMark) || name.endsWith('.hnsw')))
      await rm(join(folder, name), { force: true });
  }
}

/** Removes a file that no checkpoint names any more. */
export async function removeGraphFile(path: string, name: string): Promise<void> {
  await rm(join(graphsFolder(path), name), { force: true });
}
