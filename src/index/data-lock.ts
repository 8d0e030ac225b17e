/**
 * One writer a data directory: the lock, and how a lock left behind is told from one that is held.
 *
 * The holder's record lies in the store and is read and replaced in one LMDB transaction, whose mutex the kernel releases when a process
 * dies: two that find a stale lock cannot both take it. Within the same boot and process namespace the holder lives if
 * its process still exists with the same start time, so that a process number used again is no false holder. From anywhere else
 * (another container, another boot) nothing can be asked; there the holder's heartbeat, a file's time, is watched until it
 * moves (held) or has stood still for several beats (left behind).
 */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { rename, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { kill, pid as ownPid, platform } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { HarmonidError, isHarmonidError } from '../errors.js';
import { holderCodec, keys, type HolderRecord } from './codec.js';
import type { LmdbStore } from './lmdb-store.js';
import type { StoreReader } from './store.js';

const heartbeatMs = 1_000;
/** A heartbeat that stands still this long is taken for dead. */
const heartbeatPatienceMs = 5_000;

export interface DataLock {
  release(): Promise<void>;
}

/** @throws DATA_LOCKED when another holder is alive */
export async function takeDataLock(store: LmdbStore, path: string): Promise<DataLock> {
  const mine: HolderRecord = { ...whoAmI(), nonce: randomUUID() };
  await refuseHeld(store, path);
  const watched = readHolder(store);
  store.writeNow((writer) => {
    // Whoever came between the watching and this transaction holds it, unless it is the dead one that was watched.
    const holder = readHolder(writer);
    if (holder && holder.nonce !== watched?.nonce) throw lockedBy(holder, path);
    writer.put('meta', keys.holder(), holderCodec.encode(keys.holder(), mine));
  });
  await writeFile(heartbeatFile(path), mine.nonce);
  if (watched) await rm(releasedFile(path, watched), { force: true });
  const heartbeat = setInterval(() => {
    const now = new Date();
    // A beat that fails is made up for by the next; what really fails is told by the writes.
    utimes(heartbeatFile(path), now, now).catch(() => undefined);
  }, heartbeatMs);
  heartbeat.unref();
  return {
    async release() {
      clearInterval(heartbeat);
      try {
        const { durable } = await store.write((writer) => {
          if (readHolder(writer)?.nonce === mine.nonce) writer.remove('meta', keys.holder());
        });
        await durable;
      } catch {
        // On a full disk the record stays, and its process lives on. A new name needs no room, and says that nobody holds it.
        await rename(heartbeatFile(path), releasedFile(path, mine));
      }
    },
  };
}

/**
 * As `takeDataLock`; a holder's record that cannot be read names nobody, and is replaced unless somebody's heart beats. For checks, which must
 * get to what is damaged.
 * @throws DATA_LOCKED
 */
export async function holdDataLock(
  store: LmdbStore,
  path: string,
): Promise<{ readonly lock: DataLock; readonly replaced: string | null }> {
  try {
    return { lock: await takeDataLock(store, path), replaced: null };
  } catch (error) {
    if (!isHarmonidError(error) || error.code !== 'DATA_CORRUPT') throw error;
    if (await heartbeatMoves(path)) {
      throw new HarmonidError('DATA_LOCKED', `the data directory ${path} is open in another process`, {
        details: { path },
        cause: error,
      });
    }
    store.writeNow((writer) => writer.remove('meta', keys.holder()));
    return { lock: await takeDataLock(store, path), replaced: error.message };
  }
}

/** For opening read-only: throws while a writer lives, writes nothing. */
export async function refuseHeld(store: StoreReader, path: string): Promise<void> {
  const holder = readHolder(store);
  if (holder && (await isAlive(holder, path))) throw lockedBy(holder, path);
}

function readHolder(reader: StoreReader): HolderRecord | undefined {
  const bytes = reader.get('meta', keys.holder());
  return bytes && holderCodec.decode(keys.holder(), bytes);
}

function lockedBy(holder: HolderRecord, path: string): HarmonidError {
  const where = holder.domain === whoAmI().domain ? '' : ` of ${holder.domain.split(' ')[0]}`;
  return new HarmonidError('DATA_LOCKED', `the data directory ${path} is open in process ${holder.pid}${where}`, {
    details: { path, pid: holder.pid },
  });
}

function heartbeatFile(path: string): string {
  return join(path, 'heartbeat');
}

/** Its presence says that the holder has let go, but could not say so in the store. */
function releasedFile(path: string, { nonce }: HolderRecord): string {
  return join(path, `released-${nonce}`);
}

/** This process, its start, and the domain in which its number means something. */
function whoAmI(): Omit<HolderRecord, 'nonce'> {
  return { pid: ownPid, startedAt: startOf(ownPid) ?? '', domain: `${hostname()} ${bootAndNamespace()}` };
}

function bootAndNamespace(): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return platform;
  }
}

/** Start time of a process as the kernel counts it; undefined when there is no such process any more (or no /proc). */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Field 22, counted after the command's name, which may hold anything, in parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie holds nothing any more; it only waits for its parent to ask how it ended.
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function exists(pid: number): boolean {
  try {
    kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function isAlive(holder: HolderRecord, path: string): Promise<boolean> {
  if (existsSync(releasedFile(path, holder))) return false;
  if (holder.domain !== whoAmI().domain) return heartbeatMoves(path);
  return holder.startedAt === '' ? exists(holder.pid) : startOf(holder.pid) === holder.startedAt;
}

async function heartbeatMoves(path: string): Promise<boolean> {
  const beat = (): number => {
    try {
      return statSync(heartbeatFile(path)).mtimeMs;
    } catch {
      return 0;
    }
  };
  const first = beat();
  for (let waitedMs = 0; waitedMs < heartbeatPatienceMs; waitedMs += heartbeatMs / 2) {
    await delay(heartbeatMs / 2);
    if (beat() !== first) return true;
  }
  return false;
}
