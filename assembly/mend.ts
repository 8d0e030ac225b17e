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

function mendList(node: u32, level: u32): bool {
  const most = linksMax(level);
  const at = listOf(node, level);
  let isHurt = false;
  for (let i: u32 = 1; i <= most; i++) {
    const linked = load<u32>(at + (i << 2));
    if (linked == NONE) break;
    if (labelOf(linked) == NONE) isHurt = true;
  }
  if (!isHurt) return false;
  takeList(at);
  const offset = prepareCode(codeOf(node), otherQuery());
  clearMarks();
  visit(node);
  let count: u32 = 0;
  for (let i: u32 = 1; i <= most; i++) {
    const linked = load<u32>(at + (i << 2));
    if (linked == NONE) break;
    if (labelOf(linked) != NONE) {
      count = offer(linked, count);
      continue;
    }
    const behind = copyList(listOf(linked, level), most, list());
    for (let j: u32 = 1; j <= behind; j++) {
      const other = load<u32>(list() + (j << 2));
      if (labelOf(other) != NONE) count = offer(other, count);
    }
  }
  const chosen = choose(keys(), count, offset, most, nextNodes());
  writeList(at, most, nextNodes(), chosen);
  releaseList(at);
  return true;
}

function offer(node: u32, count: u32): u32 {
  if (!visit(node)) return count;
  insertKey(keys(), count, keyOf(near(otherQuery(), codeOf(node)), node));
  return count + 1;
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
