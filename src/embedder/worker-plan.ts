/** How many embedding threads there are, and how many CPU threads the graphs of each may use. Pure. */
import type { RunningProvider } from './onnx-session.js';

export interface WorkerPlan {
  readonly workers: number;
  /** 0 takes one a physical core. */
  readonly threads: number;
}

/**
 * A worker for each so many cores. On two cores a second one embedded a sixth more group photos and no more portraits at 16 at once, and one
 * image alone took a third longer. On a GPU the cores have only decoding, drawing and cutting to do.
 */
const coresOfWorker: Readonly<Record<RunningProvider, number>> = {
  cpu: 4,
  webgpu: 2,
  cuda: 2,
  directml: 2,
  coreml: 2,
  // Each would build engines of its own, for minutes.
  tensorrt: Infinity,
};
/** What is more than this is asked for: each costs memory (`OnnxEmbedderOptions.workers` says how much). */
const workersMax = 4;

/**
 * What was asked for, completed. By default the workers have twice as many threads together as there are cores, since those of a worker that draws and cuts are idle: on 16
 * cores four workers of 8 threads embedded 108 portraits a second and 31 one at a time, of 4 threads 96 and 26.
 * @param cores 1 or more
 */
export function planWorkers(
  asked: { readonly workers?: number | undefined; readonly threads?: number | undefined },
  provider: RunningProvider,
  cores: number,
): WorkerPlan {
  const workers = asked.workers ?? Math.max(1, Math.min(workersMax, Math.floor(cores / coresOfWorker[provider])));
  // A single one leaves it to ONNX Runtime, which knows physical cores from logical ones.
  const threads =
    asked.threads ?? (workers === 1 ? 0 : Math.max(1, Math.min(cores, Math.floor((2 * cores) / workers))));
  return { workers, threads };
}
