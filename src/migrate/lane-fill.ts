/** Gives every template of a gallery its vector in the lane beside, by an adapter. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { throwIfAborted } from '../errors.js';
import type { IdentityIndex } from '../index/index-api.js';
import type { UnitVector } from '../vector.js';

/** Templates of one mapping and one write: larger holds others up for longer. */
const pageSize = 64;
/** Passes: whoever comes in meanwhile without a vector beside is met by the next one. */
const passesMax = 5;

/** @returns whether every template has one now */
export async function fillBeside(
  index: IdentityIndex,
  gallery: string,
  space: string,
  map: (vectors: readonly UnitVector[]) => Promise<readonly UnitVector[]>,
  { onProgress, signal }: { readonly onProgress: (done: number, total: number) => void; readonly signal?: AbortSignal },
): Promise<boolean> {
  for (let pass = 0; pass < passesMax; pass++) {
    const { beside, templateCount } = index.getGallery(gallery);
    if (beside?.space !== space) return false;
    if (beside.templateCount === templateCount) return true;
    for (let after: Uint8Array | null = null, isLast = false; !isLast;) {
      throwIfAborted(signal);
      const { templates, next } = index.templatesAfter(gallery, after, pageSize);
      const missing = templates.filter((template) => template.beside === null);
      const vectors = await map(missing.map(({ vector }) => vector));
      const entries = missing.flatMap(({ owner, template }, i) => {
        const vector = vectors[i];
        return vector ? [{ owner, template, vector, origin: 'mapped' as const }] : [];
      });
      if (entries.length > 0) await index.fillLane(gallery, space, entries);
      const now = index.getGallery(gallery);
      onProgress(now.beside?.templateCount ?? 0, now.templateCount);
      after = next;
      isLast = next === null;
      await nextTurn();
    }
  }
  const { beside, templateCount } = index.getGallery(gallery);
  return beside?.space === space && beside.templateCount === templateCount;
}
