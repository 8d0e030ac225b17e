/**
 * Receipts of erasures, chained by their digests, and the list of who must not come back with an import. Runs inside the store's transaction.
 *
 * Promises: a receipt is there exactly when the erasure is; each one's digest covers the one before, so that none can be taken out or changed
 * unseen. Neither names anybody: people and images stand there as SHA-256.
 */
import { createHash } from 'node:crypto';
import { HarmonidError } from '../errors.js';
import {
  chainCodec,
  keyParts,
  keys,
  ranges,
  receiptCodec,
  suppressionCodec,
  type ChainRecord,
  type ReceiptRecord,
} from './codec.js';
import type { Receipt } from './records.js';
import type { StoreReader, StoreWriter } from './store.js';

/** What an erasure leaves to be told. */
export interface ErasedPerson {
  readonly gallery: number;
  readonly identity: string;
  /** Hex, of the images that were enrolled. */
  readonly imageDigests: readonly string[];
  readonly templateCount: number;
  /** The change that erased. */
  readonly sequence: number;
  readonly at: number;
}

const firstPrevious = '0'.repeat(64);

export function digestOfIdentity(identity: string): string {
  return createHash('sha256').update(`harmonid identity\n${identity}`).digest('hex');
}

function digestOfReceipt(number: number, record: Omit<ReceiptRecord, 'digest'>): string {
  const { at, gallery, identityDigest, templateCount, sequence, previous } = record;
  const text = JSON.stringify([number, at, gallery, identityDigest, templateCount, sequence, previous]);
  return createHash('sha256').update(`harmonid receipt\n${text}`).digest('hex');
}

/** Writes the next receipt of the chain, and keeps the person and the images from coming back. */
export function putReceipt(writer: StoreWriter, erased: ErasedPerson): Receipt {
  const head = readChain(writer);
  const number = head.count + 1;
  const { gallery, templateCount, sequence, at } = erased;
  const identityDigest = digestOfIdentity(erased.identity);
  const unsigned = { at, gallery, identityDigest, templateCount, sequence, previous: head.digest };
  const record: ReceiptRecord = { ...unsigned, digest: digestOfReceipt(number, unsigned) };
  const key = keys.receipt(number);
  writer.put('receipts', key, receiptCodec.encode(key, record));
  const chain = { count: number, digest: record.digest };
  writer.put('meta', keys.chain(), chainCodec.encode(keys.chain(), chain));
  const suppress = (kind: 'identity' | 'image', digest: string): void => {
    const name = keys.suppression(gallery, digest);
    writer.put('suppressions', name, suppressionCodec.encode(name, { kind, receipt: number }));
  };
  suppress('identity', identityDigest);
  for (const digest of erased.imageDigests) suppress('image', digest);
  return asReceipt(number, record);
}

export function readChain(reader: StoreReader): ChainRecord {
  const bytes = reader.get('meta', keys.chain());
  return bytes ? chainCodec.decode(keys.chain(), bytes) : { count: 0, digest: firstPrevious };
}

function asReceipt(number: number, { at, gallery: _gallery, ...rest }: ReceiptRecord): Receipt {
  return { number, at: new Date(at), ...rest };
}

/** The receipt of the newest erasure of that person who has not come back since. */
export function findReceipt(reader: StoreReader, gallery: number, identity: string): Receipt | null {
  const key = keys.suppression(gallery, digestOfIdentity(identity));
  const bytes = reader.get('suppressions', key);
  if (!bytes) return null;
  const number = suppressionCodec.decode(key, bytes).receipt;
  const receiptKey = keys.receipt(number);
  const receipt = reader.get('receipts', receiptKey);
  return receipt ? asReceipt(number, receiptCodec.decode(receiptKey, receipt)) : null;
}

/** What of a chain does not hold; empty when every receipt is as it was written, from the first to the head. */
export function brokenLinks(reader: StoreReader): readonly { readonly number: number; readonly reason: string }[] {
  const head = readChain(reader);
  const broken: { number: number; reason: string }[] = [];
  let count = 0;
  let previous = firstPrevious;
  for (const { key, value } of reader.range('receipts', ...ranges.all())) {
    const number = keyParts.receipt(key);
    const record = receiptCodec.decode(key, value);
    count++;
    if (number !== count) broken.push({ number: count, reason: `receipt ${count} is missing, ${number} follows` });
    if (record.previous !== previous)
      broken.push({ number, reason: `receipt ${number} does not follow the one before` });
    if (record.digest !== digestOfReceipt(number, record))
      broken.push({ number, reason: `receipt ${number} was changed` });
    previous = record.digest;
    count = number;
  }
  if (count !== head.count || previous !== head.digest) {
    broken.push({ number: count, reason: `the chain ends at receipt ${count}, its head says ${head.count}` });
  }
  return broken;
}

/** @throws IDENTITY_ERASED when the person, or one of the images, is on the list */
export function refuseErased(
  reader: StoreReader,
  gallery: { readonly name: string; readonly number: number },
  identity: string,
  imageDigests: readonly string[],
): void {
  const isListed = (digest: string): boolean =>
    reader.get('suppressions', keys.suppression(gallery.number, digest)) !== undefined;
  const what = isListed(digestOfIdentity(identity))
    ? `"${identity}" was erased from gallery "${gallery.name}"`
    : imageDigests.some(isListed)
      ? `an image for "${identity}" is one of a person who was erased from gallery "${gallery.name}"`
      : null;
  if (what === null) return;
  throw new HarmonidError('IDENTITY_ERASED', `${what}; only an enrolment of its own brings a person back, no import`, {
    details: { gallery: gallery.name, identity },
  });
}

/** Somebody who is enrolled on purpose leaves the list, with the images that were given. */
export function liftSuppression(
  writer: StoreWriter,
  gallery: number,
  identity: string,
  imageDigests: readonly string[],
): void {
  for (const digest of [digestOfIdentity(identity), ...imageDigests]) {
    const key = keys.suppression(gallery, digest);
    if (writer.get('suppressions', key)) writer.remove('suppressions', key);
  }
}
