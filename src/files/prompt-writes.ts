/**
 * Writes that are done at once as long as the disk takes them at once.
 *
 * To hand a line to another thread takes ten times as long as to give it to the operating system, and on a busy machine that thread waits for a core. But a disk that is
 * full of other work may hold up whoever writes, and with him the event loop. So a write that was slow sends those of the next while to another thread.
 */
import { writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

/** Longer than a write takes that only has to be copied, milliseconds. */
const promptMsMax = 5;
/** How long a disk that was slow is not trusted, milliseconds. */
const distrustMs = 10_000;

export class PromptWrites {
  readonly #nowMs: () => number;
  #distrustedUntilMs = 0;

  /** @param nowMs a clock that never goes back */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  get isTrusting(): boolean {
    return this.#nowMs() >= this.#distrustedUntilMs;
  }

  /** All of `bytes`, from byte `at` of the file on. Rejects with the error of the system; some may be written then. */
  async write(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
    for (let written = 0; written < bytes.length;) {
      const [left, position] = [bytes.length - written, at + written];
      written += this.isTrusting
        ? this.#writeAtOnce(handle, bytes, written, left, position)
        : (await handle.write(bytes, written, left, position)).bytesWritten;
    }
  }

  #writeAtOnce(handle: FileHandle, ...what: readonly [Uint8Array, number, number, number]): number {
    const startedMs = this.#nowMs();
    try {
      return writeSync(handle.fd, ...what);
    } finally {
      const nowMs = this.#nowMs();
      if (nowMs - startedMs > promptMsMax) this.#distrustedUntilMs = nowMs + distrustMs;
    }
  }
}
