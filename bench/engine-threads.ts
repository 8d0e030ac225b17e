/** Searches of one engine by several threads at once, each with an instance of the code on the memory that they share: what hnswlib-node cannot do. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { EngineMemory } from '../src/engine/engine-memory.js';

/** What a thread is given, once. */
export interface ReaderTask {
  readonly memory: WebAssembly.Memory;
  readonly reader: number;
  /** Shape [probes x dimensions], of all threads. Shared. */
  readonly probes: Float32Array;
  readonly dimensions: number;
  /** It takes every `threads`-th probe, from `place` on. */
  readonly place: number;
  readonly threads: number;
}

export interface ReaderOrder {
  readonly width: number;
  readonly k: number;
}

/** Labels of its probes, nearest first. */
export interface ReaderAnswer {
  readonly labels: readonly (readonly number[])[];
}

export interface EngineThreads {
  /** All probes once: wall time of a search, microseconds, and the labels that were found for each probe. */
  search(
    order: ReaderOrder,
  ): Promise<{ readonly microseconds: number; readonly labels: readonly (readonly number[])[] }>;
  close(): Promise<void>;
}

/** @param firstReader numbers from this one on are the threads' */
export function openEngineThreads(
  engine: EngineMemory,
  probes: readonly Float32Array[],
  { threads, firstReader }: { readonly threads: number; readonly firstReader: number },
): EngineThreads {
  const dimensions = probes[0]?.length ?? 0;
  const shared = new Float32Array(new SharedArrayBuffer(4 * dimensions * probes.length));
  probes.forEach((probe, i) => shared.set(probe, i * dimensions));
  const workers = Array.from({ length: threads }, (_, place) => {
    const workerData: ReaderTask = {
      memory: engine.memory,
      reader: firstReader + place,
      probes: shared,
      dimensions,
      place,
      threads,
    };
    return new Worker(new URL('./engine-thread.js', import.meta.url), { workerData });
  });
  return {
    async search(order) {
      const startedMs = performance.now();
      const answers = await Promise.all(
        workers.map(async (worker) => {
          const answer = once(worker, 'message') as Promise<[ReaderAnswer]>;
          worker.postMessage(order);
          return (await answer)[0];
        }),
      );
      const microseconds = (1000 * (performance.now() - startedMs)) / probes.length;
      const labels = probes.map((_, i) => answers[i % threads]?.labels[Math.floor(i / threads)] ?? []);
      return { microseconds, labels };
    },
    async close() {
      for (const worker of workers) await worker.terminate();
    },
  };
}
