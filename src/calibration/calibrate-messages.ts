/** What the calibrating thread is given, and what it answers. */
import type { Calibration, TemplateOrigin } from '../index/records.js';
import type { FrozenError } from '../threads/frozen-error.js';
import type { GalleryFit } from './gallery-fit.js';
import type { GivenFaces, TemplateMatrix } from './impostor-sample.js';

/** By the number that stands for them in a task. */
export const templateOrigins = ['native', 'mapped', 're-embedded'] as const satisfies readonly TemplateOrigin[];

export interface CalibrateTask {
  readonly templates: TemplateMatrix;
  /** Of each template. */
  readonly origins: Uint8Array;
  readonly knots: Calibration | undefined;
  readonly given: GivenFaces | undefined;
  readonly comparisonsMax: number;
  readonly seed: number;
}

export type CalibrateReply =
  /** Its modules are loaded. */
  | { readonly kind: 'started' }
  | { readonly kind: 'progress'; readonly share: number }
  | { readonly kind: 'fitted'; readonly fit: GalleryFit }
  | { readonly kind: 'failed'; readonly error: FrozenError };
