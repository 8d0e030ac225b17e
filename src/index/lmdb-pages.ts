/**
 * The pages of an LMDB data file, walked without LMDB: is every tree sound, and which pages does it use.
 *
 * Promises: it only reads; damage is a finding, never an exception, and never more than one page per level of a tree is in memory. What is
 * checked of a page that a tree reaches: it lies in the file and below the snapshot's last page, carries its own number, the flags
 * of its level and no later transaction, is reached once; its bounds and nodes lie inside it and fill it exactly; its keys rise, and lie
 * between those of its parent. Of a tree: its depth and its counts. Of the free lists: they name no page that is in use. Values are
 * not looked at; the records in them have checksums of their own.
 *
 * A snapshot stays as it is while its pages are not used again: hold a read transaction of LMDB or its write lock when the file is
 * being written to. The functions are synchronous and may run in any thread.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { newestFirst, numberAt, pageFlags, pageHeaderBytes, readMetas, treeIn } from './lmdb-meta.js';
import type { LmdbMeta, LmdbTree } from './lmdb-meta.js';

/** What disagrees; the message names both sides. */
export type PageFindingKind =
  | 'meta'
  | 'outside-file'
  | 'page-number'
  | 'page-flags'
  | 'page-newer'
  | 'page-bounds'
  | 'node'
  | 'key-order'
  | 'reached-twice'
  | 'depth'
  | 'count'
  | 'overflow'
  | 'free-list'
  | 'free-page-in-use';

export interface PageFinding {
  readonly kind: PageFindingKind;
  readonly page: number;
  /** Name of the tree in which it was met. */
  readonly tree: string;
  readonly message: string;
}

/** The pages of a file and who uses them. */
export interface PageMap {
  readonly pageBytes: number;
  /** Pages that lie in the file whole. */
  readonly filePages: number;
  readonly fileBytes: number;
  /** A page's bits of `use`. */
  readonly uses: Uint8Array;
  /** Unused part of a page in use, from the page's beginning: [gapStart, gapEnd). Filled by a walk that reads the leaves. */
  readonly gapStart: Uint32Array;
  readonly gapEnd: Uint32Array;
}

/** Bits of `PageMap.uses`. */
export const use = { newest: 1, older: 2, listedFree: 4 } as const;

export interface PageReport {
  readonly findings: readonly PageFinding[];
  /** Undefined when the meta pages themselves are damaged. */
  readonly map: PageMap | undefined;
  /** The snapshot that LMDB would show. */
  readonly newest: LmdbMeta | undefined;
}

export interface WalkOptions {
  /** `branches` leaves out what lies in leaves (values, free lists) except the names of the tables: about a hundredth of the work. */
  readonly reads: 'branches' | 'leaves';
  /** Whether the snapshot before the newest is walked too. */
  readonly snapshots: 'newest' | 'both';
}

/** Findings of one file; more only repeat the first. */
const findingsMax = 200;
const depthMax = 20;
const nodeHeaderBytes = 8;
const overflowReferenceBytes = 24;
const treeRecordBytes = 48;
const nodeFlags = { overflow: 1, tree: 2 } as const;

/** Walks a data file. @throws only what the file system says when the file cannot be opened or read */
export function walkPages(file: string, options: WalkOptions): PageReport {
  const handle = openSync(file, 'r');
  try {
    const metas = readMetas(handle);
    if ('damage' in metas) {
      const message = `the beginning of the file is damaged: ${metas.damage}`;
      return { findings: [{ kind: 'meta', page: 0, tree: 'meta', message }], map: undefined, newest: undefined };
    }
    const [newest, older] = newestFirst(metas);
    return walkSnapshots(handle, options.snapshots === 'both' ? [newest, older] : [newest], options);
  } finally {
    closeSync(handle);
  }
}

