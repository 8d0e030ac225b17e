/**
 * The text of an API key: `hmd_<id>_<secret>`.
 *
 * The id is public: it names the key in lists and logs. The secret is 256 random bits, so that its SHA-256 at rest cannot be searched for and needs no
 * slow hash, and a lookup costs microseconds. The prefix lets scanners of repositories and logs find keys that leaked.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** 60 random bits, enough that nobody draws one twice. */
const idLength = 12;
const idAlphabet = 'abcdefghijklmnopqrstuvwxyz234567';
const secretBytes = 32;
const pattern = /^hmd_([a-z2-7]{12})_([A-Za-z0-9_-]{43})$/;

export interface ApiKey {
  readonly id: string;
  /** The whole text; shown once and kept nowhere. */
  readonly text: string;
  /** SHA-256 of the whole text, hex: what is kept. */
  readonly digest: string;
}

export function makeApiKey(): ApiKey {
  const id = Array.from(randomBytes(idLength), (byte) => idAlphabet[byte % idAlphabet.length]).join('');
  const text = `hmd_${id}_${randomBytes(secretBytes).toString('base64url')}`;
  return { id, text, digest: digestOf(text) };
}

/** The id within a text that has a key's form; null for any other. */
export function keyIdOf(text: string): string | null {
  return pattern.exec(text)?.[1] ?? null;
}

/** Takes as long for a wrong key as for the right one. */
export function isKey(text: string, digest: string): boolean {
  return timingSafeEqual(Buffer.from(digestOf(text), 'hex'), Buffer.from(digest, 'hex'));
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
