/** What the bench and its server process say to each other over the process channel. */

import type { ExecutionProvider } from '../src/embedder/embedder.js';

/** What a server process is to be; it is also its only command-line argument, as JSON. */
export interface ServerSettings {
  readonly kind: 'harmonid' | 'echo';
  /** Data directory; the echo has none. */
  readonly path: string;
  readonly modelsPath: string;
  readonly provider: ExecutionProvider;
  /** What searches large galleries; ours, when left out. */
  readonly engine?: 'harmonid' | 'hnswlib';
  /** Loads no model. */
  readonly vectorsOnly?: boolean;
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string };
  readonly accessFile?: string;
  readonly auditFolder?: string;
}

export type ServerCommand =
  /** Begin to record. */
  | { readonly kind: 'watch' }
  /** Answer with what was recorded since then. */
  | { readonly kind: 'report' }
  | { readonly kind: 'stop' };

export type ServerReply =
  { readonly kind: 'listening'; readonly address: string } | ({ readonly kind: 'report' } & LoopReport);

/** Since `watch`: event-loop delay, milliseconds beyond the timer's own period, memory, and what it cost. */
export interface LoopReport {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** The longest delay by the loop's own work, without waiting for a core; null where the system does not tell. */
  readonly ownMaxMs: number | null;
  /** Of the whole life of the process. */
  readonly peakMemoryMiB: number;
  /** Resident memory now, and the most of every quarter of a second. */
  readonly residentMiB: number;
  readonly residentMaxMiB: number;
  /** Time of all cores. */
  readonly cpuSeconds: number;
}

/** The echo: answers with as many bytes as the first four of the request say (little-endian). */
export const echoPath = '/bench.Echo/Echo';
