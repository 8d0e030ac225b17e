/**
 * Errors of LMDB and of the file system in our words: full, failed, not writable, damaged.
 */
import { statfsSync } from 'node:fs';
import { HarmonidError, isHarmonidError } from '../errors.js';

/** Below this much free space a write that went wrong means a full disk. */
const freeBytesMin = 1 << 20;
/** Linux's numbers for errno, which lmdb-js passes on; LMDB's own are negative. */
const errno = { EIO: 5, EACCES: 13, EFBIG: 27, ENOSPC: 28, EROFS: 30, EDQUOT: 122, MDB_MAP_FULL: -30792 };

/** `error` as DISK_FULL, DATA_READ_ONLY, DATA_CORRUPT or UNAVAILABLE (the disk fails) where it is one of these, else as it is. */
export function diskError(error: unknown, path: string): unknown {
  if (isHarmonidError(error) || !(error instanceof Error)) return error;
  const code: unknown = 'code' in error ? error.code : undefined;
  const text = error.message;
  const is = (name: keyof typeof errno, words: RegExp): boolean =>
    code === errno[name] || code === name || words.test(text);
  const options = { details: { path }, cause: error };
  if (
    is('ENOSPC', /No space left/i) ||
    is('EDQUOT', /quota exceeded/i) ||
    is('EFBIG', /File too large/i) ||
    is('MDB_MAP_FULL', /MDB_MAP_FULL/) ||
    // LMDB tells a short write, which is how a disk runs full, as an I/O error.
    (is('EIO', /Input\/output error/i) && isDiskFull(path))
  ) {
    return new HarmonidError('DISK_FULL', `the disk of ${path} is full (${text}); nothing was written`, options);
  }
  if (is('EACCES', /Permission denied/i) || is('EROFS', /Read-only file system/i)) {
    return new HarmonidError('DATA_READ_ONLY', `the data directory ${path} cannot be written (${text})`, options);
  }
  if (is('EIO', /Input\/output error/i)) {
    return new HarmonidError('UNAVAILABLE', `the disk of ${path} failed (${text}); nothing was written`, options);
  }
  if (code === 'ENOTDIR' || code === 'EEXIST') {
    return new HarmonidError('UNAVAILABLE', `something else stands where ${path} keeps its files (${text})`, options);
  }
  if (/MDB_(INVALID|CORRUPTED|PAGE_NOTFOUND|VERSION_MISMATCH)|not an LMDB file/.test(text)) {
    return new HarmonidError('DATA_CORRUPT', `the data file in ${path} is damaged (${text})`, options);
  }
  return error;
}

/** Whether that is because there is no such file or folder. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

export function isDiskFull(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize < freeBytesMin;
  } catch {
    return false;
  }
}
