/**
 * What an erasure does to a gallery: everything of a person goes in one transaction, in every lane, with the pairs kept for adapters.
 *
 * As the other changes (gallery-changes.ts). What the files still hold of it afterwards is the scrubber's business.
 */
import { keyParts, keys, pointerCodec, ranges, templateCodec, unscrubbedCodec, type GalleryRecord } from './codec.js';
import { digestOfIdentity, putReceipt } from './erasure-receipt.js';
import { grown, log, regroup, type GalleryEdit } from './gallery-changes.js';
import { findIdentity, templatesOf, vectorBytesOf, type Owned, type StoredTemplate } from './identity-reads.js';
import { servingLane } from './lanes.js';
import { contributorOf, pairVectorsOf, removePairsOf } from './pair-changes.js';
import { findAside } from './quarantine.js';
import type { Receipt } from './records.js';
import type { StoreReader } from './store.js';

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
export interface Remembered {
  /** Undefined when nobody of that name is enrolled. */
  readonly found: Owned | undefined;
  readonly templates: readonly StoredTemplate[];
  /** The ordinal of whoever gave photos under that name without being enrolled. */
  readonly contributor: number | undefined;
  /** In every lane and pair, as they are stored. */
  readonly vectors: readonly Uint8Array[];
}

export function remember(reader: StoreReader, gallery: GalleryRecord, identity: string): Remembered {
  const { number } = gallery;
  const found = findIdentity(reader, gallery, identity);
  const contributor = contributorOf(reader, number, identity);
  const owners = [found?.owner, contributor].filter((owner) => owner !== undefined);
  return {
    found,
    templates: found ? templatesOf(reader, gallery, found.owner) : [],
    contributor,
    vectors: owners.flatMap((owner) => [
      ...vectorBytesOf(reader, number, owner),
      ...pairVectorsOf(reader, number, owner),
    ]),
  };
}

/** The owners whose keys an erasure destroys. */
export function ownersOf({ found, contributor }: Remembered): readonly number[] {
  return [found?.owner, contributor].filter((owner) => owner !== undefined);
}

/** @param known the person, when it can no longer be read. Null when there is nobody to erase. */
export function eraseIdentity(edit: GalleryEdit, identity: string, known?: Remembered): Erasure | null {
  const { record, writer } = edit;
  const { number } = record;
  const { found, templates, contributor, vectors } = known ?? remember(writer, record, identity);
  const isEnrolled = found !== undefined && writer.get('identities', keys.identity(number, identity)) !== undefined;
  const aside = removeAside(edit, identity, isEnrolled ? found.owner : null);
  const pairCount = contributor === undefined ? 0 : removeContributor(edit, identity, contributor);
  if (!isEnrolled && aside.count === 0 && pairCount === 0) return null;
  const removed = isEnrolled ? removeOwned(edit, found.owner) : nothingRemoved;
  if (isEnrolled) {
    regroup(edit, found.owner, found.record.groups, []);
    writer.remove('identities', keys.identity(number, identity));
  }
  const owner = isEnrolled ? found.owner : aside.owner;
  const sequence = logErasure(edit, owner, removed, isEnrolled ? 1 : 0);
  // Of somebody of whom a repair has left nothing but what is in quarantine, that is what is told.
  const templateCount = isEnrolled ? removed.labels.length : aside.templateCount;
  const receipt = putReceipt(writer, {
    gallery: number,
    identity,
    imageDigests: templates.flatMap(({ record: { imageDigest } }) => imageDigest ?? []),
    templateCount,
    sequence,
    at: edit.nowMs,
  });
  return { owner, templatesErased: templateCount, sequence, receipt, vectors: [...vectors, ...aside.vectors] };
}

/** @returns how many pairs there were; at least 1, for the name itself */
function removeContributor(edit: GalleryEdit, identity: string, owner: number): number {
  edit.writer.remove('contributors', keys.contributor(edit.record.number, digestOfIdentity(identity)));
  return 1 + removePairsOf(edit, owner);
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
  if (!pointer) return finishContributor(edit, owner);
  const removed = removeOwned(edit, owner);
  for (const key of Array.from(writer.keys('memberships', ...ranges.gallery(number)))) {
    if (keyParts.member(key) === owner) writer.remove('memberships', key);
  }
  writer.remove('identities', pointer.key);
  const sequence = logErasure(edit, owner, removed);
  putReceipt(writer, {
    gallery: number,
    identity: keyParts.identity(pointer.key),
    imageDigests: [],
    templateCount: removed.labels.length,
    sequence,
    at: edit.nowMs,
  });
  return true;
}

function finishContributor(edit: GalleryEdit, owner: number): boolean {
  const { writer, record } = edit;
  const pointer = Array.from(writer.range('contributors', ...ranges.gallery(record.number))).find(
    ({ key, value }) => pointerCodec.decode(key, value).owner === owner,
  );
  if (pointer) writer.remove('contributors', pointer.key);
  if (removePairsOf(edit, owner) === 0 && !pointer) return false;
  logErasure(edit, owner, nothingRemoved, 0);
  return true;
}

/** What an owner had. */
interface RemovedTemplates {
  readonly labels: readonly number[];
  readonly servingCount: number;
  readonly besideCount: number;
}

const nothingRemoved: RemovedTemplates = { labels: [], servingCount: 0, besideCount: 0 };

/** Removes everything that stands under an owner, in every lane. Keys alone are read: the records may no longer open. */
function removeOwned(edit: GalleryEdit, owner: number): RemovedTemplates {
  const { writer, record } = edit;
  const { number } = record;
  const templateKeys = Array.from(writer.keys('templates', ...ranges.templatesOf(number, owner)));
  for (const key of templateKeys) writer.remove('templates', key);
  removePairsOf(edit, owner);
  writer.remove('owners', keys.owner(number, owner));
  for (const key of Array.from(writer.keys('quarantine', ...ranges.templatesOf(number, owner)))) {
    writer.remove('quarantine', key);
  }
  const removed = templateKeys.map((key) => keyParts.template(key));
  const countIn = (lane: number | undefined): number => removed.filter((one) => one.lane === lane).length;
  return {
    labels: [...new Set(removed.map(({ template }) => template))],
    servingCount: countIn(servingLane(record).lane),
    besideCount: countIn(record.beside?.lane),
  };
}

/** @param identities that the erasure makes fewer */
function logErasure(
  edit: GalleryEdit,
  owner: number | null,
  { labels, servingCount, besideCount }: RemovedTemplates,
  identities = 1,
): number {
  edit.removed.push(...labels);
  edit.erasedCount++;
  const { record } = edit;
  const key = keys.unscrubbed(record.number);
  edit.writer.put('meta', key, unscrubbedCodec.encode(key, { sequence: record.sequence + 1 }));
  return log(
    edit,
    { kind: 'erase', owner, added: [], removed: labels },
    { identityCount: record.identityCount - identities, ...grown(record, -servingCount, -besideCount) },
  );
}
