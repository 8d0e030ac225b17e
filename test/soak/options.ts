/** What the soak is told. */

export interface SoakOptions {
  /** How long the load goes on, without the start, the rest and the end. Memory is judged from five minutes on. */
  readonly minutes: number;
  /** Decides what is asked and in which order; the machine decides what meets what. */
  readonly seed: number;
}
