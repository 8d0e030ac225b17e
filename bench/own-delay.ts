/**
 * How long the event loop was held by its own work, apart from what the scheduler held it up.
 *
 * On a machine with fewer cores than busy threads every process waits for a core now and then, and a delay of the event loop says
 * nothing about its code. Linux counts the time that a thread was ready and had no core (`schedstat`, second field); a tick's
 * delay without that is what the loop itself did. Ticks every millisecond.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { pid, platform } from 'node:process';

export interface OwnDelay {
  /** Starts anew. */
  reset(): void;
  /** The longest so far, milliseconds; null where the system does not tell. */
  longestMs(): number | null;
  close(): void;
}

const tickMs = 1;

export function watchOwnDelay(): OwnDelay {
  if (platform !== 'linux') return { reset: () => undefined, longestMs: () => null, close: () => undefined };
  // The thread that runs JavaScript has the process's number.
  const file = openSync(`/proc/self/task/${pid}/schedstat`, 'r');
  const bytes = Buffer.alloc(128);
  const readWaitMs = (): number => {
    const length = readSync(file, bytes, 0, bytes.length, 0);
    return Number(bytes.toString('latin1', 0, length).split(' ')[1]) / 1e6;
  };
  let [tickedAt, waitMs, longestMs] = [performance.now(), readWaitMs(), 0];
  const tick = (): void => {
    const [now, waited] = [performance.now(), readWaitMs()];
    longestMs = Math.max(longestMs, now - tickedAt - tickMs - (waited - waitMs));
    [tickedAt, waitMs] = [now, waited];
  };
  const timer = setInterval(tick, tickMs);
  return {
    reset: () => {
      tick();
      longestMs = 0;
    },
    longestMs: () => longestMs,
    close: () => {
      clearInterval(timer);
      closeSync(file);
    },
  };
}
