/**
 * `harmonid serve` under attack, as its parent sees it: what it logs, what it complains about, what it holds.
 *
 * Promises: a line of its log from "warn" on, anything on its standard error, and an end that was not asked for go to `onTrouble`, once.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { env, execPath } from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { HarmonidError } from '../../src/errors.js';
import type { Remains } from './memory-probe.js';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const probe = new URL('./memory-probe.js', import.meta.url).href;

/** pino's number of "warn". */
const warnLevel = 40;

/** Attackers delete galleries while others check them, and the server says so. */
const expectedWarning = 'a gallery was deleted while it was checked';

/** How long an orderly stop may take until it counts as a hang, milliseconds: more than the server's own drain time. */
const stopMs = 30_000;

export interface Held {
  readonly files: number;
  readonly sockets: number;
}

export interface Memory extends Remains {
  /** Resident and private, bytes: without the pages of LMDB's map, which the kernel may take back at any time. */
  readonly residentBytes: number;
}

type LogLine = Readonly<Record<string, unknown>>;

export class FuzzedServer {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #log: readonly LogLine[];
  #stopping = false;

  private constructor(process: ChildProcess, port: number, log: readonly LogLine[], onTrouble: (text: string) => void) {
    this.#process = process;
    this.port = port;
    this.#log = log;
    this.#closed = once(process, 'close').then(([code, signal]) => {
      if (!this.#stopping) onTrouble(`the server's process ended with ${String(signal ?? code)}`);
    });
  }

  static async start(
    args: readonly string[],
    onTrouble: (text: string) => void,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<FuzzedServer> {
    const child = spawn(
      execPath,
      ['--expose-gc', '--import', probe, main, 'serve', '--listen', '127.0.0.1:0', '--log', 'json', ...args],
      { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: { ...env, ...settings } },
    );
    const log: LogLine[] = [];
    const port = new Promise<number>((resolve, reject) => {
      createInterface({ input: linesOf(child, 'stdout') }).on('line', (line) => {
        const record = JSON.parse(line) as LogLine;
        log.push(record);
        if (record['msg'] === 'listening') resolve(Number(String(record['address']).split(':').at(-1)));
        if (Number(record['level']) >= warnLevel && record['msg'] !== expectedWarning)
          onTrouble(`the log says: ${line.slice(0, 2_000)}`);
      });
      child.once('close', () => reject(new HarmonidError('UNAVAILABLE', 'the server ended before it listened')));
    });
    createInterface({ input: linesOf(child, 'stderr') }).on('line', (line) => {
      onTrouble(`standard error: ${line}`);
    });
    return new FuzzedServer(child, await port, log, onTrouble);
  }

  get hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  held(): Held {
    const folder = `/proc/${this.#process.pid}/fd`;
    const targets = readdirSync(folder).flatMap((name) => {
      try {
        return [readlinkSync(`${folder}/${name}`)];
      } catch {
        // Closed since the folder was read.
        return [];
      }
    });
    return { files: targets.length, sockets: targets.filter((target) => target.startsWith('socket:')).length };
  }

  /** After a collection of garbage. */
  async memory(): Promise<Memory> {
    const told = once(this.#process, 'message');
    this.#process.send('collect');
    const [remains] = (await told) as [Remains];
    const status = readFileSync(`/proc/${this.#process.pid}/status`, 'utf8');
    return { ...remains, residentBytes: 1024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) };
  }

  /** SIGTERM; what was wrong with the end that followed. */
  async stop(): Promise<readonly string[]> {
    if (this.hasEnded) return ['the server had ended before it was told to'];
    this.#stopping = true;
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), stopMs);
    await this.#closed;
    clearTimeout(timer);
    const { exitCode, signalCode } = this.#process;
    const faults = exitCode === 0 ? [] : [`SIGTERM ended the server with ${String(signalCode ?? exitCode)}`];
    const inFlight = this.#log.find(({ msg }) => msg === 'draining')?.['inFlight'];
    if (inFlight !== 0) faults.push(`calls in flight after all clients had gone: ${String(inFlight)}`);
    return faults;
  }
}

function linesOf(child: ChildProcess, name: 'stdout' | 'stderr'): NodeJS.ReadableStream {
  const stream = child[name];
  if (!stream) throw new HarmonidError('INTERNAL', `no pipe to the server's ${name}`);
  return stream;
}
