/**
 * When a walk may stop before its width is full: the nearest owners that it has met, and how far the k-th of them is.
 *
 * A walk that goes on until nothing open is nearer than the worst of its finds takes as long for somebody who was found at once as for a stranger. It may also stop when the nearest
 * that is open is farther away than the k-th nearest owner by a factor (Al-Jazzazi et al., "Distance Adaptive Beam Search", 2025, arXiv:2505.15636, algorithm 3): what lies behind it
 * could only be nearer if the way there led that far around. Distances by codes.
 */
import { CODE_ERROR, dims, ownerOf } from './memory';
import { codeDistance, nearnessAt } from './distance';
import { keyOf, keys, nearnessOf } from './scratch';

/** Of squared distances: some 1.22 of distances. */
const SLACK: f32 = 1.5;
/** More owners than that are never certain. */
export const CERTAIN_MAX: u32 = 32;

let wanted: u32 = 0;
/** What distances by codes are off by, more or less: the error of a code points anywhere, and seldom to the query. */
let noise: f32 = 0;
let offset: i32 = 0;
let known: u32 = 0;
let last: i64 = i64.MIN_VALUE;
let end: i64 = i64.MIN_VALUE;

/** For the next walk. @param owners 0: it goes on for as long as its width lets it @param add offset of the query */
export function expectOwners(owners: u32, add: i32): void {
  wanted = owners > CERTAIN_MAX ? 0 : owners;
  offset = add;
  noise = 2 * load<f32>(CODE_ERROR) / sqrt<f32>(<f32>dims());
  known = 0;
  last = i64.MIN_VALUE;
  end = i64.MIN_VALUE;
}

/** Whether a walk whose nearest open node has this key may stop. */
// @ts-ignore: decorator
@inline export function isCertain(key: i64): bool {
  return key < end;
}

/** Of a template that may be found. */
// @ts-ignore: decorator
@inline export function meet(key: i64): void {
  if (wanted > 0 && key > last) note(key);
}

// @ts-ignore: decorator
@inline function keyAt(place: u32): usize {
  return keys() + (place << 3);
}
// @ts-ignore: decorator
@inline function ownerAt(place: u32): usize {
  return keys() + (CERTAIN_MAX << 3) + (place << 2);
}

/** Each owner stands there once, by the nearest template; nearest first. */
function note(key: i64): void {
  const owner = ownerOf(<u32>key);
  let place: u32 = 0;
  while (place < known && load<u32>(ownerAt(place)) != owner) place++;
  if (place < known) {
    if (key <= load<i64>(keyAt(place))) return;
  } else if (known < wanted) {
    known++;
  } else {
    place = known - 1;
  }
  for (; place > 0 && load<i64>(keyAt(place - 1)) < key; place--) {
    store<i64>(keyAt(place), load<i64>(keyAt(place - 1)));
    store<u32>(ownerAt(place), load<u32>(ownerAt(place - 1)));
  }
  store<i64>(keyAt(place), key);
  store<u32>(ownerAt(place), owner);
  if (known < wanted) return;
  last = load<i64>(keyAt(known - 1));
  end = keyOf(nearnessAt(codeDistance(nearnessOf(last) + offset) * SLACK + noise) - offset, 0);
}
