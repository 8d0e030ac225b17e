/**
 * The newest file of an audit log, open at the end of the chain.
 *
 * Promises: it is its folder's only writer (`folder-lock.ts`). Entries are written all or none, and with `sync: 'always'` they are on the disk or taken back. What is written
 * follows what was written before, whatever happens to the files meanwhile: one that somebody has removed, cut short or made unreadable is left as it is, and the chain goes on in
 * another with an entry that tells of it, so that the gap is found. A file is removed when it has had its time, or when it has not even one whole line, and never else. One
 * call at a time, but for `sync`: waiting in turn is audit-log.ts's.
 */
import { statSync } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { HarmonidError } from '../errors.js';
import { removeFile, syncFolder } from '../files/durable-files.js';
import { PromptWrites } from '../files/prompt-writes.js';
import { auditFile, auditFiles, linesOf, type AuditFile } from './audit-files.js';
import { firstHash, formatLine, own, type AuditEntry, type AuditHead } from './audit-line.js';
import { filesBefore } from './audit-retention.js';
import { lockFolder, type FolderLock } from './folder-lock.js';

export interface WriterOptions {
  readonly folder: string;
  readonly clock: () => Date;
  /** `interval`: a power loss takes the last second; `always`: nothing, and every answer waits for the disk. */
  readonly sync: 'interval' | 'always';
  /** A file is followed by another beyond this size, and every day. */
  readonly fileBytesMax: number;
  /** For how long files are kept, days; null for ever. */
  readonly retentionDays: number | null;
  readonly onWarning: (message: string, facts: object) => void;
}

/** An open file and where it ends. Replaced as a whole, when what it says is true. */
interface Place {
  readonly file: AuditFile;
  readonly handle: FileHandle;
  readonly inode: bigint;
  readonly bytes: number;
  /** Of the file's first line. */
  readonly day: string;
  readonly head: AuditHead;
  readonly writes: PromptWrites;
}

/** Why the log goes on in another file than the one it was in. */
type Loss = 'removed' | 'cut short' | 'unreadable';

const dayMs = 24 * 60 * 60 * 1000;

