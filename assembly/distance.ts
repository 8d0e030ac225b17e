/**
 * How near vectors are, in whole numbers.
 *
 * A vector x is kept as int8 codes: x = centre + scale * code, in each dimension. All vectors have length 1, so that |q - x|² = 2 - 2 q.x, and the nearest are those with the
 * largest product. q.x = q.centre + sum of (q * scale) * code: the query is prepared once as int16 numbers `q * scale * step`, and a product of int16 and int8 gives the order (`near`),
 * the larger the nearer. With `q.centre * step` added, nearnesses of different queries are comparable. The result is exact for the codes; what rounding has cost is mended by the fine vectors
 * (int16, with a scale of its own for each vector), whose error in a squared distance is some 1e-5, and below 1e-4.
 *
 * Where vectors are turned, all of this is about turned ones, whose products are the same. Then a code has a head of HEAD bytes, a line of cache, whose last one is no number of the vector (queries have 0 there)
 * but the length of the tail in TAIL_UNITs, rounded up. By Cauchy and Schwarz the tail adds at most the product of both tails' lengths: `headBound` says how near the whole can be.
 */
import {
  centreOf,
  CODE_ERROR,
  codeOf,
  dims,
  FINE_ERROR,
  FINE_HEAD,
  fineOf,
  hasFines,
  isTurned,
  scaleOf,
  stepOf,
  turnAt,
} from './memory';
import { turned } from './scratch';

/** Bytes of a code that are judged first. */
const HEAD: u32 = 64;
/** No tail is longer than 2: vectors and centres have at most length 1. */
const TAIL_UNIT: f32 = 2.0 / 255.0;

/** Of the query that was prepared last: what a unit of tail may add, and what its rounded numbers may. */
let tailFactor: i32 = 0;
let tailRounding: i32 = 0;

/** How near the whole can be, from a head's nearness, in the order of `near`. */
// @ts-ignore: decorator
@inline export function headBound(head: i32, code: usize): i32 {
  return head + tailFactor * <i32>load<u8>(code, HEAD - 1) + tailRounding;
}

// @ts-ignore: decorator
@inline export function nearHead(query: usize, code: usize): i32 {
  const c0 = v128.load(code);
  const c1 = v128.load(code, 16);
  let a = i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(c0), v128.load(query));
  let b = i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(c0), v128.load(query, 16));
  a = i32x4.add(a, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(c1), v128.load(query, 32)));
  b = i32x4.add(b, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(c1), v128.load(query, 48)));
  const c2 = v128.load(code, 32);
  const c3 = v128.load(code, 48);
  a = i32x4.add(a, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(c2), v128.load(query, 64)));
  b = i32x4.add(b, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(c2), v128.load(query, 80)));
  a = i32x4.add(a, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(c3), v128.load(query, 96)));
  b = i32x4.add(b, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(c3), v128.load(query, 112)));
  a = i32x4.add(a, b);
  return (
    i32x4.extract_lane(a, 0) + i32x4.extract_lane(a, 1) + i32x4.extract_lane(a, 2) + i32x4.extract_lane(a, 3)
  );
}
// @ts-ignore: decorator
@inline export function nearTail(query: usize, code: usize): i32 {
  return nearOf(query + 2 * HEAD, code + HEAD, code + dims());
}

/** @param query int16[dims] @param code int8[dims] */
export function near(query: usize, code: usize): i32 {
  return nearOf(query, code, code + dims());
}

// @ts-ignore: decorator
@inline function nearOf(query: usize, code: usize, end: usize): i32 {
  let a = i32x4.splat(0);
  let b = i32x4.splat(0);
  do {
    const codes = v128.load(code);
    a = i32x4.add(a, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(codes), v128.load(query)));
    b = i32x4.add(b, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(codes), v128.load(query, 16)));
    code += 16;
    query += 32;
  } while (code < end);
  a = i32x4.add(a, b);
  return (
    i32x4.extract_lane(a, 0) + i32x4.extract_lane(a, 1) + i32x4.extract_lane(a, 2) + i32x4.extract_lane(a, 3)
  );
}

/** No vector of length 1 needs more, with the steps that the host learns; another one is cut, not wrapped. */
// @ts-ignore: decorator
@inline function int16(value: f32): i16 {
  return <i16>max<f32>(-32767, min<f32>(32767, nearest<f32>(value)));
}

/** A vector as codes are made of it: turned, where that is done. */
function turnedOf(vector: usize): usize {
  if (!isTurned()) return vector;
  let row = turnAt();
  for (let i: u32 = 0; i < dims(); i++) {
    let a = f32x4.splat(0);
    let b = f32x4.splat(0);
    for (let j: u32 = 0; j < dims() << 2; j += 32) {
      a = f32x4.add(a, f32x4.mul(v128.load(row + j), v128.load(vector + j)));
      b = f32x4.add(b, f32x4.mul(v128.load(row + j, 16), v128.load(vector + j, 16)));
    }
    a = f32x4.add(a, b);
    store<f32>(
      turned() + (i << 2),
      f32x4.extract_lane(a, 0) + f32x4.extract_lane(a, 1) + f32x4.extract_lane(a, 2) + f32x4.extract_lane(a, 3),
    );
    row += dims() << 2;
  }
  return turned();
}

