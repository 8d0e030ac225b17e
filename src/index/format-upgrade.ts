/**
 * From an older format of the data directory to the present one, at opening.
 *
 * Promises: interruptible at any moment and taken up again by the next opening; every step is one transaction that leaves each record
 * either old or new, told apart by its type; the format record says from the first step on that older versions must keep off, and
 * what is being upgraded until the last one. Nothing is lost but answers to idempotent retries whose change was pruned.
 *
 * Format 1 kept an identity under its id, with a record from the owner to the id, and answers with everything that they told.
 * Format 2 keeps the identity under its owner, with a pointer from the id, and answers as numbers: whatever tells of a person stands
 * under that person's ordinal.
 * Format 3 adds lanes: keys of templates and checkpoints may be longer by a lane's number. What format 2 wrote is of the first lane as it is.
 */
import { HarmonidError } from '../errors.js';
import {
  answerCodec,
  changeCodec,
  formatCodec,
  formatVersion,
  identityCodec,
  jsonCodec,
  keyParts,
  keys,
  pointerCodec,
  ranges,
  recordTypeOf,
  type FormatRecord,
} from './codec.js';
import { readGalleries } from './identity-reads.js';
import type { Store, StoreReader, StoreWriter } from './store.js';

/** Records that one transaction turns. */
const upgradeBatch = 500;

interface IdentityOfFormat1 {
  readonly owner: number;
  readonly label: string;
  readonly groups: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

interface AnswerOfFormat1 {
  readonly digest: string;
  readonly at: number;
  readonly answer: {
    readonly created: boolean;
    readonly templates: readonly { readonly template: number }[];
    readonly duplicates: readonly {
      readonly identity: string;
      readonly template: number;
      readonly distance: number;
    }[];
    readonly sequence: number;
  };
}

export const identityOfFormat1 = jsonCodec<IdentityOfFormat1>('identity of format 1', ['owner', 'label', 'groups']);
export const ownerOfFormat1 = jsonCodec<{ readonly identity: string }>('owner of format 1', ['identity']);
export const answerOfFormat1 = jsonCodec<AnswerOfFormat1>('answer of format 1', ['digest', 'at', 'answer']);

/** @throws DATA_FORMAT_NEWER */
export function readFormat(reader: StoreReader, path: string): FormatRecord | undefined {
  const bytes = reader.get('meta', keys.format());
  if (!bytes) return undefined;
  const record = formatCodec.decode(keys.format(), bytes);
  if (record.format > formatVersion) {
    throw new HarmonidError(
      'DATA_FORMAT_NEWER',
      `the data directory ${path} has format ${record.format}, this version of harmonid reads up to ${formatVersion}`,
      { details: { path, format: record.format, formatMax: formatVersion } },
    );
  }
  return record;
}

/** Whether `upgradeFormat` has something to do. */
export function isOlder({ format, upgradingFrom }: FormatRecord): boolean {
  return format < formatVersion || upgradingFrom !== undefined;
}

/** Makes a directory of the present format out of an empty or older one. @param keyDirectory of a new one that is to be encrypted */
export async function upgradeFormat(store: Store, path: string, keyDirectory?: string): Promise<void> {
  const found = readFormat(store, path);
  if (!found) {
    return putFormat(store, {
      format: formatVersion,
      nextGalleryNumber: 1,
      ...(keyDirectory !== undefined && { keyDirectory }),
    });
  }
  if (!isOlder(found)) return;
  const from = found.upgradingFrom ?? found.format;
  await putFormat(store, { ...found, format: formatVersion, upgradingFrom: from });
  if (from < 2) {
    for (const { record } of readGalleries(store)) {
      await turnAll(store, 'identities', record.number, turnIdentity);
      await turnAll(store, 'idempotency', record.number, turnAnswer);
    }
  }
  const { upgradingFrom: _done, ...kept } = found;
  await putFormat(store, { ...kept, format: formatVersion });
}

async function putFormat(store: Store, record: FormatRecord): Promise<void> {
  const { durable } = await store.write((writer) => {
    writer.put('meta', keys.format(), formatCodec.encode(keys.format(), record));
  });
  await durable;
}

type Turn = (writer: StoreWriter, gallery: number, key: Buffer, value: Buffer) => void;

/** Passes over a gallery's part of a table, some records a transaction; those that are turned already stay. */
async function turnAll(store: Store, table: 'identities' | 'idempotency', gallery: number, turn: Turn): Promise<void> {
  const [first, end] = ranges.gallery(gallery);
  for (let start: Buffer | null = first; start !== null;) {
    const from: Buffer = start;
    const { value: next } = await store.write((writer) => {
      let count = 0;
      // Read before anything is put: a cursor does not outlive the writes to its table.
      const batch: { key: Buffer; value: Buffer }[] = [];
      for (const entry of writer.range(table, from, end)) {
        if (count++ === upgradeBatch) break;
        batch.push(entry);
      }
      for (const { key, value } of batch) turn(writer, gallery, key, value);
      const last = batch.at(-1);
      return batch.length < upgradeBatch || !last ? null : Buffer.concat([last.key, Buffer.alloc(1)]);
    });
    start = next;
  }
}

function turnIdentity(writer: StoreWriter, gallery: number, key: Buffer, value: Buffer): void {
  if (recordTypeOf(value) !== 'identity of format 1') return;
  const { owner, ...rest } = identityOfFormat1.decode(key, value);
  const ownerKey = keys.owner(gallery, owner);
  writer.put('owners', ownerKey, identityCodec.encode(ownerKey, { identity: keyParts.identity(key), ...rest }));
  writer.put('identities', key, pointerCodec.encode(key, { owner }));
}

function turnAnswer(writer: StoreWriter, gallery: number, key: Buffer, value: Buffer): void {
  if (recordTypeOf(value) !== 'answer of format 1') return;
  const { digest, at, answer } = answerOfFormat1.decode(key, value);
  const changeKey = keys.change(gallery, answer.sequence);
  const change = writer.get('changes', changeKey);
  const owner = change ? changeCodec.decode(changeKey, change).owner : null;
  if (owner === null) {
    writer.remove('idempotency', key);
    return;
  }
  const duplicates = answer.duplicates.flatMap(({ identity, template, distance }) => {
    const pointerKey = keys.identity(gallery, identity);
    const pointer = writer.get('identities', pointerKey);
    return pointer ? [{ owner: pointerCodec.decode(pointerKey, pointer).owner, template, distance }] : [];
  });
  const templates = answer.templates.map(({ template }) => template);
  const { created, sequence } = answer;
  writer.put(
    'idempotency',
    key,
    answerCodec.encode(key, { digest, at, owner, created, templates, duplicates, sequence }),
  );
}
