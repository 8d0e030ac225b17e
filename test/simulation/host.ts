/**
 * The parent's end of a process with an index: asks it, starves it, kills it, and tells how it died.
 */
import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import type { Finding } from '../../src/index/findings.js';
import type { Call, GalleryDump, Outcome } from './calls.js';
import type { HostCommand, HostOptions, HostReply, HostRequest } from './host-child.js';

/** A process that does not answer for so long hangs, and that is a finding. */
const patienceMs = 60_000;

/** The process ended while it was asked. */
export class HostDeath extends Error {
  readonly signal: string | null;
  constructor(code: number | null, signal: string | null, stderr: string) {
    super(`the process of the index ended with ${signal ?? `code ${code}`}: ${stderr.slice(-2_000)}`);
    this.signal = signal;
  }
}

interface Waiting {
  readonly each: ((position: number, outcome: Outcome) => void) | undefined;
  readonly resolve: (reply: HostReply) => void;
  readonly reject: (error: Error) => void;
}

export class Host {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  #death: HostDeath | null = null;
  #lastId = 0;
  #stderr = '';
  #warnings: string[] = [];

  constructor() {
    this.#child = fork(new URL('./host-child.js', import.meta.url), {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()));
    this.#child.on('message', (reply: HostReply) => {
      const waiting = this.#waiting.get(reply.id);
      if (reply.position !== undefined && reply.outcome) {
        waiting?.each?.(reply.position, reply.outcome);
        return;
      }
      this.#waiting.delete(reply.id);
      this.#warnings.push(...(reply.warnings ?? []));
      waiting?.resolve(reply);
    });
    this.#exited = once(this.#child, 'exit').then((exit) => {
      const [code, signal] = exit as [number | null, string | null];
      this.#death = new HostDeath(code, signal, this.#stderr);
      for (const { reject } of this.#waiting.values()) reject(this.#death);
      this.#waiting.clear();
    });
  }

  async open(nowMs: number, options: HostOptions): Promise<Outcome> {
    return outcomeIn(await this.#ask({ kind: 'open', nowMs, options }));
  }

  async close(nowMs: number): Promise<Outcome> {
    return outcomeIn(await this.#ask({ kind: 'close', nowMs }));
  }

  /** All at once; `each` is told of every outcome as soon as it is known here. */
  async calls(
    nowMs: number,
    calls: readonly Call[],
    each?: (position: number, outcome: Outcome) => void,
  ): Promise<readonly Outcome[]> {
    const reply = await this.#ask({ kind: 'calls', nowMs, calls, each: each !== undefined }, each);
    return reply.outcomes ?? [];
  }

  async dump(
    nowMs: number,
    asked: Readonly<Record<string, readonly string[]>>,
  ): Promise<{ readonly dumps: readonly GalleryDump[] } | { readonly code: string; readonly message: string }> {
    const outcome = outcomeIn(await this.#ask({ kind: 'dump', nowMs, asked }));
    return 'value' in outcome ? { dumps: outcome.value as readonly GalleryDump[] } : outcome;
  }

  /** The findings of `check` on the open index. */
  async check(
    nowMs: number,
  ): Promise<{ readonly findings: readonly Finding[] } | { readonly code: string; readonly message: string }> {
    const outcome = outcomeIn(await this.#ask({ kind: 'check', nowMs }));
    return 'value' in outcome ? { findings: outcome.value as readonly Finding[] } : outcome;
  }

  /** What the index warned of since this was last asked. */
  takeWarnings(): readonly string[] {
    return this.#warnings.splice(0);
  }

  /** No file of the process may grow beyond so many bytes; null lifts the limit. False where the tool for it is missing. */
  async limitFiles(bytes: number | null): Promise<boolean> {
    const limit = bytes === null ? 'unlimited' : `${bytes}:unlimited`;
    try {
      await promisify(execFile)('prlimit', ['--pid', String(this.#child.pid), `--fsize=${limit}`]);
      return true;
    } catch {
      return false;
    }
  }

  /** SIGKILL, and whatever was asked rejects with `HostDeath`. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async #ask(command: HostCommand, each?: Waiting['each']): Promise<HostReply> {
    if (this.#death) throw this.#death;
    const id = ++this.#lastId;
    const request: HostRequest = { id, command };
    const reply = new Promise<HostReply>((resolve, reject) => {
      this.#waiting.set(id, { each, resolve, reject });
      this.#child.send(request);
    });
    const timer = setTimeout(() => {
      this.#waiting.get(id)?.reject(new Error(`the process did not answer ${command.kind} within ${patienceMs} ms`));
    }, patienceMs);
    try {
      return await reply;
    } finally {
      clearTimeout(timer);
    }
  }
}

function outcomeIn(reply: HostReply): Outcome {
  if (!reply.outcome) throw new Error('a reply without an outcome');
  return reply.outcome;
}
