/** The lane beside of a rollout: mapped until it is whole, and what must hold of it before it serves. */
import type { SearchAnswer } from '../index/index-api.js';
import { unhurried } from '../threads/unhurried.js';
import type { UnitVector } from '../vector.js';
import { fillBeside } from './lane-fill.js';
import { mapVectors, type RolloutContext } from './rollout-context.js';
import { refusal } from './rollout-refusal.js';
import type { RolloutProgress } from './rollout.js';

/** Vectors that its graph is tried with before it serves. */
const recallSamples = 64;

/** Maps whatever has no vector beside, into the new space or back. @throws ROLLOUT_STATE when it does not become whole, CANCELLED */
export async function mapMissing(
  context: RolloutContext,
  gallery: string,
  onProgress: (progress: RolloutProgress) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { index, store } = context;
  const record = store.get(gallery);
  const { beside } = index.getGallery(gallery);
  if (!beside) return;
  const direction = beside.space === record.to.space ? 'forward' : 'backward';
  const map = (vectors: readonly UnitVector[]): Promise<readonly UnitVector[]> =>
    mapVectors(context, gallery, record, direction, vectors);
  const isWhole = await fillBeside(index, gallery, beside.space, map, {
    onProgress: (done, total) => onProgress({ stage: 'map', done, total }),
    ...(signal && { signal }),
  });
  if (!isWhole) throw refusal(gallery, 'gets new templates faster than they are mapped; try again');
}

/** @throws ROLLOUT_STATE when templates have no vector beside */
export function refusePartial({ index }: RolloutContext, gallery: string): void {
  const { templateCount, beside } = index.getGallery(gallery);
  if (beside?.templateCount === templateCount) return;
  throw refusal(
    gallery,
    `has ${beside?.templateCount ?? 0} of ${templateCount} templates in the new space; \`rollout shadow\` goes on mapping`,
  );
}

/** Share of some of its vectors whose nearest, as exact comparing has it, the graph finds; 1 of an empty gallery. */
export async function recallBeside({ index }: RolloutContext, gallery: string): Promise<number> {
  const { beside } = index.getGallery(gallery);
  if (!beside) return 0;
  const { templates } = index.templatesAfter(gallery, null, recallSamples);
  let [asked, agreed] = [0, 0];
  for (const template of templates) {
    const probe = template.beside?.vector;
    if (!probe) continue;
    const ask = (exact: boolean): Promise<SearchAnswer> =>
      unhurried(() => index.search({ gallery, space: beside.space, probe, k: 1, exact, ef: 128 }));
    const [graph, exact] = [await ask(false), await ask(true)];
    asked++;
    // Two of the same distance are as good as one another.
    if (graph.candidates[0]?.distance === exact.candidates[0]?.distance) agreed++;
  }
  return asked === 0 ? 1 : agreed / asked;
}
