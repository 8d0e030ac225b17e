/**
 * A search: the walk, and the nearest of what it found compared with their fine vectors.
 *
 * An answer is 16 bytes: node, label, owner, and the squared distance (f32); nearest first.
 */
import { beginReading, capacity, codeOf, endReading, labelOf, NONE, ownerOf } from './memory';
import { fineDistance, near, prepare } from './distance';
import {
  answers,
  clearHeaps,
  countFound,
  found,
  keyOf,
  pushFound,
  query,
  replaceFound,
  sortFound,
  vectorOf,
  worstFound,
} from './scratch';
import { descend, isWanted, walk } from './walk';

/** Templates near the vector in the scratch, at most `wanted` of `width` that are walked to. */
export function search(reader: u32, width: u32, wanted: u32): u32 {
  beginReading(reader);
  prepare(vectorOf(), query());
  const from = descend(0);
  let count: u32 = 0;
  if (from != NONE) {
    walk(from, width, 0, false);
    count = refine(sortFound(), wanted);
  }
  endReading(reader);
  return count;
}

/** The same by comparing all codes; what lies between `wanted` and `width` is the room for their error. */
export function scan(reader: u32, width: u32, wanted: u32): u32 {
  beginReading(reader);
  prepare(vectorOf(), query());
  clearHeaps();
  const end = capacity();
  for (let node: u32 = 0; node < end; node++) {
    if (!isWanted(node)) continue;
    const key = keyOf(near(query(), codeOf(node)), node);
    if (countFound() < width) pushFound(key);
    else if (key > worstFound()) replaceFound(key);
  }
  const count = refine(sortFound(), wanted);
  endReading(reader);
  return count;
}

/** The first `wanted` keys of what was found, by their fine vectors. */
function refine(count: u32, wanted: u32): u32 {
  if (wanted < count) count = wanted;
  for (let i: u32 = 0; i < count; i++) {
    const node = <u32>load<i64>(found() + (i << 3));
    const distance = fineDistance(vectorOf(), node);
    let at = answers() + (i << 4);
    while (at > answers() && load<f32>(at - 4) > distance) {
      v128.store(at, v128.load(at - 16));
      at -= 16;
    }
    store<u32>(at, node);
    store<u32>(at, labelOf(node), 4);
    store<u32>(at, ownerOf(node), 8);
    store<f32>(at, distance, 12);
  }
  return count;
}
