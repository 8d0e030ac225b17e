/**
 * The edge of rollouts: every request is checked here, once, and given to the steps behind.
 */
import { defaultGallery, type CallOptions } from './api.js';
import { HarmonidError } from './errors.js';
import type { RolloutService } from './migrate/rollout-service.js';
import {
  estimators,
  gateNames,
  type BackfillSample,
  type Estimator,
  type PairSample,
  type Rollouts,
  type RolloutTarget,
  type StartRolloutRequest,
} from './migrate/rollout.js';
import { parseBytes, parseGalleryName, parseGroups, parseIdentityId, parseThreshold } from './requests.js';
import { dimensionsMax } from './vector.js';

const limitMax = 10_000;
const retentionDaysMax = 3650;

/** @param check refuses a call of a closed database or one that is aborted */
export function rolloutsOf(steps: RolloutService, check: (options: CallOptions) => void): Rollouts {
  const galleryOf = (request: { readonly gallery?: string | undefined } & CallOptions): string => {
    check(request);
    return request.gallery === undefined ? defaultGallery : parseGalleryName(request.gallery);
  };
  return {
    start: async (request) =>
      steps.start(galleryOf(request), parseTarget(request), { mapMapped: request.mapMapped ?? false }),
    addPairs: (request, samples) =>
      steps.addPairs(galleryOf(request), samples, { parse: parsePair, signal: request.signal }),
    probes: async (request) => {
      const { collectPairs } = request;
      if (collectPairs && !isConsent(collectPairs.consent)) {
        throw invalid('live probes are kept as pairs only with the consent of the people (consent: true)');
      }
      return steps.probes(galleryOf(request), {
        share: parseWithin(request.share ?? 1, 'share', 0, 1),
        retentionDays: collectPairs
          ? parseWhole(collectPairs.retentionDays, 'retentionDays', 1, retentionDaysMax)
          : null,
      });
    },
    fit: async function* (request) {
      return yield* steps.fit(
        galleryOf(request),
        {
          far: request.far === undefined ? null : parseWithin(request.far, 'far', 1e-6, 0.02),
          seed: parseWhole(request.seed ?? 1, 'seed', 0, 2 ** 31 - 1),
          estimators: parseEstimators(request.estimators ?? estimators),
        },
        request.signal,
      );
    },
    report: async (request) => steps.report(galleryOf(request)),
    shadow: async function* (request) {
      const overrule = request.overrule ?? [];
      const unknown = overrule.find((gate) => !gateNames.includes(gate));
      if (unknown !== undefined) throw invalid(`there is no gate "${unknown}"; the gates are ${gateNames.join(', ')}`);
      return yield* steps.shadow(galleryOf(request), overrule, request.signal);
    },
    canary: async (request) =>
      steps.canary(galleryOf(request), {
        share: parseWithin(request.share ?? 0, 'share', 0, 1),
        groups: parseGroups(request.groups) ?? [],
      }),
    activate: async (request) =>
      steps.activate(galleryOf(request), { fuse: request.fuse ?? false, reEnrol: request.reEnrol ?? false }),
    backfill: (request, samples) =>
      steps.backfill(galleryOf(request), samples, { parse: parseBackfill, signal: request.signal }),
    backfillOrder: async (request) =>
      steps.backfillOrder(galleryOf(request), parseWhole(request.limit ?? 100, 'limit', 1, limitMax)),
    get: async (request) => steps.get(galleryOf(request)),
    rollback: async (request) => steps.rollback(galleryOf(request)),
    complete: async (request) => steps.complete(galleryOf(request), { now: request.now ?? false }),
  };
}

function parseTarget({
  pack,
  target,
}: StartRolloutRequest): { readonly pack: string } | { readonly target: Omit<RolloutTarget, 'pack'> } {
  if ((pack === undefined) === (target === undefined)) {
    throw invalid('a rollout goes to a model pack or to a space: exactly one of pack and target is wanted');
  }
  if (pack !== undefined) return { pack };
  const { space, dimensions, threshold } = target as NonNullable<typeof target>;
  if (typeof space !== 'string' || space.length === 0 || space.length > 256) {
    throw invalid('target.space has 1 to 256 characters');
  }
  return {
    target: {
      space,
      dimensions: parseWhole(dimensions, 'target.dimensions', 1, dimensionsMax),
      threshold: parseThreshold(threshold) as number,
    },
  };
}

function parseEstimators(given: readonly Estimator[]): readonly Estimator[] {
  const unknown = given.find((estimator) => !estimators.includes(estimator));
  if (unknown === undefined && given.length > 0) return given;
  throw invalid(`estimators is "${given.join(', ')}", at least one of ${estimators.join(', ')} is wanted`);
}

/** @throws INVALID_ARGUMENT, INVALID_IDENTIFIER */
function parsePair(sample: PairSample): PairSample {
  const person = sample.person === undefined ? undefined : parseIdentityId(sample.person);
  return { ...sample, ...parseFace(sample, sample.vectors), person };
}

function parseBackfill(sample: BackfillSample): BackfillSample {
  return { ...sample, ...parseFace(sample), identity: parseIdentityId(sample.identity) };
}

function parseFace(
  { image, alignedCrop }: { readonly image?: Uint8Array | undefined; readonly alignedCrop?: Uint8Array | undefined },
  vectors?: PairSample['vectors'],
): { readonly image?: Uint8Array; readonly alignedCrop?: Uint8Array } {
  const given = [image, alignedCrop, vectors].filter((one) => one !== undefined);
  if (given.length !== 1) {
    throw invalid(
      `a sample is one face: ${given.length} of image, alignedCrop and vectors were given, exactly one is wanted`,
    );
  }
  return {
    ...(image !== undefined && { image: parseBytes(image, 'image') }),
    ...(alignedCrop !== undefined && { alignedCrop: parseBytes(alignedCrop, 'alignedCrop') }),
  };
}

function parseWithin(value: number, argument: string, from: number, to: number): number {
  if (typeof value === 'number' && value >= from && value <= to) return value;
  throw invalid(`${argument} is ${String(value)}, ${from} to ${to} is wanted`);
}

function parseWhole(value: number, argument: string, from: number, to: number): number {
  if (Number.isInteger(value) && value >= from && value <= to) return value;
  throw invalid(`${argument} is ${String(value)}, a whole number of ${from} to ${to} is wanted`);
}

function invalid(message: string): HarmonidError {
  return new HarmonidError('INVALID_ARGUMENT', message);
}

/** The type allows nothing else; a caller in JavaScript does. */
function isConsent(consent: unknown): boolean {
  return consent === true;
}
