/**
 * The audit log as it is written: appended, chained, never changed.
 *
 * Promises: what `append` has resolved for is with the operating system, in the order in which it was asked for, and by `sync: 'always'` on the disk. Entries of one turn of the
 * event loop are one write. A write that fails leaves nothing: with `whenFull: 'refuse'` it is AUDIT_UNAVAILABLE for all who waited, with `continue` they go on, and the first entry
 * that can be written again is preceded by one that says how many are missing. So it is with a log that cannot even be opened: `continue` tries it anew for each write. A line that
 * a killed process has torn is cut off at the next opening, and that is an entry, too. Files that have had their time are removed, also when nothing is appended, and what was
 * removed stays in the chain.
 */
import { asHarmonidError, HarmonidError } from '../errors.js';
import { firstHash, own, type AuditEntry, type AuditHead } from './audit-line.js';
import { openAuditWriter, type AuditWriter, type WriterOptions } from './audit-writer.js';

export interface AuditLogOptions extends WriterOptions {
  /** What happens to what cannot be recorded. */
  readonly whenFull: 'refuse' | 'continue';
}

const tickMs = 1_000;

interface Waiting {
  readonly entry: AuditEntry;
  readonly resolve: () => void;
  readonly reject: (error: HarmonidError) => void;
}

/** @throws DATA_LOCKED when another process writes it, and with `whenFull: 'refuse'` AUDIT_UNAVAILABLE when the folder cannot be written */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  try {
    return new AuditLog(options, await openAuditWriter(options));
  } catch (error) {
    const known = asHarmonidError(error);
    if (known.code === 'DATA_LOCKED') throw known;
    const failure = unavailable(options.folder, error);
    if (options.whenFull === 'refuse') throw failure;
    options.onWarning('the audit log cannot be opened', { err: failure });
    return new AuditLog(options, null);
  }
}

/** A class because who waits, what is written and what is missing must agree. */
export class AuditLog {
  readonly #options: AuditLogOptions;
  /** Null as long as it cannot be opened, and when it is closed. */
  #writer: AuditWriter | null;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | null = null;
  #missing = 0;
  #isClosed = false;
  /** What was warned of, and is not better yet. */
  readonly #warned = new Set<string>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: AuditLogOptions, writer: AuditWriter | null) {
    this.#options = options;
    this.#writer = writer;
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#timer.unref();
  }

  /** To be noted where whoever writes the log cannot write: with it a tail that is cut off is found. */
  get head(): AuditHead {
    return this.#writer?.head ?? { sequence: 0, hash: firstHash };
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
    this.#isClosed = true;
    const writer = this.#writer;
    this.#writer = null;
    if (writer) await this.#warnOnce('the audit log could not be brought to the disk', () => writer.close());
  }

  #startWriting(): void {
    if (this.#waiting.length > 0) this.#inTurn(() => this.#writeWaiting());
  }

  /** One thing at a time. @param work never rejects */
  #inTurn(work: () => Promise<void>): void {
    this.#writing ??= work().finally(() => {
      this.#writing = null;
      this.#startWriting();
    });
  }

  async #writeWaiting(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    const { whenFull, folder, onWarning } = this.#options;
    try {
      const entries = batch.map(({ entry }) => entry);
      if (this.#missing > 0) entries.unshift({ ...own, action: 'missing', facts: { entries: this.#missing } });
      const writer = await this.#openWriter();
      await writer.write(entries);
      this.#missing = 0;
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
    await this.#turnFile();
  }

  async #openWriter(): Promise<AuditWriter> {
    if (this.#isClosed) throw new HarmonidError('CLOSED', 'the audit log is closed');
    return (this.#writer ??= await openAuditWriter(this.#options));
  }

  async #turnFile(): Promise<void> {
    await this.#warnOnce('the audit log could not begin another file', async () => this.#writer?.turn());
  }

  /** What is due without anybody appending. */
  #tick(): void {
    // Beside the writes, which need not wait for it.
    void this.#warnOnce('the audit log could not be brought to the disk', async () => this.#writer?.sync());
    // A file can have its time only when it is not the newest any more.
    if (this.#options.retentionDays !== null) this.#inTurn(() => this.#turnFile());
  }

  /** Warns of what fails again and again only the first time. */
  async #warnOnce(message: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#warned.delete(message);
    } catch (error) {
      if (!this.#warned.has(message))
        this.#options.onWarning(message, { err: unavailable(this.#options.folder, error) });
      this.#warned.add(message);
    }
  }
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
