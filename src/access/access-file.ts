/**
 * The list of keys on the disk: `harmonid keys` changes it, a server follows it.
 *
 * Promises: a change is there whole or not at all, and two that are made at the same time are made one after the other. Readable by the owner only. A
 * server needs no restart and no signal: it looks at the file every second, keeps what it has when the new one is invalid or gone, and says so.
 */
import { mkdir, open, readFile, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { HarmonidError } from '../errors.js';
import { isMissing } from '../files/disk-errors.js';
import { writeFileWhole } from '../files/durable-files.js';
import { lookRepeatedly } from '../files/repeated-look.js';
import { formatAccessList, parseAccessList, type AccessList } from './access-list.js';

const followMs = 1_000;
const lockTriesMax = 100;
const lockRetryMs = 50;

/** Null when there is no such file. @throws ACCESS_INVALID */
export async function readAccessFile(path: string): Promise<AccessList | null> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw new HarmonidError('ACCESS_INVALID', `${path} cannot be read: ${String(error)}`, {
      details: { path },
      cause: error,
    });
  });
  return text === null ? null : parseAccessList(text, path);
}

/** Gives `change` the list as it stands and keeps what comes back. @throws ACCESS_INVALID, DATA_LOCKED, DISK_FULL, DATA_READ_ONLY */
export async function changeAccessFile(path: string, change: (list: AccessList) => AccessList): Promise<void> {
  const lock = `${path}.lock`;
  // Often before there is a data directory.
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await acquire(lock);
  try {
    await writeFileWhole(path, formatAccessList(change((await readAccessFile(path)) ?? [])));
  } finally {
    await unlink(lock);
  }
}

/** A second writer waits for the first; one that was killed in between leaves a lock that a person must look at. */
async function acquire(lock: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await (await open(lock, 'wx', 0o600)).close();
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      if (tries >= lockTriesMax) {
        throw new HarmonidError(
          'DATA_LOCKED',
          `somebody else is changing the list of keys; if nobody is, remove ${lock}`,
          {
            details: { lock },
          },
        );
      }
      await pause(lockRetryMs);
    }
  }
}

export interface FollowedAccess {
  /** As it stands now. */
  readonly list: AccessList;
  close(): void;
}

export interface FollowListeners {
  readonly onChange: (list: AccessList) => void;
  /** The file is invalid or gone: what was read before stays in force. */
  readonly onFailure: (error: HarmonidError) => void;
}

/** Reads the file and follows it. @throws ACCESS_INVALID when there is none, or it is invalid, now */
export async function followAccessFile(
  path: string,
  { onChange, onFailure }: FollowListeners,
): Promise<FollowedAccess> {
  const missing = (): HarmonidError =>
    new HarmonidError('ACCESS_INVALID', `there is no list of keys at ${path}; \`harmonid keys add\` makes one`, {
      details: { path },
    });
  // Before it is read: what changes in between is seen at the next look.
  let seen = await markOf(path);
  const first = await readAccessFile(path);
  if (first === null) throw missing();
  let list = first;
  const look = async (): Promise<void> => {
    const mark = await markOf(path);
    if (mark === seen) return;
    seen = mark;
    try {
      const next = await readAccessFile(path);
      if (next === null) throw missing();
      list = next;
      onChange(list);
    } catch (error) {
      onFailure(
        error instanceof HarmonidError ? error : new HarmonidError('ACCESS_INVALID', String(error), { cause: error }),
      );
    }
  };
  const close = lookRepeatedly(followMs, look);
  return {
    get list() {
      return list;
    },
    close,
  };
}

/** Tells two states of a file apart. A rename gives it another inode. */
async function markOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs } = await stat(path);
    return `${ino}:${size}:${mtimeMs}`;
  } catch {
    return 'none';
  }
}
