/** Entries of the log that are asked for, in their order. Whether they are as they were written is audit-check.ts's to say. */
import { isMissing } from '../files/disk-errors.js';
import { auditFiles, linesOf } from './audit-files.js';
import type { AuditAction, AuditFacts, AuditRecord } from './audit-line.js';

export interface AuditQuestion {
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly actor?: string | undefined;
  readonly actions?: readonly AuditAction[] | undefined;
  readonly gallery?: string | undefined;
  /** Whoever the entry is about, or was the nearest in a search. */
  readonly identity?: string | undefined;
  /** `OK`, `begun`, or the code of an error. */
  readonly outcome?: string | undefined;
}

export async function* queryAuditLog(folder: string, question: AuditQuestion): AsyncIterable<AuditRecord> {
  for (const file of await auditFiles(folder)) {
    try {
      for await (const { record } of linesOf(file)) if (record && isAsked(record, question)) yield record;
    } catch (error) {
      // It has had its time since the files were listed.
      if (!isMissing(error)) throw error;
    }
  }
}

/** The last so many, oldest first. */
export async function lastOf(records: AsyncIterable<AuditRecord>, count: number): Promise<readonly AuditRecord[]> {
  const last: AuditRecord[] = [];
  for await (const record of records) {
    last.push(record);
    if (last.length > 2 * count) last.splice(0, last.length - count);
  }
  return last.slice(-count);
}

function isAsked(record: AuditRecord, question: AuditQuestion): boolean {
  const { since, until, actor, actions, gallery, identity, outcome } = question;
  return (
    (since === undefined || record.at >= since) &&
    (until === undefined || record.at < until) &&
    (actor === undefined || record.actor === actor) &&
    (actions === undefined || actions.includes(record.action)) &&
    (gallery === undefined || record.gallery === gallery) &&
    (identity === undefined || record.identity === identity || nearestIn(record.facts).includes(identity)) &&
    (outcome === undefined || record.outcome === outcome)
  );
}

/** The nearest of a search, or of each of its faces. */
function nearestIn({ candidate, faces }: AuditFacts): readonly unknown[] {
  const ofFaces = Array.isArray(faces)
    ? faces.map((face: { readonly candidate?: unknown } | null) => face?.candidate)
    : [];
  return [candidate, ...ofFaces];
}

export const csvColumns = [
  'sequence',
  'at',
  'actor',
  'peer',
  'requestId',
  'action',
  'gallery',
  'identity',
  'outcome',
  'facts',
  'hash',
] as const satisfies readonly (keyof AuditRecord)[];

/** RFC 4180. What a spreadsheet would take for a formula is quoted as text. */
export function csvLine(record: AuditRecord): string {
  const cells = csvColumns.map((column) => {
    const value = record[column];
    if (value === null) return '';
    if (value instanceof Date) return value.toISOString();
    return typeof value === 'object' ? JSON.stringify(value) : String(value);
  });
  return cells.map(csvCell).join(',');
}

export function csvCell(text: string): string {
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
