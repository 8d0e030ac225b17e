/** A rollout as `get` shows it: what is kept of it, and pairs and templates counted anew each time. Changes nothing. */
import { erasedAmong } from './fit-question.js';
import type { RolloutContext } from './rollout-context.js';
import type { FitReport, Rollout, RolloutProgressCounts, ShadowCounts } from './rollout.js';

/** @param countsOf what live probes have shown @throws ROLLOUT_NOT_FOUND */
export async function viewRollout(
  context: RolloutContext,
  gallery: string,
  countsOf: (gallery: string) => ShadowCounts,
): Promise<Rollout> {
  const { store, index } = context;
  const { to } = store.get(gallery);
  const templates = await countTemplates(context, gallery, to.space);
  // Read after the counting, which takes its time: the newest state.
  const { shadowShare: share, pairRetentionDays: retentionDays, activatedAt: _at, ...record } = store.get(gallery);
  return {
    gallery,
    ...record,
    shadow: countsOf(gallery),
    probes: { share, retentionDays },
    erasedSinceFit: erasedAmong(context, gallery, store.fitPeople(gallery)),
    pairs: index.pairCounts(gallery),
    templates,
    journal: store.journal(gallery, record.startedAt),
  };
}

/** The report names people by their ordinals; whoever was erased since is left out. */
export function namedLost({ index }: RolloutContext, gallery: string, lost: FitReport['lost']): FitReport['lost'] {
  const owners = new Set(index.pairOwners(gallery));
  return lost.flatMap((each) => {
    const person = index.identityOf(gallery, Number(each.person));
    if (person !== undefined) return [{ ...each, person }];
    return owners.has(Number(each.person)) ? [{ ...each, person: `not enrolled (${each.person})` }] : [];
  });
}

/** How the templates of a gallery came into a space. */
export async function countTemplates(
  { index }: RolloutContext,
  gallery: string,
  space: string,
): Promise<RolloutProgressCounts> {
  const { templateCount, space: serving, beside } = index.getGallery(gallery);
  if (serving !== space && beside?.space !== space) {
    return { templates: templateCount, mapped: 0, native: 0, reEmbedded: 0 };
  }
  const { mapped, native, 're-embedded': reEmbedded } = await index.originCounts(gallery, space);
  return { templates: templateCount, mapped, native, reEmbedded };
}
