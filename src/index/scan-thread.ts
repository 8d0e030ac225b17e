/**
 * A thread that reads the files of a data directory from end to end, so that nobody waits for it.
 */
import { Worker } from 'node:worker_threads';
import { asHarmonidError, HarmonidError } from '../errors.js';
import { ThreadCalls, type ThreadReply } from '../threads/thread-calls.js';
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

export interface ScanThread {
  /** @throws INTERNAL with what the thread met, or when it died */
  scan<K extends keyof Scans>(request: { readonly kind: K } & Scans[K]['request']): Promise<Scans[K]['answer']>;
  close(): Promise<void>;
}

/** The thread is started with the first scan. It keeps no process alive, but for a scan that is under way. */
export function openScanThread(): ScanThread {
  let worker: Worker | null = null;
  let calls: ThreadCalls | null = null;

  function start(): ThreadCalls {
    const started = new Worker(new URL('./scan-worker.js', import.meta.url));
    const own = new ThreadCalls(started);
    const die = (cause: unknown): void => {
      if (calls === own) calls = null;
      own.endWith(new HarmonidError('INTERNAL', 'the thread died', { cause }));
    };
    started.on('error', die);
    started.on('exit', (code) => die(new Error(`the thread ended with code ${code}`)));
    started.on('message', (reply: ThreadReply) => own.take(reply));
    worker = started;
    return own;
  }

  return {
    async scan<K extends keyof Scans>(
      request: { readonly kind: K } & Scans[K]['request'],
    ): Promise<Scans[K]['answer']> {
      try {
        // Both ends are compiled together, and nobody else has this channel.
        return (await (calls ??= start()).call({ request })) as Scans[K]['answer'];
      } catch (error) {
        const { message } = asHarmonidError(error);
        throw new HarmonidError('INTERNAL', `the scan of the data directory failed: ${message}`, { cause: error });
      }
    },
    async close() {
      await worker?.terminate();
    },
  };
}
