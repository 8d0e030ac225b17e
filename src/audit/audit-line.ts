/**
 * One line of the audit log, and what ties it to the one before.
 *
 * `{"hash":"<64 hex digits>",<the rest of a JSON object>}`: the hash is the SHA-256 of the hash before, as text, and of the line's own bytes without the hash. So a
 * line cannot be changed, taken out, put in or moved without every later hash being another. Pure.
 */
import { hash as digestOf } from 'node:crypto';
import { formatWithinLimits } from './entry-limits.js';

/** What was done, or asked. */
export const auditActions = [
  'identify',
  'verify',
  'enroll',
  'import',
  'update-identity',
  'remove-template',
  'erase',
  'create-gallery',
  'update-gallery',
  'delete-gallery',
  'calibrate',
  'export',
  'backup',
  'rollout',
  'keys',
  'refused',
  'serve',
  // The log's own: a file begins, old files went, damage was found and gone around, entries could not be written.
  'file',
  'retired',
  'mended',
  'missing',
] as const;
export type AuditAction = (typeof auditActions)[number];

/** JSON values. No image, no vector. */
export type AuditFacts = Readonly<Record<string, unknown>>;

export interface AuditEntry {
  readonly action: AuditAction;
  /** `key:<name>`, `cert:<name>`, `anonymous`, `local:<user>`, `harmonid` for the log's own entries. */
  readonly actor: string;
  /** Address and port; null when it is this process. */
  readonly peer: string | null;
  readonly requestId: string | null;
  readonly gallery: string | null;
  readonly identity: string | null;
  /** `begun` before something is written, then `OK` or the code of the error. */
  readonly outcome: string;
  readonly facts: AuditFacts;
}

/** As it stands in a file. */
export interface AuditRecord extends AuditEntry {
  readonly hash: string;
  /** Counts from 1 through all files. */
  readonly sequence: number;
  readonly at: Date;
}

/** Where the chain ends. */
export interface AuditHead {
  readonly sequence: number;
  readonly hash: string;
}

/** What the log's own entries have in common. */
export const own = {
  actor: 'harmonid',
  peer: null,
  requestId: null,
  gallery: null,
  identity: null,
  outcome: 'OK',
} as const;

/** Where the chain begins. */
export const firstHash = '0'.repeat(64);

const prefix = '{"hash":"';
const contentAt = prefix.length + 64 + 2;
const headPattern = /^\{"hash":"([0-9a-f]{64})",$/;

export function formatLine(
  before: string,
  sequence: number,
  at: Date,
  entry: AuditEntry,
): { line: string; hash: string } {
  const content = formatWithinLimits(sequence, at, entry).slice(1);
  const hash = hashOf(before, content);
  return { line: `${prefix}${hash}",${content}\n`, hash };
}

export type ReadLine =
  | {
      readonly record: AuditRecord;
      /** Whether its hash is that of its bytes after `before`. */ readonly holds: (before: string) => boolean;
    }
  | { readonly record: null };

/** @param line without its end, as it is in the file: several byte sequences read as the same text */
export function readLine(line: Buffer): ReadLine {
  const [, hash] = headPattern.exec(line.toString('latin1', 0, contentAt)) ?? [];
  if (hash === undefined) return { record: null };
  try {
    const parsed = JSON.parse(line.toString()) as Omit<AuditRecord, 'at'> & { readonly at: string };
    const record = { ...parsed, hash, at: new Date(parsed.at) };
    if (!isRecord(record)) return { record: null };
    return { record, holds: (before) => hashOf(before, line.subarray(contentAt)) === hash };
  } catch {
    return { record: null };
  }
}

/** Whoever reads entries may rely on their fields, whatever somebody has written into the file. */
function isRecord(record: AuditRecord): boolean {
  const { sequence, at, action, actor, peer, requestId, gallery, identity, outcome, facts } = record;
  return (
    Number.isSafeInteger(sequence) &&
    !Number.isNaN(at.getTime()) &&
    [action, actor, outcome].every((text: unknown) => typeof text === 'string') &&
    [peer, requestId, gallery, identity].every((text: unknown) => text === null || typeof text === 'string') &&
    typeof facts === 'object' &&
    // JSON has null, and its type is that of an object.
    (facts as unknown) !== null
  );
}

function hashOf(before: string, content: string | Buffer): string {
  return digestOf(
    'sha256',
    typeof content === 'string' ? before + content : Buffer.concat([Buffer.from(before), content]),
  );
}
