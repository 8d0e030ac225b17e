/** Copies a list for as long as it is let, and counts the copies that are neither of the two lists that a writer alternates. */
import { parentPort, workerData } from 'node:worker_threads';
import { EngineMemory } from '../../src/engine/engine-memory.js';

const { memory, list, state } = workerData as { memory: WebAssembly.Memory; list: number; state: Int32Array };
const engine = EngineMemory.open(memory);
const most = engine.code.layout.LINKS;
const to = engine.allocate(4 * (most + 1));
const { words } = engine;
let [copies, torn, even] = [0, 0, 0];
while (Atomics.load(state, 0) === 0) {
  const count = engine.code.copyList(list, most, to);
  const [first] = words.subarray(to / 4 + 1);
  if (words.subarray(to / 4 + 1, to / 4 + 1 + most).some((link) => link !== first) || count !== most) torn++;
  if (first === 2) even++;
  copies++;
}
parentPort?.postMessage({ copies, torn, even });
