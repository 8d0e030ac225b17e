/**
 * Graph files of an encrypted directory: sealed on the disk, in the clear only in memory.
 *
 * hnswlib writes and reads files in the clear, so that these lie in a folder that the system keeps in memory, and are overwritten as soon as the native
 * code is done with them. Where there is no such folder, or no room in it, there are no graph files: graphs are built at each opening.
 *
 * A sealed file is "HdG1" and pieces of 1 MiB of the clear one (the last may be shorter), each sealed by itself with the file's own key: nonce, ciphertext,
 * tag. A piece's place, and whether it is the last, are authenticated with it, so that none can be moved or cut off.
 */
import { randomUUID } from 'node:crypto';
import { access, constants, open, readdir, rm, stat, statfs, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { HarmonidError } from '../errors.js';
import { shredFile } from '../files/durable-files.js';
import { seal, sealedExtraBytes, unseal } from './sealing.js';

const magic = Buffer.from('HdG1');
const pieceBytes = 1 << 20;
/** Kept in memory by Linux. */
const memoryFolder = '/dev/shm';
/** What must stay free there for others. */
const freeBytesMin = 64 << 20;

/** Lets `work` use a file in memory, which is overwritten and removed whatever happens; null when there is no room for it. */
export async function withMemoryFile<T>(
  directory: string,
  bytesWanted: number,
  work: (file: string) => Promise<T>,
): Promise<T | null> {
  if (!(await hasRoom(bytesWanted))) return null;
  const file = join(memoryFolder, `${memoryPrefix(directory)}${randomUUID()}`);
  try {
    // Made here, so that nobody else may read what native code writes into it.
    await (await open(file, 'wx', 0o600)).close();
    return await work(file);
  } finally {
    await shredFile(file);
  }
}

/** Files in memory that a killed process left. */
export async function shredMemoryFiles(directory: string): Promise<void> {
  const names = await readdir(memoryFolder).catch(() => []);
  for (const name of names) if (name.startsWith(memoryPrefix(directory))) await shredFile(join(memoryFolder, name));
}

function memoryPrefix(directory: string): string {
  return `harmonid-${directory}-`;
}

async function hasRoom(bytesWanted: number): Promise<boolean> {
  try {
    await access(memoryFolder, constants.W_OK);
    const { bavail, bsize } = await statfs(memoryFolder);
    return bavail * bsize > bytesWanted + freeBytesMin;
  } catch {
    return false;
  }
}

/** Writes `to`, and leaves `from` as it is. */
export async function sealFile(from: string, to: string, key: Uint8Array): Promise<void> {
  const source = await open(from, 'r');
  const target = await open(to, 'wx', 0o600);
  try {
    const { size } = await source.stat();
    await target.write(magic);
    for (let position = 0, piece = 0; position === 0 || position < size; position += pieceBytes, piece++) {
      const text = await readUpTo(source, position, Math.min(pieceBytes, size - position));
      await target.write(seal(key, contextOf(piece, position + pieceBytes >= size), text));
    }
  } finally {
    await source.close();
    await target.close();
  }
}

/** @throws DATA_CORRUPT when a piece does not open: another key, or another file */
export async function unsealFile(from: string, to: string, key: Uint8Array): Promise<void> {
  const { size } = await stat(from);
  const source = await open(from, 'r');
  await rm(to, { force: true });
  const target = await open(to, 'wx', 0o600);
  try {
    const sealedBytes = pieceBytes + sealedExtraBytes;
    for (let position = magic.length, piece = 0; position < size; position += sealedBytes, piece++) {
      const sealed = await readUpTo(source, position, Math.min(sealedBytes, size - position));
      const text = unseal(key, contextOf(piece, position + sealedBytes >= size), sealed);
      if (!text) {
        throw new HarmonidError('DATA_CORRUPT', `piece ${piece} of the sealed graph file ${from} does not open`, {
          details: { file: from, piece },
        });
      }
      await target.write(text);
    }
  } finally {
    await source.close();
    await target.close();
  }
}

function contextOf(piece: number, isLast: boolean): Buffer {
  return Buffer.from(`harmonid graph file ${piece} ${isLast ? 'last' : 'more'}`);
}

async function readUpTo(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, position);
  if (bytesRead !== length) throw new Error(`read ${bytesRead} bytes at ${position}, wanted ${length}`);
  return buffer;
}
