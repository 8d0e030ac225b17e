/**
 * Searches, in steps that the host puts together: a walk, whose finds are compared by their fine vectors a few at a time; or a scan of everybody.
 *
 * An answer is 16 bytes: node, label, owner, and the squared distance (f32). The host says before and after that it reads.
 */
import { codeOf, hasFines, labelOf, LINKED, nextNode, NONE, ownerOf, RING, RING_HEAD, RING_TAIL } from './memory';
import { expectOwners } from './certain';
import { codeDistance, fineDistance, near, nearnessAt, prepare } from './distance';
import {
  answers,
  clearHeaps,
  clearMarks,
  countFound,
  found,
  keyOf,
  nearnessOf,
  pushFound,
  query,
  replaceFound,
  sortFound,
  vectorOf,
  visit,
  worstFound,
} from './scratch';
import { descend, isWanted, touchFine, walk } from './walk';

/** Makes the nearnesses of the query under way distances. */
let offset: i32 = 0;

/** The vector in the scratch is what is searched for from now on. */
export function ask(): void {
  offset = prepare(vectorOf(), query());
}

/**
 * The `width` nearest templates that a walk meets, and of those that wait for being linked; `refine` has them. Returns how many there are.
 * @param owners fewer templates will do when these many owners are certain; 0: they will not
 */
export function find(width: u32, owners: u32): u32 {
  // Before the walk: what is linked meanwhile is compared once too often, and not missed.
  const head = atomic.load<u32>(RING_HEAD);
  const tail = atomic.load<u32>(RING_TAIL);
  const linked = atomic.load<u32>(LINKED);
  const end = nextNode();
  const from = descend(0);
  if (from != NONE) {
    expectOwners(owners, offset);
    walk(from, width, 0, false);
    expectOwners(0, 0);
  } else {
    clearMarks();
    clearHeaps();
  }
  if (head != tail) offerRing(head, tail, width);
  for (let node = linked; node < end; node++) offer(node, width);
  return sortFound();
}

/** After the ends were read: the block has all that is between them. What the writer has not copied into a larger one, as it was linked, may be anything, and is compared once too often. */
function offerRing(head: u32, tail: u32, width: u32): void {
  const ring = atomic.load<u32>(RING);
  const last = load<u32>(ring) - 1;
  for (let i = head; i != tail; i++) offer(load<u32>(ring + 4 + ((i & last) << 2)), width);
}

function offer(node: u32, width: u32): void {
  if (!isWanted(node) || !visit(node)) return;
  const key = keyOf(near(query(), codeOf(node)), node);
  if (countFound() < width) pushFound(key);
  else if (key > worstFound()) replaceFound(key);
}

/** The first `wanted` of what was found as answers, nearest first. */
export function refine(wanted: u32): void {
  // On their way together, as in a walk.
  if (hasFines()) for (let i: u32 = 0; i < wanted; i++) touchFine(<u32>load<i64>(found() + (i << 3)));
  for (let i: u32 = 0; i < wanted; i++) {
    const key = load<i64>(found() + (i << 3));
    const node = <u32>key;
    const distance = hasFines() ? fineDistance(vectorOf(), node) : codeDistance(nearnessOf(key) + offset);
    let at = answers() + (i << 4);
    while (at > answers() && load<f32>(at - 4) > distance) {
      v128.store(at, v128.load(at - 16));
      at -= 16;
    }
    answer(at, node, distance);
  }
}

let answered: u32 = 0;

/** How many answers the last part of a scan has given. */
export function answeredCount(): u32 {
  return answered;
}

/**
 * Compares the nodes from `first` to before `end`; answers with those that may be as near as `limit`, in any order.
 * @param codeError of a squared distance by codes @param fineError of one by fine vectors
 * @returns the node at which to go on: `end`, or an earlier one when there are `most` answers
 */
export function scan(first: u32, end: u32, limit: f32, codeError: f32, fineError: f32, most: u32): u32 {
  answered = 0;
  const least = nearnessAt(limit + codeError) - offset;
  let node = first;
  for (; node < end && answered < most; node++) {
    if (!isWanted(node)) continue;
    const nearness = near(query(), codeOf(node));
    if (nearness < least) continue;
    let distance: f32 = 0;
    if (hasFines()) {
      distance = fineDistance(vectorOf(), node);
      if (distance > limit + fineError) continue;
    } else {
      distance = codeDistance(nearness + offset);
    }
    answer(answers() + (answered++ << 4), node, distance);
  }
  return node;
}

// @ts-ignore: decorator
@inline function answer(at: usize, node: u32, distance: f32): void {
  store<u32>(at, node);
  store<u32>(at, labelOf(node), 4);
  store<u32>(at, ownerOf(node), 8);
  store<f32>(at, distance, 12);
}
