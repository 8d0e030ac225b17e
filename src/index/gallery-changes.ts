/**
 * What a write does to a gallery: validate, then put. Runs inside the store's transaction.
 *
 * Promises: a change that throws has put nothing, so that the others of the same transaction stand; each one that succeeds takes the
 * next sequence number and leaves one entry in the change log. Owners and templates are numbered upwards and never again.
 */
import { assertInvariant, HarmonidError } from '../errors.js';
import {
  answerCodec,
  changeCodec,
  expireAfterMs,
  galleryCodec,
  identityCodec,
  keyParts,
  keys,
  markCodec,
  pointerCodec,
  ranges,
  templateCodec,
  type AnswerRecord,
  type ChangeRecord,
  type GalleryRecord,
  type IdentityRecord,
  type LaneRecord,
  type TemplateRecord,
} from './codec.js';
import type { EnrollDraft, Enrolment, GalleryChange, LaneVector, TemplateDraft } from './index-api.js';
import {
  asGallery,
  asIdentity,
  asTemplate,
  findIdentity,
  findOwner,
  identityNotFound,
  templatesOf,
  type Owned,
  type StoredTemplate,
} from './identity-reads.js';
import { keyOfLane, lanesOf, servingLane } from './lanes.js';
import { liftSuppression, refuseErased } from './erasure-receipt.js';
import type { Candidate, Gallery, Identity } from './records.js';
import type { StoreReader, StoreWriter } from './store.js';
import { findCopies } from './template-copies.js';

const u32Max = 0xffffffff;
/** Expired answers that one enrolment clears away; more than one, so that they never pile up. */
const expiriesPerEnrolment = 8;

/** A candidate with its ordinal, which is what is remembered of it. */
export interface OwnedCandidate {
  readonly owner: number;
  readonly candidate: Candidate;
}

export interface AddedTemplate {
  readonly lane: number;
  readonly label: number;
  readonly owner: number;
  readonly vector: Float32Array;
}

/** A gallery under change: the record grows with every change, and the effects are what the graph and caches are told after. */
export interface GalleryEdit {
  readonly writer: StoreWriter;
  readonly gallery: string;
  readonly nowMs: number;
  record: GalleryRecord;
  readonly added: AddedTemplate[];
  readonly removed: number[];
  /** Owners whose groups changed, with the groups that they have now. */
  readonly regrouped: { readonly owner: number; readonly groups: readonly string[] }[];
  erasedCount: number;
  /** How many templates of so many dimensions a lane may have: what its graph has room for. */
  readonly templatesMax: (dimensions: number) => number;
}

export interface NamedGallery {
  readonly name: string;
  readonly record: GalleryRecord;
}

export function beginEdit(
  writer: StoreWriter,
  { name: gallery, record }: NamedGallery,
  { nowMs, templatesMax }: Pick<GalleryEdit, 'nowMs' | 'templatesMax'>,
): GalleryEdit {
  return { writer, gallery, nowMs, record, added: [], removed: [], regrouped: [], erasedCount: 0, templatesMax };
}

/** @throws LIMIT_EXCEEDED where the graph of a lane has no room for more */
export function requireRoom(
  { gallery, templatesMax }: Pick<GalleryEdit, 'gallery' | 'templatesMax'>,
  { space, dimensions, templateCount }: LaneRecord,
  more: number,
): void {
  const limit = templatesMax(dimensions);
  if (templateCount + more <= limit) return;
  throw new HarmonidError(
    'LIMIT_EXCEEDED',
    `gallery "${gallery}" has ${templateCount} templates in space "${space}", and there would be ${more} more; its graph has room for ${limit} of ${dimensions} dimensions: spread people over several galleries, or set graph.rerank to store`,
    { details: { gallery, space, templates: templateCount + more, limit, dimensions } },
  );
}

/** Puts the gallery's own record: once a transaction, after its changes. */
export function endEdit({ writer, gallery, record }: GalleryEdit): void {
  const key = keys.gallery(gallery);
  writer.put('galleries', key, galleryCodec.encode(key, record));
}

export function log(
  edit: GalleryEdit,
  change: Omit<ChangeRecord, 'at'>,
  counters: Partial<GalleryRecord> = {},
): number {
  const sequence = edit.record.sequence + 1;
  edit.record = { ...edit.record, ...counters, sequence };
  const key = keys.change(edit.record.number, sequence);
  edit.writer.put('changes', key, changeCodec.encode(key, { ...change, at: edit.nowMs }));
  return sequence;
}

function putIdentity({ writer, record: { number } }: GalleryEdit, owner: number, record: IdentityRecord): void {
  const key = keys.owner(number, owner);
  writer.put('owners', key, identityCodec.encode(key, record));
}

