/**
 * Seeded random numbers: the same seed gives the same run on every machine.
 *
 * xoshiro128** (Blackman and Vigna, 2021), seeded through splitmix32; normal variates by Box and Muller (1958).
 */
export interface Random {
  /** Uniform in [0, 1), 32 bits. */
  uniform(): number;
  /** Uniform whole number in [0, limit). */
  below(limit: number): number;
  /** Standard normal. */
  normal(): number;
}

export function makeRandom(seed: number): Random {
  let mixed = seed >>> 0;
  const splitmix = (): number => {
    mixed = (mixed + 0x9e3779b9) >>> 0;
    let z = mixed;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let [a, b, c, d] = [splitmix(), splitmix(), splitmix(), splitmix()];
  const rotate = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));

  const uniform = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result / 0x100000000;
  };
  // Box and Muller make two at a time.
  let spare: number | undefined;
  const normal = (): number => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  return { uniform, below: (limit) => Math.floor(uniform() * limit), normal };
}

/** In an order drawn by lot (Fisher and Yates). */
export function shuffled<Item>(items: readonly Item[], random: Random): readonly Item[] {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const other = random.below(i + 1);
    [order[i], order[other]] = [order[other] as Item, order[i] as Item];
  }
  return order;
}
