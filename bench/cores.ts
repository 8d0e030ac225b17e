/** Cores of their own for a server and for its load, so that neither takes from the other while both are measured. Linux, with `taskset`. */
import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { pid, platform } from 'node:process';
import { promisify } from 'node:util';

export interface CoresApart extends AsyncDisposable {
  /** What a reader must know. */
  readonly note: string;
}

/** The first half of the cores for the server, the others for this process, until it is disposed of. */
export async function keepApart(serverPid: number): Promise<CoresApart> {
  const cores = availableParallelism();
  const half = Math.floor(cores / 2);
  const pin = async (process: number, from: number, to: number): Promise<void> => {
    await promisify(execFile)('taskset', ['-a', '-p', '-c', `${from}-${to - 1}`, String(process)]);
  };
  const release = async (): Promise<void> => {
    for (const process of [serverPid, pid]) await pin(process, 0, cores);
  };
  if (platform !== 'linux' || half === 0) {
    return { note: 'client and server share all cores', [Symbol.asyncDispose]: async () => undefined };
  }
  try {
    await pin(serverPid, 0, half);
    await pin(pid, half, cores);
  } catch {
    return {
      note: 'client and server share all cores: there is no taskset',
      [Symbol.asyncDispose]: async () => undefined,
    };
  }
  return {
    note: `by vector, the server has ${half} of the cores to itself and the client ${cores - half}`,
    [Symbol.asyncDispose]: release,
  };
}
