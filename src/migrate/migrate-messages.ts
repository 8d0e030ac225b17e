/** What the migrating thread is asked, and what it answers. */
import type { ThreadReply } from '../threads/thread-calls.js';
import type { FitOutcome, FitQuestion } from './rollout-fit.js';
import type { RolloutProgress } from './rollout.js';

export interface MigrateCalls {
  fit: { request: FitQuestion; answer: FitOutcome };
  /** An adapter is named by the digest of its file. */
  open: {
    request: { readonly sha256: string; readonly network: Uint8Array; readonly dimensionsTo: number };
    answer: null;
  };
  map: {
    /** `data` are unit rows, shape [rows, dimensions from]. */
    request: { readonly sha256: string; readonly rows: number; readonly data: Float32Array };
    answer: Float32Array;
  };
}

export type MigrateMessage =
  | {
      readonly [K in keyof MigrateCalls]: {
        readonly id: number;
        readonly kind: K;
        readonly request: MigrateCalls[K]['request'];
      };
    }[keyof MigrateCalls]
  | { readonly id: number; readonly kind: 'abort' };

export interface MigrateReply extends ThreadReply {
  readonly progress?: RolloutProgress;
}
