/**
 * Files that are there whole or not at all, and files that are gone for good.
 */
import { randomUUID } from 'node:crypto';
import { open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { diskError, isMissing } from './disk-errors.js';

/** What is overwritten at once. */
const shredBytes = 1 << 20;

/** Writes beside, syncs, renames over what is there, and syncs the folder. Readable by the owner only. @throws DISK_FULL, DATA_READ_ONLY */
export async function writeFileWhole(path: string, content: string | Uint8Array): Promise<void> {
  const folder = dirname(path);
  const unfinished = join(folder, `.part-${basename(path)}-${randomUUID()}`);
  try {
    const handle = await open(unfinished, 'wx', 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(unfinished, path);
    await syncFolder(folder);
  } catch (error) {
    await removeFile(unfinished);
    throw diskError(error, folder);
  }
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Overwrites a file with zeros, syncs and removes it. One that is not there is fine; a folder that turns out to be a file is not: the file may
 * still be wherever the folder is now. A file system that copies on write, or a disk that moves its blocks, may still have the old bytes: that
 * is for encryption.
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
    if (isMissing(error)) return;
    // What cannot be overwritten is still removed, and the caller told.
    await removeFile(file);
    throw error;
  }
  await removeFile(file);
}

/** One that is not there is fine, also when what should be its folder is a file. */
export async function removeFile(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return;
    throw error;
  }
}