/** Makes the memberships of an owner those of `groups`. */
export function regroup(edit: GalleryEdit, owner: number, before: readonly string[], groups: readonly string[]): void {
  const { number } = edit.record;
  for (const group of before) {
    if (!groups.includes(group)) edit.writer.remove('memberships', keys.membership(number, group, owner));
  }
  for (const group of groups) {
    const key = keys.membership(number, group, owner);
    if (!before.includes(group)) edit.writer.put('memberships', key, markCodec.encode(key, {}));
  }
  edit.regrouped.push({ owner, groups });
}

// ── Enrolment ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The answer given before to the same request; undefined for a new or expired key. @throws IDEMPOTENCY_CONFLICT */
export function findAnswer(
  reader: StoreReader,
  gallery: NamedGallery,
  idempotency: { readonly key: string; readonly digest: string },
  nowMs: number,
): Enrolment | undefined {
  const key = keys.idempotency(gallery.record.number, idempotency.key);
  const bytes = reader.get('idempotency', key);
  if (!bytes) return undefined;
  const answer = answerCodec.decode(key, bytes);
  if (nowMs - answer.at >= expireAfterMs) return undefined;
  if (answer.digest !== idempotency.digest) {
    throw new HarmonidError(
      'IDEMPOTENCY_CONFLICT',
      `idempotency key "${idempotency.key}" was used in gallery "${gallery.name}" for another request`,
      {
        details: {
          gallery: gallery.name,
          key: idempotency.key,
          digest: idempotency.digest,
          firstDigest: answer.digest,
        },
      },
    );
  }
  return recall(reader, gallery, answer, idempotency.key);
}

/** The answer given before, as far as what it spoke of is still there. @throws IDENTITY_ERASED */
function recall(reader: StoreReader, gallery: NamedGallery, answer: AnswerRecord, key: string): Enrolment {
  if (!findOwner(reader, gallery.record, answer.owner)) {
    throw new HarmonidError(
      'IDENTITY_ERASED',
      `idempotency key "${key}" enrolled somebody in gallery "${gallery.name}" who was erased since`,
      { details: { gallery: gallery.name, key } },
    );
  }
  const { created, sequence } = answer;
  const templates = templatesOf(reader, gallery.record, answer.owner).filter((stored) =>
    answer.templates.includes(stored.template),
  );
  const duplicates = answer.duplicates.flatMap(({ owner, template, distance }): Candidate[] => {
    const other = findOwner(reader, gallery.record, owner);
    return other ? [{ identity: other.identity, label: other.label, groups: other.groups, distance, template }] : [];
  });
  return { created, templates: templates.map(asTemplate), duplicates, sequence, replayed: true };
}

/** @param duplicates other identities within the threshold of the new vectors, as found just before */
export function enroll(edit: GalleryEdit, draft: EnrollDraft, duplicates: readonly OwnedCandidate[]): Enrolment {
  const { gallery, record, writer, nowMs } = edit;
  const { number } = record;
  const answered = draft.idempotency && findAnswer(writer, { name: gallery, record }, draft.idempotency, nowMs);
  if (answered) return answered;
  const imageDigests = draft.templates.flatMap(({ imageDigest }) => imageDigest ?? []);
  if (draft.unlessErased) refuseErased(writer, { name: gallery, number }, draft.identity, imageDigests);
  const before = findIdentity(writer, record, draft.identity);
  const stored = (owner: number): readonly StoredTemplate[] =>
    lanesOf(record).flatMap((lane) => templatesOf(writer, keyOfLane(record, lane), owner));
  const copies = draft.onlyNew && before && findCopies(stored(before.owner), draft.templates)?.map(asTemplate);
  if (copies) {
    return { created: false, templates: copies, duplicates: [], sequence: record.sequence, replayed: true };
  }
  checkEnrolment(edit, draft, before, duplicates);
  liftSuppression(writer, number, draft.identity, imageDigests);

  const owner = before?.owner ?? record.nextOwner;
  if (!before) {
    const key = keys.identity(number, draft.identity);
    writer.put('identities', key, pointerCodec.encode(key, { owner }));
  }
  const groups = draft.groups ?? before?.record.groups ?? [];
  putIdentity(edit, owner, {
    identity: draft.identity,
    label: draft.label ?? before?.record.label ?? '',
    groups,
    attributes: draft.attributes ?? before?.record.attributes ?? {},
    version: (before?.record.version ?? 0) + 1,
    createdAt: before?.record.createdAt ?? nowMs,
    updatedAt: nowMs,
  });
  if (!before || draft.groups) regroup(edit, owner, before?.record.groups ?? [], groups);
  const templates = draft.templates.map((template, i) => putTemplate(edit, owner, record.nextTemplate + i, template));
  const sequence = log(
    edit,
    { kind: 'enroll', owner, added: templates.map(({ template }) => template), removed: [] },
    {
      identityCount: record.identityCount + (before ? 0 : 1),
      ...grown(
        record,
        templates.length,
        draft.templates.filter((template) => inLanes(record, template)?.beside).length,
      ),
      nextOwner: record.nextOwner + (before ? 0 : 1),
      nextTemplate: record.nextTemplate + templates.length,
    },
  );
  if (draft.idempotency) {
    keepAnswer(edit, draft.idempotency.key, {
      digest: draft.idempotency.digest,
      at: nowMs,
      owner,
      created: !before,
      templates: templates.map(({ template }) => template),
      duplicates: duplicates.map(({ owner: other, candidate: { template, distance } }) => ({
        owner: other,
        template,
        distance,
      })),
      sequence,
    });
  }
  return {
    created: !before,
    templates: templates.map(asTemplate),
    duplicates: duplicates.map(({ candidate }) => candidate),
    sequence,
    replayed: false,
  };
}

