/** A server process as its parent sees it: started, watched, stopped. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { HarmonidError } from '../src/errors.js';
import type { LoopReport, ServerCommand, ServerReply, ServerSettings } from './server-messages.js';

export interface ServerProcess extends AsyncDisposable {
  readonly address: string;
  readonly pid: number;
  watch(): Promise<void>;
  report(): Promise<LoopReport>;
}

export async function startProcess(settings: ServerSettings): Promise<ServerProcess> {
  const child = fork(new URL('./server-process.js', import.meta.url), [JSON.stringify(settings)]);
  const first = await nextReply(child);
  if (first.kind !== 'listening')
    throw new HarmonidError('INTERNAL', 'the server process did not say where it listens');
  return {
    address: first.address,
    pid: child.pid ?? 0,
    watch: () => send(child, { kind: 'watch' }),
    report: async () => {
      const reply = nextReply(child);
      await send(child, { kind: 'report' });
      const report = await reply;
      if (report.kind !== 'report') throw new HarmonidError('INTERNAL', 'the server process did not report');
      return report;
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null) return;
      const exited = once(child, 'exit');
      await send(child, { kind: 'stop' });
      await exited;
    },
  };
}

/** @throws INTERNAL when the process ends before it says anything. */
async function nextReply(child: ChildProcess): Promise<ServerReply> {
  return new Promise((resolve, reject) => {
    const died = (code: number | null): void =>
      reject(new HarmonidError('INTERNAL', `the server process ended with exit code ${code}`));
    child.once('exit', died);
    child.once('message', (reply) => {
      child.off('exit', died);
      // Both ends are compiled together, and nobody else has this channel.
      resolve(reply as ServerReply);
    });
  });
}

function send(child: ChildProcess, command: ServerCommand): Promise<void> {
  return new Promise((resolve, reject) => {
    child.send(command, (error) => (error ? reject(error) : resolve()));
  });
}
