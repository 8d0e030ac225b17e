/**
 * Who may come in: keys and certificates with what is granted to each, as a file has them.
 *
 * Promises: a key's secret is not in it, only its digest. Nothing that is not understood is passed over: an unknown field, a repeated name, a
 * permission of a newer version refuse the whole file, since half a list of who may come in is no list. Entries are revoked, not removed, so that
 * the file tells who could come in and when. It does no I/O: see access-file.ts.
 */
import { z } from 'zod';
import { HarmonidError } from '../errors.js';
import { permissionNames, type Grant, type Permission } from './grant.js';

interface EntryBase extends Grant {
  /** For people, and for the audit log: `key:<name>`, `cert:<name>`. */
  readonly name: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  /** Most calls and items of streams a second, kept over ten seconds; null for no limit of its own. */
  readonly requestsPerSecondMax: number | null;
}

export interface KeyEntry extends EntryBase {
  readonly kind: 'key';
  readonly id: string;
  /** SHA-256 of the key's text, hex. */
  readonly digest: string;
}

/** A client certificate that the server's own authority has signed, told apart by its names. */
export interface CertificateEntry extends EntryBase {
  readonly kind: 'certificate';
  /** The common name, or one of the alternative names as OpenSSL prints them: `DNS:door-7.example`, `URI:spiffe://…`. */
  readonly subject: string;
}

export type AccessEntry = KeyEntry | CertificateEntry;

export type AccessList = readonly AccessEntry[];

const time = z.iso.datetime().transform((text) => new Date(text));

const common = {
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  permissions: z.array(z.enum(permissionNames as [Permission, ...Permission[]])),
  galleries: z.array(z.string().min(1).max(128)),
  createdAt: time,
  expiresAt: time.nullable(),
  revokedAt: time.nullable(),
  requestsPerSecondMax: z.number().positive().max(1e6).nullable(),
};

const fileSchema = z.strictObject({
  format: z.literal(1),
  entries: z.array(
    z.discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('key'),
        id: z.string().regex(/^[a-z2-7]{12}$/),
        digest: z.string().regex(/^[0-9a-f]{64}$/),
        ...common,
      }),
      z.strictObject({ kind: z.literal('certificate'), subject: z.string().min(1).max(256), ...common }),
    ]),
  ),
});

/** @throws ACCESS_INVALID naming the file and everything that is wrong with it */
export function parseAccessList(text: string, path: string): AccessList {
  const invalid = (what: string, cause?: unknown): HarmonidError =>
    new HarmonidError('ACCESS_INVALID', `${path} ${what}`, {
      details: { path },
      ...(cause !== undefined && { cause }),
    });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw invalid(`is not JSON: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path: at, message }) => `${at.join('.') || 'the file'}: ${message}`);
    throw invalid(`is no list of keys: ${issues.join('; ')}`);
  }
  const { entries } = parsed.data;
  const living = entries.filter(({ revokedAt }) => revokedAt === null);
  const twice =
    repeated(living.map(({ name }) => name)) ??
    repeated(entries.map((entry) => (entry.kind === 'key' ? entry.id : null)));
  if (twice !== undefined) throw invalid(`has "${twice}" twice`);
  return entries;
}

export function formatAccessList(entries: AccessList): string {
  return `${JSON.stringify({ format: 1, entries }, null, 2)}\n`;
}

/** Why an entry lets nobody in at a time; null when it does. */
export function whyClosed({ revokedAt, expiresAt }: AccessEntry, now: Date): string | null {
  if (revokedAt !== null) return `was revoked at ${revokedAt.toISOString()}`;
  if (expiresAt !== null && expiresAt <= now) return `expired at ${expiresAt.toISOString()}`;
  return null;
}

/** How logs and the audit name an entry. */
export function actorOf({ kind, name }: AccessEntry): string {
  return `${kind === 'key' ? 'key' : 'cert'}:${name}`;
}

function repeated(values: readonly (string | null)[]): string | undefined {
  const seen = new Set<string>();
  for (const value of values) {
    if (value === null) continue;
    if (seen.has(value)) return value;
    seen.add(value);
  }
  return undefined;
}
