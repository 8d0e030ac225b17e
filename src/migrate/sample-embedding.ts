/** A photo in both spaces of a rollout, by the model packs that are at hand. */
import { HarmonidError } from '../errors.js';
import type { RolloutContext } from './rollout-context.js';
import type { RolloutRecord } from './rollout-store.js';
import { embedTwice, type TwiceEmbedded } from './two-models.js';

/** @throws EMBEDDER_MISSING, NO_FACE, and the codes of images */
export async function embedSample(
  { embedders }: RolloutContext,
  gallery: string,
  { from, to }: RolloutRecord,
  { image, alignedCrop }: { readonly image?: Uint8Array | undefined; readonly alignedCrop?: Uint8Array | undefined },
  signal: AbortSignal | undefined,
): Promise<TwiceEmbedded> {
  const [before, after] = [await embedders.inSpace(from.space), await embedders.inSpace(to.space)];
  if (!before || !after) {
    throw new HarmonidError(
      'EMBEDDER_MISSING',
      `the rollout of gallery "${gallery}" is between spaces "${from.space}" and "${to.space}"; no model pack here embeds in "${before ? to.space : from.space}": give vectors instead of images`,
      { details: { gallery, space: before ? to.space : from.space } },
    );
  }
  const face = alignedCrop ? { crop: { bytes: alignedCrop, alignment: 'arcface112' as const } } : { image };
  return embedTwice(before, after, face, signal);
}
