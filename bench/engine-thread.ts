/** One of several threads that search a shared engine. See engine-threads.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { EngineMemory } from '../src/engine/engine-memory.js';
import { EngineReader } from '../src/engine/engine-reader.js';
import type { ReaderAnswer, ReaderOrder, ReaderTask } from './engine-threads.js';

const { memory, reader, probes, dimensions, place, threads } = workerData as ReaderTask;
const engine = new EngineReader(EngineMemory.open(memory), reader);

parentPort?.on('message', (order: ReaderOrder) => {
  const labels: (readonly number[])[] = [];
  for (let at = place * dimensions; at < probes.length; at += threads * dimensions) {
    const hits = engine.nearest({ vector: probes.subarray(at, at + dimensions), ...order });
    labels.push((hits ?? []).map(({ label }) => label));
  }
  parentPort?.postMessage({ labels } satisfies ReaderAnswer);
});
