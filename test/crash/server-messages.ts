/** What the crash test's server is told and what it tells. */
import type { GalleryStats } from '../../src/api.js';

/** How far it will come: one that is to be killed while it opens need not load what serves. */
export type ServerTask = 'serve' | 'open only';

export type ServerOrder = { readonly open: string } | { readonly close: true };

export type ServerReport =
  | { readonly opening: true }
  | { readonly opened: GalleryStats['graph']['openedFrom'] | null }
  | { readonly listening: string }
  /** A warning of the index, an error in the server's log, or why it could not open: none is expected. */
  | { readonly trouble: string };
