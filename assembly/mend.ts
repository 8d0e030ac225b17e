/**
 * Removed templates leave the graph: whoever is linked to one is linked to its neighbours instead (Singh et al., FreshDiskANN, 2021, section 4), so that nothing that was
 * reached through it is lost, and nothing of it stays.
 *
 * A pass over all nodes, in portions. What was removed when it began is named by no list when it ends; what is removed meanwhile waits for the next one.
 */
import {
  codeOf,
  copyList,
  dims,
  FINE_HEAD,
  fineOf,
  hasFines,
  labelOf,
  levelOf,
  linksMax,
  listOf,
  NONE,
  releaseList,
  takeList,
  writeList,
} from './memory';
import { near, prepareCode } from './distance';
import { choose, insertKey } from './build';
import { clearMarks, keyOf, keys, list, nextNodes, otherQuery, visit } from './scratch';

/**
 * Mends the lists of the nodes from `first` to before `end`, also those of removed ones: they are followed, and what they name is taken over, until they are gone themselves, which may be a pass later.
 * Returns how many were changed.
 */
export function mend(first: u32, end: u32): u32 {
  let changed: u32 = 0;
  for (let node = first; node < end; node++) {
    for (let level: u32 = 0; level <= levelOf(node); level++) if (mendList(node, level)) changed++;
  }
  return changed;
}

/** A list stays as long as it was: fewer links would find less with every round, and chosen anew from all candidates they would be fewer. */
function mendList(node: u32, level: u32): bool {
  const most = linksMax(level);
  const at = listOf(node, level);
  let links: u32 = 0;
  let isHurt = false;
  for (; links < most; links++) {
    const linked = load<u32>(at + ((links + 1) << 2));
    if (linked == NONE) break;
    if (labelOf(linked) == NONE) isHurt = true;
  }
  if (!isHurt) return false;
  takeList(at);
  const offset = prepareCode(codeOf(node), otherQuery());
  clearMarks();
  visit(node);
  // Who is still there is kept.
  let kept: u32 = 0;
  for (let i: u32 = 1; i <= links; i++) {
    const linked = load<u32>(at + (i << 2));
    if (labelOf(linked) == NONE || !visit(linked)) continue;
    store<i64>(keys() + (kept++ << 3), keyOf(near(otherQuery(), codeOf(linked)), linked));
  }
  // Behind them those to whom the others led, nearest first.
  let count = kept;
  for (let i: u32 = 1; i <= links; i++) {
    const linked = load<u32>(at + (i << 2));
    if (labelOf(linked) != NONE) continue;
    const behind = copyList(listOf(linked, level), most, list());
    for (let j: u32 = 1; j <= behind; j++) {
      const other = load<u32>(list() + (j << 2));
      if (labelOf(other) == NONE || !visit(other)) continue;
      insertKey(keys() + (kept << 3), count++ - kept, keyOf(near(otherQuery(), codeOf(other)), other));
    }
  }
  const chosen = choose(keys(), kept, count, offset, links, nextNodes());
  writeList(at, most, nextNodes(), fill(kept, count, chosen, links));
  releaseList(at);
  return true;
}

/** Where too few were apart from each other, the nearest of the others get the places that are left. Returns how many there are then. */
function fill(kept: u32, count: u32, chosen: u32, links: u32): u32 {
  let filled = chosen;
  for (let i = kept; i < count && filled < links; i++) {
    const other = load<u32>(keys() + (i << 3));
    let isChosen = false;
    for (let j = kept; j < chosen && !isChosen; j++) isChosen = load<u32>(nextNodes() + (j << 2)) == other;
    if (!isChosen) store<u32>(nextNodes() + (filled++ << 2), other);
  }
  return filled;
}

/** The bytes of a node that nobody holds any more: nothing of its template stays. */
export function wipe(node: u32): void {
  memory.fill(codeOf(node), 0, dims());
  if (hasFines()) memory.fill(fineOf(node), 0, (dims() << 1) + FINE_HEAD);
  for (let level: u32 = 0; level <= levelOf(node); level++) {
    const at = listOf(node, level);
    takeList(at);
    writeList(at, linksMax(level), 0, 0);
    releaseList(at);
  }
}
