/** What is said between the main thread and those of the graphs. */
import type { ThreadReply } from '../threads/thread-calls.js';
import type { GraphFile } from './checkpoint.js';
import type { GraphAnswer, GraphCounts, GraphEntries, GraphQuery } from './graph.js';
import type { SharedEngine } from './shared-engine.js';

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

/** What answers nobody has the id 0. */
export interface GraphReply extends ThreadReply {
  readonly warning?: GraphWarning;
  /** Which engine of a graph may be searched by others from now on; null: none. */
  readonly sharing?: { readonly graph: string; readonly shared: SharedEngine | null };
}

/** What a thread is told that only searches. */
export type SearchMessage =
  | { readonly id: number; readonly kind: 'search'; readonly request: GraphCalls['search']['request'] }
  | { readonly id: number; readonly kind: 'end' | 'ready'; readonly request: object }
  /** Null: there is none any more. */
  | {
      readonly id: 0;
      readonly kind: 'engine';
      readonly request: { readonly graph: string; readonly shared: SharedEngine | null };
    };
