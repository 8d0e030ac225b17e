/**
 * Everything that waits for being linked, linked by several threads at once: how a gallery is loaded.
 *
 * Searches go on meanwhile, and the writer adds and removes; it links and mends nothing until this is done.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { abortError, HarmonidError } from '../errors.js';
import type { EngineMemory } from './engine-memory.js';
import type { EngineWriter } from './engine-writer.js';
import type { LinkTask } from './link-messages.js';

export interface LinkingOptions {
  /** One to a core. */
  readonly threads: number;
  /** Readers' numbers from this one on are the threads'. */
  readonly firstReader: number;
  readonly signal?: AbortSignal | undefined;
}

/** @throws CANCELLED with some of them linked, and all still said to wait; INTERNAL, likewise, when threads cannot be started, or die: nothing stays held */
export async function linkInThreads(
  engine: EngineMemory,
  writer: EngineWriter,
  { threads, firstReader, signal }: LinkingOptions,
): Promise<void> {
  const { nodes, replacements, linked } = writer.handOver();
  const shared = new Uint32Array(new SharedArrayBuffer(4 * nodes.length));
  shared.set(nodes);
  const [taken, stop] = [0, 1].map(() => new Int32Array(new SharedArrayBuffer(4))) as [Int32Array, Int32Array];
  const abort = (): void => void Atomics.store(stop, 0, 1);
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  try {
    const ends = Array.from({ length: threads }, async (_, i) => {
      const workerData: LinkTask = {
        memory: engine.memory,
        reader: firstReader + i,
        nodes: shared,
        replacements,
        taken,
        stop,
      };
      const worker = new Worker(new URL('./link-worker.js', import.meta.url), { workerData });
      const [code] = await once(worker, 'exit');
      if (code !== 0) throw new HarmonidError('INTERNAL', `a linking thread ended with code ${String(code)}`);
    });
    const failed = (await Promise.allSettled(ends)).find((end) => end.status === 'rejected');
    if (failed) {
      writer.recover(firstReader, threads);
      throw new HarmonidError('INTERNAL', 'a linking thread has died', { cause: failed.reason });
    }
  } finally {
    signal?.removeEventListener('abort', abort);
  }
  if (signal?.aborted) throw abortError(signal);
  linked();
}
