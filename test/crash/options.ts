/** What the crash test is told. */

export interface CrashOptions {
  /** Processes to kill. More find rarer moments. */
  readonly kills: number;
  /** Decides what is done and when the kill is wanted; the machine decides what it hits. */
  readonly seed: number;
  /** Clients at the same time, each with people of its own. More share flushes, and leave more in flight. */
  readonly concurrency: number;
}
