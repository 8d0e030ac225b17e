/**
 * Authenticated encryption: AES-256-GCM with a fresh random nonce, as nonce, ciphertext and tag in one buffer. Pure but for the nonce.
 *
 * `context` is authenticated with the text, so that a sealed text that was moved to another place does not open there
 * (NIST SP 800-38D; a key seals far fewer than the 2^32 texts that random nonces of 96 bits allow).
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { HarmonidError } from '../errors.js';

const algorithm = 'aes-256-gcm';
export const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
/** What sealing adds to a text. */
export const sealedExtraBytes = nonceBytes + tagBytes;

export function seal(key: Uint8Array, context: Uint8Array, text: Uint8Array): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, key, nonce);
  cipher.setAAD(context);
  return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined when the key or the context is another one, or a bit has changed. */
export function unseal(key: Uint8Array, context: Uint8Array, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < sealedExtraBytes) return undefined;
  const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes });
  decipher.setAAD(context);
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
  const text = decipher.update(sealed.subarray(nonceBytes, sealed.length - tagBytes));
  try {
    decipher.final();
    return text;
  } catch {
    return undefined;
  }
}

/**
 * A master key as it is kept in a file or an environment variable: 32 bytes, or their text in hexadecimal or base64.
 * @throws KEY_WRONG
 */
export function parseMasterKey(given: Uint8Array): Buffer {
  if (given.length === keyBytes) return Buffer.from(given);
  const text = Buffer.from(given.buffer, given.byteOffset, given.byteLength).toString('latin1').trim();
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return Buffer.from(text, 'base64url');
  throw new HarmonidError(
    'KEY_WRONG',
    `the master key has ${given.length} bytes; it is ${keyBytes} bytes, or 64 hexadecimal digits, or 43 characters of base64`,
    { details: { bytes: given.length } },
  );
}

/** Tells keys apart without telling anything of them; hex. */
export function keyIdOf(key: Uint8Array): string {
  return createHash('sha256').update('harmonid key id').update(key).digest('hex').slice(0, 16);
}
