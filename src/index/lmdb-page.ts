/**
 * One page of an LMDB data file, as bytes: is it what its place in a tree wants, and where are its nodes.
 *
 * A branch or leaf begins with offsets of its nodes in key order, two bytes each, and ends with the nodes; between lies the gap. A node is
 * four bytes of a value's length or a page's number, two of flags, two of the key's length, the key, and in leaves the value or a
 * reference of 24 bytes to pages of its own. Offsets are even and counted from the end of the page's header.
 */
import { numberAt, pageHeaderBytes } from './lmdb-meta.js';

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

export interface PageProblem {
  readonly kind: PageFindingKind;
  readonly message: string;
}

export const nodeHeaderBytes = 8;
export const nodeFlags = { overflow: 1, tree: 2 } as const;
const overflowReferenceBytes = 24;

/** Whether the page is the one wanted: its number, its flags, and not of a later transaction than the snapshot. */
export function headerProblem(
  bytes: Buffer,
  wanted: { readonly page: number; readonly flags: number; readonly transaction: bigint },
): PageProblem | undefined {
  const number = numberAt(bytes, 0);
  if (number !== wanted.page) return { kind: 'page-number', message: `it calls itself page ${number}` };
  const flags = bytes.readUInt16LE(18) & 0xff;
  if (flags !== wanted.flags) {
    return { kind: 'page-flags', message: `its flags are ${flags}, its place wants ${wanted.flags}` };
  }
  const transaction = bytes.readBigUInt64LE(8);
  if (transaction <= wanted.transaction) return undefined;
  const message = `it is of transaction ${transaction}, the snapshot of ${wanted.transaction}`;
  return { kind: 'page-newer', message };
}

/** Whether bounds and nodes lie inside the page and fill it exactly. */
export function nodesProblem(
  bytes: Buffer,
  { isLeaf, keysMin }: { readonly isLeaf: boolean; readonly keysMin: number },
): PageProblem | undefined {
  const lower = bytes.readUInt16LE(20);
  const upper = bytes.readUInt16LE(22);
  const spaceBytes = bytes.length - pageHeaderBytes;
  if (lower % 2 !== 0 || lower > upper || upper > spaceBytes) {
    return { kind: 'page-bounds', message: `bounds are ${lower} and ${upper} of ${spaceBytes}` };
  }
  const keyCount = keyCountOf(bytes);
  if (keyCount < keysMin) {
    return { kind: 'page-bounds', message: `it has ${keyCount} keys, at least ${keysMin} are needed` };
  }
  let nodesBytes = 0;
  for (let index = 0; index < keyCount; index++) {
    const node = nodeAt(bytes, index);
    if (node % 2 !== 0 || node < pageHeaderBytes + upper || node + nodeHeaderBytes > bytes.length) {
      const range = `${pageHeaderBytes + upper} to ${bytes.length}`;
      return { kind: 'node', message: `node ${index} is at ${node}, nodes are from ${range}` };
    }
    const nodeBytes = nodeBytesAt(bytes, node, isLeaf);
    if (node + nodeBytes > bytes.length) {
      return {
        kind: 'node',
        message: `node ${index} at ${node} of ${nodeBytes} bytes leaves the page of ${bytes.length}`,
      };
    }
    nodesBytes += nodeBytes + (nodeBytes % 2);
  }
  if (nodesBytes === spaceBytes - upper) return undefined;
  return { kind: 'node', message: `nodes have ${nodesBytes} bytes, the page has ${spaceBytes - upper} for them` };
}

export function keyCountOf(bytes: Buffer): number {
  return bytes.readUInt16LE(20) / 2;
}

/** Place of a node in its page. */
export function nodeAt(bytes: Buffer, index: number): number {
  return pageHeaderBytes + bytes.readUInt16LE(pageHeaderBytes + index * 2);
}

function nodeBytesAt(bytes: Buffer, node: number, isLeaf: boolean): number {
  const keyEnd = nodeHeaderBytes + bytes.readUInt16LE(node + 6);
  if (!isLeaf) return keyEnd;
  const isReference = (bytes.readUInt16LE(node + 4) & nodeFlags.overflow) !== 0;
  return keyEnd + (isReference ? overflowReferenceBytes : bytes.readUInt32LE(node));
}

/** The page to which a branch's node leads: 48 bits. */
export function childAt(bytes: Buffer, node: number): number {
  return bytes.readUInt32LE(node) + bytes.readUInt16LE(node + 4) * 2 ** 32;
}

export function compareKeys(a: Buffer, indexA: number, b: Buffer, indexB: number): number {
  const [nodeA, nodeB] = [nodeAt(a, indexA), nodeAt(b, indexB)];
  const [startA, startB] = [nodeA + nodeHeaderBytes, nodeB + nodeHeaderBytes];
  const endA = startA + a.readUInt16LE(nodeA + 6);
  const endB = startB + b.readUInt16LE(nodeB + 6);
  return a.compare(b, startB, endB, startA, endA);
}

/** Keys of the free tree are transactions, as native integers. */
export function compareNumberKeys(a: Buffer, indexA: number, b: Buffer, indexB: number): number {
  const [nodeA, nodeB] = [nodeAt(a, indexA), nodeAt(b, indexB)];
  if (a.readUInt16LE(nodeA + 6) !== 8 || b.readUInt16LE(nodeB + 6) !== 8) return compareKeys(a, indexA, b, indexB);
  return numberAt(a, nodeA + nodeHeaderBytes) - numberAt(b, nodeB + nodeHeaderBytes);
}

/**
 * The runs of pages in a list of free pages as lmdb-js writes it: the number of words, then words of eight bytes, each a page, or minus a
 * count before the first page of a run, or 0 for nothing.
 */
export function freeRunsIn(
  list: Buffer,
  lastPage: number,
): readonly { readonly first: number; readonly count: number }[] | PageProblem {
  const words = list.length >= 8 ? numberAt(list, 0) : Number.NaN;
  if (!(8 + words * 8 <= list.length)) {
    return { kind: 'free-list', message: `a list of ${list.length} bytes tells ${words} words` };
  }
  const runs: { first: number; count: number }[] = [];
  for (let index = 1; index <= words; index++) {
    const word = Number(list.readBigInt64LE(index * 8));
    if (word === 0) continue;
    const count = word < 0 ? -word : 1;
    if (word < 0) index++;
    const first = word < 0 && index <= words ? Number(list.readBigInt64LE(index * 8)) : word;
    if (first < 2 || first + count - 1 > lastPage) {
      const message = `it lists pages ${first} to ${first + count - 1}, the snapshot has 2 to ${lastPage}`;
      return { kind: 'free-list', message };
    }
    runs.push({ first, count });
  }
  return runs;
}
