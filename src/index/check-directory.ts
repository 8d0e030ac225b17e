/**
 * The check of a data directory that nobody has open: its pages first, then its records, under the lock.
 *
 * LMDB follows a damaged file unchecked and may take the process with it. So the pages are walked before LMDB sees the file, and a
 * finding there ends the check: what stands on them cannot be read safely. Nothing is written but the lock.
 */
import { existsSync } from 'node:fs';
import { HarmonidError, isHarmonidError } from '../errors.js';
import { checkRecords } from './check.js';
import { formatCodec, keys, type FormatRecord } from './codec.js';
import { holdDataLock, type DataLock } from './data-lock.js';
import { openEncryption } from './encryption.js';
import { asFinding, damage, placeOf, type CheckCounts, type Damage, type Finding } from './findings.js';
import { isOlder, readFormat } from './format-upgrade.js';
import type { EncryptionOptions } from './index-api.js';
import { isEncrypted, masterFile, type Keyring } from './keyring.js';
import { dataFile, openLmdbStore, type LmdbStore } from './lmdb-store.js';
import { openScanThread } from './scan-thread.js';

export interface DirectoryQuestion {
  readonly path: string;
  readonly encryption?: EncryptionOptions | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Another process may commit while the pages are walked. */
const walksMax = 5;

/**
 * @throws DATA_NOT_FOUND, DATA_LOCKED, DATA_READ_ONLY (also for an older format: opening upgrades it), DATA_FORMAT_NEWER, KEY_REQUIRED, KEY_WRONG,
 * CANCELLED
 * @returns what was looked at
 */
export async function* checkDirectory(question: DirectoryQuestion): AsyncGenerator<Finding, CheckCounts, void> {
  const pages = await pageDamage(question.path);
  for (const finding of pages) yield asFinding(finding);
  if (pages.length > 0) return { records: 0, templates: 0, files: 1 };
  const directory = await openDirectory(question).catch(refusal);
  if (!('store' in directory)) {
    yield asFinding(directory);
    return { records: 0, templates: 0, files: 1 };
  }
  try {
    for (const finding of directory.damage) yield asFinding(finding);
    const counts = yield* directory.check(asFinding);
    return { ...counts, files: counts.files + 1 };
  } finally {
    await directory.close();
  }
}

/** What opening refuses as damaged is a finding like others. */
function refusal(error: unknown): Damage {
  if (!isHarmonidError(error) || error.code !== 'DATA_CORRUPT') throw error;
  return pageFinding(error.message);
}

/** What is wrong with the pages of the data file, with nobody writing to it. @throws DATA_NOT_FOUND */
export async function pageDamage(path: string): Promise<readonly Damage[]> {
  const file = dataFile(path);
  if (!existsSync(file)) {
    throw new HarmonidError('DATA_NOT_FOUND', `there is no data file in ${path}`, { details: { path } });
  }
  const thread = openScanThread();
  try {
    let before: bigint | null | undefined;
    for (let walk = 0; walk < walksMax; walk++) {
      const { findings, transaction } = await thread.scan({ kind: 'pages', file });
      if (findings.length === 0) return [];
      if (transaction === before) return findings.map(({ message }) => pageFinding(message));
      before = transaction;
    }
    // Whoever writes that fast has it open: the lock will tell.
    return [];
  } finally {
    await thread.close();
  }
}

export function pageFinding(message: string): Damage {
  return damage({ kind: 'page', where: 'data.lmdb', message });
}

/** A directory whose records may be read, and by whoever repairs it written. */
export interface LockedDirectory {
  readonly store: LmdbStore;
  /** What was met on the way in. */
  readonly damage: readonly Damage[];
  check<T>(as: (finding: Damage) => T): AsyncGenerator<T, CheckCounts, void>;
  close(): Promise<void>;
}

/** @throws see `checkDirectory` */
export async function openDirectory({ path, encryption, signal }: DirectoryQuestion): Promise<LockedDirectory> {
  const store = openLmdbStore({ path, readOnly: false });
  let lock: DataLock | null = null;
  let keyring: Keyring | 'missing' | null = null;
  try {
    const held = await holdDataLock(store, path);
    lock = held.lock;
    const format = formatOf(store, path);
    refuseOlder(format, path);
    const found = await openKeys(path, format, encryption);
    const opened = found.keyring;
    keyring = opened;
    return {
      store,
      damage: [...(held.replaced === null ? [] : [lockDamage(held.replaced)]), ...found.damage],
      async *check(as) {
        const reader = store.snapshot();
        try {
          const findings = checkRecords({ reader, keyring: opened, path, live: null, signal });
          for (;;) {
            const next = await findings.next();
            if (next.done) return next.value;
            yield as(next.value);
          }
        } finally {
          reader.release();
        }
      },
      async close() {
        if (opened && opened !== 'missing') opened.close();
        try {
          await held.lock.release();
        } finally {
          await store.close();
        }
      },
    };
  } catch (error) {
    if (keyring && keyring !== 'missing') keyring.close();
    await lock?.release().catch(() => undefined);
    await store.close();
    throw error;
  }
}

/** Taking the lock has mended it. */
function lockDamage(message: string): Damage {
  const mend = { kind: 'quarantine', table: 'meta', key: keys.holder() } as const;
  return { ...damage({ kind: 'record', where: placeOf('meta', keys.holder()), message, mend }), repair: 'rebuilt' };
}

/** Undefined when there is none that can be read. @throws DATA_FORMAT_NEWER */
function formatOf(store: LmdbStore, path: string): FormatRecord | undefined {
  const bytes = store.get('meta', keys.format());
  try {
    if (bytes) formatCodec.decode(keys.format(), bytes);
  } catch {
    return undefined;
  }
  return readFormat(store, path);
}

function refuseOlder(format: FormatRecord | undefined, path: string): void {
  if (!format || !isOlder(format)) return;
  throw new HarmonidError(
    'DATA_READ_ONLY',
    `the data directory ${path} is of format ${format.upgradingFrom ?? format.format}; open it once, which upgrades it, and check it then`,
    { details: { path, format: format.upgradingFrom ?? format.format } },
  );
}

/** @throws KEY_REQUIRED, KEY_WRONG */
async function openKeys(
  path: string,
  format: FormatRecord | undefined,
  options: EncryptionOptions | undefined,
): Promise<{ readonly keyring: Keyring | 'missing' | null; readonly damage: readonly Damage[] }> {
  // Without a format record no keys are made for a directory that may have had none.
  if (!format && !isEncrypted(path)) return { keyring: null, damage: [] };
  try {
    const opened = await openEncryption({ path, format, options });
    return { keyring: opened?.keyring ?? null, damage: [] };
  } catch (error) {
    if (!isHarmonidError(error) || error.code !== 'DATA_CORRUPT') throw error;
    return { keyring: 'missing', damage: [damage({ kind: 'key', where: masterFile(path), message: error.message })] };
  }
}
