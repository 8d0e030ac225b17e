/**
 * Whether distances have moved: those in the new space of live probes that the old space finds, lately against at first. Only of these, because who else
 * comes to a door (strangers at night) says nothing of the model. Kept in memory: after a restart it begins anew.
 */
export class ScoreWatch {
  readonly #window: number;
  readonly #first: number[] = [];
  readonly #lately: number[] = [];

  /** @param window how many make a mean */
  constructor(window = 200) {
    this.#window = window;
  }

  add(distance: number): void {
    if (this.#first.length < this.#window) {
      this.#first.push(distance);
      return;
    }
    this.#lately.push(distance);
    if (this.#lately.length > this.#window) this.#lately.shift();
  }

  /** The mean of the latest over that of the first; null before there are enough of either. */
  get ratio(): number | null {
    if (this.#lately.length < this.#window) return null;
    return mean(this.#lately) / mean(this.#first);
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
