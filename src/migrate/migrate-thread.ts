/** The migrating thread, seen from the main thread. A thread that dies makes every waiting call reject with INTERNAL. */
import { Worker } from 'node:worker_threads';
import { HarmonidError } from '../errors.js';
import { ThreadCalls } from '../threads/thread-calls.js';
import type { MigrateCalls, MigrateReply } from './migrate-messages.js';
import type { RolloutProgress } from './rollout.js';

export interface MigrateThread {
  /** Whether it has died, and answers nothing any more. */
  readonly isDead: boolean;
  call<K extends keyof MigrateCalls>(
    kind: K,
    request: MigrateCalls[K]['request'],
    options?: { readonly onProgress?: (progress: RolloutProgress) => void; readonly signal?: AbortSignal | undefined },
  ): Promise<MigrateCalls[K]['answer']>;
  /** Ends the thread, whatever it does. */
  close(): Promise<void>;
}

export function startMigrateThread(): MigrateThread {
  const worker = new Worker(new URL('./migrate-worker.js', import.meta.url));
  const calls = new ThreadCalls(worker);
  const die = (message: string, cause?: unknown): void => {
    calls.endWith(new HarmonidError('INTERNAL', message, { cause }));
  };
  worker.on('error', (cause) => die('the migrating thread has died', cause));
  worker.on('exit', (code) => die(`the migrating thread ended with code ${code}`));
  worker.on('message', (reply: MigrateReply) => calls.take(reply));

  return {
    get isDead() {
      return calls.end !== null;
    },
    // Both ends are compiled together, and nobody else has this channel.
    call: (kind, request, { onProgress, signal } = {}) =>
      calls.call(
        { kind, request },
        { signal, ...(onProgress && { onProgress: (progress) => onProgress(progress as RolloutProgress) }) },
      ) as Promise<never>,
    async close() {
      calls.endWith(new HarmonidError('CLOSED', 'the database is closed'));
      await worker.terminate();
    },
  };
}