/** Goes on where the newest file ends, or begins the first one. @throws DATA_LOCKED when the folder has a writer */
export async function openAuditWriter(options: WriterOptions): Promise<AuditWriter> {
  const { folder, onWarning } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(folder);
  try {
    const writer = new AuditWriter(options, lock, await resume(options));
    await writer
      .retire()
      .catch((error: unknown) => onWarning('old files of the audit log could not be removed', { err: error }));
    return writer;
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** A class because it keeps a file and its place in the chain. */
export class AuditWriter {
  readonly #options: WriterOptions;
  readonly #lock: FolderLock;
  #place: Place;
  #isDirty = true;
  #syncing: Promise<void> = Promise.resolve();

  constructor(options: WriterOptions, lock: FolderLock, place: Place) {
    this.#options = options;
    this.#lock = lock;
    this.#place = place;
  }

  get head(): AuditHead {
    return this.#place.head;
  }

  /** All of them, or none. @throws AUDIT_UNAVAILABLE when somebody else has written */
  async write(entries: readonly AuditEntry[]): Promise<void> {
    const loss = lossOf(this.#place);
    if (loss) {
      const { name } = this.#place.file;
      await this.#goOn([mended(name, loss)]);
      this.#options.onWarning(`a file of the audit log was ${loss} by somebody else`, { file: name });
    }
    this.#place = await append(this.#place, entries, this.#options);
    this.#isDirty = true;
  }

  /** Goes on in another file when this one is long enough, or of another day. */
  async turn(): Promise<void> {
    const { clock, fileBytesMax } = this.#options;
    if (this.#place.bytes < fileBytesMax && dayOf(clock()) === this.#place.day) return;
    await this.sync();
    await this.#goOn([]);
    await this.retire();
  }

  /** Removes files that have had their time, and says so. */
  async retire(): Promise<void> {
    const { folder, retentionDays, clock } = this.#options;
    if (retentionDays === null) return;
    const files = (await auditFiles(folder)).filter(({ number }) => number <= this.#place.file.number);
    const gone = await filesBefore(files, new Date(clock().getTime() - retentionDays * dayMs));
    if (gone.length === 0) return;
    // First the entry: files without one would look as if somebody had taken them away.
    await this.write([{ ...own, action: 'retired', facts: { files: gone } }]);
    await this.sync();
    for (const { path } of files.slice(0, gone.length)) await removeFile(path);
    await syncFolder(folder);
  }

  /** What is not on the disk yet. When it fails, the next call tries again. */
  sync(): Promise<void> {
    // One after another: what one in work has begun too early for is not on the disk when that ends.
    this.#syncing = this.#syncing.catch(() => undefined).then(() => this.#syncNow());
    return this.#syncing;
  }

  async #syncNow(): Promise<void> {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    try {
      await this.#place.handle.datasync();
    } catch (error) {
      this.#isDirty = true;
      throw error;
    }
  }

  async close(): Promise<void> {
    try {
      await this.sync();
    } finally {
      await this.#place.handle.close();
      await this.#lock.release();
    }
  }

  /** The file before stays in use when there cannot be another. */
  async #goOn(entries: readonly AuditEntry[]): Promise<void> {
    const { file, head, handle } = this.#place;
    const newest = (await auditFiles(this.#options.folder)).at(-1);
    this.#place = await begin(Math.max(file.number, newest?.number ?? 0) + 1, head, entries, this.#options);
    this.#isDirty = true;
    await handle.close();
  }
}

// ── Opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** At the end of the newest file that can be read. */
async function resume(options: WriterOptions): Promise<Place> {
  const files = await auditFiles(options.folder);
  const unreadable: AuditFile[] = [];
  let head: AuditHead = { sequence: 0, hash: firstHash };
  for (const file of files.toReversed()) {
    const end = await endOf(file);
    if (end.last && unreadable.length === 0) return reopen(file, end.last, end, options);
    if (end.last) {
      head = end.last;
      break;
    }
    // Nothing but a write that was cut short: the chain goes on from the file before.
    if (unreadable.length === 0 && !end.hasLines) await removeFile(file.path);
    else unreadable.push(file);
  }
  const [newest] = unreadable;
  if (!newest) return begin(files[0]?.number ?? 1, head, [], options);
  const entries = unreadable.map(({ name }) => mended(name, 'unreadable'));
  const place = await begin(newest.number + 1, head, entries, options);
  const names = unreadable.map(({ name }) => name);
  options.onWarning('the newest file of the audit log cannot be read and is left as it is', { files: names });
  return place;
}

interface FileEnd {
  readonly day: string;
  /** The last entry that can be read. */
  readonly last: AuditHead | null;
  /** Whether there is a whole line, readable or not. */
  readonly hasLines: boolean;
  readonly torn: { readonly at: number; readonly line: number } | null;
}

async function endOf(file: AuditFile): Promise<FileEnd> {
  let end: FileEnd = { day: '', last: null, hasLines: false, torn: null };
  for await (const { record, isWhole, at, number } of linesOf(file)) {
    if (!isWhole) return { ...end, torn: { at, line: number } };
    end = { ...end, hasLines: true };
    if (record) end = { ...end, last: record, day: number === 1 ? dayOf(record.at) : end.day };
  }
  return end;
}

/** A line that was torn is cut off. */
async function reopen(
  file: AuditFile,
  head: AuditHead,
  { day, torn }: FileEnd,
  options: WriterOptions,
): Promise<Place> {
  const handle = await open(file.path, 'r+');
  try {
    const { size, ino } = await handle.stat({ bigint: true });
    const bytes = torn?.at ?? Number(size);
    const place = { file, handle, inode: ino, bytes, day, head: headOf(head), writes: new PromptWrites() };
    if (!torn) return place;
    await handle.truncate(torn.at);
    const facts = { file: file.name, line: torn.line, bytes: Number(size) - torn.at };
    options.onWarning('the last entry of the audit log was torn and is cut off', facts);
    return await append(place, [{ ...own, action: 'mended', facts }], options);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Another file, with its first line and these entries; or none. */
async function begin(
  number: number,
  head: AuditHead,
  entries: readonly AuditEntry[],
  options: WriterOptions,
): Promise<Place> {
  const { folder, clock } = options;
  const file = auditFile(folder, number);
  const handle = await open(file.path, 'wx', 0o600);
  try {
    const { ino } = await handle.stat({ bigint: true });
    const facts = { format: 1, file: file.name, previous: head.hash };
    const place = await append(
      { file, handle, inode: ino, bytes: 0, day: dayOf(clock()), head: headOf(head), writes: new PromptWrites() },
      [{ ...own, action: 'file', facts }, ...entries],
      options,
    );
    await syncFolder(folder);
    return place;
  } catch (error) {
    await handle.close();
    await removeFile(file.path);
    throw error;
  }
}

// ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Where the file ends then. What cannot be written, or not be synced, is taken back. */
async function append(place: Place, entries: readonly AuditEntry[], { clock, sync }: WriterOptions): Promise<Place> {
  const { handle, writes } = place;
  let { sequence, hash } = place.head;
  const lines = entries.map((entry) => {
    const made = formatLine(hash, ++sequence, clock(), entry);
    hash = made.hash;
    return made.line;
  });
  const bytes = Buffer.from(lines.join(''));
  try {
    await writes.write(handle, bytes, place.bytes);
    if (sync === 'always') await handle.datasync();
  } catch (error) {
    // What cannot be cut off either is found by the next look at the file's length.
    await handle.truncate(place.bytes).catch(() => undefined);
    throw error;
  }
  return { ...place, bytes: place.bytes + bytes.length, head: { sequence, hash } };
}

/** What has happened to the file since it was written. @throws AUDIT_UNAVAILABLE when it has become longer */
function lossOf({ file, inode, bytes }: Place): Loss | null {
  // Not by another thread: the kernel has it at hand, and to ask there takes ten times as long.
  const found = statSync(file.path, { bigint: true, throwIfNoEntry: false });
  if (found?.ino !== inode) return 'removed';
  if (found.size < bytes) return 'cut short';
  if (found.size === BigInt(bytes)) return null;
  throw new HarmonidError(
    'AUDIT_UNAVAILABLE',
    `${file.path} has ${found.size} bytes, ${bytes} were written: somebody else writes it`,
  );
}

function mended(file: string, why: Loss): AuditEntry {
  return { ...own, action: 'mended', facts: { file, why } };
}

function headOf({ sequence, hash }: AuditHead): AuditHead {
  return { sequence, hash };
}

function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}
