/**
 * How near vectors are, in whole numbers.
 *
 * A vector x is kept as int8 codes: x = centre + scale * code, in each dimension. All vectors have length 1, so that |q - x|² = 2 - 2 q.x, and the nearest are those with the
 * largest product. q.x = q.centre + sum of (q * scale) * code: the query is prepared once as int16 numbers `q * scale * step`, and a product of int16 and int8 gives the order (`near`),
 * the larger the nearer. With `q.centre * step` added, nearnesses of different queries are comparable. The result is exact for the codes; what rounding has cost is mended by the fine vectors
 * (int16, with a scale of its own for each vector), whose error in a squared distance is some 1e-5, and below 1e-4.
 */
import { centreOf, CODE_ERROR, codeOf, dims, FINE_ERROR, FINE_HEAD, fineOf, hasFines, scaleOf, stepOf } from './memory';

/** @param query int16[dims] @param code int8[dims] */
export function near(query: usize, code: usize): i32 {
  let a = i32x4.splat(0);
  let b = i32x4.splat(0);
  const end = code + dims();
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

/** A vector (f32[dims]) as a query (int16[dims]). Returns what makes its nearnesses comparable with those of others. */
export function prepare(vector: usize, query: usize): i32 {
  let offset: f32 = 0;
  for (let i: u32 = 0; i < dims(); i++) {
    const value = load<f32>(vector + (i << 2));
    offset += value * centreOf(i);
    store<i16>(query + (i << 1), int16(value * scaleOf(i) * stepOf()));
  }
  return <i32>nearest<f32>(offset * stepOf());
}

/** What a code stands for, as a query. */
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
  let largest: f32 = 0;
  let missed: f32 = 0;
  for (let i: u32 = 0; i < dims(); i++) {
    const value = load<f32>(vector + (i << 2));
    largest = max<f32>(largest, abs<f32>(value));
    const scale = scaleOf(i);
    const steps: f32 = scale == 0 ? 0 : max<f32>(-127, min<f32>(127, nearest<f32>((value - centreOf(i)) / scale)));
    store<i8>(code + i, <i8>steps);
    const error = value - (centreOf(i) + scale * steps);
    missed += error * error;
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

/** The vector of a node, as exactly as it is here, as f32[dims]. */
export function unfold(node: u32, to: usize): void {
  if (!hasFines()) {
    const code = codeOf(node);
    for (let i: u32 = 0; i < dims(); i++)
      store<f32>(to + (i << 2), centreOf(i) + scaleOf(i) * <f32>load<i8>(code + i));
    return;
  }
  const fine = fineOf(node);
  const unit = load<f32>(fine);
  for (let i: u32 = 0; i < dims(); i++)
    store<f32>(to + (i << 2), unit * <f32>load<i16>(fine + FINE_HEAD + (i << 1)));
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
