/**
 * Reads the whole log and tells what does not fit: changed, missing, added and moved lines, missing files.
 *
 * A tail that was cut off, and a log that was written anew from the beginning by somebody who can write its folder, fit in themselves: they are found with a head
 * (sequence and hash) that was noted elsewhere.
 */
import { isMissing } from '../files/disk-errors.js';
import { auditFiles, linesOf, type AuditFile } from './audit-files.js';
import { firstHash, type AuditHead, type AuditRecord } from './audit-line.js';
import type { RetiredFile } from './audit-retention.js';

export interface AuditFinding {
  readonly file: string;
  /** Counts from 1; null for a whole file. */
  readonly line: number | null;
  readonly message: string;
}

export interface AuditCheck {
  readonly findings: readonly AuditFinding[];
  readonly files: number;
  readonly entries: number;
  /** Where the log ends now; null for an empty one. */
  readonly head: AuditHead | null;
}

/** Findings beyond this many are not collected: one changed file is enough to know. */
const findingsMax = 1_000;

/** A file may have its time while the log is read; so many times, it has not. */
const attemptsMax = 5;

/** @param known a head that was noted before: it must be in the log as it was */
export async function checkAuditLog(folder: string, known?: AuditHead): Promise<AuditCheck> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await checkOnce(folder, known);
    } catch (error) {
      if (!isMissing(error) || attempt === attemptsMax) throw error;
    }
  }
}

async function checkOnce(folder: string, known: AuditHead | undefined): Promise<AuditCheck> {
  const findings: AuditFinding[] = [];
  const find = (file: AuditFile | null, line: number | null, message: string): void => {
    if (findings.length < findingsMax) findings.push({ file: file?.name ?? folder, line, message });
  };
  const files = await auditFiles(folder);
  /** Ends of files that are gone, as the log itself tells; and the beginning that was found without what came before. */
  const retired: RetiredFile[] = [];
  let orphan: { readonly file: AuditFile; readonly previous: string } | null = null;
  let [sequence, hash]: [number, string] = [0, firstHash];
  let entries = 0;
  let isKnownSeen = known === undefined;
  let numberBefore = 0;
  for (const file of files) {
    if (numberBefore > 0 && file.number !== numberBefore + 1)
      find(file, null, `follows file ${numberBefore}: what was between is missing`);
    numberBefore = file.number;
    for await (const line of linesOf(file)) {
      const { number, isWhole, record } = line;
      if (!isWhole) {
        find(file, number, 'is torn: a write was cut short');
        continue;
      }
      if (!record) {
        find(file, number, 'is no entry');
        continue;
      }
      entries++;
      if (number === 1) {
        if (record.action !== 'file') find(file, number, 'is no beginning of a file');
        else if (entries === 1 && file.number > 1) {
          // Whether it may begin here is told by an entry further on.
          const previous = String(record.facts['previous']);
          orphan = { file, previous };
          [sequence, hash] = [record.sequence - 1, previous];
        }
      }
      if (record.sequence !== sequence + 1)
        find(
          file,
          number,
          `has the number ${record.sequence} where ${sequence + 1} is expected: entries are missing, moved or added`,
        );
      if (!line.holds(hash))
        find(file, number, 'was changed, or follows something else than it did when it was written');
      retired.push(...retiredIn(record));
      if (known?.sequence === record.sequence) {
        isKnownSeen = true;
        if (record.hash !== known.hash) find(file, number, `is not the entry ${known.sequence} that was noted`);
      }
      ({ sequence, hash } = record);
    }
  }
  if (orphan && !retired.some((gone) => gone.hash === orphan?.previous))
    find(orphan.file, null, 'is the first file, and no entry says that those before it were removed in time');
  if (!isKnownSeen && !(orphan && known && retired.some((gone) => gone.sequence >= known.sequence)))
    find(null, null, `ends at entry ${sequence}: entry ${known?.sequence}, which was noted, is missing`);
  return { findings, files: files.length, entries, head: entries === 0 ? null : { sequence, hash } };
}

function retiredIn({ action, facts }: AuditRecord): readonly RetiredFile[] {
  const { files } = facts;
  return action === 'retired' && Array.isArray(files) ? files.filter(isRetired) : [];
}

/** Whatever somebody has written into the file. */
function isRetired(value: unknown): value is RetiredFile {
  if (typeof value !== 'object' || value === null) return false;
  const { file, sequence, hash } = value as Partial<Record<keyof RetiredFile, unknown>>;
  return typeof file === 'string' && typeof sequence === 'number' && typeof hash === 'string';
}
