/** The calibrating thread, seen from the main thread. */
import { Worker } from 'node:worker_threads';
import { abortError, HarmonidError } from '../errors.js';
import { thawError } from '../threads/frozen-error.js';
import type { CalibrateReply, CalibrateTask } from './calibrate-messages.js';
import type { GalleryFit } from './gallery-fit.js';

export interface CalibrateOptions {
  /** Share of the comparisons that are done. */
  readonly onProgress?: ((share: number) => void) | undefined;
  /** Ends the thread, whatever it does. */
  readonly signal?: AbortSignal | undefined;
}

/** @throws CANCELLED, DEADLINE_EXCEEDED, INTERNAL when the thread dies */
export async function fitInThread(
  task: CalibrateTask,
  { onProgress, signal }: CalibrateOptions = {},
): Promise<GalleryFit> {
  if (signal?.aborted) throw abortError(signal);
  const worker = new Worker(new URL('./calibrate-worker.js', import.meta.url), { workerData: task });
  let abort: (() => void) | undefined;
  // Node leaves files open that a thread was reading when it was ended: it is not ended before its modules are loaded.
  const isLoaded = new Promise<void>((resolve) => {
    worker.once('message', () => resolve());
    worker.once('exit', () => resolve());
  });
  try {
    return await new Promise<GalleryFit>((resolve, reject) => {
      abort = (): void => reject(signal ? abortError(signal) : new HarmonidError('CANCELLED', 'cancelled'));
      signal?.addEventListener('abort', abort, { once: true });
      worker.on('message', (reply: CalibrateReply) => {
        if (reply.kind === 'progress') onProgress?.(reply.share);
        else if (reply.kind === 'fitted') resolve(reply.fit);
        else if (reply.kind === 'failed') reject(thawError(reply.error));
      });
      worker.on('error', (cause) =>
        reject(new HarmonidError('INTERNAL', 'the calibrating thread has died', { cause })),
      );
      worker.on('exit', (code) =>
        reject(new HarmonidError('INTERNAL', `the calibrating thread ended with code ${code}`)),
      );
    });
  } finally {
    if (abort) signal?.removeEventListener('abort', abort);
    void isLoaded.then(() => worker.terminate());
  }
}
