/**
 * How an index ends and begins again, and what happens to its files between: drawn with the plan, done by the restart.
 */
import { pick, type Random } from '../index/faces.js';
import type { Write } from './plan.js';

/**
 * `close` is the orderly way. The others are SIGKILL: while nothing happens, after so many acknowledgements of a batch of writes, within a
 * checkpoint, within closing, and within the opening that follows.
 */
export type Restart =
  | { readonly kind: 'close'; readonly isSameProcess: boolean; readonly neighbour: Neighbour }
  | { readonly kind: 'kill'; readonly neighbour: Neighbour }
  | { readonly kind: 'kill-in-writes'; readonly writes: readonly Write[]; readonly acknowledged: number }
  | { readonly kind: 'kill-in-checkpoint'; readonly afterMs: number }
  | { readonly kind: 'kill-in-close'; readonly afterMs: number }
  | { readonly kind: 'kill-in-open'; readonly afterMs: number };

/**
 * Another process at the same directory. `rival` tries to open it while it is held; `reader` opens it read-only while nobody holds it;
 * `race` tries to open it at the same moment as the successor.
 */
export type Neighbour = 'none' | 'rival' | 'reader' | 'race';

export type GraphDamage = 'flip' | 'cut' | 'empty' | 'missing' | 'swap' | 'stale' | 'no-folder';

/** What befalls the files while nobody has them open. */
export type Damage =
  | { readonly kind: 'none' }
  | { readonly kind: 'litter'; readonly names: readonly string[] }
  | {
      readonly kind: 'graphs';
      readonly damage: GraphDamage;
      readonly rank: number;
      readonly place: number;
      readonly bit: number;
    }
  /** Done to copies, one flip each; the run goes on with the directory as it was. */
  | { readonly kind: 'data'; readonly flips: readonly Flip[] };

/** One bit of the data file: `page` and `place` are ranks in [0, 1). */
export interface Flip {
  /** `meta` chooses among the first two pages, `any` among all. */
  readonly where: 'meta' | 'any';
  readonly page: number;
  readonly place: number;
  readonly bit: number;
}

export function planRestart(random: Random, writes: readonly Write[]): Restart {
  const dice = random();
  if (dice < 0.45) {
    const neighbour = pick(random, ['none', 'none', 'rival', 'reader', 'race'] as const) ?? 'none';
    return { kind: 'close', isSameProcess: random() < 0.7, neighbour };
  }
  if (dice < 0.6) return { kind: 'kill', neighbour: pick(random, ['none', 'rival', 'race'] as const) ?? 'none' };
  if (dice < 0.8) {
    return { kind: 'kill-in-writes', writes, acknowledged: Math.floor(random() * (writes.length + 1)) };
  }
  if (dice < 0.88) return { kind: 'kill-in-checkpoint', afterMs: random() * 8 };
  return { kind: dice < 0.94 ? 'kill-in-close' : 'kill-in-open', afterMs: random() * 20 };
}

export function planDamage(random: Random): Damage {
  const dice = random();
  if (dice < 0.4) return { kind: 'none' };
  if (dice < 0.5) {
    const number = Math.floor(random() * 1e9);
    return { kind: 'litter', names: [`.part-${number}`, `1-1-${number}.hnsw`].slice(0, 1 + Math.floor(random() * 2)) };
  }
  if (dice < 0.8) {
    const damage = pick(random, ['flip', 'flip', 'cut', 'empty', 'missing', 'swap', 'stale', 'no-folder'] as const);
    return {
      kind: 'graphs',
      damage: damage ?? 'flip',
      rank: random(),
      place: random(),
      bit: Math.floor(random() * 8),
    };
  }
  return { kind: 'data', flips: Array.from({ length: 4 }, () => planFlip(random)) };
}

export function planFlip(random: Random): Flip {
  const where = random() < 0.15 ? 'meta' : 'any';
  // Half of the flips fall into the header and the first offsets of a page, where its structure is.
  const place = random() < 0.5 ? random() * 0.02 : random();
  return { where, page: random(), place, bit: Math.floor(random() * 8) };
}
