/**
 * From a sample to a probe: one unit vector in a gallery's space, with the face that it came from.
 *
 * Says what is wrong with a sample (no face, several, another space, poor quality) before anything is searched or written.
 */
import type { Sample } from './api.js';
import type { EmbedderSet } from './embedder/embedder-set.js';
import type { EmbeddedFace, EmbeddedImage, Embedder, EmbedTimings } from './embedder/embedder.js';
import type { Face, QualityReason } from './embedder/face.js';
import { HarmonidError } from './errors.js';
import type { Gallery } from './index/records.js';
import { parseBytes } from './requests.js';
import { parseVector, type UnitVector } from './vector.js';

/** A sample as one vector; `face` is null when the sample was a vector. */
export interface Probe {
  readonly space: string;
  readonly vector: UnitVector;
  readonly face: Face | null;
  readonly timings: EmbedTimings;
}

export interface ProbeOptions {
  /** When an image shows several faces: refuse, or take the largest. */
  readonly faces: 'one' | 'largest';
  /** In which an image is embedded. Default: the gallery's. */
  readonly space?: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Makes the probe of one sample for one gallery.
 * @throws SPACE_MISMATCH, NO_FACE, SEVERAL_FACES, EMBEDDER_MISSING, and the codes of images and vectors
 */
export async function makeProbe(
  embedders: EmbedderSet,
  gallery: Gallery,
  sample: Sample,
  { faces, space = gallery.space, signal }: ProbeOptions,
): Promise<Probe> {
  if (sample.embedding) {
    const { dimensions, space: own } = spaceOf(gallery, sample.embedding.space);
    const vector = parseVector(sample.embedding.vector, dimensions, `gallery "${gallery.gallery}"`);
    return { space: own, vector, face: null, timings: { decodeMs: 0, detectMs: 0, alignMs: 0, embedMs: 0 } };
  }
  const embedder = await embedderFor(embedders, gallery, space);
  const image = await embedSample(embedder, sample, signal, faces === 'largest');
  const { face, vector } = chooseFace(image, faces);
  return { space, vector, face, timings: image.timings };
}

/** The embedder of a gallery's space. @throws EMBEDDER_MISSING, SPACE_MISMATCH when no model here embeds in it */
export async function embedderFor(embedders: EmbedderSet, gallery: Gallery, space: string): Promise<Embedder> {
  const main = requireEmbedder(embedders.main);
  const embedder = await embedders.inSpace(space);
  if (!embedder) refuseOtherSpace(main.info.space, gallery);
  return embedder ?? main;
}

/** The space of a gallery in which a vector is: the one that serves, or one beside in which everybody is. @throws SPACE_MISMATCH */
function spaceOf(gallery: Gallery, space: string): { readonly space: string; readonly dimensions: number } {
  const { beside } = gallery;
  if (beside?.space === space && beside.templateCount === gallery.templateCount) return beside;
  refuseOtherSpace(space, gallery);
  return gallery;
}

/** All faces of an image or aligned crop. */
export async function embedSample(
  embedder: Embedder | null,
  sample: Sample,
  signal: AbortSignal | undefined,
  largestOnly = false,
): Promise<EmbeddedImage> {
  const open = requireEmbedder(embedder);
  if (sample.alignedCrop) return open.embedAlignedCrop(parseBytes(sample.alignedCrop, 'alignedCrop'), { signal });
  return open.embedImage(parseBytes(sample.image, 'image'), { signal, largestOnly });
}

/** @throws EMBEDDER_MISSING */
export function requireEmbedder(embedder: Embedder | null): Embedder {
  if (embedder) return embedder;
  throw new HarmonidError(
    'EMBEDDER_MISSING',
    'an image was given, but the database was opened without an embedder (embedder: false)',
  );
}

/** The enrolment policy. @throws FACE_REFUSED with the reasons and what was measured */
export function refuseByQuality({ face }: Probe, refuse: readonly QualityReason[]): void {
  const reasons = face?.quality.reasons.filter((reason) => refuse.includes(reason)) ?? [];
  if (reasons.length === 0) return;
  throw new HarmonidError('FACE_REFUSED', `the face does not meet the enrolment policy: ${reasons.join(', ')}`, {
    details: { reasons, measures: face?.quality.measures, box: face?.box },
  });
}

function chooseFace({ faces, width, height }: EmbeddedImage, choice: 'one' | 'largest'): EmbeddedFace {
  const [largest] = faces;
  if (largest === undefined) {
    throw new HarmonidError('NO_FACE', `no face was found in the ${width}x${height} image`, {
      details: { width, height },
    });
  }
  if (faces.length > 1 && choice === 'one') {
    throw new HarmonidError(
      'SEVERAL_FACES',
      `the image shows ${faces.length} faces where one is wanted; ask for the largest, or crop it`,
      {
        details: { boxes: faces.map(({ face }) => face.box) },
      },
    );
  }
  return largest;
}

function refuseOtherSpace(space: string, gallery: Gallery): void {
  if (space === gallery.space) return;
  throw new HarmonidError(
    'SPACE_MISMATCH',
    `the sample is in space "${space}", gallery "${gallery.gallery}" is in space "${gallery.space}"; they cannot be compared`,
    { details: { sampleSpace: space, gallerySpace: gallery.space } },
  );
}
