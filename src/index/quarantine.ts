/**
 * What a repair sets aside: records with their bytes and the reason, in a table of their own, and graph files under another name.
 *
 * Nothing of it is read by anything but a check, a look by people, and an erasure: a key begins with the gallery and the owner where these can
 * be told, so that whoever is erased is erased here, too.
 */
import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { graphsFolder, quarantineMark } from './checkpoint.js';
import { keyParts, keys, pointerCodec, quarantinedCodec, ranges, type QuarantinedRecord } from './codec.js';
import { isMissing } from '../files/disk-errors.js';
import { shredFile, syncFolder } from '../files/durable-files.js';
import { forgetLoading } from './load-guard.js';
import type { StoreReader, StoreWriter, TableName } from './store.js';

export interface Aside {
  readonly table: TableName;
  readonly key: Buffer;
  readonly reason: string;
  readonly atMs: number;
}

/** Moves a record to the quarantine; one that is not there is fine. */
export function setAside(writer: StoreWriter, aside: Aside): void {
  copyAside(writer, aside);
  writer.remove(aside.table, aside.key);
}

export function copyAside(writer: StoreWriter, { table, key, reason, atMs }: Aside): void {
  const bytes = writer.get(table, key);
  if (!bytes) return;
  const whose = whoseIs(table, key, bytes);
  // Two of one place in one millisecond.
  let at = atMs;
  let name = keys.quarantined({ ...whose, table, at, key });
  while (writer.get('quarantine', name)) name = keys.quarantined({ ...whose, table, at: ++at, key });
  const record = { at, reason, table, key: key.toString('hex'), bytes };
  writer.put('quarantine', name, quarantinedCodec.encode(name, record));
}

function whoseIs(
  table: TableName,
  key: Buffer,
  bytes: Buffer,
): { readonly gallery: number | null; readonly owner: number | null } {
  if (table === 'meta' || table === 'galleries' || table === 'receipts' || key.length < 4) {
    return { gallery: null, owner: null };
  }
  const gallery = key.readUInt32BE(0);
  if ((table === 'owners' || table === 'templates' || table === 'pairs') && key.length >= 8) return keyParts.owned(key);
  if (table === 'memberships' && key.length >= 9) return { gallery, owner: keyParts.member(key) };
  if (table === 'identities' || table === 'contributors') return { gallery, owner: pointedTo(key, bytes) };
  return { gallery, owner: null };
}

function pointedTo(key: Buffer, bytes: Buffer): number | null {
  try {
    return pointerCodec.decode(key, bytes).owner;
  } catch {
    return null;
  }
}

export interface QuarantineEntry {
  readonly key: Buffer;
  /** Null when it is not known. */
  readonly owner: number | null;
  readonly record: QuarantinedRecord;
}

/** What of a gallery is set aside that is, or names, an identity: by its owners, by its pointer, or by its record in the clear. */
export function findAside(
  reader: StoreReader,
  gallery: number,
  identity: string,
  owner: number | null,
): readonly QuarantineEntry[] {
  const entries = entriesOf(reader, gallery);
  const pointerKey = keys.identity(gallery, identity).toString('hex');
  const named = `"identity":${JSON.stringify(identity)},`;
  const isNamed = ({ record }: QuarantineEntry): boolean =>
    (record.table === 'identities' && record.key === pointerKey) ||
    (record.table === 'owners' && record.bytes.includes(named));
  const direct = entries.filter((entry) => isNamed(entry));
  const owners = new Set(direct.flatMap((entry) => entry.owner ?? []));
  if (owner !== null) owners.add(owner);
  return entries.filter((entry) => direct.includes(entry) || (entry.owner !== null && owners.has(entry.owner)));
}

function entriesOf(reader: StoreReader, gallery: number): readonly QuarantineEntry[] {
  return Array.from(reader.range('quarantine', ...ranges.gallery(gallery))).flatMap(({ key, value }) => {
    const { owner } = keyParts.owned(key);
    try {
      return [{ key, owner: owner === 0xffff_ffff ? null : owner, record: quarantinedCodec.decode(key, value) }];
    } catch {
      // Damaged once more: it is told by a check, and goes with its owner by its key alone.
      return [{ key, owner, record: { at: 0, reason: '', table: '', key: '', bytes: value } }];
    }
  });
}

// ── Graph files ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** A file that is not there is fine. It holds the faces of its gallery as it was. */
export async function setGraphFileAside(path: string, name: string): Promise<void> {
  const folder = graphsFolder(path);
  try {
    await rename(join(folder, name), join(folder, `${quarantineMark}${name}`));
    await syncFolder(folder);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  await forgetLoading(join(folder, name));
}

/** Overwrites and removes those of a gallery: somebody was erased from it, or it is gone. */
export async function shredGraphFilesAside(path: string, gallery: number): Promise<void> {
  const folder = graphsFolder(path);
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    if (name.startsWith(`${quarantineMark}${gallery}-`)) await shredFile(join(folder, name));
  }
}