/** A draft's vectors by what the lanes want; undefined when there is none for the lane that serves. */
function inLanes(
  record: GalleryRecord,
  draft: TemplateDraft,
): { serving: LaneVector; beside?: LaneVector } | undefined {
  const vectors = draft.beside ? [draft, draft.beside] : [draft];
  const serving = vectors.find(({ space }) => space === record.space);
  const beside = record.beside && vectors.find(({ space }) => space === record.beside?.space);
  return serving && { serving, ...(beside && { beside }) };
}

/** In every lane for which the draft has a vector. */
export function putTemplate(edit: GalleryEdit, owner: number, template: number, draft: TemplateDraft): StoredTemplate {
  const { record } = edit;
  const { quality, imageDigest, enrolledAt = edit.nowMs } = draft;
  const vectors = inLanes(record, draft);
  assertInvariant(vectors, 'the space of a template is checked before it is put');
  const put = ({ lane }: LaneRecord, { vector, space, origin }: LaneVector): StoredTemplate => {
    const stored = { template, record: { vector, space, origin, quality, imageDigest, enrolledAt } };
    putVector(edit, { lane, owner, template }, stored.record);
    return stored;
  };
  if (record.beside && vectors.beside) put(record.beside, vectors.beside);
  return put(servingLane(record), vectors.serving);
}

export function putVector(
  { writer, record: { number }, added }: GalleryEdit,
  { lane, owner, template }: { readonly lane: number; readonly owner: number; readonly template: number },
  record: TemplateRecord,
): void {
  const key = keys.template(number, owner, template, lane);
  writer.put('templates', key, templateCodec.encode(key, record));
  added.push({ lane, label: template, owner, vector: record.vector });
}

/** The counters of lanes that have so many templates more (or fewer). */
export function grown(record: GalleryRecord, serving: number, beside: number): Partial<GalleryRecord> {
  return {
    templateCount: record.templateCount + serving,
    ...(record.beside && { beside: { ...record.beside, templateCount: record.beside.templateCount + beside } }),
  };
}

function checkEnrolment(
  edit: GalleryEdit,
  draft: EnrollDraft,
  before: Owned | undefined,
  duplicates: readonly OwnedCandidate[],
): void {
  const { gallery, record, writer } = edit;
  const { identity, templates } = draft;
  const other = templates.find((template) => !inLanes(record, template));
  if (other) throw spaceMismatch(gallery, record.space, other.space);
  if (templates.length === 0) throw new HarmonidError('INVALID_ARGUMENT', 'an enrolment needs at least one template');
  const present = before ? templatesOf(writer, record, before.owner).length : 0;
  if (present + templates.length > record.templatesPerIdentityMax) {
    throw new HarmonidError(
      'LIMIT_EXCEEDED',
      `identity "${identity}" would have ${present + templates.length} templates, gallery "${gallery}" allows ${record.templatesPerIdentityMax}`,
      { details: { gallery, identity, templates: present + templates.length, limit: record.templatesPerIdentityMax } },
    );
  }
  for (const lane of lanesOf(record)) requireRoom(edit, lane, templates.length);
  if (record.nextTemplate + templates.length > u32Max || record.nextOwner >= u32Max) {
    throw new HarmonidError('LIMIT_EXCEEDED', `gallery "${gallery}" has used up its ${u32Max} numbers`, {
      details: { gallery, limit: u32Max },
    });
  }
  const nearest = duplicates[0]?.candidate;
  if (nearest && (draft.duplicates ?? record.duplicates) === 'refuse') {
    throw new HarmonidError(
      'DUPLICATE_FACE',
      `a face for "${identity}" is already enrolled in gallery "${gallery}" as "${nearest.identity}" (distance ${nearest.distance.toFixed(3)}, threshold ${record.threshold})`,
      {
        details: {
          gallery,
          identity,
          threshold: record.threshold,
          candidates: duplicates.map(({ candidate }) => candidate),
        },
      },
    );
  }
}

