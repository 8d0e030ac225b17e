/**
 * What all attackers have in common: an attack is drawn from random numbers of its own, so that one can be told by its attacker and its
 * number and done again alone.
 */
import { randomFrom, type Random } from '../index/faces.js';
import type { Fillings } from './methods.js';
import type { CallEnd } from './wire-call.js';

export interface Attack {
  readonly port: number;
  readonly random: Random;
  readonly fillings: Fillings;
  /** For every call, and whatever else was let go, how it ended. */
  readonly ended: (end: CallEnd) => void;
}

export interface Attacker {
  readonly name: string;
  /** Attacks at the same time. */
  readonly lanes: number;
  /** Ends by itself, and leaves nothing open. */
  readonly attack: (attack: Attack) => Promise<void>;
}

/** For what has no end of its own but ours. */
export function wordOf(outcome: string): CallEnd {
  return { outcome, details: '', answerBytes: 0 };
}

/** Random numbers for one attack: those of its neighbours tell nothing of them. */
export function attackRandom(seed: number, attacker: string, iteration: number): Random {
  let state = Math.imul(seed, 0x9e37_79b1) ^ Math.imul(iteration, 0x85eb_ca6b);
  for (const letter of Buffer.from(attacker)) state = Math.imul(state ^ letter, 0x0100_0193);
  const random = randomFrom(state);
  // The first numbers of like states are alike.
  random();
  return random;
}
