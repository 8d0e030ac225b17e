/**
 * A thread that reads the files of a data directory from end to end, so that nobody waits for it: started for one scan, and gone after it.
 */
import { Worker } from 'node:worker_threads';
import { HarmonidError } from '../errors.js';

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

export interface DeadBytes {
  /** The newest transaction in the file when the scan began. */
  readonly transaction: bigint;
  /** In the order of the file. */
  readonly places: readonly DeadPlace[];
}

export interface Scans {
  /** Dead bytes of an LMDB file. Hold a snapshot meanwhile, so that the pages of the newest two transactions are not used again. */
  dead: { request: { readonly file: string }; answer: DeadBytes };
  /** How many places in the files hold at least 32 bytes of a needle. */
  anywhere: { request: { readonly files: readonly string[]; readonly needles: readonly Uint8Array[] }; answer: number };
}

export type ScanRequest = { readonly [K in keyof Scans]: { readonly kind: K } & Scans[K]['request'] }[keyof Scans];

export type ScanReply = { readonly answer: unknown; readonly error?: undefined } | { readonly error: string };

export function scan<K extends keyof Scans>(
  request: { readonly kind: K } & Scans[K]['request'],
): Promise<Scans[K]['answer']> {
  const worker = new Worker(new URL('./scan-worker.js', import.meta.url), { workerData: request });
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void =>
      reject(new HarmonidError('INTERNAL', `the ${request.kind} scan of the data directory failed`, { cause }));
    worker.once('message', (reply: ScanReply) => {
      if (reply.error === undefined) resolve(reply.answer as Scans[K]['answer']);
      else fail(new Error(reply.error));
    });
    worker.once('error', fail);
    worker.once('exit', (code) => fail(new Error(`the thread ended with code ${code} and without an answer`)));
  });
}
