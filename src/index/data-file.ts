/**
 * Whether LMDB may be shown a data file: it maps the file and follows the numbers in it unchecked, so that a file that was cut or whose
 * upper pages were changed ends the process (SIGBUS, an assertion) instead of failing a call.
 *
 * What must be there is decided by the snapshot that LMDB will show, no more. That is the meta page with the higher transaction: LMDB flushes
 * a transaction's pages before it writes its meta page, so that after a power loss either the new meta is there with all
 * its pages, or the old one still counts, whose pages nothing was written over; an unflushed tail belongs to no snapshot then and
 * may be missing. The older meta's pages are not looked at, for LMDB does not look at them either. `lastPage` is only an upper bound:
 * the file is legitimately shorter when the pages at its end were taken and given back within transactions. So a file that holds
 * `lastPage` is long enough; of a shorter one every tree is walked, and only a page in use that is not there is damage.
 *
 * A directory last written by harmonid 0.1 with overlapping flushes has metas ahead of their flush. Within the boot that wrote them the page
 * cache holds everything and LMDB takes the newest; after another boot it goes back to the flushed copy, and so does this.
 */
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { HarmonidError } from '../errors.js';
import { newestFirst, readMetas, type LmdbMeta, type LmdbMetas } from './lmdb-meta.js';
import { walkSnapshots } from './lmdb-pages.js';

/** Another process may commit while the file is looked at, and use pages of the snapshot again: then it is looked at anew. */
const looksMax = 5;

export interface DataFileState {
  /** Its newest snapshot was not flushed when it was written: LMDB must open it with overlapping flushes once, to go back or to keep it. */
  readonly isUnflushed: boolean;
}

/**
 * Reads the meta pages and the branches of all trees, about 1 % of the file.
 * @throws DATA_CORRUPT when LMDB could crash on the file; the message names what is needed and what is there
 */
export function refuseDamagedFile(file: string): DataFileState {
  const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (bytes === 0) return { isUnflushed: false };
  const handle = openSync(file, 'r');
  try {
    for (let look = 1; ; look++) {
      const metas = readMetas(handle);
      if ('damage' in metas) {
        throw new HarmonidError(
          'DATA_CORRUPT',
          `${file} is not an LMDB file, or its beginning is damaged: ${metas.damage}`,
          {
            details: { file },
          },
        );
      }
      const shown = shownBy(metas);
      const problem = problemOf(handle, file, shown);
      if (!problem) return { isUnflushed: newestFirst(metas)[0].isUnflushed };
      const after = readMetas(handle);
      const isStill = !('damage' in after) && shownBy(after).transaction === shown.transaction;
      if (isStill) throw problem;
      // Whoever changes it that fast has opened it through LMDB, and reads it.
      if (look === looksMax) return { isUnflushed: false };
    }
  } finally {
    closeSync(handle);
  }
}

function problemOf(handle: number, file: string, shown: LmdbMeta): HarmonidError | undefined {
  const { pageBytes, lastPage } = shown;
  const branches = walkSnapshots(handle, [shown], { reads: 'branches' });
  const fileBytes = branches.map?.fileBytes ?? 0;
  const isShort = (lastPage + 1) * pageBytes > fileBytes;
  // Long values at the end of the file are only met in the leaves.
  const report = isShort ? walkSnapshots(handle, [shown], { reads: 'leaves' }) : branches;
  const finding = report.findings.find(({ kind }) => kind === 'outside-file') ?? report.findings[0];
  if (!finding) return undefined;
  const neededBytes = (lastPage + 1) * pageBytes;
  const what = isShort
    ? `${file} was cut: its last transaction has pages up to ${neededBytes} bytes, the file has ${fileBytes}`
    : `${file} is damaged`;
  return new HarmonidError('DATA_CORRUPT', `${what} (${finding.message})`, {
    details: { file, neededBytes, fileBytes, finding },
  });
}

/** The snapshot that LMDB will take when it opens the file. */
function shownBy(metas: LmdbMetas): LmdbMeta {
  const [newest] = newestFirst(metas);
  const { flushed } = metas;
  if (!newest.isUnflushed || !flushed || flushed.transaction === 0n) return newest;
  return newest.boot !== 0n && newest.boot === bootNow() ? newest : flushed;
}

/** As LMDB reads it: the first group of the boot's UUID; 0n where there is none. */
function bootNow(): bigint {
  try {
    const [group = ''] = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').split('-');
    return BigInt(`0x${group}`);
  } catch {
    return 0n;
  }
}