/** A vector (f32[dims]) as a query (int16[dims]), of which bounds are told from now on. Returns what makes its nearnesses comparable with those of others. */
export function prepare(vector: usize, query: usize): i32 {
  const values = turnedOf(vector);
  let offset: f32 = 0;
  let tail: f32 = 0;
  for (let i: u32 = 0; i < dims(); i++) {
    const value = load<f32>(values + (i << 2));
    offset += value * centreOf(i);
    if (i >= HEAD) tail += value * value;
    store<i16>(query + (i << 1), int16(value * scaleOf(i) * stepOf()));
  }
  boundBy(tail);
  return <i32>nearest<f32>(offset * stepOf());
}

/** @param tail squared length of the query's tail */
function boundBy(tail: f32): void {
  tailFactor = <i32>ceil<f32>(sqrt<f32>(tail) * stepOf() * TAIL_UNIT) + 1;
  tailRounding = dims() > HEAD ? <i32>((dims() - HEAD) * 64) : 0;
}

/** What a code stands for, as a query. Bounds stay those of the query before. */
export function prepareCode(code: usize, query: usize): i32 {
  let offset: f32 = 0;
  for (let i: u32 = 0; i < dims(); i++) {
    const scale = scaleOf(i);
    const value = centreOf(i) + scale * <f32>load<i8>(code + i);
    offset += value * centreOf(i);
    store<i16>(query + (i << 1), int16(value * scale * stepOf()));
  }
  return <i32>nearest<f32>(offset * stepOf());
}

/** Writes the code and the fine vector of a node that no list names yet. */
export function encode(vector: usize, node: u32): void {
  const code = codeOf(node);
  const values = turnedOf(vector);
  let largest: f32 = 0;
  let missed: f32 = 0;
  let whole: f32 = 0;
  let kept: f32 = 0;
  let tail: f32 = 0;
  for (let i: u32 = 0; i < dims(); i++) {
    const plain = load<f32>(vector + (i << 2));
    largest = max<f32>(largest, abs<f32>(plain));
    whole += plain * plain;
    const value = load<f32>(values + (i << 2));
    kept += value * value;
    const scale = scaleOf(i);
    const steps: f32 = scale == 0 ? 0 : max<f32>(-127, min<f32>(127, nearest<f32>((value - centreOf(i)) / scale)));
    store<i8>(code + i, <i8>steps);
    if (i >= HEAD) tail += scale * steps * (scale * steps);
    const error = value - (centreOf(i) + scale * steps);
    missed += error * error;
  }
  if (isTurned()) {
    store<u8>(code, <u8>min<f32>(255, ceil<f32>(sqrt<f32>(tail) / TAIL_UNIT)), HEAD - 1);
    // What the axis without a byte has taken.
    missed += max<f32>(0, whole - kept);
  }
  raise(CODE_ERROR, missed);
  if (!hasFines()) return;
  const fine = fineOf(node);
  const unit: f32 = largest == 0 ? 1 : largest / 32767;
  store<f32>(fine, unit);
  missed = 0;
  for (let i: u32 = 0; i < dims(); i++) {
    const value = load<f32>(vector + (i << 2));
    const steps = int16(value / unit);
    store<i16>(fine + FINE_HEAD + (i << 1), steps);
    const error = value - unit * <f32>steps;
    missed += error * error;
  }
  raise(FINE_ERROR, missed);
}

/** Only the one writer does. @param squared what the greatest error is at least */
// @ts-ignore: decorator
@inline function raise(at: usize, squared: f32): void {
  const error = sqrt<f32>(squared);
  if (error > load<f32>(at)) store<f32>(at, error);
}

/** The template of a node as a query, as exactly as it is here. @param vector f32[dims] to work with */
export function prepareNode(node: u32, vector: usize, query: usize): i32 {
  if (!hasFines()) {
    const code = codeOf(node);
    let tail: f32 = 0;
    for (let i = HEAD; i < dims(); i++) {
      const value = centreOf(i) + scaleOf(i) * <f32>load<i8>(code + i);
      tail += value * value;
    }
    boundBy(tail);
    return prepareCode(code, query);
  }
  const fine = fineOf(node);
  const unit = load<f32>(fine);
  for (let i: u32 = 0; i < dims(); i++)
    store<f32>(vector + (i << 2), unit * <f32>load<i16>(fine + FINE_HEAD + (i << 1)));
  return prepare(vector, query);
}

/** Squared L2 of unit vectors by the code alone. @param nearness with its query's offset */
// @ts-ignore: decorator
@inline export function codeDistance(nearness: i32): f32 {
  return max<f32>(0, 2 - 2 * (<f32>nearness / stepOf()));
}
/** The nearness that a code has at a distance, or more. No nearness, with its offset, is below -2^30. */
// @ts-ignore: decorator
@inline export function nearnessAt(distance: f32): i32 {
  const nearness = (1 - <f64>distance / 2) * <f64>stepOf();
  return nearness < -1073741824 ? -1073741824 : <i32>floor(nearness);
}

/** Squared L2 from a vector (f32[dims]) to the fine vector of a node. */
export function fineDistance(vector: usize, node: u32): f32 {
  let at = fineOf(node);
  const unit = f32x4.splat(load<f32>(at));
  at += FINE_HEAD;
  let sum = f32x4.splat(0);
  const end = at + (dims() << 1);
  do {
    const steps = v128.load(at);
    const low = f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(steps));
    const high = f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(steps));
    const first = f32x4.sub(v128.load(vector), f32x4.mul(low, unit));
    const second = f32x4.sub(v128.load(vector, 16), f32x4.mul(high, unit));
    sum = f32x4.add(sum, f32x4.add(f32x4.mul(first, first), f32x4.mul(second, second)));
    at += 16;
    vector += 32;
  } while (at < end);
  return (
    f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 1) + f32x4.extract_lane(sum, 2) + f32x4.extract_lane(sum, 3)
  );
}
