/**
 * Faces in two spaces, kept for fitting an adapter. Runs inside the store's transaction.
 *
 * A pair stands under its person's ordinal, as templates do, so that an erasure takes it and an encrypted directory seals it with the person's
 * key. Somebody who is not enrolled, but gave photos, has an ordinal, too, found by the digest of the name; a face that nobody knows has one for itself.
 */
import { keyParts, keys, pairCodec, pointerCodec, ranges, suppressionCodec, type PairRecord } from './codec.js';
import { digestOfIdentity } from './erasure-receipt.js';
import type { GalleryEdit } from './gallery-changes.js';
import { findIdentity } from './identity-reads.js';
import type { Pair, PairDraft, PairFilter } from './index-api.js';
import type { StoreEntry, StoreReader } from './store.js';

/** Pairs of one person: more of the same face teach nothing. */
const pairsPerPersonMax = 50;

/** @returns how many were kept */
export function addPairs(edit: GalleryEdit, drafts: readonly PairDraft[]): number {
  const { writer, nowMs } = edit;
  let kept = 0;
  for (const { person, ...draft } of drafts) {
    const { number, nextPair = 1 } = edit.record;
    if (isSuppressed(writer, number, person, draft.imageDigest)) continue;
    const owner = ownerFor(edit, person);
    const present = pairsOf(writer, number, owner);
    if (present.length >= pairsPerPersonMax) continue;
    if (draft.imageDigest !== null && present.some((pair) => isSame(pair, draft))) continue;
    const key = keys.pair(number, owner, nextPair);
    writer.put('pairs', key, pairCodec.encode(key, { ...draft, at: nowMs }));
    edit.record = { ...edit.record, nextPair: nextPair + 1 };
    kept++;
  }
  return kept;
}

function isSame(pair: PairRecord, draft: Omit<PairDraft, 'person'>): boolean {
  return (
    pair.imageDigest === draft.imageDigest && pair.from.space === draft.from.space && pair.to.space === draft.to.space
  );
}

/** Whoever was erased does not come back by a pair. */
function isSuppressed(
  reader: StoreReader,
  gallery: number,
  person: string | null,
  imageDigest: string | null,
): boolean {
  const digests = [
    ...(person === null ? [] : [digestOfIdentity(person)]),
    ...(imageDigest === null ? [] : [imageDigest]),
  ];
  return digests.some((digest) => {
    const key = keys.suppression(gallery, digest);
    const bytes = reader.get('suppressions', key);
    return bytes !== undefined && suppressionCodec.decode(key, bytes) !== null;
  });
}

function ownerFor(edit: GalleryEdit, person: string | null): number {
  const { record, writer } = edit;
  const known =
    person === null
      ? undefined
      : (findIdentity(writer, record, person)?.owner ?? contributorOf(writer, record.number, person));
  if (known !== undefined) return known;
  const owner = record.nextOwner;
  edit.record = { ...record, nextOwner: owner + 1 };
  if (person !== null) {
    const key = keys.contributor(record.number, digestOfIdentity(person));
    writer.put('contributors', key, pointerCodec.encode(key, { owner }));
  }
  return owner;
}

/** The ordinal of somebody who gave photos under that name without being enrolled. */
export function contributorOf(reader: StoreReader, gallery: number, person: string): number | undefined {
  const key = keys.contributor(gallery, digestOfIdentity(person));
  const bytes = reader.get('contributors', key);
  return bytes && pointerCodec.decode(key, bytes).owner;
}

function pairsOf(reader: StoreReader, gallery: number, owner: number): readonly PairRecord[] {
  return Array.from(reader.range('pairs', ...ranges.templatesOf(gallery, owner)), ({ key, value }) =>
    pairCodec.decode(key, value),
  );
}

/** The bytes of the vectors of a person's pairs, as they are stored. */
export function pairVectorsOf(reader: StoreReader, gallery: number, owner: number): readonly Uint8Array[] {
  return pairsOf(reader, gallery, owner).flatMap(({ from, to }) =>
    [from, to].map(({ vector }) => new Uint8Array(vector.buffer.slice(0))),
  );
}

/** Keys alone are read: the records may no longer open. @returns how many there were */
export function removePairsOf({ writer, record: { number } }: GalleryEdit, owner: number): number {
  const found = Array.from(writer.keys('pairs', ...ranges.templatesOf(number, owner)));
  for (const key of found) writer.remove('pairs', key);
  return found.length;
}

/** Looks at so many in one transaction, from a key on. */
const removedPerWrite = 64;

export interface RemovedPairs {
  readonly removed: number;
  /** The key to go on with; null when all were looked at. */
  readonly next: Uint8Array | null;
}

export function removePairs(
  { writer, record: { number } }: GalleryEdit,
  { source, before }: PairFilter,
  from: Uint8Array | null,
): RemovedPairs {
  const [first, end] = ranges.gallery(number);
  const seen: StoreEntry[] = [];
  for (const entry of writer.range('pairs', from ?? first, end)) {
    seen.push(entry);
    if (seen.length === removedPerWrite) break;
  }
  const found = seen.filter(({ key, value }) => {
    if (source === undefined && before === undefined) return true;
    const pair = pairCodec.decode(key, value);
    return (source === undefined || pair.source === source) && (before === undefined || pair.at < before);
  });
  for (const { key } of found) writer.remove('pairs', key);
  const last = seen.at(-1);
  const isLast = seen.length < removedPerWrite || !last;
  return { removed: found.length, next: isLast ? null : Buffer.concat([last.key, Buffer.alloc(1)]) };
}

/** Of all spaces. */
export function pairCounts(reader: StoreReader, gallery: number): { readonly pairs: number; readonly people: number } {
  let [pairs, people, lastOwner] = [0, 0, -1];
  for (const key of reader.keys('pairs', ...ranges.gallery(gallery))) {
    const { owner } = keyParts.owned(key);
    pairs++;
    if (owner !== lastOwner) people++;
    lastOwner = owner;
  }
  return { pairs, people };
}

/** Ascending, each once. */
export function pairOwners(reader: StoreReader, gallery: number): readonly number[] {
  const owners = new Set<number>();
  for (const key of reader.keys('pairs', ...ranges.gallery(gallery))) owners.add(keyParts.owned(key).owner);
  return [...owners];
}

export function* pairsIn(reader: StoreReader, gallery: number, fromSpace: string, toSpace: string): Iterable<Pair> {
  for (const { key, value } of reader.range('pairs', ...ranges.gallery(gallery))) {
    const { source, at, from, to } = pairCodec.decode(key, value);
    if (from.space !== fromSpace || to.space !== toSpace) continue;
    yield { owner: keyParts.owned(key).owner, source, at, from: from.vector, to: to.vector };
  }
}
