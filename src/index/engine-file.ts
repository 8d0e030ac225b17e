/**
 * The file of a graph on our own engine: pages, each with its SHA-256 in a root, whose own SHA-256 the store's checkpoint record has.
 *
 * A checkpoint writes the pages that have changed, and a new root, into places that the root of the record does not use, and syncs them; only then the record names the new root. So
 * whatever happens meanwhile, the file holds what the record says. When the record is safe (`kept`), what only the old root used is overwritten with zeros: it holds faces. A file that
 * would change by half is written anew beside, as the first one is.
 *
 * The root: "HdE1", u32 bytes of JSON, the JSON (`EngineContent`), and for each page u48 key, u48 place, u32 bytes, SHA-256 of the bytes as they are stored; little-endian. In an encrypted directory pages are sealed,
 * each with its key as authenticated data; the root is in the clear and tells of nobody.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, rename, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { EngineAssembly, pagesOf, quantiserIn, type EngineFacts, type EnginePage } from '../engine/engine-pages.js';
import type { EngineMemory } from '../engine/engine-memory.js';
import { linkingDefaults } from '../engine/engine-writer.js';
import type { Quantiser } from '../engine/quantiser.js';
import { HarmonidError } from '../errors.js';
import { diskError } from '../files/disk-errors.js';
import { shredFile, syncFolder } from '../files/durable-files.js';
import { graphsFolder, temporaryMark, type GraphFile } from './checkpoint.js';
import { FileSpace, gapsBetween, type Extent } from './file-space.js';
import { seal, unseal } from './sealing.js';

export interface EngineFileName {
  /** The data directory. */
  readonly path: string;
  readonly name: string;
  /** Of an encrypted directory. */
  readonly key: Uint8Array | null;
}

/** What a file holds beside its pages. */
export interface EngineContent {
  readonly facts: EngineFacts;
  /** Of the quantiser: counted up with each that was learned. */
  readonly quantiserVersion: number;
  /** Templates that the quantiser was learned from, or was last found to be good for. */
  readonly learnedFrom: number;
}

interface Entry extends Extent {
  readonly key: number;
  /** SHA-256 of the bytes as they are stored, and of the page. */
  readonly stored: Buffer;
  readonly clear: Buffer;
}

interface Root extends Extent {
  readonly name: EngineFileName;
  readonly sha256: string;
  readonly entries: ReadonlyMap<number, Entry>;
}

const magic = Buffer.from('HdE1');
const entryBytes = 6 + 6 + 4 + 32;
/** Read together. */
const readBytesMax = 1 << 20;
/** Pages between which others have their turn. */
const pagesPerTurn = 16;
const zeros = Buffer.alloc(1 << 16);

/** What a checkpoint record says of a file. */
export type RecordedEngineFile = Pick<GraphFile, 'name' | 'sha256' | 'root'>;

/** The files of one graph, one after the other. A class because what is recorded and what is proposed change together. */
export class EngineFile {
  /** What the record names. */
  #kept: Root | null = null;
  /** What was written last; the record may name it by now. */
  #proposed: Root | null = null;

  /**
   * Reads a file that a record names; null when it lacks the fine vectors that are wanted.
   * @throws DATA_CORRUPT; whatever the assembly throws
   */
  async read(
    name: EngineFileName,
    recorded: RecordedEngineFile,
    withFines: boolean,
  ): Promise<{ readonly engine: EngineMemory; readonly content: EngineContent } | null> {
    const handle = await openRecorded(name.path, name.name);
    try {
      const { root, content } = await readRoot(handle, name, recorded);
      if (withFines && !content.facts.withFines) return null;
      const entries = new Map<number, Entry>();
      let assembly: EngineAssembly | undefined;
      for await (const { entry, stored } of storedPages(handle, name.name, root)) {
        const bytes = openPage(name, entry.key, stored);
        assembly ??= new EngineAssembly({ ...content.facts, withFines }, bytes);
        assembly.put({ key: entry.key, bytes });
        entries.set(entry.key, { ...entry, clear: name.key ? digestOf(bytes) : entry.stored });
      }
      if (!assembly) throw new Error('it holds no page');
      this.#kept = { ...root, entries };
      return { engine: assembly.finish(), content };
    } finally {
      await handle.close();
    }
  }

