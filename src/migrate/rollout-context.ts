/** What the parts of rollouts share: the index, the embedders, what is kept, and the adapters that run. */
import type { EmbedderSet } from '../embedder/embedder-set.js';
import type { IdentityIndex } from '../index/index-api.js';
import type { UnitVector } from '../vector.js';
import type { Adapters } from './adapters.js';
import { refusal } from './rollout-refusal.js';
import type { RolloutRecord, RolloutStore } from './rollout-store.js';

export interface RolloutContext {
  readonly index: IdentityIndex;
  readonly embedders: EmbedderSet;
  readonly store: RolloutStore;
  readonly adapters: Adapters;
  readonly clock: () => number;
  readonly onWarning: (message: string, facts: object) => void;
}

/** Vectors of the old space in the new one, or back. @throws ROLLOUT_STATE before a fit */
export async function mapVectors(
  { adapters, store }: RolloutContext,
  gallery: string,
  { fit }: RolloutRecord,
  direction: 'forward' | 'backward',
  vectors: readonly UnitVector[],
): Promise<readonly UnitVector[]> {
  if (!fit) throw refusal(gallery, 'has no adapter yet');
  return adapters.map(fit[direction], () => store.adapter(gallery, direction), vectors);
}
