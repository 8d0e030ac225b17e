/** What the reopening bench and its processes say to each other: a task as the only command-line argument (JSON), and one reply. */
import type { GraphRerank } from '../src/index/graph-messages.js';
import type { ProcessMemory } from './machine.js';
import type { Row } from './report.js';

export const gallery = 'bench';
export const space = 'gallery-model';

export interface ReopenTask {
  readonly kind: 'answer' | 'answer-and-complete' | 'change' | 'stall' | 'hold';
  /** Data directory. */
  readonly path: string;
  /** File of probes, float32, shape [probes x dimensions]. */
  readonly probesFile: string;
  /** Enrolments (nine in ten) and erasures for `change`. */
  readonly changes: number;
  readonly seed: number;
  /** Where the vectors are that the nearest are compared by, for `hold`. */
  readonly rerank: GraphRerank;
}

export const reranks: readonly GraphRerank[] = ['memory', 'store'];

export type ReopenReply =
  | ({ readonly kind: 'answered' } & Answered)
  | { readonly kind: 'changed' }
  | { readonly kind: 'stalled'; readonly stalls: Stalls }
  | ({ readonly kind: 'held' } & Held)
  | { readonly kind: 'failed'; readonly message: string };

export interface Answered {
  readonly openedFrom: string;
  /** From the call of `openIdentityIndex` until it has resolved, and until the first answer that names the true nearest. */
  readonly openS: number;
  readonly answerS: number;
  /** Until the graph held everything; null when it was not waited for. */
  readonly completeS: number | null;
  /** What the process grew by until the first answer, bytes. */
  readonly residentBytes: number;
  readonly templateCount: number;
}

/** What the whole process holds. */
export interface Held {
  readonly opened: ProcessMemory;
  /** After a search with every probe. */
  readonly searched: ProcessMemory;
  readonly searchCount: number;
  /** Of the graph alone, by its own account. */
  readonly graphBytesPerTemplate: number;
}

export interface Stalls {
  /** One search and one write at a time. */
  readonly steady: readonly Row[];
  /** Sixteen of either, as fast as they go. */
  readonly flooded: readonly Row[];
}
