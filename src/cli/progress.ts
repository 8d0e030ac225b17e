/**
 * A progress bar on stderr with rate and time left; silent when stderr is not a terminal.
 */
import { SingleBar } from 'cli-progress';
import type { Terminal } from './terminal.js';

export interface Progress {
  /** So many are done, of the total. */
  reach(done: number): void;
  /** Ends the line and gives the cursor back; to be called in any case. */
  stop(): void;
}

/** @param unit what is counted, e.g. `photos` */
export function startProgress(terminal: Terminal, total: number, unit: string): Progress {
  if (!terminal.stderr.isTTY || total === 0) return { reach: () => undefined, stop: () => undefined };
  const bar = new SingleBar({
    stream: terminal.stderr,
    format: `{bar} {percentage}%  {value}/{total} ${unit}  {rate}/s  {eta_formatted} left`,
    barCompleteChar: '\u2588',
    barIncompleteChar: '\u2591',
    barsize: 30,
    hideCursor: true,
    clearOnComplete: true,
    etaBuffer: 200,
    // Interrupts are handled by the command line, which stops the bar.
    gracefulExit: false,
  });
  const startedMs = performance.now();
  bar.start(total, 0, { rate: '0' });
  return {
    reach: (done) => {
      bar.update(done, { rate: ((1000 * done) / (performance.now() - startedMs)).toFixed(1) });
    },
    stop: () => bar.stop(),
  };
}
