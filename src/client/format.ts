/**
 * From the API's requests to the wire's. Checks only what the wire could not carry or would change silently; everything else is for
 * the server to refuse, in the same words as the library.
 */
import type {
  CalibrateRequest,
  CreateGalleryRequest,
  EmbedRequest,
  EnrollRequest,
  GallerySettings,
  IdentifyFacesRequest,
  IdentifyRequest,
  ImportTemplatesOptions,
  ListIdentitiesRequest,
  Sample,
  SearchOptions,
  UpdateGalleryRequest,
  UpdateIdentityRequest,
  VerifyRequest,
} from '../api.js';
import { HarmonidError } from '../errors.js';
import { parseBytes, parseSample } from '../requests.js';
import {
  duplicatePolicies,
  faceSelections,
  numberOf,
  presentationPolicies,
  qualityReasonNumbers,
} from '../wire/enums.js';
import type * as admin from '../wire/harmonid/v1/admin.js';
import type * as common from '../wire/harmonid/v1/common.js';
import type * as wire from '../wire/harmonid/v1/identity.js';
import { formatEmbedding } from '../wire/templates.js';

export function formatEnroll(request: EnrollRequest): wire.EnrollRequest {
  const { gallery, identity, label, groups, attributes, idempotencyKey, duplicates, refuseReasons, faces } = request;
  return {
    gallery,
    identity,
    label,
    groups: groups && { groups: [...groups] },
    attributes: attributes && { attributes: { ...attributes } },
    images: (request.images ?? []).map((image, i) => parseBytes(image, `images[${i}]`)),
    alignedCrops: (request.alignedCrops ?? []).map((crop, i) => parseBytes(crop, `alignedCrops[${i}]`)),
    embeddings: (request.embeddings ?? []).map(formatEmbedding),
    idempotencyKey,
    duplicates: numberOf(duplicatePolicies, duplicates, 'duplicates'),
    refuseReasons: formatReasons(refuseReasons),
    faces: numberOf(faceSelections, faces, 'faces'),
  };
}

export function formatIdentify(request: IdentifyRequest): wire.IdentifyRequest {
  return {
    gallery: request.gallery,
    sample: formatSample(request),
    faces: numberOf(faceSelections, request.faces, 'faces'),
    search: formatSearch(request),
  };
}

export function formatIdentifyFaces(request: IdentifyFacesRequest): wire.IdentifyRequest {
  return {
    gallery: request.gallery,
    sample: { sample: { $case: 'image', value: parseBytes(request.image, 'image') } },
    faces: faceSelections.all,
    search: formatSearch(request),
  };
}

export function formatSearch({ k, groups, threshold, exact, ef }: SearchOptions): wire.SearchOptions {
  return { k, groups: groups && { anyOf: [...groups] }, threshold, exact: exact ?? false, ef };
}

export function formatVerify(request: VerifyRequest): wire.VerifyRequest {
  const { gallery, identity, threshold, faces } = request;
  return {
    gallery,
    identity,
    threshold,
    sample: formatSample(request),
    faces: numberOf(faceSelections, faces, 'faces'),
  };
}

export function formatEmbed(request: EmbedRequest): wire.EmbedRequest {
  return request.image === undefined
    ? { sample: { $case: 'alignedCrop', value: parseBytes(request.alignedCrop, 'alignedCrop') } }
    : { sample: { $case: 'image', value: parseBytes(request.image, 'image') } };
}

export function formatList(request: ListIdentitiesRequest): wire.ListIdentitiesRequest {
  const { gallery, pageSize, pageToken, groups } = request;
  return { gallery, pageSize, pageToken, groups: groups && { anyOf: [...groups] } };
}

export function formatUpdateIdentity(request: UpdateIdentityRequest): wire.UpdateIdentityRequest {
  const { gallery, identity, label, groups, attributes, expectedVersion } = request;
  return {
    gallery,
    identity,
    label,
    groups: groups && { groups: [...groups] },
    attributes: attributes && { attributes: { ...attributes } },
    expectedVersion,
  };
}

export function formatCreateGallery(request: CreateGalleryRequest): admin.CreateGalleryRequest {
  const { gallery, space, dimensions } = request;
  return { gallery, space, dimensions, settings: formatSettings(request) };
}

export function formatUpdateGallery(request: UpdateGalleryRequest): admin.UpdateGalleryRequest {
  return { gallery: request.gallery, settings: formatSettings(request) };
}

export function formatImportOptions(options: ImportTemplatesOptions): admin.ImportTemplatesOptions {
  const { gallery, createGallery, duplicates } = options;
  return {
    gallery,
    createGallery: createGallery && formatSettings(createGallery),
    duplicates: numberOf(duplicatePolicies, duplicates, 'duplicates'),
  };
}

function formatSettings(settings: GallerySettings): admin.GallerySettings {
  const { threshold, margin, duplicates, refuseReasons, presentation, templatesPerIdentityMax, description } = settings;
  return {
    threshold,
    margin,
    fpirTarget: formatTarget(settings.fpirTarget),
    fmrTarget: formatTarget(settings.fmrTarget),
    duplicates: numberOf(duplicatePolicies, duplicates, 'duplicates'),
    refuseReasons: formatReasons(refuseReasons),
    presentation: numberOf(presentationPolicies, presentation, 'presentation'),
    templatesPerIdentityMax,
    description,
  };
}

/** 0 stands for none, so it cannot be asked for. */
function formatTarget(target: number | null | undefined): number | undefined {
  if (target === 0) throw new HarmonidError('INVALID_ARGUMENT', 'a target is 0, a rate between 0 and 1 is wanted');
  return target === null ? 0 : target;
}

export function formatCalibrate({ gallery, space, probes = [] }: CalibrateRequest): admin.CalibrateRequest {
  return {
    gallery,
    space,
    probes: probes.map(({ identity, embedding }) => ({ identity, embedding: formatEmbedding(embedding) })),
  };
}

export function formatSample(given: Sample): common.Sample {
  const { image, alignedCrop, embedding } = parseSample(given);
  if (image !== undefined) return { sample: { $case: 'image', value: parseBytes(image, 'image') } };
  if (embedding !== undefined) return { sample: { $case: 'embedding', value: formatEmbedding(embedding) } };
  return { sample: { $case: 'alignedCrop', value: parseBytes(alignedCrop, 'alignedCrop') } };
}

function formatReasons(reasons: GallerySettings['refuseReasons']): common.QualityReasons | undefined {
  return reasons && { reasons: reasons.map((reason) => numberOf(qualityReasonNumbers, reason, 'refuseReasons')) };
}
