/**
 * From a sample to a probe: one unit vector in a gallery's space, with the face that it came from.
 *
 * Says what is wrong with a sample (no face, several, another space, poor quality, a presentation attack) before anything is searched or written.
 */
import type { Sample } from './api.js';
import type { EmbedderSet } from './embedder/embedder-set.js';
import type { EmbeddedFace, EmbeddedImage, Embedder, EmbedTimings } from './embedder/embedder.js';
import type { Face, QualityReason } from './embedder/face.js';
import { HarmonidError } from './errors.js';
import type { Gallery, PresentationPolicy } from './index/records.js';
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
 * @throws SPACE_MISMATCH, NO_FACE, SEVERAL_FACES, EMBEDDER_MISSING, NO_PRESENTATION_SCORE, FACE_REFUSED for a presentation attack, and the
 *   codes of images and vectors
 */
export async function makeProbe(
  embedders: EmbedderSet,
  gallery: Gallery,
  sample: Sample,
  { faces, space = gallery.space, signal }: ProbeOptions,
): Promise<Probe> {
  requirePhoto(gallery, sample);
  if (sample.embedding) {
    const { dimensions, space: own } = spaceOf(gallery, sample.embedding.space);
    const vector = parseVector(sample.embedding.vector, dimensions, `gallery "${gallery.gallery}"`);
    return { space: own, vector, face: null, timings: { decodeMs: 0, detectMs: 0, alignMs: 0, embedMs: 0 } };
  }
  const embedder = await embedderFor(embedders, gallery, space);
  requirePresentation(gallery, embedder);
  const image = await embedSample(embedder, sample, signal, faces === 'largest');
  const { face, vector } = chooseFace(image, faces);
  refuseAttack(gallery, embedder, face);
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

/** A gallery's name and what it says of presentation scores. */
interface PresentationRule {
  readonly gallery: string;
  readonly presentation?: PresentationPolicy | undefined;
}

/** What was cut out or computed elsewhere has no score. @throws NO_PRESENTATION_SCORE where one is required */
function requirePhoto(rule: PresentationRule, sample: Sample): void {
  if (rule.presentation !== 'require' || sample.image !== undefined) return;
  const given = sample.embedding ? 'a vector' : 'an aligned crop';
  throw noScore(rule, 'photo', `${given} was given, which has none: give the photo`);
}

/** @throws NO_PRESENTATION_SCORE where a score is required that the model does not give */
export function requirePresentation(rule: PresentationRule, embedder: Embedder): void {
  if (rule.presentation !== 'require' || embedder.info.presentation) return;
  throw noScore(rule, 'network', `model pack "${embedder.info.pack}" has no network that gives one`);
}

/** Before a gallery requires scores: whether there is a network in each of its spaces. @throws NO_PRESENTATION_SCORE */
export async function requirePresentationIn(
  embedders: EmbedderSet,
  rule: PresentationRule,
  spaces: readonly string[],
): Promise<void> {
  if (rule.presentation !== 'require') return;
  for (const space of spaces) {
    const embedder = await embedders.inSpace(space);
    if (!embedder) throw noScore(rule, 'network', `no model pack here embeds in its space "${space}"`);
    requirePresentation(rule, embedder);
  }
}

/** @throws FACE_REFUSED where a score is required and the face's is below the model's threshold */
export function refuseAttack(rule: PresentationRule, { info }: Embedder, { quality, box }: Face): void {
  if (rule.presentation !== 'require') return;
  const { presentationScore: score } = quality.measures;
  const threshold = info.presentation?.threshold;
  if (score !== null && threshold !== undefined && score >= threshold) return;
  throw new HarmonidError(
    'FACE_REFUSED',
    `the face's presentation score is ${score}, gallery "${rule.gallery}" requires ${threshold}`,
    { details: { reasons: ['PRESENTATION_ATTACK'], score, threshold, box } },
  );
}

function noScore({ gallery }: PresentationRule, missing: 'photo' | 'network', why: string): HarmonidError {
  return new HarmonidError('NO_PRESENTATION_SCORE', `gallery "${gallery}" requires a presentation score; ${why}`, {
    details: { gallery, missing },
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
