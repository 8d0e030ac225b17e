/**
 * Whether a data directory is encrypted, and with which keys: decided once, when it is made, and checked at every opening.
 */
import { HarmonidError } from '../errors.js';
import type { FormatRecord } from './codec.js';
import type { EncryptionOptions, MasterKey } from './index-api.js';
import { createKeyring, isEncrypted, masterFile, openKeyring, type Keyring } from './keyring.js';
import { parseMasterKey } from './sealing.js';

export interface EncryptionQuestion {
  readonly path: string;
  /** Undefined for a directory that is still to be made. */
  readonly format: FormatRecord | undefined;
  readonly options: EncryptionOptions | undefined;
}

/**
 * The keys of the directory; null when it is not encrypted.
 * @throws KEY_REQUIRED, KEY_WRONG, DATA_CORRUPT when the keys are missing or are those of another directory
 */
export async function openEncryption(
  question: EncryptionQuestion,
): Promise<{ keyring: Keyring; master: Buffer } | null> {
  const { path, format, options } = question;
  const expected = format?.keyDirectory;
  const hasKeys = isEncrypted(path);
  if (expected !== undefined && !hasKeys) {
    throw new HarmonidError(
      'DATA_CORRUPT',
      `the data directory ${path} is encrypted and its keys are missing; put a copy of them at ${masterFile(path)}`,
      { details: { path } },
    );
  }
  if (!hasKeys && !options) return null;
  if (format && expected === undefined) {
    throw new HarmonidError(
      'KEY_WRONG',
      `the data directory ${path} is not encrypted${options ? ', and a key was given' : ', but has keys'}; encryption is chosen when a directory is made: export, and import into a new one`,
      { details: { path } },
    );
  }
  if (!options) {
    throw new HarmonidError('KEY_REQUIRED', `the data directory ${path} is encrypted, and no key was given`, {
      details: { path },
    });
  }
  const master = await masterKeyOf(options);
  // Keys without a format record: the directory was being made when the process died.
  const keyring = hasKeys ? openKeyring(path, master) : await createKeyring(path, master);
  if (expected !== undefined && keyring.directory !== expected) {
    keyring.close();
    throw new HarmonidError(
      'DATA_CORRUPT',
      `the data directory ${path} has the keys of another directory: ${keyring.directory}, its own are ${expected}`,
      { details: { path, keyDirectory: keyring.directory, expected } },
    );
  }
  return { keyring, master };
}

/**
 * Seals the keys of a directory with another master key; the old one no longer opens it. Nothing else is written, so that it takes no time, and
 * a server may have the directory open meanwhile.
 * @throws KEY_WRONG, DATA_CORRUPT, DATA_NOT_FOUND when the directory is not there or is not encrypted, DISK_FULL
 * @returns the id of the new key, as messages tell it
 */
export async function rotateMasterKey(request: {
  readonly path: string;
  readonly from: EncryptionOptions;
  readonly to: EncryptionOptions;
}): Promise<{ readonly keyId: string; readonly keyIdBefore: string }> {
  const { path, from, to } = request;
  if (!isEncrypted(path)) {
    throw new HarmonidError('DATA_NOT_FOUND', `there is no encrypted data directory at ${path}`, { details: { path } });
  }
  const keyring = openKeyring(path, await masterKeyOf(from));
  try {
    const keyIdBefore = keyring.keyId;
    await keyring.rotate(await masterKeyOf(to));
    return { keyId: keyring.keyId, keyIdBefore };
  } finally {
    keyring.close();
  }
}

/** @throws KEY_WRONG */
export async function masterKeyOf({ key }: EncryptionOptions): Promise<Buffer> {
  const given: MasterKey = typeof key === 'function' ? await key() : key;
  return parseMasterKey(typeof given === 'string' ? Buffer.from(given) : given);
}
