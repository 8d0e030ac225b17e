/**
 * Which files of an audit log have had their time.
 *
 * No file is read for it: where one ends stands in the first line of the one after it. So a file is kept from when the next one began, which is later than its own last entry
 * by as long as nobody had the log open.
 */
import { linesOf, type AuditFile } from './audit-files.js';
import type { AuditRecord } from './audit-line.js';

export interface RetiredFile {
  readonly file: string;
  /** Of its last entry. */
  readonly sequence: number;
  readonly hash: string;
}

/** At once: all of them must have room in one entry (entry-limits.ts). */
const filesMax = 256;

/** The oldest of `files`, in their order; never the last one. When there are very many, the others have had their time the next time, too. */
export async function filesBefore(files: readonly AuditFile[], oldest: Date): Promise<readonly RetiredFile[]> {
  const gone: RetiredFile[] = [];
  /** Those of which the next file does not tell the end go with the one after them. */
  let open: string[] = [];
  for (const [i, after] of files.slice(1).entries()) {
    open.push(files[i]?.name ?? '');
    const first = await firstRecord(after);
    if (!first) continue;
    if (first.at >= oldest) break;
    const end = { sequence: first.sequence - 1, hash: String(first.facts['previous']) };
    gone.push(...open.map((file) => ({ file, ...end })));
    open = [];
    if (gone.length >= filesMax) break;
  }
  return gone.slice(0, filesMax);
}

/** The entry with which a file begins; null where that cannot be read. */
async function firstRecord(file: AuditFile): Promise<AuditRecord | null> {
  for await (const { record } of linesOf(file)) {
    return record?.action === 'file' && typeof record.facts['previous'] === 'string' ? record : null;
  }
  return null;
}
