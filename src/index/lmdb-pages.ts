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
import {
  childAt,
  compareKeys,
  compareNumberKeys,
  freeRunsIn,
  headerProblem,
  keyCountOf,
  nodeAt,
  nodeFlags,
  nodeHeaderBytes,
  nodesProblem,
  type PageFindingKind,
} from './lmdb-page.js';

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
const treeRecordBytes = 48;

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
  { reads }: Pick<WalkOptions, 'reads'>,
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
    if (this.#readsLeaves) {
      this.#checkKeys(bytes, keyCount, page, isLeaf, tree, parent);
      this.#map.gapStart[page] = pageHeaderBytes + bytes.readUInt16LE(20);
      this.#map.gapEnd[page] = pageHeaderBytes + bytes.readUInt16LE(22);
    }
    if (!this.#readsLeaves && level + 1 === tree.depth && tree !== this.#meta.main) {
      // What leaves hold is not counted without reading them; pages are.
      [counts.entries, counts.overflowPages] = [tree.entries, tree.overflowPages];
      counts.leafPages += keyCount;
      for (let index = 0; index < keyCount; index++) this.#take(childAt(bytes, nodeAt(bytes, index)), 1, tree);
      return;
    }
    for (let index = 0; index < keyCount; index++) {
      const node = nodeAt(bytes, index);
      if (isLeaf) this.#takeEntry(bytes, node, page, tree, tables, counts);
      else this.#walkPage(childAt(bytes, node), level + 1, tree, tables, counts, { page: bytes, index, keyCount });
    }
  }

  /** The number of its keys; undefined, with a finding, when they cannot be used. */
  #checkPage(bytes: Buffer, page: number, isLeaf: boolean, tree: LmdbTree): number | undefined {
    if (!this.#checkHeader(bytes, page, isLeaf ? pageFlags.leaf : pageFlags.branch, tree)) return undefined;
    // LMDB asserts, that is ends the process, on a branch with less than two keys; only the free tree may have one.
    const problem = nodesProblem(bytes, { isLeaf, keysMin: isLeaf || tree === this.#meta.free ? 1 : 2 });
    if (problem) this.#report(problem.kind, page, tree, problem.message);
    return problem ? undefined : keyCountOf(bytes);
  }

  #checkHeader(bytes: Buffer, page: number, flags: number, tree: LmdbTree): boolean {
    const problem = headerProblem(bytes, { page, flags, transaction: this.#meta.transaction });
    if (problem) this.#report(problem.kind, page, tree, problem.message);
    return problem === undefined;
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

  #takeFreeList(list: Buffer, page: number, tree: LmdbTree): void {
    const runs = freeRunsIn(list, this.#meta.lastPage);
    if ('kind' in runs) {
      this.#report(runs.kind, page, tree, runs.message);
      return;
    }
    for (const { first, count } of runs) {
      const end = Math.min(first + count, this.#map.filePages);
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
