/** Gives every template of a gallery its vector in the lane beside, by an adapter. */
import { throwIfAborted } from '../errors.js';
import type { IdentityIndex } from '../index/index-api.js';
import { unhurried } from '../threads/unhurried.js';
import type { UnitVector } from '../vector.js';

/** Templates of one mapping and one write: larger holds others up for longer. */
const pageSize = 16;
/** Passes: whoever comes in meanwhile without a vector beside is met by the next one. */
const passesMax = 5;

type Mapping = (vectors: readonly UnitVector[]) => Promise<readonly UnitVector[]>;

/** @returns whether every template has one now */
export async function fillBeside(
  index: IdentityIndex,
  gallery: string,
  space: string,
  map: Mapping,
  { onProgress, signal }: { readonly onProgress: (done: number, total: number) => void; readonly signal?: AbortSignal },
): Promise<boolean> {
  for (let pass = 0; pass < passesMax; pass++) {
    const { beside, templateCount } = index.getGallery(gallery);
    if (beside?.space !== space) return false;
    if (beside.templateCount === templateCount) return true;
    for (let after: Uint8Array | null = null, isLast = false; !isLast;) {
      throwIfAborted(signal);
      const start: Uint8Array | null = after;
      after = await unhurried((): Promise<Uint8Array | null> => fillPage(index, gallery, space, map, start), signal);
      const now = index.getGallery(gallery);
      onProgress(now.beside?.templateCount ?? 0, now.templateCount);
      isLast = after === null;
    }
  }
  const { beside, templateCount } = index.getGallery(gallery);
  return beside?.space === space && beside.templateCount === templateCount;
}

/** @returns where the next page begins; null after the last */
async function fillPage(
  index: IdentityIndex,
  gallery: string,
  space: string,
  map: Mapping,
  after: Uint8Array | null,
): Promise<Uint8Array | null> {
  const { templates, next } = index.templatesAfter(gallery, after, pageSize);
  const missing = templates.filter((template) => template.beside === null);
  const vectors = await map(missing.map(({ vector }) => vector));
  const entries = missing.flatMap(({ owner, template }, i) => {
    const vector = vectors[i];
    return vector ? [{ owner, template, vector, origin: 'mapped' as const }] : [];
  });
  if (entries.length > 0) await index.fillLane(gallery, space, entries);
  return next;
}
