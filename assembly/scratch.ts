/**
 * What a thread works with, and no other sees: two heaps, lists, and marks of visited nodes. Their places are given by the host; the marks hold for a number of nodes, and move when there are more.
 *
 * Keys are nearness in the high and node in the low word, so that the order of keys is the order of nearness, and of numbers where two are equally near.
 */
import { dims, LINKS } from './memory';

/** Widest walk. */
export const WIDTH_MAX: u32 = 8192;
/** Chosen neighbours whose queries are kept while others are judged. */
const CHOSEN_MAX: u32 = 32;
/** Open at once, at most; a walk that meets more leaves out the later ones. Seldom are there more than twice the width. */
const OPEN_MAX: u32 = 1 << 15;

let marks: usize = 0;
let markCount: u32 = 0;
let mark: u32 = 0;
let vectorAt: usize = 0;
let queryAt: usize = 0;
let otherAt: usize = 0;
let chosenAt: usize = 0;
let offsetsAt: usize = 0;
let openAt: usize = 0;
let foundAt: usize = 0;
let listAt: usize = 0;
let nextAt: usize = 0;
let keysAt: usize = 0;
let answersAt: usize = 0;

export function scratchBytes(): usize {
  return (
    <usize>dims() * (4 + 2 + 2 + 2 * CHOSEN_MAX) +
    CHOSEN_MAX * 4 +
    OPEN_MAX * 8 +
    WIDTH_MAX * 8 +
    256 +
    2 * (LINKS + 1) * (LINKS + 2) * 8 +
    WIDTH_MAX * 16 +
    1024
  );
}

/** @param at with a byte a node behind it */
export function useMarks(at: usize, nodes: u32): void {
  marks = at;
  markCount = nodes;
  mark = 0;
  memory.fill(marks, 0, nodes);
}

/** @param at a multiple of 64, with `scratchBytes()` behind it */
export function useScratch(at: usize): void {
  vectorAt = at;
  at += dims() * 4;
  queryAt = at;
  at += dims() * 2;
  otherAt = at;
  at += dims() * 2;
  chosenAt = at;
  at += dims() * 2 * CHOSEN_MAX;
  offsetsAt = at;
  at += CHOSEN_MAX * 4;
  openAt = at;
  at += OPEN_MAX * 8;
  foundAt = at;
  at += WIDTH_MAX * 8;
  listAt = at;
  at += 128;
  nextAt = at;
  at += 128;
  keysAt = at;
  at += 2 * (LINKS + 1) * (LINKS + 2) * 8;
  answersAt = at;
}

/** f32[dims]: the vector that is searched for or inserted; the host writes it. */
// @ts-ignore: decorator
@inline export function vectorOf(): usize {
  return vectorAt;
}
// @ts-ignore: decorator
@inline export function query(): usize {
  return queryAt;
}
// @ts-ignore: decorator
@inline export function otherQuery(): usize {
  return otherAt;
}
// @ts-ignore: decorator
@inline export function chosenQuery(i: u32): usize {
  return chosenAt + (i * dims() << 1);
}
// @ts-ignore: decorator
@inline export function chosenOffset(i: u32): usize {
  return offsetsAt + (i << 2);
}
// @ts-ignore: decorator
@inline export function list(): usize {
  return listAt;
}
// @ts-ignore: decorator
@inline export function nextNodes(): usize {
  return nextAt;
}
// @ts-ignore: decorator
@inline export function keys(): usize {
  return keysAt;
}
// @ts-ignore: decorator
@inline export function found(): usize {
  return foundAt;
}
// @ts-ignore: decorator
@inline export function answers(): usize {
  return answersAt;
}

// @ts-ignore: decorator
@inline export function keyOf(nearness: i32, node: u32): i64 {
  return ((<i64>nearness) << 32) | <i64>node;
}
// @ts-ignore: decorator
@inline export function nearnessOf(key: i64): i32 {
  return <i32>(key >> 32);
}

