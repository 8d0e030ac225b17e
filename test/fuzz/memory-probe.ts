/**
 * Loaded into the server's process before the server (`node --expose-gc --import`): collects garbage when asked and tells what is left.
 *
 * It does nothing by itself but end a server whose fuzz run has died, and does not keep the process alive.
 */
import process from 'node:process';
import { setImmediate } from 'node:timers/promises';

/** What a collection left, bytes: of the main thread's objects, and of what they hold outside of V8's heap. */
export interface Remains {
  readonly heapBytes: number;
  readonly externalBytes: number;
}

async function collect(): Promise<Remains> {
  // What a finalizer lets go of is found by the next collection only.
  for (let turn = 0; turn < 4; turn++) {
    globalThis.gc?.();
    await setImmediate();
  }
  const { heapUsed, external } = process.memoryUsage();
  return { heapBytes: heapUsed, externalBytes: external };
}

process.on('message', () => {
  void collect().then((remains) => process.send?.(remains));
});
// Nobody else would.
process.once('disconnect', () => process.exit(1));
// Else the listener alone would hold up the end.
process.channel?.unref();
