/** What a fuzz run is told. */

/** One attack of an earlier run, to be done again and again instead of all others. */
export interface Replay {
  readonly attacker: string;
  readonly iteration: number;
}

export interface FuzzOptions {
  /** How long attacks go on, seconds; the quiet after each round comes on top. */
  readonly seconds: number;
  /** Equal parts of that time. The first warms the server up; floors of memory of the others are compared. At least 3. */
  readonly rounds: number;
  /** Decides every attack; how they fall together is the machine's choice. */
  readonly seed: number;
  readonly replay?: Replay | undefined;
  /** Of the server: how soon it notices that a client is gone, which the end of a run waits for. Default: the server's own. */
  readonly keepaliveSeconds?: number | undefined;
}
