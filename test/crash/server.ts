/** The server process as its parent sees it: started ahead, opened, killed. */
import { Child, type Restore } from './child.js';
import type { ServerOrder, ServerReport, ServerTask } from './server-messages.js';

export type Opened = Extract<ServerReport, { readonly opened: unknown }>;

export class ServerProcess {
  /** Resolves when it begins to open the directory, or will not. */
  readonly opening: Promise<void>;
  /** Null when it ended, or failed, before. */
  readonly opened: Promise<Opened | null>;
  /** Its address; null when it ended, or failed, before. */
  readonly listening: Promise<string | null>;
  readonly ended: Promise<string>;
  readonly restore: Restore;
  readonly task: ServerTask;
  /** What it complained about. */
  readonly troubles: string[] = [];
  readonly #child: Child<ServerOrder, ServerReport>;

  constructor(restore: Restore, task: ServerTask) {
    this.restore = restore;
    this.task = task;
    let opens!: () => void;
    let opened!: (opened: Opened | null) => void;
    let listens!: (address: string | null) => void;
    this.opening = new Promise((resolve) => (opens = resolve));
    this.opened = new Promise((resolve) => (opened = resolve));
    this.listening = new Promise((resolve) => (listens = resolve));
    const fails = (): void => {
      opens();
      opened(null);
      listens(null);
    };
    this.#child = new Child('server-child.js', [task], restore, (report) => {
      if ('opening' in report) opens();
      else if ('opened' in report) opened(report);
      else if ('listening' in report) listens(report.listening);
      else {
        this.troubles.push(report.trouble);
        fails();
      }
    });
    this.ended = this.#child.ended;
    void this.ended.then(fails);
  }

  open(path: string): void {
    this.#child.order({ open: path });
  }

  /** Begins an orderly stop. */
  close(): void {
    this.#child.order({ close: true });
  }

  /** True when it was this that ended it. */
  async kill(): Promise<boolean> {
    return (await this.#child.kill()) === 'SIGKILL';
  }
}
