/**
 * The graphs of all galleries and their lanes, seen from the main thread: one worker, and messages to it.
 *
 * Messages arrive in the order in which they were posted, so that a search sees every change posted before it. A worker that dies makes every
 * waiting call and every later one reject with INTERNAL; nothing hangs. Vectors cross as copies in one buffer, owner sets in shared memory.
 */
import { Worker } from 'node:worker_threads';
import { HarmonidError } from '../errors.js';
import { Outbox } from '../threads/outbox.js';
import { ThreadCalls, type ThreadReply } from '../threads/thread-calls.js';
import type { GraphFile } from './checkpoint.js';
import type { GraphAnswer, GraphCounts, GraphEntries, GraphQuery } from './graph.js';

export type GraphEngine = 'harmonid' | 'hnswlib';
/** Whether candidates are compared by vectors in memory first, or by those of the store alone. */
export type GraphRerank = 'memory' | 'store';

/** Where a graph's templates are read from. */
export interface GraphSource {
  readonly gallery: number;
  readonly lane: number;
  readonly path: string;
  readonly readOnly: boolean;
  /** Of an encrypted directory. */
  readonly encryption: { readonly masterKey: Uint8Array; readonly directory: string } | null;
}

export interface GraphOpening {
  /** By which it is called from then on. */
  readonly graph: string;
  readonly engine: GraphEngine;
  readonly dimensions: number;
  /** See `IdentityIndexOptions`. */
  readonly exactMax: number;
  readonly rerank: GraphRerank;
  readonly recallMin: number;
  /** Number of the gallery's last change, which the templates read include, and how many there are. */
  readonly sequence: number;
  readonly templateCount: number;
  /** Where the templates are read from; null for hnswlib on a gallery that is known to be empty. */
  readonly source: GraphSource | null;
  /** Of a gallery that is known to be empty. */
  readonly isNew: boolean;
  /** The graph file that the newest checkpoint names. */
  readonly file:
    | (Pick<GraphFile, 'name' | 'sha256' | 'root'> & {
        /** Number of the gallery's last change that is in it. */
        readonly sequence: number;
        readonly key: Uint8Array | null;
      })
    | null;
}

export interface GraphOpened {
  readonly openedFrom: 'checkpoint' | 'rebuild' | 'new';
  /** Why a checkpoint was not used. */
  readonly warning: string | null;
}

/** One committed write as the graph sees it. */
export interface GraphChange {
  readonly sequence: number;
  readonly added: GraphEntries;
  readonly removed: Uint32Array;
}

export interface GraphSaving {
  readonly graph: string;
  readonly path: string;
  readonly name: string;
  /** In an encrypted directory. */
  readonly sealing: { readonly directory: string; readonly key: Uint8Array } | null;
}

/** `file` is null when there is no graph to save, or no memory to seal it in. */
export interface GraphSaved {
  readonly sequence: number;
  readonly file: GraphFile | null;
}

/** What a graph has to say unasked. */
export interface GraphWarning {
  readonly graph: string;
  readonly message: string;
  readonly facts: object;
}

/** What is asked of the worker, and what it answers; `void` for what is not answered. */
export interface GraphCalls {
  open: { request: GraphOpening; answer: GraphOpened };
  search: { request: { readonly graph: string; readonly query: GraphQuery }; answer: GraphAnswer };
  counts: { request: { readonly graph: string }; answer: GraphCounts };
  settle: { request: { readonly graph: string }; answer: null };
  save: { request: GraphSaving; answer: GraphSaved };
  /** A record names what was saved last. */
  kept: { request: { readonly graph: string }; answer: null };
  drop: { request: { readonly graph: string }; answer: null };
  end: { request: object; answer: null };
}

export type GraphMessage =
  | {
      readonly [K in keyof GraphCalls]: {
        readonly id: number;
        readonly kind: K;
        readonly request: GraphCalls[K]['request'];
      };
    }[keyof GraphCalls]
  | {
      readonly id: 0;
      readonly kind: 'change';
      readonly request: { readonly graph: string; readonly change: GraphChange };
    };

/** A warning answers nobody: its id is 0. */
export interface GraphReply extends ThreadReply {
  readonly warning?: GraphWarning;
}

export interface GraphThread {
  call<K extends keyof GraphCalls>(kind: K, request: GraphCalls[K]['request']): Promise<GraphCalls[K]['answer']>;
  /** Posts a committed write; it is applied before anything that is called after. */
  change(graph: string, change: GraphChange): void;
  close(): Promise<void>;
}

/** `onDeath` is told once, with the cause, when the worker ends without being asked to. */
export interface GraphThreadListener {
  readonly onDeath: (cause: unknown) => void;
  readonly onWarning: (warning: GraphWarning) => void;
}

export function startGraphThread({ onDeath, onWarning }: GraphThreadListener): GraphThread {
  const worker = new Worker(new URL('./graph-worker.js', import.meta.url));
  const outbox = new Outbox<GraphMessage>((messages, transfer) => worker.postMessage(messages, transfer));
  // Both ends are compiled together, and nobody else has this channel.
  const calls = new ThreadCalls(worker, (message) => outbox.put(message as GraphMessage));
  let closing: Promise<void> | null = null;
  /** Whether the worker has said that it is done: only then may it go. */
  let hasEnded = false;

  const die = (cause: unknown): void => {
    const death = new HarmonidError('INTERNAL', 'the graph thread has died; open the database again', { cause });
    if (calls.endWith(death)) onDeath(cause);
  };
  worker.on('error', die);
  worker.on('messageerror', die);
  worker.on('exit', (code) => {
    if (!hasEnded) die(new Error(`the graph thread ended with code ${code}`));
  });
  worker.on('message', (replies: readonly GraphReply[]) => {
    for (const reply of replies) {
      if (reply.warning) onWarning(reply.warning);
      else calls.take(reply);
    }
  });

  const call: GraphThread['call'] = (kind, request) => calls.call({ kind, request }) as Promise<never>;

  return {
    call,
    change(graph, change) {
      if (calls.end) return;
      const { labels, owners, vectors } = change.added;
      const message = { id: 0, kind: 'change', request: { graph, change } } satisfies GraphMessage;
      outbox.put(message, [labels.buffer, owners.buffer, vectors.buffer, change.removed.buffer] as ArrayBuffer[]);
    },
    async close() {
      closing ??= (async () => {
        await call('end', {}).catch(() => undefined);
        hasEnded = true;
        await worker.terminate();
      })();
      await closing;
    },
  };
}
