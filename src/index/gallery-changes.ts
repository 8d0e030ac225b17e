/**
 * What a write does to a gallery: validate, then put. Runs inside the store's transaction.
 *
 * Promises: a change that throws has put nothing, so that the others of the same transaction stand; each one that succeeds takes the
 * next sequence number and leaves one entry in the change log. Owners and templates are numbered upwards and never again.
 */
import { HarmonidError } from '../errors.js';
import {
  changeCodec,
  expireAfterMs,
  galleryCodec,
  idempotencyCodec,
  identityCodec,
  keyParts,
  keys,
  markCodec,
  ownerCodec,
  ranges,
  templateCodec,
  type ChangeRecord,
  type GalleryRecord,
  type IdempotencyRecord,
  type IdentityRecord,
} from './codec.js';
import type { EnrollDraft, Enrolment, GalleryChange } from './index-api.js';
import {
  asGallery,
  asIdentity,
  asTemplate,
  findIdentity,
  identityNotFound,
  templatesOf,
  type StoredTemplate,
} from './identity-reads.js';
import type { Candidate, EraseAnswer, Gallery, Identity } from './records.js';
import type { StoreReader, StoreWriter } from './store.js';
import { findCopies } from './template-copies.js';

const u32Max = 0xffffffff;
/** Expired answers that one enrolment clears away; more than one, so that they never pile up. */
const expiriesPerEnrolment = 8;

export interface AddedTemplate {
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
}

export function beginEdit(writer: StoreWriter, gallery: string, record: GalleryRecord, nowMs: number): GalleryEdit {
  return { writer, gallery, nowMs, record, added: [], removed: [], regrouped: [], erasedCount: 0 };
}

/** Puts the gallery's own record: once a transaction, after its changes. */
export function endEdit({ writer, gallery, record }: GalleryEdit): void {
  const key = keys.gallery(gallery);
  writer.put('galleries', key, galleryCodec.encode(key, record));
}

function log(edit: GalleryEdit, change: Omit<ChangeRecord, 'at'>, counters: Partial<GalleryRecord> = {}): number {
  const sequence = edit.record.sequence + 1;
  edit.record = { ...edit.record, ...counters, sequence };
  const key = keys.change(edit.record.number, sequence);
  edit.writer.put('changes', key, changeCodec.encode(key, { ...change, at: edit.nowMs }));
  return sequence;
}

function putIdentity({ writer, record: { number } }: GalleryEdit, identity: string, record: IdentityRecord): void {
  const key = keys.identity(number, identity);
  writer.put('identities', key, identityCodec.encode(key, record));
}

/** Makes the memberships of an owner those of `groups`. */
function regroup(edit: GalleryEdit, owner: number, before: readonly string[], groups: readonly string[]): void {
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
  gallery: string,
  number: number,
  idempotency: { readonly key: string; readonly digest: string },
  nowMs: number,
): Enrolment | undefined {
  const key = keys.idempotency(number, idempotency.key);
  const bytes = reader.get('idempotency', key);
  if (!bytes) return undefined;
  const { digest, at, answer } = idempotencyCodec.decode(key, bytes);
  if (nowMs - at >= expireAfterMs) return undefined;
  if (digest !== idempotency.digest) {
    throw new HarmonidError(
      'IDEMPOTENCY_CONFLICT',
      `idempotency key "${idempotency.key}" was used in gallery "${gallery}" for another request`,
      { details: { gallery, key: idempotency.key, digest: idempotency.digest, firstDigest: digest } },
    );
  }
  const templates = answer.templates.map((template) => ({ ...template, enrolledAt: new Date(template.enrolledAt) }));
  return { ...answer, templates, replayed: true };
}

/** @param duplicates other identities within the threshold of the new vectors, as found just before */
export function enroll(edit: GalleryEdit, draft: EnrollDraft, duplicates: readonly Candidate[]): Enrolment {
  const { gallery, record, writer, nowMs } = edit;
  const { number } = record;
  const answered = draft.idempotency && findAnswer(writer, gallery, number, draft.idempotency, nowMs);
  if (answered) return answered;
  const before = findIdentity(writer, record, draft.identity);
  const copies =
    draft.onlyNew && before && findCopies(templatesOf(writer, record, before.owner), draft.templates)?.map(asTemplate);
  if (copies) {
    return { created: false, templates: copies, duplicates: [], sequence: record.sequence, replayed: true };
  }
  checkEnrolment(edit, draft, before, duplicates);

  const owner = before?.owner ?? record.nextOwner;
  if (!before) {
    const key = keys.owner(number, owner);
    writer.put('owners', key, ownerCodec.encode(key, { identity: draft.identity }));
  }
  const groups = draft.groups ?? before?.groups ?? [];
  putIdentity(edit, draft.identity, {
    owner,
    label: draft.label ?? before?.label ?? '',
    groups,
    attributes: draft.attributes ?? before?.attributes ?? {},
    version: (before?.version ?? 0) + 1,
    createdAt: before?.createdAt ?? nowMs,
    updatedAt: nowMs,
  });
  if (!before || draft.groups) regroup(edit, owner, before?.groups ?? [], groups);
  const templates = draft.templates.map((template, i): StoredTemplate => {
    const stored = {
      template: record.nextTemplate + i,
      record: { ...template, enrolledAt: template.enrolledAt ?? nowMs },
    };
    const key = keys.template(number, owner, stored.template);
    writer.put('templates', key, templateCodec.encode(key, stored.record));
    edit.added.push({ label: stored.template, owner, vector: template.vector });
    return stored;
  });
  const sequence = log(
    edit,
    { kind: 'enroll', owner, added: templates.map(({ template }) => template), removed: [] },
    {
      identityCount: record.identityCount + (before ? 0 : 1),
      templateCount: record.templateCount + templates.length,
      nextOwner: record.nextOwner + (before ? 0 : 1),
      nextTemplate: record.nextTemplate + templates.length,
    },
  );
  const answer = { created: !before, templates: templates.map(asTemplate), duplicates, sequence };
  if (draft.idempotency) remember(edit, draft.idempotency, answer);
  return { ...answer, replayed: false };
}

