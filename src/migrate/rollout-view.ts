/** A rollout as `get` shows it: what is kept of it, and pairs and templates counted anew each time. Changes nothing. */
import type { RolloutContext } from './rollout-context.js';
import type { Rollout, RolloutProgressCounts, ShadowCounts } from './rollout.js';

/** @param countsOf what live probes have shown @throws ROLLOUT_NOT_FOUND */
export function viewRollout(
  context: RolloutContext,
  gallery: string,
  countsOf: (gallery: string) => ShadowCounts,
): Rollout {
  const { store } = context;
  const { shadowShare: _share, pairRetentionDays: _days, activatedAt: _at, ...record } = store.get(gallery);
  const pairs = countPairs(context, gallery, record.from.space, record.to.space);
  return {
    gallery,
    ...record,
    shadow: countsOf(gallery),
    pairs,
    templates: countTemplates(context, gallery, record.to.space),
    journal: store.journal(gallery, record.startedAt),
  };
}

function countPairs({ index }: RolloutContext, gallery: string, from: string, to: string): Rollout['pairs'] {
  const people = new Set<number>();
  let pairs = 0;
  for (const { owner } of index.pairs(gallery, from, to)) {
    pairs++;
    people.add(owner);
  }
  return { pairs, people: people.size };
}

/** How the templates of a gallery came into a space. */
export function countTemplates({ index }: RolloutContext, gallery: string, space: string): RolloutProgressCounts {
  const view = index.getGallery(gallery);
  const counts = { templates: view.templateCount, mapped: 0, native: 0, reEmbedded: 0 };
  if (view.space !== space && view.beside?.space !== space) return counts;
  for (let after: Uint8Array | null = null, isLast = false; !isLast;) {
    const { templates, next } = index.templatesAfter(gallery, after, 1_000);
    for (const { origin, beside } of templates) {
      const inNew = view.space === space ? origin : beside?.origin;
      if (inNew === 'mapped') counts.mapped++;
      else if (inNew === 're-embedded') counts.reEmbedded++;
      else if (inNew === 'native') counts.native++;
    }
    after = next;
    isLast = next === null;
  }
  return counts;
}
