/**
 * A thread that reads the files of a data directory from end to end, so that nobody waits for it.
 */
import { Worker } from 'node:worker_threads';
import { HarmonidError } from '../errors.js';
import type { LmdbMeta } from './lmdb-meta.js';
import type { PageFinding } from './lmdb-pages.js';

/** Bytes of the data file that nothing uses and that are not zero. */
export interface DeadPlace {
  readonly position: number;
  readonly length: number;
  /**
   * The header of the page that they lie in, which has the number of the transaction that wrote it. Null for a page without one (a later page of a
   * long value): whether that was written since is told by there having been no transaction at all.
   */
  readonly page: { readonly position: number; readonly header: Uint8Array } | null;
}

export interface Scans {
  /** Dead bytes of an LMDB file, in the order of the file. A reader of the newer snapshot must be open meanwhile. */
  dead: {
    request: { readonly file: string; readonly snapshots: readonly [LmdbMeta, LmdbMeta] };
    answer: readonly DeadPlace[];
  };
  /** How many places in the files hold at least 32 bytes of a needle. */
  anywhere: { request: { readonly files: readonly string[]; readonly needles: readonly Uint8Array[] }; answer: number };
  /** What is wrong with the pages of an LMDB file. Hold a snapshot meanwhile when it is written to. */
  pages: { request: { readonly file: string }; answer: PagesScanned };
}

export interface PagesScanned {
  /** The newest in the file when it was walked; null when the meta pages themselves are damaged. */
  readonly transaction: bigint | null;
  readonly findings: readonly PageFinding[];
}

export type ScanRequest = { readonly [K in keyof Scans]: { readonly kind: K } & Scans[K]['request'] }[keyof Scans];

export interface ScanMessage {
  readonly id: number;
  readonly request: ScanRequest;
}

export type ScanReply = { readonly id: number } & (
  { readonly answer: unknown; readonly error?: undefined } | { readonly error: string }
);

export interface ScanThread {
  /** @throws INTERNAL with what the thread met, or when it died */
  scan<K extends keyof Scans>(request: { readonly kind: K } & Scans[K]['request']): Promise<Scans[K]['answer']>;
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The thread is started with the first scan. It keeps no process alive, but for a scan that is under way. */
export function openScanThread(): ScanThread {
  const waiting = new Map<number, Waiting>();
  let worker: Worker | null = null;
  let lastId = 0;

  function start(): Worker {
    const started = new Worker(new URL('./scan-worker.js', import.meta.url));
    const die = (cause: unknown): void => {
      if (worker === started) worker = null;
      for (const { reject } of waiting.values()) reject(failed('the thread died', cause));
      waiting.clear();
    };
    started.on('error', die);
    started.on('exit', (code) => die(new Error(`the thread ended with code ${code}`)));
    started.on('message', (reply: ScanReply) => {
      const scan = waiting.get(reply.id);
      waiting.delete(reply.id);
      if (waiting.size === 0) started.unref();
      if (reply.error === undefined) scan?.resolve(reply.answer);
      else scan?.reject(failed(reply.error));
    });
    return started;
  }

  return {
    scan<K extends keyof Scans>(request: { readonly kind: K } & Scans[K]['request']): Promise<Scans[K]['answer']> {
      return new Promise((resolve, reject) => {
        const thread = (worker ??= start());
        const id = ++lastId;
        waiting.set(id, { resolve: resolve as (answer: unknown) => void, reject });
        thread.ref();
        thread.postMessage({ id, request });
      });
    },
    async close() {
      await worker?.terminate();
    },
  };
}

function failed(what: string, cause?: unknown): HarmonidError {
  return new HarmonidError('INTERNAL', `the scan of the data directory failed: ${what}`, { cause });
}
