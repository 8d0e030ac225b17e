/**
 * What the main thread and an embedding thread say to each other. Everything here survives a structured clone.
 *
 * A thread is first asked to open its sessions; one of an embedder's threads is asked before that which provider is to be used, so
 * that all of them use the same.
 */
import type { FrozenError } from '../threads/frozen-error.js';
import type { CropAlignment, EmbeddedImage, ExecutionProvider } from './embedder.js';
import type { ChosenProvider } from './onnx-session.js';
import type { EmbedCounts, PipelineOptions } from './pipeline.js';

/** What a thread is started with. */
export interface WorkerStart {
  /** Memory of the turn in which the threads of the process use a device that suffers one at a time (`shared-turn.ts`). */
  readonly deviceTurn: SharedArrayBuffer;
}

export type WorkerRequest =
  | { readonly kind: 'choose'; readonly provider: ExecutionProvider }
  | { readonly kind: 'open'; readonly options: PipelineOptions }
  | {
      readonly kind: 'embed';
      readonly id: number;
      readonly bytes: Uint8Array;
      /** Of an aligned crop; null for a photo. */
      readonly alignment: CropAlignment | null;
      readonly largestOnly: boolean;
    }
  /** The caller no longer waits for `id`: drop what has not begun. */
  | { readonly kind: 'abort'; readonly id: number }
  /** Finish what has begun, refuse the rest, free the sessions, end. */
  | { readonly kind: 'close' };

/** Every `embed` is answered once, also after an `abort`. */
export type WorkerReply =
  | { readonly kind: 'chosen'; readonly chosen: ChosenProvider }
  | { readonly kind: 'opened' }
  /** To `choose` or `open`. */
  | { readonly kind: 'not-opened'; readonly error: FrozenError }
  | { readonly kind: 'embedded'; readonly id: number; readonly image: EmbeddedImage; readonly counts: EmbedCounts }
  | { readonly kind: 'refused'; readonly id: number; readonly error: FrozenError; readonly counts: EmbedCounts };
