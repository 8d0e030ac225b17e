/** A thread that links placed templates into the graph beside others, some at a time, until there are none left. An entry point; ends by itself. */
import { workerData } from 'node:worker_threads';
import { EngineMemory } from './engine-memory.js';
import { EngineReader } from './engine-reader.js';
import { linkNode } from './engine-writer.js';
import type { LinkTask } from './link-messages.js';

/** Taken together: so few that all threads end at the same time. */
const portion = 32;

const { memory, reader, nodes, replacements, taken, stop } = workerData as LinkTask;
const engine = EngineMemory.open(memory);
new EngineReader(engine, reader).prepare();
for (;;) {
  const from = Atomics.add(taken, 0, portion);
  if (from >= nodes.length || Atomics.load(stop, 0) !== 0) break;
  // What it meets on its walks must stay.
  engine.code.beginReading(reader);
  for (let i = from; i < Math.min(nodes.length, from + portion); i++)
    linkNode(engine, nodes[i] as number, i < replacements);
  engine.code.endReading(reader);
}
