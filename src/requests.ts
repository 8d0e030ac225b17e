/**
 * The edge of the library: from what a caller hands over to what the database works with.
 *
 * Every request passes through here once and is trusted behind it. Each refusal names the argument, what was given and
 * what is allowed. Pure: no I/O, no clock.
 */
import { createHash } from 'node:crypto';
import type { CreateGalleryRequest, EnrollRequest, GallerySettings, Sample, SearchOptions } from './api.js';
import type { EmbedderInfo } from './embedder/embedder.js';
import { qualityReasons, type QualityReason } from './embedder/face.js';
import { HarmonidError } from './errors.js';
import type { GalleryChange, GalleryDraft } from './index/identity-index.js';
import { dimensionsMax } from './vector.js';

/** Limits on what a request may hold; printed in README. */
export const requestLimits = {
  /** Characters (Unicode code points) of an identity's id, of a label, a group, an attribute's key. */
  identifierLengthMax: 128,
  /** Characters of a gallery's name. */
  galleryLengthMax: 64,
  groupsMax: 64,
  attributesMax: 64,
  attributeLengthMax: 1024,
  descriptionLengthMax: 1024,
  /** Samples of one enrolment. */
  samplesMax: 1000,
  /** Of one calibration. */
  knownProbesMax: 10_000,
  candidatesMax: 1000,
  efMax: 4096,
  pageSizeMax: 1000,
} as const;

export const searchDefaults = { k: 5, ef: 128, exact: false } as const;

// Control, surrogate, private, unassigned and line-breaking characters have no business in a name.
const forbiddenInNames = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u;
const galleryPattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

function shown(value: string): string {
  const printable = [...value]
    .slice(0, 40)
    .map((character) => (forbiddenInNames.test(character) ? '\uFFFD' : character));
  return `"${printable.join('')}${value.length > 40 ? '…' : ''}"`;
}

function invalidArgument(message: string, details: Record<string, unknown> = {}): HarmonidError {
  return new HarmonidError('INVALID_ARGUMENT', message, { details });
}

function parseName(value: unknown, argument: string, lengthMax: number): string {
  if (typeof value !== 'string') {
    throw new HarmonidError('INVALID_IDENTIFIER', `${argument} is ${typeof value}, a string is wanted`);
  }
  const name = value.normalize('NFC');
  const length = [...name].length;
  if (length === 0)
    throw new HarmonidError('INVALID_IDENTIFIER', `${argument} is empty, 1 to ${lengthMax} characters are wanted`);
  if (length > lengthMax) {
    throw new HarmonidError(
      'INVALID_IDENTIFIER',
      `${argument} has ${length} characters, at most ${lengthMax} are allowed`,
      {
        details: { argument, length, lengthMax },
      },
    );
  }
  if (forbiddenInNames.test(name)) {
    throw new HarmonidError('INVALID_IDENTIFIER', `${argument} ${shown(name)} holds control or unassigned characters`, {
      details: { argument },
    });
  }
  if (name.trim() !== name) {
    throw new HarmonidError('INVALID_IDENTIFIER', `${argument} ${shown(name)} begins or ends with white space`, {
      details: { argument },
    });
  }
  return name;
}

/** A gallery's name: letters, digits, dot, dash, underscore. @throws INVALID_IDENTIFIER */
export function parseGalleryName(value: unknown): string {
  const name = parseName(value, 'gallery', requestLimits.galleryLengthMax);
  if (!galleryPattern.test(name)) {
    throw new HarmonidError(
      'INVALID_IDENTIFIER',
      `gallery ${shown(name)} may hold letters, digits, '.', '_' and '-' only, and begins with a letter or digit`,
    );
  }
  return name;
}

/** An identity's id, normalised to NFC. @throws INVALID_IDENTIFIER */
export function parseIdentityId(value: unknown): string {
  return parseName(value, 'identity', requestLimits.identifierLengthMax);
}

/** Undefined stays undefined; duplicates are dropped; sorted, so that equal sets look equal. */
export function parseGroups(value: readonly string[] | undefined): readonly string[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw invalidArgument('groups must be a list of names');
  if (value.length > requestLimits.groupsMax) {
    throw invalidArgument(`${value.length} groups were given, at most ${requestLimits.groupsMax} are allowed`);
  }
  return [...new Set(value.map((group) => parseName(group, 'group', requestLimits.identifierLengthMax)))].toSorted();
}

