/**
 * The dead parts of an LMDB data file: bytes that neither of its two snapshots uses, where what was removed may still lie.
 *
 * They are the pages that no tree reaches (whole: of a value that took several pages only the first has a header, and LMDB reads nothing
 * of a page before it uses it again), the gap between keys and nodes in the pages of trees, the end of the last page of a long value, and
 * whatever lies behind the last page. Where a walk finds damage nothing is called dead, for what is not understood may be in use.
 *
 * Whoever writes into dead ranges must know that no reader holds a snapshot older than these two, as its pages are dead by this measure, and that what it
 * writes into is not used again since: LMDB's write lock, held, keeps that from happening, and a page's header tells whether it has.
 */
import type { LmdbMeta } from './lmdb-meta.js';
import { use, walkSnapshots, type PageFinding, type PageMap } from './lmdb-pages.js';

export interface DeadRange {
  /** Offsets in the file, [start, end). */
  readonly start: number;
  readonly end: number;
  /** `free`: whole pages; `gap`: inside a page that is in use. */
  readonly kind: 'free' | 'gap';
}

export interface DeadRanges {
  /** In the order of the file, without overlaps. Empty when there are findings. */
  readonly ranges: Iterable<DeadRange>;
  readonly findings: readonly PageFinding[];
}

/**
 * Walks the file (reads every page in use once), then lists from memory: 9 bytes for each page of the file.
 * @param snapshots the newest and the one before; a reader of the newest must be open
 */
export function deadRanges(handle: number, snapshots: readonly [LmdbMeta, LmdbMeta]): DeadRanges {
  const { map, findings } = walkSnapshots(handle, snapshots, { reads: 'leaves' });
  if (!map || findings.length > 0) return { ranges: [], findings };
  return { ranges: { [Symbol.iterator]: () => rangesIn(map) }, findings };
}

function* rangesIn({ uses, gapStart, gapEnd, pageBytes, filePages, fileBytes }: PageMap): Generator<DeadRange> {
  let freeFrom: number | undefined;
  for (let page = 0; page < filePages; page++) {
    const at = page * pageBytes;
    if (((uses[page] ?? 0) & (use.newest | use.older)) === 0) {
      freeFrom ??= at;
      continue;
    }
    if (freeFrom !== undefined) yield { start: freeFrom, end: at, kind: 'free' };
    freeFrom = undefined;
    const [start = 0, end = 0] = [gapStart[page], gapEnd[page]];
    if (end > start) yield { start: at + start, end: at + end, kind: 'gap' };
  }
  // A page that the file holds only in part is nobody's either.
  freeFrom ??= filePages * pageBytes;
  if (freeFrom < fileBytes) yield { start: freeFrom, end: fileBytes, kind: 'free' };
}
