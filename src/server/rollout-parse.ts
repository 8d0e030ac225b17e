/**
 * From requests about rollouts on the wire to the API's. Only the shape is checked here; every value passes on to the database, which
 * refuses in its own words. An item of a stream that lacks something is the database's to refuse, too: it becomes that item's result.
 */
import type { CallOptions } from '../api.js';
import type {
  BackfillSample,
  CanaryRolloutRequest,
  Estimator,
  FitRolloutRequest,
  PairSample,
  RolloutProbesRequest,
  ShadowRolloutRequest,
  StartRolloutRequest,
} from '../migrate/rollout.js';
import { nameOf } from '../wire/enums.js';
import type * as wire from '../wire/harmonid/v1/rollout.js';
import { gateNumbers } from '../wire/rollout-enums.js';
import { invalidArgument, outsideTable } from './parse.js';

export function parseStart(
  { gallery, to, mapMapped }: wire.StartRolloutRequest,
  { signal }: CallOptions,
): StartRolloutRequest {
  const shared = { gallery, ...(mapMapped && { mapMapped }), signal };
  if (to === undefined) return shared;
  return to.$case === 'pack' ? { ...shared, pack: to.value } : { ...shared, target: to.value };
}

export function parsePairSample(sample: wire.PairSample | undefined): PairSample {
  const { person, face } = sample ?? {};
  return face?.$case === 'vectors' ? { person, vectors: parseVectors(face.value) } : { person, ...parseFace(face) };
}

/** Names of estimators are checked by the library. */
export function parseFit(
  { gallery, far, seed, estimators }: wire.FitRolloutRequest,
  { signal }: CallOptions,
): FitRolloutRequest {
  return { gallery, far, seed, ...(estimators.length > 0 && { estimators: estimators as Estimator[] }), signal };
}

/** @throws INVALID_ARGUMENT when pairs are to be collected without consent */
export function parseProbes(request: wire.SetRolloutProbesRequest, { signal }: CallOptions): RolloutProbesRequest {
  const { gallery, share, collectPairs } = request;
  return { gallery, share, collectPairs: collectPairs && parseCollectPairs(collectPairs), signal };
}

export function parseShadow(request: wire.ShadowRolloutRequest, { signal }: CallOptions): ShadowRolloutRequest {
  const { gallery, overrule } = request;
  return { gallery, overrule: overrule.map((gate) => nameOf(gateNumbers, gate) ?? outsideTable(gate)), signal };
}

export function parseCanary(
  { gallery, share, groups }: wire.CanaryRolloutRequest,
  { signal }: CallOptions,
): CanaryRolloutRequest {
  return { gallery, share, groups: groups?.groups, signal };
}

export function parseBackfillSample(sample: wire.BackfillSample | undefined): BackfillSample {
  return { identity: sample?.identity ?? '', ...parseFace(sample?.face) };
}

function parseFace(face: wire.BackfillSample['face']): Pick<BackfillSample, 'image' | 'alignedCrop'> {
  if (face === undefined) return {};
  return face.$case === 'image' ? { image: face.value } : { alignedCrop: face.value };
}

/** Float32 again: the values were float32 on the wire. */
function parseVectors({ from, to }: wire.VectorPair): PairSample['vectors'] {
  return { from: Float32Array.from(from), to: Float32Array.from(to) };
}

function parseCollectPairs({ consent, retentionDays }: wire.CollectPairs): RolloutProbesRequest['collectPairs'] {
  if (!consent)
    throw invalidArgument('collect_pairs lacks consent: faces are kept of people who agreed', 'collect_pairs');
  return { consent, retentionDays };
}