// ── Marks ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Nobody is visited. */
export function clearMarks(): void {
  if (++mark < 256) return;
  memory.fill(marks, 0, markCount);
  mark = 1;
}
/** Whether a node was not visited yet, and is now. One that came after the scratch was measured counts as visited: it is of no search that began before. */
// @ts-ignore: decorator
@inline export function visit(node: u32): bool {
  if (node >= markCount) return false;
  const at = marks + node;
  if (load<u8>(at) == <u8>mark) return false;
  store<u8>(at, <u8>mark);
  return true;
}

// ── Heaps of keys ────────────────────────────────────────────────────────────────────────────────────────────────────

let openCount: u32 = 0;
let foundCount: u32 = 0;

export function clearHeaps(): void {
  openCount = 0;
  foundCount = 0;
}
// @ts-ignore: decorator
@inline export function isOpen(): bool {
  return openCount > 0;
}
/** The nearest of what is open. */
// @ts-ignore: decorator
@inline export function firstOpen(): i64 {
  return load<i64>(openAt);
}
// @ts-ignore: decorator
@inline export function countFound(): u32 {
  return foundCount;
}
// @ts-ignore: decorator
@inline export function worstFound(): i64 {
  return load<i64>(foundAt);
}

/** The nearest comes out first. */
export function pushOpen(key: i64): void {
  if (openCount == OPEN_MAX) return;
  let at = openCount++;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = load<i64>(openAt + (parent << 3));
    if (above >= key) break;
    store<i64>(openAt + (at << 3), above);
    at = parent;
  }
  store<i64>(openAt + (at << 3), key);
}
export function popOpen(): i64 {
  const first = load<i64>(openAt);
  const key = load<i64>(openAt + (--openCount << 3));
  let at: u32 = 0;
  for (;;) {
    let child: u32 = 2 * at + 1;
    if (child >= openCount) break;
    // Without a branch, as which of two is nearer is anybody's guess. The one behind the last is there, too, and counts for nothing.
    const left = load<i64>(openAt + (child << 3));
    const right = load<i64>(openAt + ((child + 1) << 3));
    const isRight = <u32>(right > left) & <u32>(child + 1 < openCount);
    child += isRight;
    const below = select<i64>(right, left, isRight);
    if (below <= key) break;
    store<i64>(openAt + (at << 3), below);
    at = child;
  }
  store<i64>(openAt + (at << 3), key);
  return first;
}

/** The worst lies on top. */
export function pushFound(key: i64): void {
  let at = foundCount++;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = load<i64>(foundAt + (parent << 3));
    if (above <= key) break;
    store<i64>(foundAt + (at << 3), above);
    at = parent;
  }
  store<i64>(foundAt + (at << 3), key);
}
/** In place of the worst. */
export function replaceFound(key: i64): void {
  sinkFound(key, foundCount);
}
function sinkFound(key: i64, count: u32): void {
  let at: u32 = 0;
  for (;;) {
    let child: u32 = 2 * at + 1;
    if (child >= count) break;
    const left = load<i64>(foundAt + (child << 3));
    const right = load<i64>(foundAt + ((child + 1) << 3));
    const isRight = <u32>(right < left) & <u32>(child + 1 < count);
    child += isRight;
    const below = select<i64>(right, left, isRight);
    if (below >= key) break;
    store<i64>(foundAt + (at << 3), below);
    at = child;
  }
  store<i64>(foundAt + (at << 3), key);
}
/** What was found becomes a list in its own place, nearest first; the heap is empty then. Returns their number. */
export function sortFound(): u32 {
  const count = foundCount;
  for (let left = count; left > 1; left--) {
    const worst = load<i64>(foundAt);
    sinkFound(load<i64>(foundAt + ((left - 1) << 3)), left - 1);
    store<i64>(foundAt + ((left - 1) << 3), worst);
  }
  foundCount = 0;
  return count;
}