function checkEnrolment(
  { gallery, record, writer }: GalleryEdit,
  draft: EnrollDraft,
  before: IdentityRecord | undefined,
  duplicates: readonly Candidate[],
): void {
  const { identity, templates } = draft;
  const other = templates.find(({ space }) => space !== record.space);
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
  if (record.nextTemplate + templates.length > u32Max || record.nextOwner >= u32Max) {
    throw new HarmonidError('LIMIT_EXCEEDED', `gallery "${gallery}" has used up its ${u32Max} numbers`, {
      details: { gallery, limit: u32Max },
    });
  }
  const [nearest] = duplicates;
  if (nearest && (draft.duplicates ?? record.duplicates) === 'refuse') {
    throw new HarmonidError(
      'DUPLICATE_FACE',
      `a face for "${identity}" is already enrolled in gallery "${gallery}" as "${nearest.identity}" (distance ${nearest.distance.toFixed(3)}, threshold ${record.threshold})`,
      { details: { gallery, identity, threshold: record.threshold, candidates: duplicates } },
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
function remember(
  { writer, record: { number }, nowMs }: GalleryEdit,
  { key: name, digest }: { readonly key: string; readonly digest: string },
  answer: Omit<Enrolment, 'replayed'>,
): void {
  let cleared = 0;
  for (const { key } of writer.range('expiries', ...ranges.expiriesBefore(number, nowMs - expireAfterMs + 1))) {
    if (cleared++ === expiriesPerEnrolment) break;
    writer.remove('expiries', key);
    const expired = keys.idempotency(number, keyParts.expiry(key));
    const bytes = writer.get('idempotency', expired);
    // The key may have been used again since; then its record is younger than this expiry.
    if (bytes && nowMs - idempotencyCodec.decode(expired, bytes).at >= expireAfterMs)
      writer.remove('idempotency', expired);
  }
  const key = keys.idempotency(number, name);
  const templates = answer.templates.map((template) => ({ ...template, enrolledAt: template.enrolledAt.getTime() }));
  const record: IdempotencyRecord = { digest, at: nowMs, answer: { ...answer, templates } };
  writer.put('idempotency', key, idempotencyCodec.encode(key, record));
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
  if (update.expectedVersion !== undefined && update.expectedVersion !== before.version) {
    throw new HarmonidError(
      'VERSION_CONFLICT',
      `identity "${update.identity}" of gallery "${gallery}" has version ${before.version}, the caller expected ${update.expectedVersion}`,
      {
        details: {
          gallery,
          identity: update.identity,
          version: before.version,
          expectedVersion: update.expectedVersion,
        },
      },
    );
  }
  const after: IdentityRecord = {
    ...before,
    label: update.label ?? before.label,
    groups: update.groups ?? before.groups,
    attributes: update.attributes ?? before.attributes,
    version: before.version + 1,
    updatedAt: nowMs,
  };
  putIdentity(edit, update.identity, after);
  if (update.groups) regroup(edit, before.owner, before.groups, after.groups);
  log(edit, { kind: 'update', owner: before.owner, added: [], removed: [] });
  return asIdentity(gallery, update.identity, after, templatesOf(writer, record, before.owner));
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
  writer.remove('templates', keys.template(record.number, before.owner, template));
  const after = { ...before, version: before.version + 1, updatedAt: nowMs };
  putIdentity(edit, identity, after);
  edit.removed.push(template);
  log(
    edit,
    { kind: 'remove', owner: before.owner, added: [], removed: [template] },
    { templateCount: record.templateCount - 1 },
  );
  return asIdentity(gallery, identity, after, kept);
}

export function eraseIdentity(edit: GalleryEdit, identity: string): EraseAnswer {
  const { record, writer } = edit;
  const before = findIdentity(writer, record, identity);
  if (!before) return { existed: false, templatesErased: 0, sequence: record.sequence };
  const labels = templatesOf(writer, record, before.owner).map(({ template }) => template);
  for (const label of labels) writer.remove('templates', keys.template(record.number, before.owner, label));
  regroup(edit, before.owner, before.groups, []);
  writer.remove('owners', keys.owner(record.number, before.owner));
  writer.remove('identities', keys.identity(record.number, identity));
  edit.removed.push(...labels);
  edit.erasedCount++;
  const sequence = log(
    edit,
    { kind: 'erase', owner: before.owner, added: [], removed: labels },
    { identityCount: record.identityCount - 1, templateCount: record.templateCount - labels.length },
  );
  return { existed: true, templatesErased: labels.length, sequence };
}

export function changeSettings(edit: GalleryEdit, change: GalleryChange): Gallery {
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
  edit.record = { ...edit.record, ...given };
  log(edit, { kind: 'settings', owner: null, added: [], removed: [] });
  return asGallery(edit.gallery, edit.record);
}
