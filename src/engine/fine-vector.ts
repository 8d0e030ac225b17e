/** A vector as the engine keeps it beside its code: int16 steps of a unit of its own, the largest number at 32,767. As `encode` in assembly/distance.ts, byte by byte. */
export function fineVectorBytes(vector: Float32Array): Buffer {
  const largest = vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const unit = largest === 0 ? 1 : Math.fround(largest / 32_767);
  const steps = Int16Array.from(vector, (value) => {
    const exact = Math.fround(value / unit);
    const below = Math.floor(exact);
    const rest = exact - below;
    const isUp = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
    return Math.max(-32_767, Math.min(32_767, isUp ? below + 1 : below));
  });
  return Buffer.from(steps.buffer);
}
