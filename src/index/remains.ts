/**
 * Remains of known bytes in files: where a piece of a needle still lies.
 *
 * A remain is a longest stretch of at least 32 bytes that is also in a needle (the whole needle, when that is shorter), at any
 * alignment, whatever became of the rest of it. The search is exact: of every stretch of 31 bytes and more, 16 begin at a multiple of
 * 16 in the file, so that one look-up each 16 bytes of the file, in a table of all stretches of 16 bytes of all needles, misses none; its
 * time does not grow with the number of needles. Stretches of one repeated byte (zeros, above all) are in every file and are no remains
 * by themselves. Files are read in windows of a megabyte.
 */
import { closeSync, openSync, readSync, fstatSync } from 'node:fs';

export interface Remain {
  /** Offset in the file. */
  readonly start: number;
  readonly bytes: number;
  /** Which needle it is part of (its index), and where in it. */
  readonly needle: number;
  readonly needleStart: number;
}

export interface FoundRemain extends Remain {
  readonly file: string;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Shortest stretch that counts. */
export const remainBytesMin = 32;
/** Bytes that are looked up at once, and the distance between two look-ups. */
const gramBytes = 16;
const windowBytes = 1 << 20;
const filterBits = 20;

/** Remains inside the given ranges of a file; a stretch that leaves its range is cut there. In the order of the ranges. */
export function findRemains(file: string, ranges: Iterable<Range>, needles: readonly Uint8Array[]): readonly Remain[] {
  const search = openSearch(needles);
  const handle = openSync(file, 'r');
  try {
    const window = openWindow(handle);
    const found: Remain[] = [];
    for (const range of ranges) search.inRange(window, range, found);
    return found;
  } finally {
    closeSync(handle);
  }
}

/** Remains anywhere in files: the proof that there are none is an empty answer. */
export function findAnywhere(files: readonly string[], needles: readonly Uint8Array[]): readonly FoundRemain[] {
  return files.flatMap((file) => {
    const handle = openSync(file, 'r');
    const end = fstatSync(handle).size;
    closeSync(handle);
    return findRemains(file, [{ start: 0, end }], needles).map((remain) => ({ file, ...remain }));
  });
}

interface Window {
  /** The bytes [start, end) of the file; they stay until the next call. */
  bytes(start: number, end: number): View;
}

interface View {
  readonly bytes: Buffer;
  /** The same as 32-bit words. */
  readonly words: Int32Array;
  /** Offset in the file of the first byte: a multiple of 16. */
  readonly start: number;
}

/** Reads ahead, so that the small ranges of neighbouring pages share a read. */
function openWindow(handle: number): Window {
  let view: View = viewOf(new ArrayBuffer(0), 0);
  let viewEnd = 0;
  return {
    bytes(start, end) {
      if (start >= view.start && end <= viewEnd) return view;
      const from = start - (start % gramBytes);
      const wanted = Math.max(end - from, windowBytes);
      // The file is over where a read is short; what is asked for always lies in it.
      const memory = view.bytes.buffer.byteLength >= wanted ? view.bytes.buffer : new ArrayBuffer(wanted + windowBytes);
      view = viewOf(memory, from);
      const length = readSync(handle, view.bytes, 0, view.bytes.length, from);
      viewEnd = from + length;
      return view;
    },
  };
}

function viewOf(memory: ArrayBufferLike, start: number): View {
  const words = memory.byteLength - (memory.byteLength % 4);
  return { bytes: Buffer.from(memory), words: new Int32Array(memory, 0, words / 4), start };
}

interface Search {
  inRange(window: Window, range: Range, found: Remain[]): void;
}

/** Where in the needles a stretch of 16 bytes is. */
interface Place {
  readonly needle: number;
  readonly at: number;
}

function openSearch(needles: readonly Uint8Array[]): Search {
  const buffers = needles.map((needle) => Buffer.from(needle));
  const longest = Math.max(0, ...needles.map((needle) => needle.length));
  const short = buffers.flatMap((bytes, needle) =>
    bytes.length > 0 && bytes.length < remainBytesMin ? [{ bytes, needle }] : [],
  );
  const grams = gramTable(buffers);
  return {
    inRange(window, { start, end }, found) {
      const seen = new Set<string>();
      for (let from = start; from < end; from += windowBytes) {
        const to = Math.min(from + windowBytes, end);
        // Stretches that begin or end outside this part are followed as far as a needle is long.
        const part = { start: Math.max(from - longest, start), end: Math.min(to + longest, end) };
        const view = window.bytes(part.start, part.end);
        const add = (remain: Remain): void => {
          const key = `${remain.needle} ${remain.start} ${remain.needleStart}`;
          if (seen.has(key)) return;
          seen.add(key);
          found.push(remain);
        };
        const first = Math.ceil(from / gramBytes) * gramBytes;
        for (let at = first; at + gramBytes <= part.end && at < to; at += gramBytes) {
          const places = grams.at(view.words, (at - view.start) >> 2);
          if (places === undefined) continue;
          for (const place of places) {
            const remain = stretchAround(view, part, at, place, buffers[place.needle] as Buffer);
            if (remain) add(remain);
          }
        }
        for (const { bytes, needle } of short) {
          const searched = view.bytes.subarray(0, part.end - view.start);
          for (let at = searched.indexOf(bytes, from - view.start); at >= 0 && at + view.start < to;) {
            add({ start: at + view.start, bytes: bytes.length, needle, needleStart: 0 });
            at = searched.indexOf(bytes, at + 1);
          }
        }
      }
    },
  };
}

/** The longest stretch around a place that needle and file have in common; undefined when it is too short to count. */
function stretchAround(
  { bytes, start }: View,
  part: Range,
  at: number,
  { needle, at: needleAt }: Place,
  searched: Buffer,
): Remain | undefined {
  let before = 0;
  const beforeMax = Math.min(at - part.start, needleAt);
  while (before < beforeMax && bytes[at - start - before - 1] === searched[needleAt - before - 1]) before++;
  let after = 0;
  const afterMax = Math.min(part.end - at, searched.length - needleAt);
  while (after < afterMax && bytes[at - start + after] === searched[needleAt + after]) after++;
  if (after < gramBytes || before + after < remainBytesMin) return undefined;
  return { start: at - before, bytes: before + after, needle, needleStart: needleAt - before };
}

interface GramTable {
  /** Places of a stretch with the same hash as the 16 bytes at this word; to be compared. */
  at(words: Int32Array, word: number): readonly Place[] | undefined;
}

function gramTable(needles: readonly Buffer[]): GramTable {
  const filter = new Int32Array((1 << filterBits) / 32);
  const places = new Map<number, Place[]>();
  const gram = new Int32Array(gramBytes / 4);
  const gramBuffer = Buffer.from(gram.buffer);
  for (const [needle, bytes] of needles.entries()) {
    if (bytes.length < remainBytesMin) continue;
    for (let at = 0; at + gramBytes <= bytes.length; at++) {
      bytes.copy(gramBuffer, 0, at, at + gramBytes);
      if (gramBuffer.equals(Buffer.alloc(gramBytes, gramBuffer[0]))) continue;
      const hash = hashOf(gram, 0);
      const bit = hash >>> (32 - filterBits);
      filter[bit >> 5] = (filter[bit >> 5] ?? 0) | (1 << (bit & 31));
      const known = places.get(hash);
      if (known) known.push({ needle, at });
      else places.set(hash, [{ needle, at }]);
    }
  }
  return {
    at(words, word) {
      const hash = hashOf(words, word);
      const bit = hash >>> (32 - filterBits);
      return ((filter[bit >> 5] ?? 0) & (1 << (bit & 31))) === 0 ? undefined : places.get(hash);
    },
  };
}

/** Mixes four words; the multipliers are those of xxHash. */
function hashOf(words: Int32Array, word: number): number {
  const mixed =
    Math.imul(words[word] ?? 0, 0x9e3779b1) ^
    Math.imul(words[word + 1] ?? 0, 0x85ebca77) ^
    Math.imul(words[word + 2] ?? 0, 0xc2b2ae3d) ^
    Math.imul(words[word + 3] ?? 0, 0x27d4eb2f);
  return mixed ^ (mixed >>> 15);
}
