/**
 * The two meta pages of an LMDB data file, read without LMDB: where a snapshot of the file begins.
 *
 * The format is that of lmdb-js 3.5 (LMDB 1.0's line, data version 2, 64 bits, little-endian): a page begins with a header of 24 bytes
 * (number u64, transaction u64, pad u16, flags u16, lower u16 and upper u16, or the number of pages u32); transaction N writes its meta to
 * page N mod 2. Nothing here judges the trees; lmdb-pages.ts walks them.
 */
import { readSync } from 'node:fs';

/** Bytes of a page's header; node offsets and the bounds of the gap are counted from its end. */
export const pageHeaderBytes = 24;

export const pageFlags = { branch: 1, leaf: 2, overflow: 4, meta: 8 } as const;

/** One B+tree of the file, as its record (48 bytes) describes it. */
export interface LmdbTree {
  /** `free` (lists of free pages by transaction), `main` (names of the others), else the table's name. */
  readonly name: string;
  /** Page number; undefined while the tree is empty. */
  readonly root: number | undefined;
  /** Levels from the root to the leaves, 0 while the tree is empty. */
  readonly depth: number;
  readonly branchPages: number;
  readonly leafPages: number;
  readonly overflowPages: number;
  readonly entries: number;
}

export interface LmdbMeta {
  /** The page that it was read from: 0 or 1; `flushed` for the copy that overlapping flushes keep in the middle of page 0. */
  readonly from: 0 | 1 | 'flushed';
  readonly transaction: bigint;
  readonly pageBytes: number;
  /** The last page ever used. The file may be shorter when the pages at its end are free. */
  readonly lastPage: number;
  /** Written before its pages were flushed, by a store of the overlapping kind. */
  readonly isUnflushed: boolean;
  /** First word of the kernel's boot id when it was written; 0n where there is none. */
  readonly boot: bigint;
  readonly free: LmdbTree;
  readonly main: LmdbTree;
}

/** The meta pages of a file; `flushed` is there only when a store of the overlapping kind has written to it. */
export interface LmdbMetas {
  readonly pages: readonly [LmdbMeta, LmdbMeta];
  readonly flushed: LmdbMeta | undefined;
}

const magic = 0xbeefc0de;
const dataVersion = 2;
const metaBytes = 144;
const treeBytes = 48;
/** MDB_OVERLAPPINGSYNC among the persistent flags. */
const overlappingFlag = 0x1000;
const pageBytesMin = 512;
const pageBytesMax = 65_536;
/** The root of an empty tree. */
const noPage = 0xffff_ffff_ffff_ffffn;

/** Both meta pages, or what is wrong with them: then LMDB must not see the file. */
export function readMetas(handle: number): LmdbMetas | { readonly damage: string } {
  const bytes = Buffer.alloc(pageHeaderBytes + metaBytes);
  const read = (position: number): boolean => readSync(handle, bytes, 0, bytes.length, position) === bytes.length;
  const damageOf = (page: number): string | undefined => {
    const found = bytes.readUInt32LE(pageHeaderBytes);
    if (found !== magic) return `page ${page} has the magic number ${found.toString(16)}, not ${magic.toString(16)}`;
    const version = bytes.readUInt32LE(pageHeaderBytes + 4) & 0xffff;
    if (version !== dataVersion) return `page ${page} has data version ${version}, not ${dataVersion}`;
    if ((bytes.readUInt16LE(18) & pageFlags.meta) === 0) return `page ${page} is not marked as a meta page`;
    return undefined;
  };
  if (!read(0)) return { damage: 'it ends inside its first page' };
  const first = damageOf(0);
  if (first) return { damage: first };
  const zero = metaIn(bytes, 0);
  const { pageBytes } = zero;
  if (pageBytes < pageBytesMin || pageBytes > pageBytesMax || (pageBytes & (pageBytes - 1)) !== 0) {
    return { damage: `page 0 tells pages of ${pageBytes} bytes, which is no power of two from 512 to 65536` };
  }
  if (!read(pageBytes)) return { damage: 'it ends inside its second page' };
  const second = damageOf(1);
  if (second) return { damage: second };
  const one = metaIn(bytes, 1);
  if (one.pageBytes !== pageBytes) {
    return { damage: `page 0 tells pages of ${pageBytes} bytes, page 1 of ${one.pageBytes}` };
  }
  // The copy has no magic number; it is all zeros until the first flush of the overlapping kind.
  const flushed = read(pageBytes / 2) ? metaIn(bytes, 'flushed') : undefined;
  return { pages: [zero, one], flushed: flushed?.pageBytes === pageBytes ? flushed : undefined };
}

/** The newest first, as LMDB compares them: by transaction alone, page 0 where they are equal. */
export function newestFirst({ pages: [zero, one] }: LmdbMetas): readonly [LmdbMeta, LmdbMeta] {
  return zero.transaction >= one.transaction ? [zero, one] : [one, zero];
}

function metaIn(bytes: Buffer, from: LmdbMeta['from']): LmdbMeta {
  const meta = bytes.subarray(pageHeaderBytes);
  return {
    from,
    pageBytes: meta.readUInt32LE(24),
    isUnflushed: (meta.readUInt16LE(28) & overlappingFlag) !== 0,
    free: treeIn(meta, 24, 'free'),
    main: treeIn(meta, 24 + treeBytes, 'main'),
    lastPage: numberAt(meta, 120),
    transaction: meta.readBigUInt64LE(128),
    boot: meta.readBigUInt64LE(136),
  };
}

/** The tree whose record begins at `offset`. */
export function treeIn(bytes: Buffer, offset: number, name: string): LmdbTree {
  return {
    name,
    depth: bytes.readUInt16LE(offset + 6),
    branchPages: numberAt(bytes, offset + 8),
    leafPages: numberAt(bytes, offset + 16),
    overflowPages: numberAt(bytes, offset + 24),
    entries: numberAt(bytes, offset + 32),
    root: bytes.readBigUInt64LE(offset + 40) === noPage ? undefined : numberAt(bytes, offset + 40),
  };
}

/** A u64 as a number; those above 2^53 are rounded, and are no page number of any file. */
export function numberAt(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset + 4) * 2 ** 32 + bytes.readUInt32LE(offset);
}
