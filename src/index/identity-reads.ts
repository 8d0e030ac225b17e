/**
 * Identities and their templates as the store holds them, and as callers see them. Reads only.
 */
import { HarmonidError } from '../errors.js';
import type { UnitVector } from '../vector.js';
import {
  galleryCodec,
  identityCodec,
  keyParts,
  keys,
  pointerCodec,
  ranges,
  templateCodec,
  type GalleryRecord,
  type IdentityRecord,
  type LaneRecord,
  type TemplateRecord,
} from './codec.js';
import type { LaneKey } from './lanes.js';
import type { Gallery, GallerySpace, Identity, Template } from './records.js';
import type { Store, StoreReader } from './store.js';

export interface StoredTemplate {
  readonly template: number;
  readonly record: TemplateRecord;
}

/** An identity with the ordinal under which everything of it is stored. */
export interface Owned {
  readonly owner: number;
  readonly record: IdentityRecord;
}

export function findIdentity(reader: StoreReader, gallery: LaneKey, identity: string): Owned | undefined {
  const key = keys.identity(gallery.number, identity);
  const bytes = reader.get('identities', key);
  if (!bytes) return undefined;
  const { owner } = pointerCodec.decode(key, bytes);
  const record = findOwner(reader, gallery, owner);
  return record && { owner, record };
}

/** Undefined once the identity is erased. */
export function findOwner(reader: StoreReader, gallery: LaneKey, owner: number): IdentityRecord | undefined {
  const key = keys.owner(gallery.number, owner);
  const bytes = reader.get('owners', key);
  return bytes && identityCodec.decode(key, bytes);
}

/** In the order of enrolment. */
export function templatesOf(reader: StoreReader, gallery: LaneKey, owner: number): StoredTemplate[] {
  const templates: StoredTemplate[] = [];
  for (const { key, value } of reader.range('templates', ...ranges.templatesOf(gallery.number, owner))) {
    const { template, lane } = keyParts.template(key);
    if (lane !== (gallery.lane ?? 0)) continue;
    templates.push({ template, record: templateCodec.decode(key, value, gallery.dimensions) });
  }
  return templates;
}

/** The bytes of an owner's vectors in every lane, as they are stored. */
export function vectorBytesOf(reader: StoreReader, gallery: number, owner: number): readonly Uint8Array[] {
  return Array.from(reader.range('templates', ...ranges.templatesOf(gallery, owner))).flatMap(({ value }) => {
    const dimensions = templateCodec.dimensionsOf(value);
    return (dimensions !== undefined && templateCodec.vectorBytesIn(value, dimensions)) || [];
  });
}

export function asTemplate({ template, record }: StoredTemplate): Template {
  const { space, origin, quality, imageDigest, enrolledAt } = record;
  return { template, space, origin, quality, imageDigest, enrolledAt: new Date(enrolledAt) };
}

export function asIdentity(gallery: string, record: IdentityRecord, templates: readonly StoredTemplate[]): Identity {
  const { identity, label, groups, attributes, version, createdAt, updatedAt } = record;
  return {
    gallery,
    identity,
    label,
    groups,
    attributes,
    templates: templates.map(asTemplate),
    version,
    createdAt: new Date(createdAt),
    updatedAt: new Date(updatedAt),
  };
}

export function asGallery(gallery: string, record: GalleryRecord): Gallery {
  const {
    number: _number,
    nextOwner: _nextOwner,
    nextTemplate: _nextTemplate,
    lane: _lane,
    nextLane: _nextLane,
    calibration: _calibration,
    presentation = 'ignore',
    fpirTarget = null,
    fmrTarget = null,
    beside,
    createdAt,
    ...shown
  } = record;
  return {
    gallery,
    ...shown,
    presentation,
    fpirTarget,
    fmrTarget,
    beside: beside ? asSpace(beside) : null,
    createdAt: new Date(createdAt),
  };
}

function asSpace({ space, dimensions, threshold, thresholdSource, templateCount }: LaneRecord): GallerySpace {
  return { space, dimensions, threshold, thresholdSource, templateCount };
}

export function readGalleries(
  reader: StoreReader,
): readonly { readonly name: string; readonly record: GalleryRecord }[] {
  return Array.from(reader.range('galleries', ...ranges.all()), ({ key, value }) => ({
    name: keyParts.galleryName(key),
    record: galleryCodec.decode(key, value),
  }));
}

/** Identities in UTF-8 byte order, strictly after `after`. */
export function* identitiesAfter(reader: StoreReader, gallery: LaneKey, after: string | undefined): Iterable<Owned> {
  const range = after === undefined ? ranges.gallery(gallery.number) : ranges.identitiesAfter(gallery.number, after);
  for (const { key, value } of reader.range('identities', ...range)) {
    const { owner } = pointerCodec.decode(key, value);
    const record = findOwner(reader, gallery, owner);
    if (record) yield { owner, record };
  }
}

/** From one snapshot, which is released when the iteration ends. */
export function* exportFrom(
  store: Store,
  name: string,
  gallery: LaneKey,
): Iterable<{ identity: Identity; template: Template; vector: UnitVector }> {
  const snapshot = store.snapshot();
  try {
    yield* templatesIn(snapshot, name, gallery);
  } finally {
    snapshot.release();
  }
}

function* templatesIn(
  reader: StoreReader,
  name: string,
  gallery: LaneKey,
): Iterable<{ identity: Identity; template: Template; vector: UnitVector }> {
  for (const { owner, record } of identitiesAfter(reader, gallery, undefined)) {
    const templates = templatesOf(reader, gallery, owner);
    const shown = asIdentity(name, record, templates);
    for (const stored of templates) {
      yield { identity: shown, template: asTemplate(stored), vector: stored.record.vector };
    }
  }
}

export function identityNotFound(gallery: string, identity: string): HarmonidError {
  return new HarmonidError('IDENTITY_NOT_FOUND', `gallery "${gallery}" has no identity "${identity}"`, {
    details: { gallery, identity },
  });
}
