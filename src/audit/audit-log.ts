/**
 * The audit log as it is written: appended, chained, never changed.
 *
 * Promises: what `append` has resolved for is with the operating system, in the order in which it was asked for, and by `sync: 'always'` on the disk. Entries of one turn of the event loop
 * are one write. A write that fails leaves no half line: with `whenFull: 'refuse'` it is AUDIT_UNAVAILABLE for all who waited, with `continue` they go on, and the first entry
 * that can be written again is preceded by one that says how many are missing. A line that a killed process has torn is cut off at the next opening, and that is an
 * entry, too. Files that have had their time are removed, and what was removed stays in the chain. It is its folder's only writer, and notices when it is not: the
 * file is longer than what it wrote.
 */
import { mkdir, open, unlink, type FileHandle } from 'node:fs/promises';
import { asHarmonidError, HarmonidError } from '../errors.js';
import { syncFolder } from '../files/durable-files.js';
import { auditFile, auditFiles, linesOf, type AuditFile } from './audit-files.js';
import { firstHash, formatLine, type AuditEntry, type AuditFacts, type AuditRecord } from './audit-line.js';

export interface AuditLogOptions {
  readonly folder: string;
  readonly clock: () => Date;
  /** `interval`: a power loss takes the last second; `always`: nothing, and every answer waits for the disk. */
  readonly sync: 'interval' | 'always';
  /** What happens to what cannot be recorded. */
  readonly whenFull: 'refuse' | 'continue';
  /** A file is followed by another beyond this size, and every day. */
  readonly fileBytesMax: number;
  /** For how long files are kept, days; null for ever. */
  readonly retentionDays: number | null;
  readonly onWarning: (message: string, facts: object) => void;
}

export interface AuditHead {
  readonly sequence: number;
  readonly hash: string;
}

/** The entry of the log's own affairs. */
const own = { actor: 'harmonid', peer: null, requestId: null, gallery: null, identity: null, outcome: 'OK' } as const;
const syncMs = 1_000;
const dayMs = 24 * 60 * 60 * 1000;

interface Waiting {
  readonly entry: AuditEntry;
  readonly resolve: () => void;
  readonly reject: (error: HarmonidError) => void;
}

/** @throws AUDIT_UNAVAILABLE when the folder cannot be written */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const { folder } = options;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const last = (await auditFiles(folder)).at(-1);
    const log = new AuditLog(options);
    if (last) await log.resume(last);
    else await log.begin(auditFile(folder, 1));
    await log.retire();
    return log;
  } catch (error) {
    throw unavailable(folder, error);
  }
}

