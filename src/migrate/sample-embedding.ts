/** A photo in both spaces of a rollout, by the model packs that are at hand. */
import type { Embedder } from '../embedder/embedder.js';
import { HarmonidError } from '../errors.js';
import type { RolloutContext } from './rollout-context.js';
import type { RolloutRecord } from './rollout-store.js';
import { embedTwice, type TwiceEmbedded } from './two-models.js';

/** @throws EMBEDDER_MISSING, NO_FACE, and the codes of images */
export async function embedSample(
  context: RolloutContext,
  gallery: string,
  record: RolloutRecord,
  { image, alignedCrop }: { readonly image?: Uint8Array | undefined; readonly alignedCrop?: Uint8Array | undefined },
  signal: AbortSignal | undefined,
): Promise<TwiceEmbedded> {
  const [before, after] = await bothEmbedders(context, gallery, record);
  const face = alignedCrop ? { crop: { bytes: alignedCrop, alignment: 'arcface112' as const } } : { image };
  return embedTwice(before, after, face, signal);
}

/** @throws EMBEDDER_MISSING naming the spaces in which no pack here embeds */
export async function bothEmbedders(
  { embedders }: RolloutContext,
  gallery: string,
  { from, to }: RolloutRecord,
): Promise<readonly [Embedder, Embedder]> {
  const [before, after] = [await embedders.inSpace(from.space), await embedders.inSpace(to.space)];
  if (before && after) return [before, after];
  const missing = [...(before ? [] : [from.space]), ...(after ? [] : [to.space])];
  throw new HarmonidError(
    'EMBEDDER_MISSING',
    `the rollout of gallery "${gallery}" is between spaces "${from.space}" and "${to.space}"; no model pack here embeds in ${missing.map((space) => `"${space}"`).join(' and ')}, so that images cannot be taken`,
    { details: { gallery, spaces: missing } },
  );
}
