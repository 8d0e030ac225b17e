/**
 * The map of an engine's memory, which all of its threads share (AssemblyScript, compiled to WebAssembly by `npm run build`).
 *
 * One WebAssembly memory that only grows. At its beginning a header (128 KiB) that one writer changes; behind it blocks, which the host hands out. Nodes lie in segments of
 * 4,096, whose blocks are found through tables in the header: codes, links, fine vectors, labels, owners, upper links, levels. So nothing moves when the engine grows, and a reader
 * never sees half of a move. A node is a number from 0; 0xffffffff is none.
 *
 * Who may do what, when:
 * - A list of links begins with its version. It is odd while a writer changes the list; a reader copies the list with atomic loads between two equal, even versions, and
 *   follows nothing that it has not copied so. Writers (many while a gallery is loaded) take a list by making its version odd.
 * - Nobody waits for ever: a list that stays taken for seconds is that of a thread that has died, and whoever waits for it ends with a trap. `recover` frees it.
 * - Code, fine vector, label and owner of a node are written before any list names it; releasing the list publishes them.
 * - A node's bytes are overwritten and its number is given to another only when no reader can hold it any more: each reader tells the epoch in which it began (`readers`),
 *   and the writer waits for those of older epochs.
 * - What is mutable in this module belongs to one thread: every thread has an instance of its own on the shared memory.
 */

export const NONE: u32 = 0xffffffff;
export const SEGMENT_BITS: u32 = 12;
export const SEGMENT_MASK: u32 = (1 << SEGMENT_BITS) - 1;
/** Of the bottom layer: with the version a list is 128 bytes, two lines of cache. */
export const LINKS: u32 = 31;
/** Of each layer above it: 64 bytes. */
export const UPPER_LINKS: u32 = 15;

// ── The header ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** Highest node in the low word and its level in the high one, together; -1 for an empty graph. */
const TOP: usize = 64;
/** Of whoever changes the top. */
const TOP_LOCK: usize = 128;
/** Looks at what another thread holds, before that one is taken to be dead: some seconds. Lists are held for microseconds. */
const PATIENCE: u64 = 1 << 32;
/** Numbers that have a segment. */
export const CAPACITY: usize = 192;
/** Dimensions as stored: a multiple of 16. */
export const DIMENSIONS: usize = 196;
/** What a product of codes is multiplied by. */
export const STEP: usize = 200;
/** First byte that belongs to nobody. */
export const FREE: usize = 208;
/** Removed templates that lists still name: counted before their labels go, and until their bytes are overwritten. */
export const REMOVED: usize = 212;
/** Whether there are fine vectors: 0 or 1. */
export const HAS_FINES: usize = 216;
/** f32: the greatest distance (L2) between a vector and what its code stands for, and between it and its fine vector. Of all that ever came: an upper bound. */
export const CODE_ERROR: usize = 220;
export const FINE_ERROR: usize = 224;
/** Numbers from there on were never given to anybody. */
export const NEXT: usize = 228;
/** Placed nodes that no list names yet: those from LINKED to NEXT, and of numbers that had been free before, a ring of them. Its ends count upwards; RING is the address of its block, which begins with how many places it has, a power of two. */
export const LINKED: usize = 232;
export const RING_HEAD: usize = 236;
export const RING_TAIL: usize = 240;
export const RING: usize = 244;
/** Epoch of the next reader; from 1. */
export const EPOCH: usize = 256;
/** A line of cache for each reader: the epoch in which it began, 0 while it rests. */
const READERS: usize = 320;
export const READERS_MAX: u32 = 64;
/** Addresses of the blocks of each segment. */
export const SEGMENTS_MAX: usize = 2048;
export const CODES: usize = 8192;
export const LINK_LISTS: usize = CODES + SEGMENTS_MAX * 4;
export const FINES: usize = LINK_LISTS + SEGMENTS_MAX * 4;
export const LABELS: usize = FINES + SEGMENTS_MAX * 4;
export const OWNERS: usize = LABELS + SEGMENTS_MAX * 4;
export const UPPERS: usize = OWNERS + SEGMENTS_MAX * 4;
/** u8: the highest layer that a node is in. */
export const LEVELS: usize = UPPERS + SEGMENTS_MAX * 4;
/** For each reader's number, addresses of scratch and marks that its thread works with, and how many nodes these are for (u32): the next one with that number takes them over. */
export const SCRATCHES: usize = LEVELS + SEGMENTS_MAX * 4;
/** Address of the quantiser: centre and scale of each dimension, f32. */
export const QUANTISER: usize = 204;

