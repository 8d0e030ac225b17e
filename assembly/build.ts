/**
 * Insertion (Malkov & Yashunin, algorithms 1 and 4), by one thread or by several at once: each takes one list at a time, for as long as it changes it.
 *
 * Neighbours are chosen so that none is nearer to another chosen one than to the node itself; of links that are dropped none is kept to fill a list.
 */
import { codeOf, labelOf, levelOf, linksMax, listOf, lockTop, NONE, releaseList, removedCount, setTop, takeList, top, unlockTop, writeList } from './memory';
import { near, prepare, prepareCode, unfold } from './distance';
import {
  chosenOffset,
  chosenQuery,
  found,
  keyOf,
  keys,
  list,
  nearnessOf,
  nextNodes,
  otherQuery,
  query,
  sortFound,
  vectorOf,
} from './scratch';
import { descend, touchCodes, walk } from './walk';

/**
 * @param from keys; from the `kept`-th on nearest first @param kept so many of them are chosen whatever they are @param offset of the query that they are near to
 * @param to receives the chosen
 * @returns how many were chosen
 */
export function choose(from: usize, kept: u32, count: u32, offset: i32, most: u32, to: usize): u32 {
  let chosen: u32 = 0;
  for (let i: u32 = 0; i < count && chosen < most; i++) {
    const key = load<i64>(from + (i << 3));
    const node = <u32>key;
    const nearness = nearnessOf(key) + offset;
    const code = codeOf(node);
    let isApart = true;
    for (let j: u32 = 0; i >= kept && j < chosen && isApart; j++)
      isApart = near(chosenQuery(j), code) + load<i32>(chosenOffset(j)) <= nearness;
    if (!isApart) continue;
    store<i32>(chosenOffset(chosen), prepareCode(code, chosenQuery(chosen)));
    store<u32>(to + (chosen++ << 2), node);
  }
  return chosen;
}

/** Into a short list of keys that is sorted, nearest first. */
export function insertKey(at: usize, count: u32, key: i64): void {
  let place = count;
  while (place > 0 && load<i64>(at + ((place - 1) << 3)) < key) {
    store<i64>(at + (place << 3), load<i64>(at + ((place - 1) << 3)));
    place--;
  }
  store<i64>(at + (place << 3), key);
}

/** A link from `node` to `other`; where its list is full, the best of both. Removed ones stay as long as there is room: those behind them are found through them until the list is mended. */
function connect(node: u32, other: u32, level: u32): void {
  const most = linksMax(level);
  const at = listOf(node, level);
  takeList(at);
  let count: u32 = 0;
  let isThere = false;
  for (; count < most; count++) {
    const linked = load<u32>(at + ((count + 1) << 2));
    if (linked == NONE) break;
    if (linked == other) isThere = true;
  }
  if (isThere) {
    releaseList(at);
    return;
  }
  if (count < most) {
    atomic.store<u32>(at + ((count + 1) << 2), other);
    releaseList(at);
    return;
  }
  touchCodes(at + 4, count);
  const offset = prepareCode(codeOf(node), otherQuery());
  // Labels lie elsewhere, and would be waited for.
  const isWhole = removedCount() == 0;
  let live: u32 = 0;
  for (let i: u32 = 0; i <= count; i++) {
    const linked = i == count ? other : load<u32>(at + ((i + 1) << 2));
    if (isWhole || labelOf(linked) != NONE)
      insertKey(keys(), live++, keyOf(near(otherQuery(), codeOf(linked)), linked));
  }
  let chosen = choose(keys(), 0, live, offset, most, nextNodes());
  if (live <= count) chosen = appendRemoved(at, count, chosen, most);
  writeList(at, most, nextNodes(), chosen);
  releaseList(at);
}

/** Behind the chosen ones, those of a list who are removed, as many as have room. Returns how many there are then. */
function appendRemoved(at: usize, count: u32, chosen: u32, most: u32): u32 {
  for (let i: u32 = 1; i <= count && chosen < most; i++) {
    const linked = load<u32>(at + (i << 2));
    if (labelOf(linked) == NONE) store<u32>(nextNodes() + (chosen++ << 2), linked);
  }
  return chosen;
}

/**
 * Links a node, whose code, fine vector, label, owner, level and empty lists are there, into the graph.
 * @param width of the walks @param wanted links of its own on the bottom layer
 */
export function link(node: u32, width: u32, wanted: u32): void {
  const level = <i32>levelOf(node);
  unfold(node, vectorOf());
  const offset = prepare(vectorOf(), query());
  if (top() < 0) {
    // The first one; of several threads one is.
    lockTop();
    const isFirst = top() < 0;
    if (isFirst) setTop(node, level);
    unlockTop();
    if (isFirst) return;
  }
  const highest = <i32>(top() >> 32);
  let at = level < highest ? level : highest;
  let from = descend(at);
  for (; at >= 0; at--) {
    walk(from, width, <u32>at, true);
    const count = sortFound();
    if (count > 0) from = <u32>load<i64>(found());
    const most = linksMax(<u32>at);
    const own = listOf(node, <u32>at);
    const chosen = choose(found(), 0, liveOnly(count, node), offset, wanted < most ? wanted : most, list());
    takeList(own);
    writeList(own, most, list(), chosen);
    releaseList(own);
    for (let i: u32 = 0; i < chosen; i++) connect(load<u32>(own + ((i + 1) << 2)), node, <u32>at);
  }
  if (level <= highest) return;
  lockTop();
  if (level > <i32>(top() >> 32)) setTop(node, level);
  unlockTop();
}

/** Of what was found, those that are no removed templates, and not the node itself; in their place. Returns their number. */
function liveOnly(count: u32, node: u32): u32 {
  let kept: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const key = load<i64>(found() + (i << 3));
    if (<u32>key == node || labelOf(<u32>key) == NONE) continue;
    store<i64>(found() + (kept++ << 3), key);
  }
  return kept;
}
