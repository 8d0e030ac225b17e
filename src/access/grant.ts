/**
 * What somebody may do, and where. Plain data; pure.
 *
 * Everything is denied that no grant names: a permission that is not listed, a gallery that no pattern covers. Calls that concern all galleries at
 * once (a backup, a check) need a grant for all of them.
 */
import { HarmonidError } from '../errors.js';

/** What can be granted, and what it lets one do. */
export const permissions = {
  identify: 'ask who a face is',
  verify: 'ask whether a face is a certain person’s',
  enroll: 'add and change people and templates, also in bulk, and have faces turned into vectors',
  erase: 'erase people and remove templates',
  read: 'see people, galleries and statistics, without vectors',
  export: 'take templates and backups away, vectors included',
  migrate: 'move galleries to other models',
  admin: 'make, change and delete galleries, check and checkpoint the data',
} as const;

export type Permission = keyof typeof permissions;

export const permissionNames = Object.keys(permissions) as readonly Permission[];

/** Sets of permissions that have a name, because most keys are one of these. */
export const roles = {
  door: ['identify', 'verify'],
  reader: ['read'],
  enroller: ['enroll', 'read'],
  registrar: ['enroll', 'erase', 'read'],
  operator: ['read', 'migrate', 'admin'],
  owner: permissionNames,
} as const satisfies Record<string, readonly Permission[]>;

export type Role = keyof typeof roles;

export const roleNames = Object.keys(roles) as readonly Role[];

export interface Grant {
  readonly permissions: readonly Permission[];
  /** Names of galleries; `*` stands for any characters, alone for all galleries. */
  readonly galleries: readonly string[];
}

/** Whoever asks while nobody needs a key: on a loopback address without a list of keys. */
export const everything: Grant = { permissions: permissionNames, galleries: ['*'] };

export function permits(grant: Grant, permission: Permission): boolean {
  return grant.permissions.includes(permission);
}

export function coversGallery({ galleries }: Grant, gallery: string): boolean {
  return galleries.some((pattern) => matches(pattern, gallery));
}

export function coversAll({ galleries }: Grant): boolean {
  return galleries.includes('*');
}

/** @throws PERMISSION_DENIED naming the gallery and what the grant covers */
export function requireGallery(grant: Grant, gallery: string): void {
  if (coversGallery(grant, gallery)) return;
  throw denied(`gallery "${gallery}" is not among those granted: ${grant.galleries.join(', ')}`, { gallery });
}

/** @throws PERMISSION_DENIED */
export function requireAll(grant: Grant, what: string): void {
  if (coversAll(grant)) return;
  throw denied(`${what} concerns all galleries; granted are ${grant.galleries.join(', ')}`, {});
}

/** @throws PERMISSION_DENIED naming the permission and those that the grant has */
export function requirePermission(grant: Grant, permission: Permission, what: string): void {
  if (permits(grant, permission)) return;
  throw denied(`${what} needs the permission "${permission}"; granted are ${grant.permissions.join(', ') || 'none'}`, {
    permission,
  });
}

function denied(message: string, details: Readonly<Record<string, string>>): HarmonidError {
  return new HarmonidError('PERMISSION_DENIED', message, { details });
}

/** Without regular expressions: a pattern with many stars costs no more than its length times the name's. */
function matches(pattern: string, name: string): boolean {
  const [head = '', ...parts] = pattern.split('*');
  if (parts.length === 0) return pattern === name;
  if (!name.startsWith(head)) return false;
  const tail = parts.pop() ?? '';
  let from = head.length;
  for (const part of parts) {
    const at = name.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return name.length - tail.length >= from && name.endsWith(tail);
}
