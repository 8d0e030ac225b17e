/**
 * From requests on the wire to the API's. Only the shape is checked here; every value passes on to the database, which refuses in
 * its own words, so that the library and the server have the same semantics.
 *
 * UNSPECIFIED and absent fields become `undefined`: the database's default.
 */
import type {
  CalibrateRequest,
  CallOptions,
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
import {
  duplicatePolicies,
  faceSelections,
  nameOf,
  presentationPolicies,
  qualityReasonNumbers,
} from '../wire/enums.js';
import type * as admin from '../wire/harmonid/v1/admin.js';
import type * as common from '../wire/harmonid/v1/common.js';
import type * as wire from '../wire/harmonid/v1/identity.js';

export function parseEnroll(request: wire.EnrollRequest, { signal, deadlineAt }: CallOptions): EnrollRequest {
  return {
    gallery: request.gallery,
    identity: request.identity,
    label: request.label,
    groups: request.groups?.groups,
    attributes: request.attributes?.attributes,
    images: request.images,
    alignedCrops: request.alignedCrops,
    embeddings: request.embeddings,
    idempotencyKey: request.idempotencyKey,
    duplicates: parseEnum(duplicatePolicies, request.duplicates),
    refuseReasons: parseReasons(request.refuseReasons),
    faces: parseEnum(oneFaceSelections, request.faces),
    signal,
    deadlineAt,
  };
}

/** A request for one face, or for all of an image. */
export type ParsedIdentify = { readonly one: IdentifyRequest } | { readonly all: IdentifyFacesRequest };

/** @throws INVALID_ARGUMENT without a sample, or for all faces of something else than an image */
export function parseIdentify(request: wire.IdentifyRequest, { signal, deadlineAt }: CallOptions): ParsedIdentify {
  const common = { gallery: request.gallery, ...parseSearch(request.search), signal, deadlineAt };
  const sample = parseSample(request.sample);
  const faces = parseEnum(faceSelections, request.faces);
  if (faces !== 'all') return { one: { ...common, ...sample, faces } };
  if (sample.image === undefined) throw invalidArgument('faces is "all": that needs an image', 'faces');
  return { all: { ...common, image: sample.image } };
}

function parseSearch(search: wire.SearchOptions | undefined): SearchOptions {
  if (search === undefined) return {};
  const { k, groups, threshold, exact, ef } = search;
  return { k, groups: groups?.anyOf, threshold, exact, ef };
}

export function parseVerify(request: wire.VerifyRequest, { signal, deadlineAt }: CallOptions): VerifyRequest {
  const { gallery, identity, threshold } = request;
  const faces = parseEnum(oneFaceSelections, request.faces);
  return { gallery, identity, threshold, faces, ...parseSample(request.sample), signal, deadlineAt };
}

export function parseEmbed({ sample }: wire.EmbedRequest, { signal, deadlineAt }: CallOptions): EmbedRequest {
  if (sample === undefined) throw invalidArgument('sample is missing: give one of image, aligned_crop', 'sample');
  return sample.$case === 'image'
    ? { image: sample.value, signal, deadlineAt }
    : { alignedCrop: sample.value, signal, deadlineAt };
}

export function parseList(request: wire.ListIdentitiesRequest, { signal }: CallOptions): ListIdentitiesRequest {
  const { gallery, pageSize, pageToken, groups } = request;
  return { gallery, pageSize, pageToken, groups: groups?.anyOf, signal };
}

export function parseUpdateIdentity(
  request: wire.UpdateIdentityRequest,
  { signal }: CallOptions,
): UpdateIdentityRequest {
  const { gallery, identity, label, groups, attributes, expectedVersion } = request;
  return {
    gallery,
    identity,
    label,
    groups: groups?.groups,
    attributes: attributes?.attributes,
    expectedVersion,
    signal,
  };
}

export function parseCreateGallery(request: admin.CreateGalleryRequest, { signal }: CallOptions): CreateGalleryRequest {
  const { gallery, space, dimensions, settings } = request;
  return { gallery, space, dimensions, ...parseSettings(settings), signal };
}

export function parseUpdateGallery(
  { gallery, settings }: admin.UpdateGalleryRequest,
  { signal }: CallOptions,
): UpdateGalleryRequest {
  return { gallery, ...parseSettings(settings), signal };
}

export function parseImportOptions(
  options: admin.ImportTemplatesOptions | undefined,
  { signal }: CallOptions,
): ImportTemplatesOptions {
  if (options === undefined) return { signal };
  const { gallery, createGallery, duplicates } = options;
  return {
    gallery,
    createGallery: createGallery && parseSettings(createGallery),
    duplicates: parseEnum(duplicatePolicies, duplicates),
    signal,
  };
}

function parseSettings(settings: admin.GallerySettings | undefined): GallerySettings {
  if (settings === undefined) return {};
  const { threshold, margin, duplicates, refuseReasons, presentation, templatesPerIdentityMax, description } = settings;
  return {
    threshold,
    margin,
    fpirTarget: parseTarget(settings.fpirTarget),
    fmrTarget: parseTarget(settings.fmrTarget),
    duplicates: parseEnum(duplicatePolicies, duplicates),
    refuseReasons: parseReasons(refuseReasons),
    presentation: parseEnum(presentationPolicies, presentation),
    templatesPerIdentityMax,
    description,
  };
}

/** 0 stands for none. */
function parseTarget(target: number | undefined): number | null | undefined {
  return target === 0 ? null : target;
}

export function parseCalibrate(
  { gallery, space, probes }: admin.CalibrateRequest,
  { signal }: CallOptions,
): CalibrateRequest {
  return {
    gallery,
    space,
    probes: probes.map(({ identity, embedding }, at) => {
      const field = `probes[${at}].embedding`;
      if (!embedding) throw invalidArgument(`${field} is missing`, field);
      return { identity, embedding };
    }),
    signal,
  };
}

function parseSample(given: common.Sample | undefined): Sample {
  const sample = given?.sample;
  switch (sample?.$case) {
    case 'image':
      return { image: sample.value };
    case 'alignedCrop':
      return { alignedCrop: sample.value };
    case 'embedding':
      return { embedding: sample.value };
    case undefined:
      throw invalidArgument('sample is missing: give one of image, aligned_crop, embedding', 'sample');
  }
}

function parseReasons(given: common.QualityReasons | undefined): GallerySettings['refuseReasons'] {
  return given?.reasons.map((reason) => nameOf(qualityReasonNumbers, reason) ?? outsideTable(reason));
}

// ALL is no choice where one face is wanted.
const { one, largest } = faceSelections;
const oneFaceSelections = { one, largest };

function parseEnum<Name extends string>(table: Readonly<Record<Name, number>>, value: number): Name | undefined {
  if (value === 0) return undefined;
  return nameOf(table, value) ?? outsideTable(value);
}

/**
 * A number without a name here, as text: the database refuses it where it refuses every unknown name. So it becomes the
 * result of the one import item that holds it, and the message names the field.
 */
export function outsideTable<Name extends string>(value: number): Name {
  return `number ${value}` as Name;
}

export function invalidArgument(message: string, argument: string): HarmonidError {
  return new HarmonidError('INVALID_ARGUMENT', message, { details: { argument } });
}
