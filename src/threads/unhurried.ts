/** Work in the background gives way: between two of its pieces it rests. */
import { setTimeout as pause } from 'node:timers/promises';
import { throwIfAborted } from '../errors.js';

/** How long it rests for each millisecond of work. */
const restShare = 2;
/** After a piece that was held up by others, milliseconds. */
const restMsMax = 100;

/**
 * Does a piece of work and then rests for twice as long as it took, so that whoever is in a hurry has most of the machine. Pieces of a few
 * milliseconds: what comes in meanwhile waits for one of them.
 * @throws what the piece throws, or why it was given up while it rested
 */
export async function unhurried<T>(piece: () => Promise<T> | T, signal?: AbortSignal): Promise<T> {
  const startedMs = performance.now();
  const answer = await piece();
  const restMs = Math.min(restShare * (performance.now() - startedMs), restMsMax);
  await pause(restMs, undefined, { ...(signal && { signal }) }).catch(() => throwIfAborted(signal));
  return answer;
}