/** A class because it keeps a file and its place in the chain. */
export class AuditLog {
  readonly #options: AuditLogOptions;
  #file: AuditFile;
  #handle: FileHandle | null = null;
  #bytes = 0;
  /** Of the file's first line. */
  #day = '';
  #sequence = 0;
  #hash = firstHash;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | null = null;
  #missing = 0;
  #isDirty = false;
  readonly #timer: NodeJS.Timeout;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#file = auditFile(options.folder, 1);
    this.#timer = setInterval(() => void this.#sync().catch(() => undefined), syncMs);
    this.#timer.unref();
  }

  /** To be noted where whoever writes the log cannot write: with it a tail that is cut off is found. */
  get head(): AuditHead {
    return { sequence: this.#sequence, hash: this.#hash };
  }

  /** @throws AUDIT_UNAVAILABLE with `whenFull: 'refuse'` */
  append(entry: AuditEntry): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject });
      if (this.#waiting.length === 1 && !this.#writing) setImmediate(() => this.#startWriting());
    });
  }

  /** Everything asked for so far is written, and on the disk. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    while (this.#waiting.length > 0 || this.#writing) {
      this.#startWriting();
      await this.#writing;
    }
    await this.#sync().catch(() => undefined);
    await this.#handle?.close();
    this.#handle = null;
  }

  // ── Opening ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Goes on where the newest file ends. */
  async resume(file: AuditFile): Promise<void> {
    let last: AuditRecord | null = null;
    let torn: { readonly at: number; readonly line: number } | null = null;
    for await (const { record, isWhole, at, number } of linesOf(file)) {
      if (isWhole && record) {
        if (number === 1) this.#day = dayOf(record.at);
        last = record;
      }
      torn = isWhole ? null : { at, line: number };
    }
    this.#file = file;
    this.#handle = await open(file.path, 'r+');
    const { size } = await this.#handle.stat();
    this.#bytes = torn?.at ?? size;
    if (!last) {
      // Not even the first line of the file was written: the chain goes on from the file before.
      await this.#handle.close();
      await unlink(file.path);
      const before = (await auditFiles(this.#options.folder)).at(-1);
      if (before) return this.resume(before);
      return this.begin(auditFile(this.#options.folder, 1));
    }
    this.#sequence = last.sequence;
    this.#hash = last.hash;
    if (torn) {
      await this.#handle.truncate(torn.at);
      const facts = { file: file.name, line: torn.line, bytes: size - torn.at };
      this.#options.onWarning('the last entry of the audit log was torn and is cut off', facts);
      await this.#writeNow([{ ...own, action: 'mended', facts }]);
    }
  }

  /** The file before stays in use when this one cannot be begun. */
  async begin(file: AuditFile): Promise<void> {
    const before = { handle: this.#handle, file: this.#file, bytes: this.#bytes, day: this.#day };
    const handle = await open(file.path, 'wx', 0o600);
    [this.#handle, this.#file, this.#bytes, this.#day] = [handle, file, 0, dayOf(this.#options.clock())];
    try {
      await this.#writeNow([{ ...own, action: 'file', facts: { format: 1, file: file.name, previous: this.#hash } }]);
      await syncFolder(this.#options.folder);
    } catch (error) {
      [this.#handle, this.#file, this.#bytes, this.#day] = [before.handle, before.file, before.bytes, before.day];
      await handle.close();
      await unlink(file.path);
      throw error;
    }
    await before.handle?.close();
  }

  /** Removes files that have had their time, and says so. */
  async retire(): Promise<void> {
    const { folder, retentionDays, clock } = this.#options;
    if (retentionDays === null) return;
    const oldest = clock().getTime() - retentionDays * dayMs;
    const gone: AuditFacts[] = [];
    for (const file of await auditFiles(folder)) {
      if (file.number >= this.#file.number) break;
      const last = await lastRecord(file);
      if (!last || last.at.getTime() >= oldest) break;
      gone.push({ file: file.name, sequence: last.sequence, hash: last.hash });
    }
    if (gone.length === 0) return;
    // First the entry: files without one would look as if somebody had taken them away.
    await this.#writeNow([{ ...own, action: 'retired', facts: { files: gone } }]);
    await this.#sync();
    for (const { file } of gone) await unlink(auditPath(folder, String(file)));
    await syncFolder(folder);
  }

  // ── Writing ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #startWriting(): void {
    if (this.#writing || this.#waiting.length === 0) return;
    this.#writing = this.#writeWaiting().finally(() => {
      this.#writing = null;
      this.#startWriting();
    });
  }

  /** Never rejects. */
  async #writeWaiting(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    const { whenFull, folder, onWarning } = this.#options;
    try {
      const entries = batch.map(({ entry }) => entry);
      if (this.#missing > 0) entries.unshift({ ...own, action: 'missing', facts: { entries: this.#missing } });
      await this.#writeNow(entries);
      this.#missing = 0;
      if (this.#options.sync === 'always') await this.#sync();
      for (const { resolve } of batch) resolve();
    } catch (error) {
      const failure = unavailable(folder, error);
      if (this.#missing === 0) onWarning('the audit log cannot be written', { err: failure, whenFull });
      this.#missing += batch.length;
      for (const { resolve, reject } of batch) {
        if (whenFull === 'continue') resolve();
        else reject(failure);
      }
      return;
    }
    await this.#turnFile().catch((error: unknown) =>
      onWarning('the audit log could not begin another file', { err: unavailable(folder, error) }),
    );
  }

  /** All of them, or none. */
  async #writeNow(entries: readonly AuditEntry[]): Promise<void> {
    const handle = this.#handle;
    if (!handle) throw new HarmonidError('CLOSED', 'the audit log is closed');
    const { size } = await handle.stat();
    if (size !== this.#bytes) {
      throw new HarmonidError(
        'AUDIT_UNAVAILABLE',
        `${this.#file.path} has ${size} bytes, ${this.#bytes} were written: somebody else writes it`,
      );
    }
    let [sequence, hash] = [this.#sequence, this.#hash];
    const lines = entries.map((entry) => {
      const made = formatLine(hash, ++sequence, this.#options.clock(), entry);
      hash = made.hash;
      return made.line;
    });
    const bytes = Buffer.from(lines.join(''));
    try {
      for (let written = 0; written < bytes.length;) {
        written += (await handle.write(bytes, written, bytes.length - written, this.#bytes + written)).bytesWritten;
      }
    } catch (error) {
      await handle.truncate(this.#bytes);
      throw error;
    }
    this.#bytes += bytes.length;
    this.#sequence = sequence;
    this.#hash = hash;
    this.#isDirty = true;
  }

  async #turnFile(): Promise<void> {
    if (this.#bytes < this.#options.fileBytesMax && dayOf(this.#options.clock()) === this.#day) return;
    await this.#sync();
    await this.begin(auditFile(this.#options.folder, this.#file.number + 1));
    await this.retire();
  }

  async #sync(): Promise<void> {
    if (!this.#isDirty || !this.#handle) return;
    this.#isDirty = false;
    await this.#handle.datasync();
  }
}

async function lastRecord(file: AuditFile): Promise<AuditRecord | null> {
  let last: AuditRecord | null = null;
  for await (const { record } of linesOf(file)) last = record ?? last;
  return last;
}

function auditPath(folder: string, name: string): string {
  return auditFile(folder, Number(/\d+/.exec(name)?.[0] ?? 0)).path;
}

function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}

function unavailable(folder: string, cause: unknown): HarmonidError {
  const known = asHarmonidError(cause);
  if (known.code === 'AUDIT_UNAVAILABLE') return known;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new HarmonidError('AUDIT_UNAVAILABLE', `the audit log in ${folder} cannot be written: ${reason}`, {
    details: { folder },
    cause,
  });
}
