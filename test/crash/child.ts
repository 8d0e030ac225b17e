/**
 * A process of the crash test: started from a file beside this one, told orders, listened to, killed.
 *
 * Promises: it is not left behind when this process ends (its channel closes, and it ends itself); `ended` settles once, after
 * the last report was handed on.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { env } from 'node:process';

/** How a data directory is opened: as it lies there, or as it would lie there after a power loss. */
export type Restore = 'as it is' | 'power loss';

export class Child<Order extends object, Report> {
  /** How it ended: the signal, or the exit code. */
  readonly ended: Promise<string>;
  readonly #process: ChildProcess;

  /** @param entry the compiled file's name */
  constructor(entry: string, args: readonly string[], restore: Restore, onReport: (report: Report) => void) {
    const { LMDB_RESTORE: _, ...plain } = env;
    this.#process = fork(new URL(`./${entry}`, import.meta.url), [...args], {
      // lmdb-js goes back to the last transaction that was flushed, as if the system had been started anew since.
      env: restore === 'power loss' ? { ...plain, LMDB_RESTORE: 'safe' } : plain,
      serialization: 'advanced',
    });
    this.#process.on('message', (report) => onReport(report as Report));
    this.ended = new Promise((resolve) => {
      this.#process.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
      this.#process.on('error', (error) => resolve(error.message));
    });
  }

  order(order: Order): void {
    // Whoever is dead already is told nothing; `ended` says so.
    this.#process.send(order, () => undefined);
  }

  /** Resolves when the kernel has ended it. */
  async kill(): Promise<string> {
    this.#process.kill('SIGKILL');
    return this.ended;
  }
}