  /**
   * Writes what has changed since the file that the record names, or a fresh file.
   * Nothing is linked or taken out meanwhile. @param count of templates that are linked
   * @throws DISK_FULL or whatever the file system says
   */
  async write(engine: EngineMemory, content: EngineContent, count: number, fresh: EngineFileName): Promise<GraphFile> {
    const folder = graphsFolder(fresh.path);
    try {
      this.#proposed =
        (this.#kept && (await this.#writeChanges(engine, content, this.#kept))) ??
        (await writeFresh(engine, content, fresh));
    } catch (error) {
      throw diskError(error, folder);
    }
    const { at, bytes, name, sha256, entries } = this.#proposed;
    const end = Math.max(at + bytes, ...Array.from(entries.values(), (entry) => entry.at + entry.bytes));
    return {
      name: name.name,
      sha256,
      bytes: end,
      dimensions: content.facts.dimensions,
      count,
      m: linkingDefaults.links,
      efConstruction: linkingDefaults.width,
      root: { at, bytes },
    };
  }

  /** The record names what was written last: what only the file's older content used is overwritten. */
  async kept(): Promise<void> {
    const now = this.#proposed;
    if (!now) return;
    this.#kept = now;
    this.#proposed = null;
    const { gaps, end } = gapsBetween([now, ...now.entries.values()]);
    const handle = await open(join(graphsFolder(now.name.path), now.name.name), 'r+');
    try {
      const { size } = await handle.stat();
      const wiped = await wipe(handle, size > end ? [...gaps, { at: end, bytes: size - end }] : gaps);
      if (size > end) await handle.truncate(end);
      if (wiped || size > end) await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /** Null when there is no such file any more, or when half of it would change. */
  async #writeChanges(engine: EngineMemory, content: EngineContent, kept: Root): Promise<Root | null> {
    const { name } = kept;
    let handle: FileHandle;
    try {
      handle = await open(join(graphsFolder(name.path), name.name), 'r+');
    } catch {
      return null;
    }
    try {
      const space = new FileSpace([kept, ...kept.entries.values()]);
      const entries = new Map<number, Entry>();
      const half = Array.from(kept.entries.values()).reduce((sum, { bytes }) => sum + bytes, 0) / 2;
      let changed = 0;
      for await (const { page, clear } of digestedPages(engine, content.facts.next)) {
        const before = kept.entries.get(page.key);
        if (before?.clear.equals(clear)) {
          entries.set(page.key, before);
          continue;
        }
        const entry = await writePage(handle, name, page, clear, (bytes) => space.take(bytes));
        entries.set(page.key, entry);
        changed += entry.bytes;
        if (changed > half) return null;
      }
      return await writeRoot(handle, { name, entries }, content, (bytes) => space.take(bytes));
    } finally {
      await handle.close();
    }
  }
}

async function writeFresh(engine: EngineMemory, content: EngineContent, name: EngineFileName): Promise<Root> {
  const folder = graphsFolder(name.path);
  const temporary = join(folder, `${temporaryMark}${randomUUID()}`);
  await mkdir(folder, { recursive: true });
  const handle = await open(temporary, 'wx', 0o600);
  let isPlaced = false;
  try {
    const space = new FileSpace([]);
    const take = (bytes: number): number => space.take(bytes);
    const entries = new Map<number, Entry>();
    for await (const { page, clear } of digestedPages(engine, content.facts.next))
      entries.set(page.key, await writePage(handle, name, page, clear, take));
    const root = await writeRoot(handle, { name, entries }, content, take);
    await rename(temporary, join(folder, name.name));
    isPlaced = true;
    await syncFolder(folder);
    return root;
  } finally {
    await handle.close();
    if (!isPlaced) await shredFile(temporary).catch(() => undefined);
  }
}

async function* digestedPages(
  engine: EngineMemory,
  next: number,
): AsyncGenerator<{ readonly page: EnginePage; readonly clear: Buffer }> {
  let count = 0;
  for (const page of pagesOf(engine, next)) {
    yield { page, clear: digestOf(page.bytes) };
    if (++count % pagesPerTurn === 0) await nextTurn();
  }
}

async function writePage(
  handle: FileHandle,
  { key }: EngineFileName,
  page: EnginePage,
  clear: Buffer,
  take: (bytes: number) => number,
): Promise<Entry> {
  const stored = key ? seal(key, contextOf(page.key), page.bytes) : page.bytes;
  const at = take(stored.length);
  await writeWhole(handle, stored, at);
  return { key: page.key, at, bytes: stored.length, stored: key ? digestOf(stored) : clear, clear };
}

async function writeRoot(
  handle: FileHandle,
  { name, entries }: Pick<Root, 'name' | 'entries'>,
  content: EngineContent,
  take: (bytes: number) => number,
): Promise<Root> {
  const json = Buffer.from(JSON.stringify(content));
  const head = Buffer.alloc(magic.length + 4);
  magic.copy(head);
  head.writeUInt32LE(json.length, magic.length);
  const table = Buffer.alloc(entries.size * entryBytes);
  let position = 0;
  for (const { key, at, bytes, stored } of entries.values()) {
    table.writeUIntLE(key, position, 6);
    table.writeUIntLE(at, position + 6, 6);
    table.writeUInt32LE(bytes, position + 12);
    stored.copy(table, position + 16);
    position += entryBytes;
  }
  const bytes = Buffer.concat([head, json, table]);
  const at = take(bytes.length);
  await writeWhole(handle, bytes, at);
  await handle.sync();
  return { name, entries, at, bytes: bytes.length, sha256: digestOf(bytes).toString('hex') };
}

/** Overwrites what is not zero already. Whether there was anything. */
async function wipe(handle: FileHandle, places: Iterable<Extent>): Promise<boolean> {
  let wiped = false;
  const piece = Buffer.alloc(zeros.length);
  for (const { at, bytes } of places) {
    for (let done = 0; done < bytes; done += zeros.length) {
      const length = Math.min(zeros.length, bytes - done);
      const { bytesRead } = await handle.read(piece, 0, length, at + done);
      if (piece.subarray(0, bytesRead).equals(zeros.subarray(0, bytesRead))) continue;
      await writeWhole(handle, zeros.subarray(0, bytesRead), at + done);
      wiped = true;
    }
  }
  return wiped;
}

/**
 * Reads a file from end to end without making anything of it; what is sealed stays so.
 * @throws DATA_CORRUPT unless it holds all that the record says
 */
export async function verifyEngineFile(path: string, recorded: RecordedEngineFile): Promise<void> {
  const name = { path, name: recorded.name, key: null };
  const handle = await openRecorded(path, recorded.name);
  try {
    const { root } = await readRoot(handle, name, recorded);
    for await (const page of storedPages(handle, recorded.name, root)) void page;
  } finally {
    await handle.close();
  }
}

/** The quantiser of a file in the clear. @throws DATA_CORRUPT */
export async function readQuantiser(path: string, recorded: RecordedEngineFile): Promise<Quantiser> {
  const handle = await openRecorded(path, recorded.name);
  try {
    const { root, content } = await readRoot(handle, { path, name: recorded.name, key: null }, recorded);
    for await (const { stored } of storedPages(handle, recorded.name, root))
      return quantiserIn(stored, content.facts.step);
    throw damaged(recorded.name, 'it holds no page');
  } finally {
    await handle.close();
  }
}

async function openRecorded(path: string, name: string): Promise<FileHandle> {
  try {
    return await open(join(graphsFolder(path), name), 'r');
  } catch (cause) {
    throw damaged(name, 'it cannot be opened', cause);
  }
}

async function readRoot(
  handle: FileHandle,
  name: EngineFileName,
  recorded: RecordedEngineFile,
): Promise<{ readonly root: Root; readonly content: EngineContent }> {
  const { at, bytes: length } = recorded.root ?? { at: 0, bytes: 0 };
  const bytes = await readAt(handle, name.name, at, length);
  const sha256 = digestOf(bytes).toString('hex');
  if (sha256 !== recorded.sha256) {
    throw damaged(name.name, `SHA-256 of its root is ${sha256}, its checkpoint says ${recorded.sha256}`);
  }
  if (!bytes.subarray(0, magic.length).equals(magic)) throw damaged(name.name, 'its root does not begin with HdE1');
  const tableAt = magic.length + 4 + bytes.readUInt32LE(magic.length);
  const content = JSON.parse(bytes.toString('utf8', magic.length + 4, tableAt)) as EngineContent;
  const entries = new Map<number, Entry>();
  for (let position = tableAt; position < bytes.length; position += entryBytes) {
    const stored = bytes.subarray(position + 16, position + entryBytes);
    const key = bytes.readUIntLE(position, 6);
    const entry = { key, at: bytes.readUIntLE(position + 6, 6), bytes: bytes.readUInt32LE(position + 12) };
    entries.set(key, { ...entry, stored, clear: stored });
  }
  return { root: { name, at, bytes: length, sha256, entries }, content };
}

/** Verified, in the order of the root: the quantiser comes first. What is stored is good until the next page is asked for. */
async function* storedPages(
  handle: FileHandle,
  name: string,
  { entries }: Root,
): AsyncGenerator<{ readonly entry: Entry; readonly stored: Buffer }> {
  const all = Array.from(entries.values());
  // One for all: pieces of their own would be as large together as the file, until somebody clears away.
  const buffer = Buffer.alloc(all.reduce((most, { bytes }) => Math.max(most, bytes), readBytesMax));
  for (let i = 0; i < all.length;) {
    const first = all[i] as Entry;
    let count = 1;
    let bytes = first.bytes;
    for (; i + count < all.length; count++) {
      const entry = all[i + count] as Entry;
      if (entry.at !== first.at + bytes || bytes + entry.bytes > readBytesMax) break;
      bytes += entry.bytes;
    }
    const piece = buffer.subarray(0, bytes);
    await readInto(handle, name, first.at, piece);
    for (const entry of all.slice(i, i + count)) {
      const stored = piece.subarray(entry.at - first.at, entry.at - first.at + entry.bytes);
      if (!digestOf(stored).equals(entry.stored)) {
        throw damaged(name, `page ${entry.key}, ${entry.bytes} bytes at ${entry.at}, is not what its root says`);
      }
      yield { entry, stored };
    }
    i += count;
  }
}

function openPage({ name, key }: EngineFileName, page: number, stored: Buffer): Buffer {
  if (!key) return stored;
  const bytes = unseal(key, contextOf(page), stored);
  if (!bytes) throw damaged(name, `page ${page} does not open with its key`);
  return bytes;
}

function contextOf(page: number): Buffer {
  return Buffer.from(`harmonid graph page ${page}`);
}

function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

async function readAt(handle: FileHandle, name: string, at: number, length: number): Promise<Buffer> {
  const { size } = await handle.stat();
  if (at + length > size) throw damaged(name, `it has ${size} bytes, and should have some at ${at} to ${at + length}`);
  const bytes = Buffer.alloc(length);
  await readInto(handle, name, at, bytes);
  return bytes;
}

async function readInto(handle: FileHandle, name: string, at: number, bytes: Buffer): Promise<void> {
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, at);
  if (bytesRead !== bytes.length) throw damaged(name, `it ends at ${at + bytesRead}`);
}

async function writeWhole(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}

function damaged(name: string, what: string, cause?: unknown): HarmonidError {
  return new HarmonidError('DATA_CORRUPT', `graph file ${name}: ${what}`, { details: { file: name }, cause });
}
