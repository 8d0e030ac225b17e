/**
 * From requests about rollouts to the wire's. Checks only what the wire could not carry or would change silently; everything else is
 * for the server to refuse, in the same words as the library.
 */
import { HarmonidError } from '../errors.js';
import type {
  BackfillSample,
  CanaryRolloutRequest,
  FitRolloutRequest,
  PairSample,
  RolloutProbesRequest,
  ShadowRolloutRequest,
  StartRolloutRequest,
} from '../migrate/rollout.js';
import { parseBytes } from '../requests.js';
import { numberOf } from '../wire/enums.js';
import type * as wire from '../wire/harmonid/v1/rollout.js';
import { gateNumbers } from '../wire/rollout-enums.js';
import { formatVector } from '../wire/templates.js';

/** @throws INVALID_ARGUMENT for a pack and a space of one's own */
export function formatStart({
  gallery,
  pack,
  target,
  mapMapped = false,
}: StartRolloutRequest): wire.StartRolloutRequest {
  refuseSeveral({ pack, target });
  if (pack !== undefined) return { gallery, to: { $case: 'pack', value: pack }, mapMapped };
  return { gallery, to: target && { $case: 'target', value: target }, mapMapped };
}

/** @throws INVALID_ARGUMENT for several of image, crop and vectors */
export function formatPairSample({ person, image, alignedCrop, vectors }: PairSample): wire.PairSample {
  refuseSeveral({ image, alignedCrop, vectors });
  if (vectors === undefined) return { person, face: formatFace(image, alignedCrop) };
  const value = { from: formatVector(vectors.from), to: formatVector(vectors.to) };
  return { person, face: { $case: 'vectors', value } };
}

export function formatFit({ gallery, far, seed, estimators = [] }: FitRolloutRequest): wire.FitRolloutRequest {
  return { gallery, far, seed, estimators: [...estimators] };
}

export function formatProbes({ gallery, share, collectPairs }: RolloutProbesRequest): wire.SetRolloutProbesRequest {
  return { gallery, share, collectPairs };
}

export function formatShadow(request: ShadowRolloutRequest): wire.ShadowRolloutRequest {
  const { gallery, overrule = [] } = request;
  return { gallery, overrule: overrule.map((gate) => numberOf(gateNumbers, gate, 'overrule')) };
}

export function formatCanary({ gallery, share, groups }: CanaryRolloutRequest): wire.CanaryRolloutRequest {
  return { gallery, share, groups: groups && { groups: [...groups] } };
}

/** @throws INVALID_ARGUMENT for an image and a crop */
export function formatBackfillSample({ identity, image, alignedCrop }: BackfillSample): wire.BackfillSample {
  refuseSeveral({ image, alignedCrop });
  return { identity, face: formatFace(image, alignedCrop) };
}

/** None is for the server to refuse. */
function formatFace(
  image: Uint8Array | undefined,
  alignedCrop: Uint8Array | undefined,
): wire.BackfillSample['face'] | undefined {
  if (image !== undefined) return { $case: 'image', value: parseBytes(image, 'image') };
  if (alignedCrop !== undefined) return { $case: 'alignedCrop', value: parseBytes(alignedCrop, 'alignedCrop') };
  return undefined;
}

/** The wire carries one of several; the others would be lost on the way. */
function refuseSeveral(alternatives: Readonly<Record<string, unknown>>): void {
  const given = Object.keys(alternatives).filter((name) => alternatives[name] !== undefined);
  if (given.length < 2) return;
  const message = `${given.join(' and ')} are given, one of ${Object.keys(alternatives).join(', ')} is wanted`;
  throw new HarmonidError('INVALID_ARGUMENT', message, { details: { argument: given[1] } });
}