/** An empty label is allowed. */
export function parseLabel(value: string | undefined): string | undefined {
  if (value === undefined || value === '') return value;
  return parseName(value, 'label', requestLimits.identifierLengthMax);
}

export function parseAttributes(
  value: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> | undefined {
  if (value === undefined) return undefined;
  const entries = Object.entries(value);
  if (entries.length > requestLimits.attributesMax) {
    throw invalidArgument(
      `${entries.length} attributes were given, at most ${requestLimits.attributesMax} are allowed`,
    );
  }
  const parsed = entries.map(([key, text]): [string, string] => {
    const name = parseName(key, 'attribute', requestLimits.identifierLengthMax);
    if (typeof text !== 'string')
      throw invalidArgument(`attribute ${shown(name)} is ${typeof text}, a string is wanted`);
    if (text.length > requestLimits.attributeLengthMax) {
      throw invalidArgument(
        `attribute ${shown(name)} has ${text.length} characters, at most ${requestLimits.attributeLengthMax} are allowed`,
      );
    }
    return [name, text];
  });
  return Object.fromEntries(parsed.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function parseInteger(
  value: number | undefined,
  fallback: number,
  argument: string,
  smallest: number,
  largest: number,
): number {
  if (value === undefined) return fallback;
  if (!Number.isInteger(value) || value < smallest || value > largest) {
    throw invalidArgument(`${argument} is ${String(value)}, a whole number from ${smallest} to ${largest} is wanted`, {
      argument,
    });
  }
  return value;
}

function parseDistance(value: number | undefined, argument: string, zeroAllowed: boolean): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value) || value > 4 || value < 0 || (value === 0 && !zeroAllowed)) {
    throw invalidArgument(
      `${argument} is ${String(value)}, a squared distance ${zeroAllowed ? 'from 0' : 'above 0'} to 4 is wanted`,
      { argument },
    );
  }
  return value;
}

export function parseThreshold(value: number | undefined): number | undefined {
  return parseDistance(value, 'threshold', false);
}

export function parsePageSize(value: number | undefined): number {
  return parseInteger(value, 100, 'pageSize', 1, requestLimits.pageSizeMax);
}

export function parseTemplateNumber(value: number): number {
  return parseInteger(value, 0, 'template', 0, 0xffff_ffff);
}

export function parseExpectedVersion(value: number | undefined): number | undefined {
  return value === undefined ? undefined : parseInteger(value, 0, 'expectedVersion', 0, Number.MAX_SAFE_INTEGER);
}

export interface ParsedSearch {
  readonly k: number;
  readonly ef: number;
  readonly exact: boolean;
  readonly groups: readonly string[] | undefined;
  readonly threshold: number | undefined;
}

export function parseSearch(options: SearchOptions): ParsedSearch {
  const groups = parseGroups(options.groups);
  if (groups?.length === 0)
    throw invalidArgument('groups is an empty list: name at least one group, or leave it out to search everybody');
  return {
    k: parseInteger(options.k, searchDefaults.k, 'k', 1, requestLimits.candidatesMax),
    ef: parseInteger(options.ef, searchDefaults.ef, 'ef', 1, requestLimits.efMax),
    exact: options.exact ?? searchDefaults.exact,
    groups,
    threshold: parseThreshold(options.threshold),
  };
}

/** Exactly one of image, alignedCrop, embedding. @throws INVALID_ARGUMENT */
export function parseSample(sample: Sample): Sample {
  const given = (['image', 'alignedCrop', 'embedding'] as const).filter((key) => sample[key] !== undefined);
  if (given.length !== 1) {
    throw invalidArgument(
      `${given.length === 0 ? 'no sample was given' : `${given.join(' and ')} were given`}; one of image, alignedCrop, embedding is wanted`,
    );
  }
  return sample;
}

/** @throws INVALID_ARGUMENT when `bytes` are not bytes */
export function parseBytes(bytes: unknown, argument: string): Uint8Array {
  if (!(bytes instanceof Uint8Array))
    throw invalidArgument(`${argument} must be the bytes of an encoded image (Buffer or Uint8Array)`);
  return bytes;
}

/** @throws INVALID_ARGUMENT */
export function parseDuplicates<T extends string | undefined>(value: T): T {
  if (value !== undefined && !['refuse', 'report', 'ignore'].includes(value)) {
    throw invalidArgument(`duplicates is "${value}", one of refuse, report, ignore is wanted`);
  }
  return value;
}

