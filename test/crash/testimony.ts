/** What a process that opened a directory found there: plain data, as it crosses between processes. */
import type { GalleryStats } from '../../src/api.js';
import type { UnitVector } from '../../src/vector.js';
import type { Person } from './ledger.js';

/** The gallery that the load writes to, and the groups that it uses. */
export const galleryName = 'door';
export const spaceName = 'crash-test';
export const groupNames = ['day', 'night', 'visitors'] as const;

export interface Examination {
  readonly path: string;
  /** Ids that were erased, each with a vector that it had. */
  readonly erased: ReadonlyMap<string, UnitVector>;
}

/** One search: what was nearest. */
export interface Nearest {
  readonly identity: string;
  readonly template: number;
  readonly distance: number;
}

export interface Found {
  readonly openedFrom: GalleryStats['graph']['openedFrom'];
  readonly sequence: number;
  readonly identityCount: number;
  readonly templateCount: number;
  readonly people: ReadonlyMap<string, Person>;
  /** Templates in the export, by number, with whose they are. */
  readonly exported: ReadonlyMap<number, string>;
  /** Ids in each group, as listed by group. */
  readonly members: ReadonlyMap<string, readonly string[]>;
  /** A search with each template's own vector. */
  readonly searches: readonly {
    readonly identity: string;
    readonly template: number;
    readonly exact: Nearest | null;
    readonly graph: Nearest | null;
  }[];
  /** Every id that a search with the vector of an erased one brought up, by the erased one's id. */
  readonly broughtUp: ReadonlyMap<string, readonly string[]>;
  /** Paths of temporary files, and of graph files beyond one a gallery, right after opening. */
  readonly strayFiles: readonly string[];
  readonly warnings: readonly string[];
}

/** Or why it could not be opened or read. */
export type Testimony = { readonly found: Found } | { readonly failure: string };