export function spaceMismatch(gallery: string, gallerySpace: string, space: string): HarmonidError {
  return new HarmonidError(
    'SPACE_MISMATCH',
    `vector is of space "${space}", gallery "${gallery}" of space "${gallerySpace}"`,
    {
      details: { gallery, gallerySpace, vectorSpace: space },
    },
  );
}

/** Keeps the answer for a retry, and clears away a few that have expired. */
function keepAnswer({ writer, record: { number }, nowMs }: GalleryEdit, name: string, answer: AnswerRecord): void {
  let cleared = 0;
  for (const { key } of writer.range('expiries', ...ranges.expiriesBefore(number, nowMs - expireAfterMs + 1))) {
    if (cleared++ === expiriesPerEnrolment) break;
    writer.remove('expiries', key);
    const expired = keys.idempotency(number, keyParts.expiry(key));
    const bytes = writer.get('idempotency', expired);
    // The key may have been used again since; then its record is younger than this expiry.
    if (bytes && nowMs - answerCodec.decode(expired, bytes).at >= expireAfterMs) writer.remove('idempotency', expired);
  }
  const key = keys.idempotency(number, name);
  writer.put('idempotency', key, answerCodec.encode(key, answer));
  const expiry = keys.expiry(number, nowMs, name);
  writer.put('expiries', expiry, markCodec.encode(expiry, {}));
}

// ── Other changes ────────────────────────────────────────────────────────────────────────────────────────────────────

export interface IdentityUpdate {
  readonly identity: string;
  readonly label?: string | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly attributes?: Readonly<Record<string, string>> | undefined;
  readonly expectedVersion?: number | undefined;
}

export function updateIdentity(edit: GalleryEdit, update: IdentityUpdate): Identity {
  const { gallery, record, writer, nowMs } = edit;
  const before = findIdentity(writer, record, update.identity);
  if (!before) throw identityNotFound(gallery, update.identity);
  if (update.expectedVersion !== undefined && update.expectedVersion !== before.record.version) {
    throw new HarmonidError(
      'VERSION_CONFLICT',
      `identity "${update.identity}" of gallery "${gallery}" has version ${before.record.version}, the caller expected ${update.expectedVersion}`,
      {
        details: {
          gallery,
          identity: update.identity,
          version: before.record.version,
          expectedVersion: update.expectedVersion,
        },
      },
    );
  }
  const after: IdentityRecord = {
    ...before.record,
    label: update.label ?? before.record.label,
    groups: update.groups ?? before.record.groups,
    attributes: update.attributes ?? before.record.attributes,
    version: before.record.version + 1,
    updatedAt: nowMs,
  };
  putIdentity(edit, before.owner, after);
  if (update.groups) regroup(edit, before.owner, before.record.groups, after.groups);
  log(edit, { kind: 'update', owner: before.owner, added: [], removed: [] });
  return asIdentity(gallery, after, templatesOf(writer, record, before.owner));
}

export function removeTemplate(edit: GalleryEdit, identity: string, template: number): Identity {
  const { gallery, record, writer, nowMs } = edit;
  const before = findIdentity(writer, record, identity);
  if (!before) throw identityNotFound(gallery, identity);
  const templates = templatesOf(writer, record, before.owner);
  const kept = templates.filter((stored) => stored.template !== template);
  if (kept.length === templates.length) {
    throw new HarmonidError(
      'TEMPLATE_NOT_FOUND',
      `identity "${identity}" of gallery "${gallery}" has no template ${template}`,
      {
        details: { gallery, identity, template },
      },
    );
  }
  const besides = takeTemplate(edit, before.owner, template);
  const after = { ...before.record, version: before.record.version + 1, updatedAt: nowMs };
  putIdentity(edit, before.owner, after);
  log(edit, { kind: 'remove', owner: before.owner, added: [], removed: [template] }, grown(record, -1, -besides));
  return asIdentity(gallery, after, kept);
}

/** Out of every lane. @returns how many vectors the lane beside has lost */
export function takeTemplate(edit: GalleryEdit, owner: number, template: number): number {
  const { record, writer } = edit;
  writer.remove('templates', keys.template(record.number, owner, template, servingLane(record).lane));
  edit.removed.push(template);
  if (!record.beside) return 0;
  const beside = keys.template(record.number, owner, template, record.beside.lane);
  if (!writer.get('templates', beside)) return 0;
  writer.remove('templates', beside);
  return 1;
}

export function changeSettings(edit: GalleryEdit, change: GalleryChange): Gallery {
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
  edit.record = { ...edit.record, ...given };
  log(edit, { kind: 'settings', owner: null, added: [], removed: [] });
  return asGallery(edit.gallery, edit.record);
}
