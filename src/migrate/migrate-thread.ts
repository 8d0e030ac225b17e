/** The migrating thread, seen from the main thread. A thread that dies makes every waiting call reject with INTERNAL. */
import { Worker } from 'node:worker_threads';
import { asHarmonidError, HarmonidError } from '../errors.js';
import type { MigrateCalls, MigrateReply } from './migrate-messages.js';
import type { RolloutProgress } from './rollout.js';

export interface MigrateThread {
  call<K extends keyof MigrateCalls>(
    kind: K,
    request: MigrateCalls[K]['request'],
    options?: { readonly onProgress?: (progress: RolloutProgress) => void; readonly signal?: AbortSignal | undefined },
  ): Promise<MigrateCalls[K]['answer']>;
  /** Ends the thread, whatever it does. */
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: ((progress: RolloutProgress) => void) | undefined;
}

export function startMigrateThread(): MigrateThread {
  const worker = new Worker(new URL('./migrate-worker.js', import.meta.url));
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let death: HarmonidError | null = null;

  const die = (code: 'INTERNAL' | 'CLOSED', message: string, cause?: unknown): void => {
    death ??= new HarmonidError(code, message, { cause });
    for (const { reject } of waiting.values()) reject(death);
    waiting.clear();
  };
  worker.on('error', (cause) => die('INTERNAL', 'the migrating thread has died', cause));
  worker.on('exit', (code) => die('INTERNAL', `the migrating thread ended with code ${code}`));
  worker.on('message', ({ id, answer, progress, error }: MigrateReply) => {
    const call = waiting.get(id);
    if (progress) {
      call?.onProgress?.(progress);
      return;
    }
    waiting.delete(id);
    if (waiting.size === 0) worker.unref();
    if (error)
      call?.reject(new HarmonidError(error.code, error.message, { details: error.details, cause: error.stack }));
    else call?.resolve(answer);
  });
  worker.unref();

  return {
    call(kind, request, { onProgress, signal } = {}) {
      if (death) return Promise.reject(death);
      if (signal?.aborted) return Promise.reject(asHarmonidError(signal.reason));
      return new Promise((resolve, reject) => {
        const id = ++lastId;
        const abort = (): void => worker.postMessage({ id, kind: 'abort' });
        signal?.addEventListener('abort', abort, { once: true });
        const done = (): void => signal?.removeEventListener('abort', abort);
        waiting.set(id, {
          resolve: (answer) => {
            done();
            resolve(answer as never);
          },
          reject: (error) => {
            done();
            reject(error);
          },
          onProgress,
        });
        if (waiting.size === 1) worker.ref();
        worker.postMessage({ id, kind, request });
      });
    },
    async close() {
      die('CLOSED', 'the database is closed');
      await worker.terminate();
    },
  };
}
