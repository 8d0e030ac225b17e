/**
 * What a fit is asked: every pair between the two spaces of a rollout, and what the index knows of their people. Changes nothing.
 *
 * People stand as their ordinals in what is fitted, so that neither the thread nor an adapter learns an id.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isHarmonidError } from '../errors.js';
import type { UnitVector } from '../vector.js';
import { foldOf, makePairSet } from './pair-set.js';
import type { RolloutContext } from './rollout-context.js';
import type { FitQuestion } from './rollout-fit.js';
import type { RolloutRecord } from './rollout-store.js';

export type FitSettings = Pick<FitQuestion, 'far' | 'seed' | 'estimators'>;

/** A fit's memory and time grow with its pairs (50 kB each), and what it learns hardly does. Beyond these some of the people are left out. */
const pairsMax = 12_000;
/** Parts of the people by a hash, of which so many are taken that the pairs are as many. */
const parts = 1_000;
/** Pairs whose people are looked up. */
const belongingSamples = 500;
/** Pairs that are read in one turn of the event loop. */
const pairsPerTurn = 64;

export async function makeFitQuestion(
  context: Pick<RolloutContext, 'index' | 'clock'>,
  gallery: string,
  { from, to }: Pick<RolloutRecord, 'from' | 'to'>,
  settings: FitSettings,
): Promise<FitQuestion> {
  const { index, clock } = context;
  const pairs: { person: string; from: UnitVector; to: UnitVector }[] = [];
  const names = new Map<string, string | undefined>();
  const groups: Record<string, readonly string[]> = {};
  let [own, matching, seen] = [0, 0, 0];
  const taken = (parts * pairsMax) / Math.max(pairsMax, index.pairCounts(gallery).pairs);
  for (const pair of index.pairs(gallery, from.space, to.space)) {
    if (seen++ % pairsPerTurn === 0) await nextTurn();
    const person = String(pair.owner);
    if (foldOf(`sample ${person}`, parts) >= taken) continue;
    pairs.push({ person, from: pair.from, to: pair.to });
    if (!names.has(person)) {
      const found = index.identityOf(gallery, pair.owner);
      names.set(person, found);
      if (found !== undefined) groups[person] = index.getIdentity(gallery, found).groups;
    }
    const identity = names.get(person);
    if (identity === undefined) continue;
    if (own >= belongingSamples) continue;
    const verdict = isOwn(context, gallery, from.space, identity, pair.from);
    if (verdict === null) continue;
    own++;
    if (verdict) matching++;
  }
  return {
    ...settings,
    pairs: makePairSet(from, to, pairs),
    threshold: index.getGallery(gallery).threshold,
    groups,
    belonging: own === 0 ? null : matching / own,
    nowMs: clock(),
  };
}

/** How many of a question's people are erased by now. Live probes that were only kept long enough are no erasure. */
export function erasedAmong(
  { index }: Pick<RolloutContext, 'index'>,
  gallery: string,
  people: readonly string[],
): number {
  const present = new Set(index.pairOwners(gallery));
  const isErased = (owner: number): boolean => !present.has(owner) && index.identityOf(gallery, owner) === undefined;
  return people.filter((person) => isErased(Number(person))).length;
}

/** Whether somebody's templates match the vector; null of somebody without templates. */
function isOwn(
  { index }: Pick<RolloutContext, 'index'>,
  gallery: string,
  space: string,
  identity: string,
  probe: UnitVector,
): boolean | null {
  try {
    return index.verify({ gallery, space, identity, probe }).decision === 'match';
  } catch (error) {
    // Others go on meanwhile: somebody may just have been erased.
    if (isHarmonidError(error) && ['TEMPLATE_NOT_FOUND', 'IDENTITY_NOT_FOUND'].includes(error.code)) return null;
    throw error;
  }
}
