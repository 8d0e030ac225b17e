/**
 * What the simulation asks of an index, as data: it crosses to the process in which the index lives, and the model answers the same calls.
 *
 * A call names a method of `IdentityIndex` and its arguments, so that there is no second vocabulary to keep in step.
 */
import type { IdentityIndex } from '../../src/index/identity-index.js';
import type { EraseAnswer, Gallery, GalleryStats, Identity, Template } from '../../src/index/records.js';
import type { UnitVector } from '../../src/vector.js';

export type Method =
  | 'createGallery'
  | 'getGallery'
  | 'updateGallery'
  | 'deleteGallery'
  | 'enroll'
  | 'search'
  | 'verify'
  | 'getIdentity'
  | 'listIdentities'
  | 'updateIdentity'
  | 'removeTemplate'
  | 'eraseIdentity'
  | 'stats'
  | 'checkpoint'
  | 'settle';

/** What an erasure answers, as far as the model follows it. */
export type ErasureInBrief = Pick<EraseAnswer, 'existed' | 'templatesErased' | 'sequence'>;

export type CallOf<M extends Method> = { readonly method: M; readonly args: Readonly<Parameters<IdentityIndex[M]>> };
export type Call = { readonly [M in Method]: CallOf<M> }[Method];

export function call<M extends Method>(method: M, ...args: Parameters<IdentityIndex[M]>): CallOf<M> {
  return { method, args };
}

/** What came of a call; an error is known by its code. */
export type Outcome = { readonly value: unknown } | { readonly code: string; readonly message: string };

export type Answer<M extends Method> = Awaited<ReturnType<IdentityIndex[M]>>;

/** Everything that an index shows of itself, gallery by gallery. */
export interface GalleryDump {
  readonly gallery: Gallery;
  readonly stats: GalleryStats | undefined;
  readonly identities: readonly Identity[];
  /** Each identity of `identities` again, asked for by its id. */
  readonly asked: readonly Outcome[];
  /** By group: the ids that a page of its members holds. */
  readonly members: Readonly<Record<string, readonly string[]>>;
  readonly templates: readonly {
    readonly identity: string;
    readonly template: Template;
    readonly vector: UnitVector;
  }[];
}
