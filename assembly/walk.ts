/**
 * Walks through the graph (Malkov & Yashunin, TPAMI 2018, algorithms 2 and 5): from the top down to the bottom layer greedily, there with a width.
 *
 * Most of the time is waiting for memory. So the code of every unvisited neighbour is touched, a byte of each of its lines of cache, before the first of them is
 * compared: the misses overlap. WebAssembly has no prefetch; a load whose value is used somewhere is one.
 */
import { codeOf, copyList, dims, FINE_HEAD, fineOf, labelOf, linksMax, listOf, NONE, ownerOf, removedCount, top, upperOf, UPPER_LINKS } from './memory';
import { isCertain, meet } from './certain';
import { near } from './distance';
import {
  clearHeaps,
  clearMarks,
  countFound,
  firstOpen,
  isOpen,
  keyOf,
  list,
  nextNodes,
  popOpen,
  pushFound,
  pushOpen,
  query,
  replaceFound,
  visit,
  worstFound,
} from './scratch';

/** Comparisons, and lists that were followed, since the thread began. */
let compared: u64 = 0;
let followed: u64 = 0;
let touched: u32 = 0;

export function comparedCount(): u64 {
  return compared;
}
export function followedCount(): u64 {
  return followed;
}
/** So that nobody finds touching useless. */
export function touchedSum(): u32 {
  return touched;
}

/** Owners that may be found: bit `owner % 32` of word `owner / 32`. */
let allowAt: usize = 0;
let allowWords: u32 = 0;
let excluded: u32 = NONE;

/** @param at of the set, 0 for all @param exclude an owner, or NONE */
export function restrict(at: usize, words: u32, exclude: u32): void {
  allowAt = at;
  allowWords = words;
  excluded = exclude;
}
// @ts-ignore: decorator
@inline export function isWanted(node: u32): bool {
  // A removed template has no label.
  if (labelOf(node) == NONE) return false;
  const owner = ownerOf(node);
  if (owner == excluded) return false;
  if (allowAt == 0) return true;
  const word = owner >> 5;
  return word < allowWords && ((load<u32>(allowAt + (word << 2)) >> (owner & 31)) & 1) == 1;
}

/** A byte of each line of cache, so that they are on their way. Most codes, and all lists, have two lines. */
// @ts-ignore: decorator
@inline function touch(at: usize): u32 {
  return <u32>load<u8>(at) + <u32>load<u8>(at, 64);
}
/** In a loop of its own, and a short one: as many loads as possible are under way at once. */
export function touchCodes(nodes: usize, count: u32): void {
  let sum: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const at = codeOf(load<u32>(nodes + (i << 2)));
    sum += touch(at);
    if (dims() > 128) for (let line: u32 = 128; line < dims(); line += 64) sum += load<u8>(at + line);
  }
  touched += sum;
}

export function touchFine(node: u32): void {
  const at = fineOf(node);
  for (let line: u32 = 0; line < FINE_HEAD + (dims() << 1); line += 64) touched += load<u8>(at + line);
}

/** The nearest node above a layer; NONE for an empty graph. */
export function descend(level: i32): u32 {
  const from = top();
  let at = <i32>(from >> 32);
  if (at < 0) return NONE;
  let node = <u32>from;
  for (; at > level; at--) node = greedy(node, <u32>at);
  return node;
}

function greedy(from: u32, level: u32): u32 {
  let best = from;
  let nearest = near(query(), codeOf(from));
  let moved = true;
  while (moved) {
    moved = false;
    const count = copyList(upperOf(best, level), UPPER_LINKS, list());
    touchCodes(list() + 4, count);
    compared += count;
    for (let i: u32 = 1; i <= count; i++) {
      const node = load<u32>(list() + (i << 2));
      const nearness = near(query(), codeOf(node));
      if (nearness <= nearest) continue;
      nearest = nearness;
      best = node;
      moved = true;
    }
  }
  return best;
}

/** Fills the heap of what was found with the `width` nearest nodes of a layer that the walk meets. @param all whether removed and unwanted ones are found, too */
export function walk(from: u32, width: u32, level: u32, all: bool): void {
  // Nobody need be asked where everybody is wanted: labels lie elsewhere, and would be waited for. Who goes meanwhile is seen in the end.
  if (allowAt == 0 && excluded == NONE && removedCount() == 0) all = true;
  clearMarks();
  clearHeaps();
  visit(from);
  const first = keyOf(near(query(), codeOf(from)), from);
  pushOpen(first);
  if (all || isWanted(from)) {
    pushFound(first);
    meet(first);
  }
  const most = linksMax(level);
  while (isOpen()) {
    const key = popOpen();
    if ((countFound() == width && key < worstFound()) || isCertain(key)) break;
    followed++;
    const count = copyList(listOf(<u32>key, level), most, list());
    let fresh: u32 = 0;
    for (let i: u32 = 1; i <= count; i++) {
      const node = load<u32>(list() + (i << 2));
      if (visit(node)) store<u32>(nextNodes() + (fresh++ << 2), node);
    }
    touchCodes(nextNodes(), fresh);
    compared += fresh;
    // The list that is most likely followed next.
    if (level == 0 && isOpen()) touched += touch(listOf(<u32>firstOpen(), 0));
    for (let i: u32 = 0; i < fresh; i++) {
      const node = load<u32>(nextNodes() + (i << 2));
      const other = keyOf(near(query(), codeOf(node)), node);
      const isFull = countFound() == width;
      if (isFull && other <= worstFound()) continue;
      pushOpen(other);
      if (!all && !isWanted(node)) continue;
      if (isFull) replaceFound(other);
      else pushFound(other);
      meet(other);
    }
  }
}