/** @throws INVALID_ARGUMENT */
function parsePresentation(value: GallerySettings['presentation']): GallerySettings['presentation'] {
  if (value !== undefined && !['ignore', 'require'].includes(value)) {
    throw invalidArgument(`presentation is "${value}", one of ignore, require is wanted`);
  }
  return value;
}

export function parseReasons(value: readonly QualityReason[] | undefined): readonly QualityReason[] | undefined {
  if (value === undefined) return undefined;
  for (const reason of value) {
    if (!qualityReasons.includes(reason)) {
      throw invalidArgument(`refuseReasons holds "${reason}", known reasons are ${qualityReasons.join(', ')}`);
    }
  }
  return [...new Set(value)];
}

function parseGallerySettings(settings: GallerySettings): GalleryChange {
  const { description } = settings;
  if (description !== undefined && description.length > requestLimits.descriptionLengthMax) {
    throw invalidArgument(
      `description has ${description.length} characters, at most ${requestLimits.descriptionLengthMax} are allowed`,
    );
  }
  const threshold = parseThreshold(settings.threshold);
  const margin = parseDistance(settings.margin, 'margin', true);
  const duplicates = parseDuplicates(settings.duplicates);
  const refuseReasons = parseReasons(settings.refuseReasons);
  const presentation = parsePresentation(settings.presentation);
  const { templatesPerIdentityMax } = settings;
  const fpirTarget = parseTarget(settings.fpirTarget, 'fpirTarget');
  const fmrTarget = parseTarget(settings.fmrTarget, 'fmrTarget');
  return {
    ...(fpirTarget !== undefined && { fpirTarget }),
    ...(fmrTarget !== undefined && { fmrTarget }),
    ...(threshold !== undefined && { threshold }),
    ...(margin !== undefined && { margin }),
    ...(duplicates !== undefined && { duplicates }),
    ...(refuseReasons !== undefined && { refuseReasons }),
    ...(presentation !== undefined && { presentation }),
    ...(templatesPerIdentityMax !== undefined && {
      templatesPerIdentityMax: parseInteger(templatesPerIdentityMax, 0, 'templatesPerIdentityMax', 1, 1000),
    }),
    ...(description !== undefined && { description }),
  };
}

function parseTarget(value: number | null | undefined, name: string): number | null | undefined {
  if (value === undefined || value === null || (value > 0 && value < 1)) return value;
  throw invalidArgument(`${name} is ${String(value)}, a rate between 0 and 1 is wanted`);
}

/**
 * A gallery with every setting filled in: from the request, else from the embedder whose space it takes.
 * @throws INVALID_IDENTIFIER, INVALID_ARGUMENT, EMBEDDER_MISSING
 */
export function parseGalleryDraft(request: CreateGalleryRequest, embedder: EmbedderInfo | null): GalleryDraft {
  const gallery = parseGalleryName(request.gallery);
  const settings = parseGallerySettings(request);
  const own = embedder !== null && (request.space === undefined || request.space === embedder.space) ? embedder : null;
  if (own && request.dimensions !== undefined && request.dimensions !== own.dimensions) {
    throw invalidArgument(`dimensions is ${request.dimensions}, space "${own.space}" has ${own.dimensions}`);
  }
  const { space, dimensions } = own ?? parseForeignSpace(request.space, request.dimensions);
  const threshold = settings.threshold ?? own?.threshold;
  if (threshold === undefined) throw invalidArgument(`space ${shown(space)} has no default threshold: name one`);
  return {
    gallery,
    space,
    dimensions,
    threshold,
    thresholdSource: own && settings.threshold === undefined ? own.thresholdSource : operatorThreshold,
    margin: settings.margin ?? own?.margin ?? 0,
    duplicates: settings.duplicates ?? 'refuse',
    refuseReasons: settings.refuseReasons ?? qualityReasons.filter((reason) => reason !== 'PRESENTATION_ATTACK'),
    presentation: settings.presentation ?? 'ignore',
    fpirTarget: settings.fpirTarget ?? null,
    fmrTarget: settings.fmrTarget ?? null,
    templatesPerIdentityMax: settings.templatesPerIdentityMax ?? 50,
    description: settings.description ?? '',
  };
}

