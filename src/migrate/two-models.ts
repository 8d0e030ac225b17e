/**
 * One face through both models of a rollout: the old vector and the new one, from an image where both models are at hand, by an adapter where they
 * are not.
 */
import { createHash } from 'node:crypto';
import { HarmonidError } from '../errors.js';
import type { EmbeddedFace, EmbeddedImage, Embedder } from '../embedder/embedder.js';
import type { Box } from '../embedder/face.js';
import type { UnitVector } from '../vector.js';

/** An encoded image, or a crop that is aligned to InsightFace's 112x112 (`arcface112`) or to the pack's own chip. */
export interface FaceImage {
  readonly image?: Uint8Array | undefined;
  readonly crop?: { readonly bytes: Uint8Array; readonly alignment: 'chip' | 'arcface112' } | undefined;
}

export interface TwiceEmbedded {
  readonly from: UnitVector;
  readonly to: UnitVector;
  /** SHA-256 of the encoded image, hex. */
  readonly imageDigest: string;
}

/** The face that the largest of the first model is, in both. @throws NO_FACE, and the codes of images */
export async function embedTwice(
  from: Embedder,
  to: Embedder,
  face: FaceImage,
  signal?: AbortSignal,
): Promise<TwiceEmbedded> {
  const bytes = face.image ?? face.crop?.bytes ?? new Uint8Array(0);
  const [before, after] = await Promise.all([embed(from, face, signal), embed(to, face, signal)]);
  const [largest] = before.faces;
  const same = largest && sameFace(after, largest.face.box);
  if (!largest || !same) {
    throw new HarmonidError(
      'NO_FACE',
      largest
        ? `the face that "${from.info.pack}" finds in the image is not found by "${to.info.pack}"`
        : `no face was found in the ${before.width}x${before.height} image`,
    );
  }
  return { from: largest.vector, to: same.vector, imageDigest: createHash('sha256').update(bytes).digest('hex') };
}

export async function embed(
  embedder: Embedder,
  { image, crop }: FaceImage,
  signal?: AbortSignal,
): Promise<EmbeddedImage> {
  if (crop) return embedder.embedAlignedCrop(crop.bytes, { alignment: crop.alignment, signal });
  if (image) return embedder.embedImage(image, { signal });
  throw new HarmonidError('INVALID_ARGUMENT', 'an image or an aligned crop is wanted, neither was given');
}

/** The face in a box, or nearly there; undefined when there is none. */
export function sameFace({ faces }: EmbeddedImage, box: Box): EmbeddedFace | undefined {
  const [best] = faces
    .map((face) => ({ face, overlap: overlapOf(face.face.box, box) }))
    .toSorted((one, other) => other.overlap - one.overlap);
  return best && best.overlap >= overlapMin ? best.face : undefined;
}

/** Intersection over union from which on two boxes are of one face. */
const overlapMin = 0.4;

function overlapOf(a: Box, b: Box): number {
  const width = Math.max(0, Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left));
  const height = Math.max(0, Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top));
  const common = width * height;
  return common / (a.width * a.height + b.width * b.height - common);
}
