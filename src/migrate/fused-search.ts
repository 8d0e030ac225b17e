/**
 * A probe that both models have seen, judged by both together: the distance to a template is the weighted mean of the two, each in its own space.
 *
 * Candidates are the nearest of either space; each is compared with all of its templates, as they stand in both. What stands in one space only is left out.
 */
import { judge, rankCandidates } from '../index/candidates.js';
import type { SearchAnswer, SearchRequest } from '../index/index-api.js';
import type { Candidate } from '../index/records.js';
import { isHarmonidError } from '../errors.js';
import { squaredDistance, type UnitVector } from '../vector.js';
import type { RolloutContext } from './rollout-context.js';
import type { RolloutRecord } from './rollout-store.js';
import type { Fusion } from './rollout.js';

export interface FusedProbe {
  readonly old: UnitVector;
  readonly fresh: UnitVector;
}

/** Candidates of either space beyond those wanted: the order of the mean is another. */
const slack = 16;

/** @param search without space and probe, and without a threshold: a caller's is not one of fused distances */
export async function searchFused(
  { index }: RolloutContext,
  { from, to }: RolloutRecord,
  fusion: Fusion,
  probe: FusedProbe,
  search: Omit<SearchRequest, 'space' | 'probe' | 'threshold'>,
): Promise<SearchAnswer> {
  const { gallery, k } = search;
  const wanted = Math.max(2, k) + slack;
  const answers = await Promise.all(
    (
      [
        [from.space, probe.old],
        [to.space, probe.fresh],
      ] as const
    ).map(([space, vector]) => index.search({ ...search, space, probe: vector, k: wanted, threshold: undefined })),
  );
  const found = new Map(answers.flatMap(({ candidates }) => candidates).map((one) => [one.identity, one]));
  const candidates = [...found.values()].flatMap((candidate): readonly Candidate[] => {
    const nearest = nearestOf(index, gallery, to.space, fusion, probe, candidate.identity);
    return nearest ? [{ ...candidate, ...nearest }] : [];
  });
  const ranked = rankCandidates(candidates);
  const { threshold } = fusion;
  return {
    ...judge(ranked, threshold, index.getGallery(gallery).margin),
    candidates: ranked.slice(0, k),
    threshold,
    exact: answers.every(({ exact }) => exact),
    identityCount: Math.max(...answers.map(({ identityCount }) => identityCount)),
  };
}

/** Null of somebody who was erased meanwhile, or has nothing in both spaces. */
export function nearestOf(
  index: RolloutContext['index'],
  gallery: string,
  toSpace: string,
  { oldShare }: Fusion,
  { old, fresh }: FusedProbe,
  identity: string,
): { readonly template: number; readonly distance: number } | null {
  const isNew = index.getGallery(gallery).space === toSpace;
  let nearest: { readonly template: number; readonly distance: number } | null = null;
  for (const { template, vector, beside } of templatesOf(index, gallery, identity)) {
    if (!beside) continue;
    const [before, after] = isNew ? [beside.vector, vector] : [vector, beside.vector];
    const distance = oldShare * squaredDistance(old, before) + (1 - oldShare) * squaredDistance(fresh, after);
    if (!nearest || distance < nearest.distance) nearest = { template, distance };
  }
  return nearest;
}

function templatesOf(index: RolloutContext['index'], gallery: string, identity: string) {
  try {
    return index.templatesOf(gallery, identity);
  } catch (error) {
    if (isHarmonidError(error) && error.code === 'IDENTITY_NOT_FOUND') return [];
    throw error;
  }
}
