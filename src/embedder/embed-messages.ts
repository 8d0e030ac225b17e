/**
 * What the main thread and the embedding thread say to each other. Everything here survives a structured clone.
 */
import type { FrozenError } from '../threads/frozen-error.js';
import type { CropAlignment, EmbeddedImage } from './embedder.js';
import type { ChosenProvider } from './onnx-session.js';
import type { EmbedCounts, PipelineOptions } from './pipeline.js';

export type WorkerSettings = PipelineOptions;

export type WorkerRequest =
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

export type WorkerReply =
  | { readonly kind: 'opened'; readonly chosen: ChosenProvider }
  | { readonly kind: 'not-opened'; readonly error: FrozenError }
  | { readonly kind: 'embedded'; readonly id: number; readonly image: EmbeddedImage; readonly counts: EmbedCounts }
  | { readonly kind: 'refused'; readonly id: number; readonly error: FrozenError; readonly counts: EmbedCounts };
