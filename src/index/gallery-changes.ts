/**
 * What a write does to a gallery: validate, then put. Runs inside the store's transaction.
 *
 * Promises: a change that throws has put nothing, so that the others of the same transaction stand; each one that succeeds takes the
 * next sequence number and leaves one entry in the change log. Owners and templates are numbered upwards and never again.
 */
import { HarmonidError } from '../errors.js';
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
  unscrubbedCodec,
  type AnswerRecord,
  type ChangeRecord,
  type GalleryRecord,
  type IdentityRecord,
} from './codec.js';
import type { EnrollDraft, Enrolment, GalleryChange } from './index-api.js';
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
import { findAside } from './quarantine.js';
import { liftSuppression, putReceipt, refuseErased } from './erasure-receipt.js';
import type { Candidate, Gallery, Identity, Receipt } from './records.js';
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

export interface NamedGallery {
  readonly name: string;
  readonly record: GalleryRecord;
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

function putIdentity({ writer, record: { number } }: GalleryEdit, owner: number, record: IdentityRecord): void {
  const key = keys.owner(number, owner);
  writer.put('owners', key, identityCodec.encode(key, record));
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
  const copies =
    draft.onlyNew && before && findCopies(templatesOf(writer, record, before.owner), draft.templates)?.map(asTemplate);
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

function checkEnrolment(
  { gallery, record, writer }: GalleryEdit,
  draft: EnrollDraft,
  before: Owned | undefined,
  duplicates: readonly OwnedCandidate[],
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
  writer.remove('templates', keys.template(record.number, before.owner, template));
  const after = { ...before.record, version: before.record.version + 1, updatedAt: nowMs };
  putIdentity(edit, before.owner, after);
  edit.removed.push(template);
  log(
    edit,
    { kind: 'remove', owner: before.owner, added: [], removed: [template] },
    { templateCount: record.templateCount - 1 },
  );
  return asIdentity(gallery, after, kept);
}

/** What an erasure did; `vectors` are their bytes as they were stored. */
export interface Erasure {
  /** Null when a repair could not tell whose the remains were. */
  readonly owner: number | null;
  readonly templatesErased: number;
  readonly sequence: number;
  readonly receipt: Receipt;
  readonly vectors: readonly Uint8Array[];
}

/** A person as it was before the erasure began: in an encrypted directory nothing of it opens any more when its key is destroyed. */
export interface Remembered extends Owned {
  readonly templates: readonly StoredTemplate[];
}

export function remember(reader: StoreReader, gallery: GalleryRecord, identity: string): Remembered | undefined {
  const found = findIdentity(reader, gallery, identity);
  return found && { ...found, templates: templatesOf(reader, gallery, found.owner) };
}

/** @param known the person, when it can no longer be read. Null when there is nobody to erase. */
export function eraseIdentity(edit: GalleryEdit, identity: string, known?: Remembered): Erasure | null {
  const { record, writer } = edit;
  const { number } = record;
  const before = known ?? remember(writer, record, identity);
  if (!before || !writer.get('identities', keys.identity(number, identity))) return eraseAside(edit, identity);
  const { owner, templates } = before;
  const vectors = templates.map(({ record: { vector } }) => new Uint8Array(vector.buffer.slice(0)));
  const aside = removeAside(edit, identity, owner);
  const labels = removeOwned(edit, owner);
  regroup(edit, owner, before.record.groups, []);
  writer.remove('identities', keys.identity(number, identity));
  const sequence = logErasure(edit, owner, labels);
  const receipt = putReceipt(writer, {
    gallery: number,
    identity,
    imageDigests: templates.flatMap(({ record: { imageDigest } }) => imageDigest ?? []),
    templateCount: labels.length,
    sequence,
    at: edit.nowMs,
  });
  return { owner, templatesErased: labels.length, sequence, receipt, vectors: [...vectors, ...aside.vectors] };
}

/** Somebody of whom a repair has left nothing but what is in quarantine. Null when there is nothing there either. */
function eraseAside(edit: GalleryEdit, identity: string): Erasure | null {
  const { owner, count, templateCount, vectors } = removeAside(edit, identity, null);
  if (count === 0) return null;
  const sequence = logErasure(edit, owner, [], 0);
  const { number } = edit.record;
  const receipt = putReceipt(edit.writer, {
    gallery: number,
    identity,
    imageDigests: [],
    templateCount,
    sequence,
    at: edit.nowMs,
  });
  return { owner, templatesErased: templateCount, sequence, receipt, vectors };
}

/** Removes what of a person is in quarantine. */
function removeAside(
  { writer, record: { number, dimensions } }: GalleryEdit,
  identity: string,
  owner: number | null,
): {
  readonly count: number;
  readonly owner: number | null;
  readonly templateCount: number;
  readonly vectors: readonly Uint8Array[];
} {
  const entries = findAside(writer, number, identity, owner);
  for (const { key } of entries) writer.remove('quarantine', key);
  const templates = entries.filter(({ record }) => record.table === 'templates');
  return {
    count: entries.length,
    owner: entries.find((entry) => entry.owner !== null)?.owner ?? null,
    templateCount: templates.length,
    vectors: templates.flatMap(({ record }) => {
      const vector = templateCodec.vectorBytesIn(record.bytes, dimensions);
      return vector ? [vector] : [];
    }),
  };
}

/**
 * Finishes the erasure of an owner whose key was destroyed before the process died, by what stands in the clear.
 * @returns whether there was anything left
 */
export function finishErasure(edit: GalleryEdit, owner: number): boolean {
  const { record, writer } = edit;
  const { number } = record;
  const pointer = Array.from(writer.range('identities', ...ranges.gallery(number))).find(
    ({ key, value }) => pointerCodec.decode(key, value).owner === owner,
  );
  if (!pointer) return false;
  const labels = removeOwned(edit, owner);
  for (const key of Array.from(writer.keys('memberships', ...ranges.gallery(number)))) {
    if (keyParts.member(key) === owner) writer.remove('memberships', key);
  }
  writer.remove('identities', pointer.key);
  const sequence = logErasure(edit, owner, labels);
  putReceipt(writer, {
    gallery: number,
    identity: keyParts.identity(pointer.key),
    imageDigests: [],
    templateCount: labels.length,
    sequence,
    at: edit.nowMs,
  });
  return true;
}

/** Removes everything that stands under an owner; the labels of the templates. Keys alone: the records may no longer open. */
function removeOwned({ writer, record: { number } }: GalleryEdit, owner: number): readonly number[] {
  const templateKeys = Array.from(writer.keys('templates', ...ranges.templatesOf(number, owner)));
  for (const key of templateKeys) writer.remove('templates', key);
  writer.remove('owners', keys.owner(number, owner));
  for (const key of Array.from(writer.keys('quarantine', ...ranges.templatesOf(number, owner)))) {
    writer.remove('quarantine', key);
  }
  return templateKeys.map((key) => keyParts.template(key).template);
}

/** @param identities that the erasure makes fewer */
function logErasure(edit: GalleryEdit, owner: number | null, labels: readonly number[], identities = 1): number {
  edit.removed.push(...labels);
  edit.erasedCount++;
  const key = keys.unscrubbed(edit.record.number);
  edit.writer.put('meta', key, unscrubbedCodec.encode(key, { sequence: edit.record.sequence + 1 }));
  return log(
    edit,
    { kind: 'erase', owner, added: [], removed: labels },
    {
      identityCount: edit.record.identityCount - identities,
      templateCount: edit.record.templateCount - labels.length,
    },
  );
}

export function changeSettings(edit: GalleryEdit, change: GalleryChange): Gallery {
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
  edit.record = { ...edit.record, ...given };
  log(edit, { kind: 'settings', owner: null, added: [], removed: [] });
  return asGallery(edit.gallery, edit.record);
}