/** As `walkPages`, over an open file and the given snapshots, the first of which counts as the newest. */
export function walkSnapshots(
  handle: number,
  [newest, older]: readonly [LmdbMeta, LmdbMeta?],
  { reads }: WalkOptions,
): PageReport {
  const { pageBytes } = newest;
  const fileBytes = fstatSync(handle).size;
  const filePages = Math.floor(fileBytes / pageBytes);
  const map: PageMap = {
    pageBytes,
    filePages,
    fileBytes,
    uses: new Uint8Array(filePages),
    gapStart: new Uint32Array(reads === 'leaves' ? filePages : 0),
    gapEnd: new Uint32Array(reads === 'leaves' ? filePages : 0),
  };
  map.uses.fill(use.newest | use.older, 0, 2);
  const findings: PageFinding[] = [];
  new SnapshotWalk(handle, map, findings, newest, { reads, as: use.newest }).run();
  if (older) new SnapshotWalk(handle, map, findings, older, { reads, as: use.older }).run();
  return { findings, map, newest };
}

interface Counts {
  branchPages: number;
  leafPages: number;
  overflowPages: number;
  entries: number;
  /** Part of the tree is the newest snapshot's and was not walked again, or not read at all. */
  isPartial: boolean;
}

/** Where a page hangs: its parent's bytes, and the place in it. */
interface Parent {
  readonly page: Buffer;
  readonly index: number;
  readonly keyCount: number;
}

/** One snapshot's trees, depth first, one buffer a level. */
class SnapshotWalk {
  readonly #handle: number;
  readonly #map: PageMap;
  readonly #findings: PageFinding[];
  readonly #meta: LmdbMeta;
  readonly #as: typeof use.newest | typeof use.older;
  readonly #readsLeaves: boolean;
  readonly #levels: Buffer[] = [];
  readonly #header = Buffer.alloc(pageHeaderBytes);

  constructor(
    handle: number,
    map: PageMap,
    findings: PageFinding[],
    meta: LmdbMeta,
    { reads, as }: { reads: WalkOptions['reads']; as: typeof use.newest | typeof use.older },
  ) {
    this.#handle = handle;
    this.#map = map;
    this.#findings = findings;
    this.#meta = meta;
    this.#as = as;
    this.#readsLeaves = reads === 'leaves';
  }

  run(): void {
    const tables: LmdbTree[] = [];
    this.#walkTree(this.#meta.main, tables);
    for (const table of tables) this.#walkTree(table, []);
    this.#walkTree(this.#meta.free, []);
    if (this.#readsLeaves && this.#as === use.newest) this.#checkFreePages();
  }

  #report(kind: PageFindingKind, page: number, tree: LmdbTree, message: string): void {
    if (this.#findings.length < findingsMax) {
      this.#findings.push({ kind, page, tree: tree.name, message: `page ${page} (${tree.name}): ${message}` });
    }
  }