/** Read once for each thread. */
let dimensions: u32 = 0;
let step: f32 = 0;
let centre: usize = 0;
let scale: usize = 0;
let withFines = false;

/** To be called by every thread before anything else, and again when the quantiser was changed. */
export function attach(): void {
  dimensions = load<u32>(DIMENSIONS);
  step = load<f32>(STEP);
  centre = load<u32>(QUANTISER);
  scale = centre + dimensions * 4;
  withFines = load<u32>(HAS_FINES) != 0;
}

// @ts-ignore: decorator
@inline export function dims(): u32 {
  return dimensions;
}
// @ts-ignore: decorator
@inline export function hasFines(): bool {
  return withFines;
}
// @ts-ignore: decorator
@inline export function stepOf(): f32 {
  return step;
}
// @ts-ignore: decorator
@inline export function centreOf(i: u32): f32 {
  return load<f32>(centre + (i << 2));
}
// @ts-ignore: decorator
@inline export function scaleOf(i: u32): f32 {
  return load<f32>(scale + (i << 2));
}

// @ts-ignore: decorator
@inline function block(table: usize, node: u32): usize {
  return load<u32>(table + ((node >> SEGMENT_BITS) << 2));
}
/** int8[dims]. */
// @ts-ignore: decorator
@inline export function codeOf(node: u32): usize {
  return block(CODES, node) + (node & SEGMENT_MASK) * dimensions;
}
/** Version and LINKS numbers, the last ones NONE. */
// @ts-ignore: decorator
@inline export function linksOf(node: u32): usize {
  return block(LINK_LISTS, node) + ((node & SEGMENT_MASK) << 7);
}
/** Of a fine vector: f32 scale, nothing to the next 16 bytes, int16[dims]. */
export const FINE_HEAD: u32 = 16;
// @ts-ignore: decorator
@inline export function fineOf(node: u32): usize {
  return block(FINES, node) + (node & SEGMENT_MASK) * ((dimensions << 1) + FINE_HEAD);
}
// @ts-ignore: decorator
@inline export function labelOf(node: u32): u32 {
  return atomic.load<u32>(block(LABELS, node) + ((node & SEGMENT_MASK) << 2));
}
// @ts-ignore: decorator
@inline export function ownerOf(node: u32): u32 {
  return load<u32>(block(OWNERS, node) + ((node & SEGMENT_MASK) << 2));
}
// @ts-ignore: decorator
@inline export function levelOf(node: u32): u32 {
  return load<u8>(block(LEVELS, node) + (node & SEGMENT_MASK));
}
/** Version and UPPER_LINKS numbers. @param level from 1 */
// @ts-ignore: decorator
@inline export function upperOf(node: u32, level: u32): usize {
  return load<u32>(block(UPPERS, node) + ((node & SEGMENT_MASK) << 2)) + ((level - 1) << 6);
}
// @ts-ignore: decorator
@inline export function listOf(node: u32, level: u32): usize {
  return level == 0 ? linksOf(node) : upperOf(node, level);
}
// @ts-ignore: decorator
@inline export function linksMax(level: u32): u32 {
  return level == 0 ? LINKS : UPPER_LINKS;
}

