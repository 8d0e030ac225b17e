/**
 * Photos that are at hand take the places of mapped templates: whose to look for first, and the replacing.
 *
 * A photo whose face is not that of the template in the old space, within its threshold, replaces nothing.
 */
import { HarmonidError } from '../errors.js';
import type { TwofoldTemplate } from '../index/index-api.js';
import { squaredDistance } from '../vector.js';
import { mapVectors, type RolloutContext } from './rollout-context.js';
import { refuseUnless } from './rollout-refusal.js';
import type { RolloutRecord } from './rollout-store.js';
import type { BackfillCandidate, BackfillResult, BackfillSample } from './rollout.js';
import { embedSample } from './sample-embedding.js';
import { takeSamples, type SampleOptions } from './sample-stream.js';
import type { TwiceEmbedded } from './two-models.js';

/** Yields a result a sample. @throws ROLLOUT_STATE */
export async function* backfill(
  context: RolloutContext,
  gallery: string,
  samples: AsyncIterable<BackfillSample> | Iterable<BackfillSample>,
  options: SampleOptions<BackfillSample>,
): AsyncIterable<BackfillResult> {
  const record = context.store.get(gallery);
  refuseUnless(gallery, record, ['shadow', 'canary', 'active']);
  const replace = async (sample: BackfillSample): Promise<number> => {
    const face = await embedSample(context, gallery, record, sample, options.signal);
    return replaceMapped(context, gallery, record, sample.identity, face);
  };
  for await (const result of takeSamples(samples, ({ identity }) => identity, replace, options)) {
    const { index, identity } = result;
    yield result.error ? { index, identity, error: result.error } : { index, identity, replaced: result.answer };
  }
}

/** The template of that very photo, or the nearest mapped one. @returns how many were replaced @throws FACE_REFUSED */
export async function replaceMapped(
  context: RolloutContext,
  gallery: string,
  record: RolloutRecord,
  identity: string,
  face: Omit<TwiceEmbedded, 'imageDigest'> & { readonly imageDigest: string | null },
): Promise<number> {
  const { index } = context;
  const { from, to } = record;
  const isNew = index.getGallery(gallery).space === to.space;
  const vectorsOf = (template: TwofoldTemplate) => {
    const serving = { vector: template.vector, origin: template.origin };
    return isNew ? { old: template.beside, fresh: serving } : { old: serving, fresh: template.beside };
  };
  const mapped = index
    .templatesOf(gallery, identity)
    .filter((template) => vectorsOf(template).fresh?.origin === 'mapped');
  const distanceOf = (template: TwofoldTemplate): number => {
    const { old } = vectorsOf(template);
    return face.imageDigest !== null && template.imageDigest === face.imageDigest
      ? -1
      : old
        ? squaredDistance(old.vector, face.from)
        : 4;
  };
  const [nearest] = mapped.toSorted((one, other) => distanceOf(one) - distanceOf(other));
  if (!nearest) return 0;
  if (distanceOf(nearest) > from.threshold) {
    throw new HarmonidError(
      'FACE_REFUSED',
      `the face is at distance ${distanceOf(nearest).toFixed(3)} of the nearest template of "${identity}", beyond the threshold ${from.threshold}`,
      { details: { gallery, identity, distance: distanceOf(nearest), threshold: from.threshold } },
    );
  }
  const { old } = vectorsOf(nearest);
  const { quality, imageDigest, enrolledAt } = nearest;
  const number = await index.replaceTemplate(gallery, nearest.owner, nearest.template, {
    vector: face.to,
    space: to.space,
    origin: 're-embedded',
    ...(old && { beside: { ...old, space: from.space } }),
    quality,
    imageDigest,
    enrolledAt,
  });
  // Another photo of the same person came first: the next nearest.
  return number === null ? replaceMapped(context, gallery, record, identity, face) : 1;
}

/**
 * By how far a template is from itself when it is mapped there and back: what the adapter does not know comes back elsewhere.
 * @throws ROLLOUT_STATE
 */
export async function backfillOrder(
  context: RolloutContext,
  gallery: string,
  limit: number,
): Promise<readonly BackfillCandidate[]> {
  const { index, store } = context;
  const record = store.get(gallery);
  refuseUnless(gallery, record, ['shadow', 'canary', 'active']);
  const isNew = index.getGallery(gallery).space === record.to.space;
  const worst = new Map<number, number>();
  for (let after: Uint8Array | null = null, isLast = false; !isLast;) {
    const { templates, next } = index.templatesAfter(gallery, after, 256);
    const mapped = templates.flatMap(({ owner, vector, origin, beside }) => {
      const [old, fresh] = isNew ? [beside, { vector, origin }] : [{ vector, origin }, beside];
      return old && fresh?.origin === 'mapped' ? [{ owner, old: old.vector, fresh: fresh.vector }] : [];
    });
    const back = await mapVectors(
      context,
      gallery,
      record,
      'backward',
      mapped.map(({ fresh }) => fresh),
    );
    mapped.forEach(({ owner, old }, i) => {
      const again = back[i];
      if (again) worst.set(owner, Math.max(worst.get(owner) ?? 0, squaredDistance(old, again)));
    });
    after = next;
    isLast = next === null;
  }
  return [...worst]
    .toSorted(([, one], [, other]) => other - one)
    .slice(0, limit)
    .flatMap(([owner, uncertainty]) => {
      const identity = index.identityOf(gallery, owner);
      return identity === undefined ? [] : [{ identity, uncertainty }];
    });
}
