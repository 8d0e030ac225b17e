/** What an operator does to a list of keys: add and revoke. Pure. */
import { HarmonidError } from '../errors.js';
import { whyClosed, type AccessEntry, type AccessList } from './access-list.js';
import type { Permission } from './grant.js';

export interface EntryDraft {
  readonly name: string;
  readonly permissions: readonly Permission[];
  readonly galleries: readonly string[];
  readonly expiresAt: Date | null;
  readonly requestsPerSecondMax: number | null;
  /** A key's id and digest, or the subject of a certificate. */
  readonly by:
    | { readonly kind: 'key'; readonly id: string; readonly digest: string }
    | { readonly kind: 'certificate'; readonly subject: string };
}

/** @throws ACCESS_INVALID when the name, or the certificate, is in use */
export function addEntry(list: AccessList, { by, ...draft }: EntryDraft, now: Date): AccessList {
  const taken = list.find(
    (entry) => entry.revokedAt === null && (entry.name === draft.name || isSameSubject(entry, by)),
  );
  if (taken) {
    throw new HarmonidError('ACCESS_INVALID', `"${taken.name}" is on the list already; revoke it first`, {
      details: { name: taken.name },
    });
  }
  return [...list, { ...by, ...draft, createdAt: now, revokedAt: null }];
}

/** @throws ACCESS_INVALID when nobody of that name, or key of that id, can still come in */
export function revokeEntry(list: AccessList, nameOrId: string, now: Date): AccessList {
  const isMeant = (entry: AccessEntry): boolean =>
    entry.revokedAt === null && (entry.name === nameOrId || (entry.kind === 'key' && entry.id === nameOrId));
  if (!list.some(isMeant)) {
    const open = list.filter((entry) => whyClosed(entry, now) === null).map(({ name }) => name);
    throw new HarmonidError(
      'ACCESS_INVALID',
      `"${nameOrId}" is not on the list; who can come in: ${open.join(', ') || 'nobody'}`,
      { details: { name: nameOrId } },
    );
  }
  return list.map((entry) => (isMeant(entry) ? { ...entry, revokedAt: now } : entry));
}

function isSameSubject(entry: AccessEntry, by: EntryDraft['by']): boolean {
  return entry.kind === 'certificate' && by.kind === 'certificate' && entry.subject === by.subject;
}