  /** Names of tables that the main tree holds go to `tables`. */
  #walkTree(tree: LmdbTree, tables: LmdbTree[]): void {
    const { root, depth } = tree;
    if (root === undefined) return;
    if (depth < 1 || depth > depthMax) {
      this.#report('depth', root, tree, `its tree tells a depth of ${depth}, at most ${depthMax} is possible`);
      return;
    }
    const counts: Counts = { branchPages: 0, leafPages: 0, overflowPages: 0, entries: 0, isPartial: false };
    this.#walkPage(root, 1, tree, tables, counts, undefined);
    const counted: (keyof Counts & keyof LmdbTree)[] = ['branchPages', 'leafPages', 'overflowPages', 'entries'];
    for (const each of counted) {
      if (!counts.isPartial && counts[each] !== tree[each]) {
        this.#report('count', root, tree, `its tree tells ${tree[each]} ${each}, ${counts[each]} were found`);
      }
    }
  }

  /** Takes pages into use; false, with a finding, when they cannot be. */
  #take(page: number, count: number, tree: LmdbTree): boolean {
    const { filePages, fileBytes, pageBytes, uses } = this.#map;
    const end = page + count;
    if (page < 2 || end - 1 > this.#meta.lastPage) {
      const range = `pages 2 to ${this.#meta.lastPage}`;
      this.#report('outside-file', page, tree, `a tree uses pages ${page} to ${end - 1}, the snapshot has ${range}`);
      return false;
    }
    if (end > filePages) {
      this.#report('outside-file', page, tree, `the file must have ${end * pageBytes} bytes, it has ${fileBytes}`);
      return false;
    }
    for (let each = page; each < end; each++) {
      const before = uses[each] ?? 0;
      if ((before & this.#as) !== 0) {
        this.#report('reached-twice', each, tree, 'two places of one snapshot lead to it');
        return false;
      }
      uses[each] = before | this.#as;
    }
    return true;
  }

  /** A page that the newest snapshot uses as well holds the same in both, and so does everything below it. */
  #isKnown(page: number): boolean {
    return this.#as === use.older && ((this.#map.uses[page] ?? 0) & use.newest) !== 0;
  }

  #walkPage(
    page: number,
    level: number,
    tree: LmdbTree,
    tables: LmdbTree[],
    counts: Counts,
    parent: Parent | undefined,
  ): void {
    const isLeaf = level === tree.depth;
    if (isLeaf) counts.leafPages++;
    else counts.branchPages++;
    const isKnown = this.#isKnown(page);
    if (isKnown) counts.isPartial = true;
    // The names of the tables are read again all the same: another snapshot has other trees under them.
    const isWanted = tree === this.#meta.main || (!isKnown && (this.#readsLeaves || !isLeaf));
    if (!this.#take(page, 1, tree)) {
      counts.isPartial = true;
      return;
    }
    if (!isWanted) {
      // What leaves hold is not counted without reading them; pages are.
      if (!isKnown) [counts.entries, counts.overflowPages] = [tree.entries, tree.overflowPages];
      return;
    }
    const { pageBytes } = this.#map;
    const bytes = (this.#levels[level] ??= Buffer.alloc(pageBytes));
    if (readSync(this.#handle, bytes, 0, pageBytes, page * pageBytes) !== pageBytes) {
      this.#report('outside-file', page, tree, 'the file ended while it was read');
      return;
    }
    const keyCount = this.#checkPage(bytes, page, isLeaf, tree);
    if (keyCount === undefined) {
      counts.isPartial = true;
      return;
    }
    this.#checkKeys(bytes, keyCount, page, isLeaf, tree, parent);
    if (this.#readsLeaves) {
      this.#map.gapStart[page] = pageHeaderBytes + bytes.readUInt16LE(20);
      this.#map.gapEnd[page] = pageHeaderBytes + bytes.readUInt16LE(22);
    }
    for (let index = 0; index < keyCount; index++) {
      const node = nodeAt(bytes, index);
      if (isLeaf) this.#takeEntry(bytes, node, page, tree, tables, counts);
      else this.#walkPage(childAt(bytes, node), level + 1, tree, tables, counts, { page: bytes, index, keyCount });
    }
  }

  /** Header, bounds and nodes of a branch or leaf page; the number of its keys, undefined when they cannot be used. */
  #checkPage(bytes: Buffer, page: number, isLeaf: boolean, tree: LmdbTree): number | undefined {
    const { pageBytes } = this.#map;
    const problem = (kind: PageFindingKind, message: string): undefined => void this.#report(kind, page, tree, message);
    if (!this.#checkHeader(bytes, page, isLeaf ? pageFlags.leaf : pageFlags.branch, tree)) return undefined;
    const lower = bytes.readUInt16LE(20);
    const upper = bytes.readUInt16LE(22);
    const spaceBytes = pageBytes - pageHeaderBytes;
    if (lower % 2 !== 0 || lower > upper || upper > spaceBytes) {
      return problem('page-bounds', `bounds are ${lower} and ${upper} of ${spaceBytes}`);
    }
    const keyCount = lower / 2;
    // LMDB asserts, that is ends the process, on a branch with less than two keys; only the free tree may have one.
    const keysMin = isLeaf || tree === this.#meta.free ? 1 : 2;
    if (keyCount < keysMin) return problem('page-bounds', `it has ${keyCount} keys, at least ${keysMin} are needed`);
    let nodesBytes = 0;
    for (let index = 0; index < keyCount; index++) {
      const node = nodeAt(bytes, index);
      if (node % 2 !== 0 || node < pageHeaderBytes + upper || node + nodeHeaderBytes > pageBytes) {
        return problem(
          'node',
          `node ${index} is at ${node}, nodes are from ${pageHeaderBytes + upper} to ${pageBytes}`,
        );
      }
      const nodeBytes = nodeBytesAt(bytes, node, isLeaf);
      if (node + nodeBytes > pageBytes) {
        return problem('node', `node ${index} at ${node} has ${nodeBytes} bytes and leaves the page of ${pageBytes}`);
      }
      nodesBytes += nodeBytes + (nodeBytes % 2);
    }
    if (nodesBytes !== spaceBytes - upper) {
      return problem('node', `nodes have ${nodesBytes} bytes, the page holds ${spaceBytes - upper} bytes of nodes`);
    }
    return keyCount;
  }

  #checkHeader(bytes: Buffer, page: number, flags: number, tree: LmdbTree): boolean {
    const number = numberAt(bytes, 0);
    if (number !== page) this.#report('page-number', page, tree, `it calls itself page ${number}`);
    const found = bytes.readUInt16LE(18) & 0xff;
    if (found !== flags) this.#report('page-flags', page, tree, `its flags are ${found}, its place wants ${flags}`);
    const transaction = bytes.readBigUInt64LE(8);
    const isNewer = transaction > this.#meta.transaction;
    if (isNewer) {
      const snapshot = this.#meta.transaction;
      this.#report('page-newer', page, tree, `it is of transaction ${transaction}, the snapshot of ${snapshot}`);
    }
    return number === page && found === flags && !isNewer;
  }

  #checkKeys(
    bytes: Buffer,
    keyCount: number,
    page: number,
    isLeaf: boolean,
    tree: LmdbTree,
    parent: Parent | undefined,
  ): void {
    const compare = tree === this.#meta.free ? compareNumberKeys : compareKeys;
    // The first key of a branch stands for everything below the second and is not looked at.
    const first = isLeaf ? 0 : 1;
    for (let index = first + 1; index < keyCount; index++) {
      if (compare(bytes, index - 1, bytes, index) >= 0) {
        this.#report('key-order', page, tree, `key ${index} does not come after key ${index - 1}`);
        return;
      }
    }
    if (!parent || keyCount <= first) return;
    if (parent.index > 0 && compare(parent.page, parent.index, bytes, first) > 0) {
      this.#report('key-order', page, tree, 'its first key comes before the key that leads to it');
    }
    if (parent.index + 1 < parent.keyCount && compare(bytes, keyCount - 1, parent.page, parent.index + 1) >= 0) {
      this.#report('key-order', page, tree, 'its last key does not come before the key that leads to the next page');
    }
  }

  /** One entry of a leaf: what it refers to is taken into use. */
  #takeEntry(bytes: Buffer, node: number, page: number, tree: LmdbTree, tables: LmdbTree[], counts: Counts): void {
    counts.entries++;
    const flags = bytes.readUInt16LE(node + 4);
    const valueBytes = bytes.readUInt32LE(node);
    const key = node + nodeHeaderBytes;
    const value = key + bytes.readUInt16LE(node + 6);
    if (flags === nodeFlags.overflow) this.#takeOverflow(bytes, value, valueBytes, tree, counts);
    else if (flags === nodeFlags.tree && tree === this.#meta.main && valueBytes === treeRecordBytes) {
      tables.push(treeIn(bytes, value, bytes.toString('utf8', key, value)));
    } else if (flags !== 0) {
      this.#report('node', page, tree, `an entry has the flags ${flags} and ${valueBytes} bytes`);
    } else if (this.#listsFree(tree)) this.#takeFreeList(bytes.subarray(value, value + valueBytes), page, tree);
  }

  #takeOverflow(leaf: Buffer, reference: number, valueBytes: number, tree: LmdbTree, counts: Counts): void {
    const page = numberAt(leaf, reference);
    const count = numberAt(leaf, reference + 16);
    counts.overflowPages += count;
    const { pageBytes, gapStart, gapEnd } = this.#map;
    const needed = Math.ceil((pageHeaderBytes + valueBytes) / pageBytes);
    if (count < needed) {
      this.#report('overflow', page, tree, `a value of ${valueBytes} bytes needs ${needed} pages, it has ${count}`);
      return;
    }
    if (this.#isKnown(page)) counts.isPartial = true;
    if (!this.#take(page, count, tree)) return;
    readSync(this.#handle, this.#header, 0, pageHeaderBytes, page * pageBytes);
    if (!this.#checkHeader(this.#header, page, pageFlags.overflow, tree)) return;
    const told = this.#header.readUInt32LE(20);
    if (told !== count) {
      this.#report('overflow', page, tree, `it tells ${told} pages, the entry that leads to it ${count}`);
      return;
    }
    if (this.#readsLeaves) {
      const dataEnd = pageHeaderBytes + valueBytes;
      for (let each = needed - 1; each < count; each++) {
        gapStart[page + each] = Math.max(dataEnd - each * pageBytes, 0);
        gapEnd[page + each] = pageBytes;
      }
    }
    if (this.#listsFree(tree)) {
      const list = Buffer.alloc(valueBytes);
      readSync(this.#handle, list, 0, valueBytes, page * pageBytes + pageHeaderBytes);
      this.#takeFreeList(list, page, tree);
    }
  }

  #listsFree(tree: LmdbTree): boolean {
    return this.#readsLeaves && this.#as === use.newest && tree === this.#meta.free;
  }

  /** A list of free pages as lmdb-js writes it: their number, then each page, or minus a length and the first page of a run; 0 is no page. */
  #takeFreeList(list: Buffer, page: number, tree: LmdbTree): void {
    const words = list.length >= 8 ? numberAt(list, 0) : Number.NaN;
    if (!(8 + words * 8 <= list.length)) {
      this.#report('free-list', page, tree, `a list of ${list.length} bytes tells ${words} words`);
      return;
    }
    for (let index = 1; index <= words; index++) {
      const word = Number(list.readBigInt64LE(index * 8));
      if (word === 0) continue;
      const length = word < 0 ? -word : 1;
      if (word < 0) index++;
      const first = word < 0 && index <= words ? Number(list.readBigInt64LE(index * 8)) : word;
      if (first < 2 || first + length - 1 > this.#meta.lastPage) {
        const told = `${first} to ${first + length - 1}`;
        this.#report('free-list', page, tree, `it lists pages ${told}, the snapshot has 2 to ${this.#meta.lastPage}`);
        return;
      }
      const end = Math.min(first + length, this.#map.filePages);
      for (let each = first; each < end; each++) {
        this.#map.uses[each] = (this.#map.uses[each] ?? 0) | use.listedFree;
      }
    }
  }

  /** LMDB writes over what is listed: a page that is listed and in use will be lost. */
  #checkFreePages(): void {
    const { uses, filePages } = this.#map;
    const both = use.newest | use.listedFree;
    for (let page = 2; page < filePages; page++) {
      if (((uses[page] ?? 0) & both) === both) {
        this.#report('free-page-in-use', page, this.#meta.free, 'it is listed as free and in use');
      }
    }
  }
}

/** Place of a node in its page. */
function nodeAt(bytes: Buffer, index: number): number {
  return pageHeaderBytes + bytes.readUInt16LE(pageHeaderBytes + index * 2);
}

function nodeBytesAt(bytes: Buffer, node: number, isLeaf: boolean): number {
  const keyEnd = nodeHeaderBytes + bytes.readUInt16LE(node + 6);
  if (!isLeaf) return keyEnd;
  const isReference = (bytes.readUInt16LE(node + 4) & nodeFlags.overflow) !== 0;
  return keyEnd + (isReference ? overflowReferenceBytes : bytes.readUInt32LE(node));
}

/** The page to which a branch's node leads: 48 bits. */
function childAt(bytes: Buffer, node: number): number {
  return bytes.readUInt32LE(node) + bytes.readUInt16LE(node + 4) * 2 ** 32;
}

function compareKeys(a: Buffer, indexA: number, b: Buffer, indexB: number): number {
  const [nodeA, nodeB] = [nodeAt(a, indexA), nodeAt(b, indexB)];
  const [startA, startB] = [nodeA + nodeHeaderBytes, nodeB + nodeHeaderBytes];
  const endA = startA + a.readUInt16LE(nodeA + 6);
  const endB = startB + b.readUInt16LE(nodeB + 6);
  return a.compare(b, startB, endB, startA, endA);
}

/** Keys of the free tree are transactions, as native integers. */
function compareNumberKeys(a: Buffer, indexA: number, b: Buffer, indexB: number): number {
  const [nodeA, nodeB] = [nodeAt(a, indexA), nodeAt(b, indexB)];
  if (a.readUInt16LE(nodeA + 6) !== 8 || b.readUInt16LE(nodeB + 6) !== 8) return compareKeys(a, indexA, b, indexB);
  return numberAt(a, nodeA + nodeHeaderBytes) - numberAt(b, nodeB + nodeHeaderBytes);
}
