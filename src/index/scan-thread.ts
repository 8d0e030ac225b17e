/**
 * A thread that reads the files of a data directory from end to end, so that nobody waits for it: started for one scan, and gone after it.
 */
import { Worker } from 'node:worker_threads';
import { HarmonidError } from '../errors.js';

/** Bytes of the data file that nothing uses and that are not zero. */
export interface DeadPlace {
  readonly position: number;
  readonly length: number;
  /** The page that they lie in, and its first bytes when it was looked at. */
  readonly page: { readonly position: number; readonly header: Uint8Array };
}

export interface Scans {
  /** Dead bytes of an LMDB file, in the order of the file. */
  dead: { request: { readonly file: string }; answer: readonly DeadPlace[] };
  /** How many places in the files hold at least 16 bytes of a needle. */
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