// @ts-ignore: decorator
@inline export function nextNode(): u32 {
  return atomic.load<u32>(NEXT);
}
// @ts-ignore: decorator
@inline export function removedCount(): u32 {
  return atomic.load<u32>(REMOVED);
}
/** Level in the high word; below 0 when there is nobody. */
// @ts-ignore: decorator
@inline export function top(): i64 {
  return atomic.load<i64>(TOP);
}
export function setTop(node: u32, level: i32): void {
  atomic.store<i64>(TOP, ((<i64>level) << 32) | <i64>node);
}
export function lockTop(): void {
  for (let turn: u64 = 0; turn < PATIENCE; turn++) if (atomic.cmpxchg<u32>(TOP_LOCK, 0, 1) == 0) return;
  unreachable();
}
export function unlockTop(): void {
  atomic.store<u32>(TOP_LOCK, 0);
}

// ── Readers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// @ts-ignore: decorator
@inline export function beginReading(reader: u32): void {
  const at = READERS + (reader << 6);
  // Told before anything is read, and told again where an epoch began in between.
  for (;;) {
    const epoch = atomic.load<u32>(EPOCH);
    atomic.store<u32>(at, epoch);
    if (atomic.load<u32>(EPOCH) == epoch) return;
  }
}
// @ts-ignore: decorator
@inline export function endReading(reader: u32): void {
  atomic.store<u32>(READERS + (reader << 6), 0);
}
/** Begins an epoch: whoever reads from now on holds nothing that was unlinked before. */
export function beginEpoch(): u32 {
  return atomic.add<u32>(EPOCH, 1) + 1;
}
/** Whether nobody reads who began before the epoch. */
export function isQuiet(epoch: u32): bool {
  for (let reader: u32 = 0; reader < READERS_MAX; reader++) {
    const began = atomic.load<u32>(READERS + (reader << 6));
    if (began != 0 && began < epoch) return false;
  }
  return true;
}

// ── Lists of links ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Copies a list, untorn, to `to` (from its second word on), and gives the number of its links. */
// @ts-ignore: decorator
@inline export function copyList(list: usize, most: u32, to: usize): u32 {
  for (let turn: u64 = 0; ; turn++) {
    if (turn == PATIENCE) unreachable();
    const version = atomic.load<u32>(list);
    if (version & 1) continue;
    // Atomic loads keep their order on every machine; on x86 they are plain ones.
    for (let i: u32 = 0; i <= most; i += 2) store<u64>(to + (i << 2), atomic.load<u64>(list + (i << 2)));
    if (atomic.load<u32>(list) == version) break;
  }
  return countLinks(to, most);
}
// @ts-ignore: decorator
@inline function countLinks(list: usize, most: u32): u32 {
  let count: u32 = 0;
  while (count < most && load<u32>(list + ((count + 1) << 2)) != NONE) count++;
  return count;
}
export function takeList(list: usize): void {
  for (let turn: u64 = 0; turn < PATIENCE; turn++) {
    const version = atomic.load<u32>(list);
    if (!(version & 1) && atomic.cmpxchg<u32>(list, version, version + 1) == version) return;
  }
  unreachable();
}
export function releaseList(list: usize): void {
  atomic.store<u32>(list, load<u32>(list) + 1);
}
/** Of a list that is taken: `count` numbers at `from`, the rest none. */
export function writeList(list: usize, most: u32, from: usize, count: u32): void {
  for (let i: u32 = 0; i < most; i++)
    atomic.store<u32>(list + ((i + 1) << 2), i < count ? load<u32>(from + (i << 2)) : NONE);
}

/**
 * Frees what was held by threads that are dead: lists, the top, and the epochs of the readers from `first` to before `end`. Nobody links or mends meanwhile.
 * Of a list that was half written the new links stay, and those of the old ones that come before an end.
 */
export function recover(first: u32, end: u32): void {
  for (let reader = first; reader < end; reader++) endReading(reader);
  unlockTop();
  for (let node: u32 = 0; node < nextNode(); node++) {
    for (let level: u32 = 0; level <= levelOf(node); level++) {
      const list = listOf(node, level);
      if ((load<u32>(list) & 1) == 0) continue;
      const most = linksMax(level);
      writeList(list, most, list + 4, countLinks(list, most));
      releaseList(list);
    }
  }
}
