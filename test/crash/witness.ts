/** The witness process as its parent sees it: asked about one directory after the other, and replaced when it dies of one. */
import { Child, type Restore } from './child.js';
import type { Examination, Testimony } from './testimony.js';

export class Witness {
  readonly #restore: Restore;
  #child: Child<Examination, Testimony> | null = null;
  #answer: ((testimony: Testimony) => void) | null = null;

  constructor(restore: Restore) {
    this.#restore = restore;
  }

  /** One at a time. */
  examine(examination: Examination): Promise<Testimony> {
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.#child ??= this.#start();
      this.#child.order(examination);
    });
  }

  async close(): Promise<void> {
    await this.#child?.kill();
  }

  #start(): Child<Examination, Testimony> {
    const child = new Child<Examination, Testimony>('witness-child.js', [], this.#restore, (testimony) => {
      this.#answer?.(testimony);
    });
    void child.ended.then((how) => {
      this.#child = null;
      this.#answer?.({ failure: `the process that opened the directory ended: ${how}` });
    });
    return child;
  }
}