/** Only the settings that were given. @throws INVALID_ARGUMENT */
export function parseGalleryChange(settings: GallerySettings): GalleryChange {
  const parsed = parseGallerySettings(settings);
  if (parsed.threshold === undefined) return parsed;
  if (typeof parsed.fpirTarget === 'number') {
    throw invalidArgument(
      `threshold ${parsed.threshold} and fpirTarget ${parsed.fpirTarget} were given: a threshold either stands or follows from a target`,
    );
  }
  // A target would move it.
  return { ...parsed, fpirTarget: null, thresholdSource: operatorThreshold };
}

const operatorThreshold = 'set by the operator';

/** A space made elsewhere. */
function parseForeignSpace(
  space: string | undefined,
  dimensions: number | undefined,
): { space: string; dimensions: number } {
  if (space === undefined) {
    throw new HarmonidError(
      'EMBEDDER_MISSING',
      'there is no embedder whose space the gallery could take: name space and dimensions',
    );
  }
  if (dimensions === undefined)
    throw invalidArgument(`space ${shown(space)} is not the embedder's: name its dimensions, too`);
  return {
    space: parseName(space, 'space', requestLimits.identifierLengthMax),
    dimensions: parseInteger(dimensions, 0, 'dimensions', 1, dimensionsMax),
  };
}

export interface ParsedEnrollment {
  readonly identity: string;
  readonly label: string | undefined;
  readonly groups: readonly string[] | undefined;
  readonly attributes: Readonly<Record<string, string>> | undefined;
  /** Images, then aligned crops, then embeddings. */
  readonly samples: readonly Sample[];
  readonly duplicates: EnrollRequest['duplicates'];
  readonly refuseReasons: readonly QualityReason[] | undefined;
  /** When an image shows several faces. */
  readonly faces: 'one' | 'largest';
  readonly idempotency: { readonly key: string; readonly digest: string } | undefined;
}

export function parseEnrollment(request: EnrollRequest): ParsedEnrollment {
  const samples: Sample[] = [
    ...(request.images ?? []).map((image, i) => ({ image: parseBytes(image, `images[${i}]`) })),
    ...(request.alignedCrops ?? []).map((crop, i) => ({ alignedCrop: parseBytes(crop, `alignedCrops[${i}]`) })),
    ...(request.embeddings ?? []).map((embedding) => ({ embedding })),
  ];
  if (samples.length === 0)
    throw invalidArgument('nothing to enroll: give at least one of images, alignedCrops, embeddings');
  if (samples.length > requestLimits.samplesMax) {
    throw invalidArgument(
      `${samples.length} samples were given, at most ${requestLimits.samplesMax} are allowed in one enrolment`,
    );
  }
  const enrollment = {
    identity: parseIdentityId(request.identity),
    label: parseLabel(request.label),
    groups: parseGroups(request.groups),
    attributes: parseAttributes(request.attributes),
    duplicates: parseDuplicates(request.duplicates),
    refuseReasons: parseReasons(request.refuseReasons),
    faces: parseFaceChoice(request.faces),
  };
  const idempotency =
    request.idempotencyKey === undefined
      ? undefined
      : {
          key: parseName(request.idempotencyKey, 'idempotencyKey', requestLimits.identifierLengthMax),
          digest: enrollmentDigest(enrollment, samples),
        };
  return { ...enrollment, samples, idempotency };
}

export function parseFaceChoice(value: 'one' | 'largest' | undefined): 'one' | 'largest' {
  const choice: string = value ?? 'one';
  if (choice !== 'one' && choice !== 'largest')
    throw invalidArgument(`faces is "${choice}", one of one, largest is wanted`);
  return choice;
}

/** SHA-256, hex: of an image's bytes, for provenance and idempotency. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Tells two requests under one idempotency key apart: everything that changes the outcome. */
function enrollmentDigest(enrollment: object, samples: readonly Sample[]): string {
  const hash = createHash('sha256').update(JSON.stringify(enrollment));
  for (const sample of samples) {
    if (sample.image) hash.update(`\nimage ${sha256(sample.image)}`);
    else if (sample.alignedCrop) hash.update(`\ncrop ${sha256(sample.alignedCrop)}`);
    else if (sample.embedding) {
      hash
        .update(`\nvector ${sample.embedding.space} `)
        .update(new Uint8Array(Float64Array.from(sample.embedding.vector).buffer));
    }
  }
  return hash.digest('hex');
}
