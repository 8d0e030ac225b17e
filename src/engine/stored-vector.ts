/** What the engine keeps of a vector, byte by byte as `encode` in assembly/distance.ts makes it. */
import type { Quantiser } from './quantiser.js';

const codeMax = 127;
const fineMax = 32_767;

/** Its code: int8 steps from the centre of each dimension. @param vector shape [dimensions] */
export function codeBytes(vector: Float32Array, { centre, scale }: Pick<Quantiser, 'centre' | 'scale'>): Int8Array {
  return Int8Array.from(vector, (value, i) => {
    const step = scale[i] as number;
    if (step === 0) return 0;
    return stepOf(Math.fround(Math.fround(value - (centre[i] as number)) / step), codeMax);
  });
}

/** Its fine vector: int16 steps of a unit of its own, the largest number at 32,767. */
export function fineVectorBytes(vector: Float32Array): Buffer {
  const largest = vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const unit = largest === 0 ? 1 : Math.fround(largest / fineMax);
  const steps = Int16Array.from(vector, (value) => stepOf(Math.fround(value / unit), fineMax));
  return Buffer.from(steps.buffer);
}

/** To the nearest whole number, of two the even one, cut at `most`. */
function stepOf(exact: number, most: number): number {
  const below = Math.floor(exact);
  const rest = exact - below;
  const isUp = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
  return Math.max(-most, Math.min(most, isUp ? below + 1 : below));
}
