/**
 * The keys of an encrypted data directory: a master key from outside, a directory key sealed with it, and a data key an identity,
 * sealed with the directory key.
 *
 * Data keys lie in files of slots that are overwritten in place and are never copied into the store or a backup: a key that is destroyed is gone,
 * and with it whatever it sealed, in old pages and old backups, too. Slots are made in blocks ahead of their use and synced before it, so
 * that enrolling waits for no file of its own. A new master key seals the directory key anew and touches nothing else.
 *
 * Files: `keys/master.json` and `keys/<gallery>.keys`; the bytes are in docs/FORMAT.md. One writer, like the directory's.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fdatasync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  write,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HarmonidError } from '../errors.js';
import { diskError } from '../files/disk-errors.js';
import { shredFile, writeFileWhole } from '../files/durable-files.js';
import { keyBytes, keyIdOf, seal, sealedExtraBytes, unseal } from './sealing.js';

const writeAt = promisify(write);
const sync = promisify(fdatasync);

const slotMark = Buffer.from('HdK1');
const slotBytes = slotMark.length + keyBytes + sealedExtraBytes;
/** Keys made at once: larger syncs less often and leaves more unused ones. */
const slotsPerBlock = 256;
/** Unsealed keys kept at hand; unsealing one takes some microseconds. */
const openKeysMax = 8_192;

interface MasterFile {
  readonly format: 1;
  /** Random, hex: binds the keys to their directory. */
  readonly directory: string;
  /** Of the master key that opens it. */
  readonly keyId: string;
  /** The directory key, sealed with the master key; base64. */
  readonly sealed: string;
}

export interface Keyring {
  /** Random, hex; kept in the store, too. */
  readonly directory: string;
  /** Of the master key, as `keyIdOf` tells it. */
  readonly keyId: string;
  /** The data key of an identity; null when it is destroyed. @throws DATA_CORRUPT for a damaged slot, or one that was never made */
  keyOf(gallery: number, owner: number): Buffer | null;
  /** Makes sure that owners below `ownersMax` have keys, on the disk. @throws DISK_FULL */
  reserve(gallery: number, ownersMax: number): Promise<void>;
  /** Overwrites the key; when it returns nothing of it is on the disk. Idempotent. */
  destroy(gallery: number, owner: number): Promise<void>;
  /** Owners below `ownersMax` whose keys are destroyed. */
  destroyed(gallery: number, ownersMax: number): readonly number[];
  /** Destroys all keys of a gallery. */
  dropGallery(gallery: number): Promise<void>;
  /** For keys of files: sealed with the directory key. `context` must be told again to open it. */
  wrap(context: string, key: Uint8Array): string;
  /** @throws DATA_CORRUPT */
  unwrap(context: string, wrapped: string): Buffer;
  /** From now on `master` opens the directory, and the old one no longer does. @throws DISK_FULL */
  rotate(master: Uint8Array): Promise<void>;
  close(): void;
}

/** For `wrap`: a graph file's key opens under the file's name only. */
export function graphKeyContext(file: string): string {
  return `harmonid graph file key ${file}`;
}

export function keysFolder(path: string): string {
  return join(path, 'keys');
}

export function masterFile(path: string): string {
  return join(keysFolder(path), 'master.json');
}

export function isEncrypted(path: string): boolean {
  return existsSync(masterFile(path));
}

/** Makes the keys of a new data directory. @throws DISK_FULL, DATA_READ_ONLY */
export async function createKeyring(path: string, master: Uint8Array): Promise<Keyring> {
  const directory = randomBytes(16).toString('hex');
  const directoryKey = randomBytes(keyBytes);
  mkdirSync(keysFolder(path), { recursive: true, mode: 0o700 });
  await writeMaster(path, directory, directoryKey, master);
  return makeKeyring(path, directory, directoryKey, keyIdOf(master));
}

export interface KeyReader extends Pick<Keyring, 'keyOf' | 'close'> {
  /** Of a gallery that is gone. */
  forget(gallery: number): void;
}

/** For a thread that reads beside the writer: each key is read from its file and kept by nobody, so that what was destroyed is gone here, too. @throws KEY_WRONG, DATA_CORRUPT */
export function openKeyReader(path: string, master: Uint8Array): KeyReader {
  const files = new Map<number, number>();
  const { directory, directoryKey } = openMaster(path, master);
  return {
    keyOf(gallery, owner) {
      const file = slotsFile(path, gallery);
      let handle = files.get(gallery);
      if (handle === undefined) files.set(gallery, (handle = openSync(file, 'r')));
      const slot = Buffer.alloc(slotBytes);
      const length = readSync(handle, slot, 0, slotBytes, owner * slotBytes);
      return keyIn(slot.subarray(0, length), { file, directory, directoryKey, gallery, owner });
    },
    forget(gallery) {
      const handle = files.get(gallery);
      if (handle !== undefined) closeSync(handle);
      files.delete(gallery);
    },
    close() {
      for (const handle of files.values()) closeSync(handle);
      files.clear();
    },
  };
}

/** @throws KEY_WRONG, DATA_CORRUPT */
export function openKeyring(path: string, master: Uint8Array): Keyring {
  const { directory, directoryKey, keyId } = openMaster(path, master);
  return makeKeyring(path, directory, directoryKey, keyId);
}

function openMaster(
  path: string,
  master: Uint8Array,
): { readonly directory: string; readonly directoryKey: Buffer; readonly keyId: string } {
  const { directory, keyId, sealed } = readMaster(path);
  const directoryKey = unseal(master, directoryContext(directory), Buffer.from(sealed, 'base64'));
  if (directoryKey?.length === keyBytes) return { directory, directoryKey, keyId };
  const given = keyIdOf(master);
  if (given === keyId) throw damaged(masterFile(path), 'the sealed directory key does not open');
  throw new HarmonidError(
    'KEY_WRONG',
    `the data directory ${path} is sealed with the master key ${keyId}, the key given is ${given}`,
    { details: { path, keyId, givenKeyId: given } },
  );
}

function readMaster(path: string): MasterFile {
  const file = masterFile(path);
  try {
    const read = JSON.parse(readFileSync(file, 'utf8')) as Partial<MasterFile>;
    const { format, directory, keyId, sealed } = read;
    if (format !== 1 || !directory || !keyId || !sealed) throw new Error('fields are missing');
    return { format, directory, keyId, sealed };
  } catch (cause) {
    throw damaged(file, 'it cannot be read, or is not what harmonid writes', cause);
  }
}

async function writeMaster(
  path: string,
  directory: string,
  directoryKey: Uint8Array,
  master: Uint8Array,
): Promise<void> {
  const content: MasterFile = {
    format: 1,
    directory,
    keyId: keyIdOf(master),
    sealed: seal(master, directoryContext(directory), directoryKey).toString('base64'),
  };
  await writeFileWhole(masterFile(path), `${JSON.stringify(content, null, 2)}\n`);
}

function directoryContext(directory: string): Buffer {
  return Buffer.from(`harmonid directory key ${directory}`);
}

function damaged(file: string, what: string, cause?: unknown): HarmonidError {
  return new HarmonidError('DATA_CORRUPT', `${file}: ${what}; put a copy of the keys folder in its place`, {
    details: { file },
    cause,
  });
}

/** The slots of one gallery: the file, and its content in memory. */
interface Slots {
  readonly file: string;
  bytes: Buffer;
  /** Opened when something is written. */
  handle: number | null;
}

function makeKeyring(path: string, directory: string, directoryKey: Buffer, firstKeyId: string): Keyring {
  const galleries = new Map<number, Slots>();
  const openKeys = new Map<string, Buffer>();
  let keyId = firstKeyId;

  function slotsOf(gallery: number): Slots {
    const known = galleries.get(gallery);
    if (known) return known;
    const file = slotsFile(path, gallery);
    const content = existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
    // A block whose writing was cut short was never used.
    const bytes = content.subarray(0, content.length - (content.length % slotBytes));
    const slots = { file, bytes, handle: null };
    galleries.set(gallery, slots);
    return slots;
  }

  function handleOf(slots: Slots): number {
    if (slots.handle !== null) return slots.handle;
    const isNew = !existsSync(slots.file);
    const handle = openSync(slots.file, isNew ? 'wx+' : 'r+', 0o600);
    slots.handle = handle;
    if (isNew) syncFolderNow(keysFolder(path));
    return handle;
  }

  function makeSlot(gallery: number, owner: number): Buffer {
    return Buffer.concat([slotMark, seal(directoryKey, slotContext(directory, gallery, owner), randomBytes(keyBytes))]);
  }

  function slotAt({ bytes }: Slots, owner: number): Buffer {
    return bytes.subarray(owner * slotBytes, (owner + 1) * slotBytes);
  }

  async function put(slots: Slots, position: number, bytes: Uint8Array): Promise<void> {
    try {
      const handle = handleOf(slots);
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await writeAt(handle, bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
      }
      await sync(handle);
    } catch (error) {
      throw diskError(error, keysFolder(path));
    }
  }

  return {
    directory,
    get keyId() {
      return keyId;
    },

    keyOf(gallery, owner) {
      const name = `${gallery} ${owner}`;
      const known = openKeys.get(name);
      if (known) return known;
      const slots = slotsOf(gallery);
      const key = keyIn(slotAt(slots, owner), { file: slots.file, directory, directoryKey, gallery, owner });
      if (!key) return null;
      const oldest = openKeys.keys().next();
      if (openKeys.size === openKeysMax && !oldest.done) openKeys.delete(oldest.value);
      openKeys.set(name, key);
      return key;
    },

    async reserve(gallery, ownersMax) {
      const slots = slotsOf(gallery);
      const present = slots.bytes.length / slotBytes;
      if (ownersMax <= present) return;
      const wanted = Math.ceil(ownersMax / slotsPerBlock) * slotsPerBlock;
      const made = Buffer.concat(Array.from({ length: wanted - present }, (_, i) => makeSlot(gallery, present + i)));
      await put(slots, present * slotBytes, made);
      slots.bytes = Buffer.concat([slots.bytes, made]);
    },

    async destroy(gallery, owner) {
      const slots = slotsOf(gallery);
      await put(slots, owner * slotBytes, Buffer.alloc(slotBytes));
      slotAt(slots, owner).fill(0);
      openKeys.get(`${gallery} ${owner}`)?.fill(0);
      openKeys.delete(`${gallery} ${owner}`);
    },

    destroyed(gallery, ownersMax) {
      const slots = slotsOf(gallery);
      const owners = Array.from({ length: Math.min(ownersMax, slots.bytes.length / slotBytes) }, (_, owner) => owner);
      return owners.filter((owner) => isZero(slotAt(slots, owner)));
    },

    async dropGallery(gallery) {
      const { file, handle } = slotsOf(gallery);
      galleries.delete(gallery);
      for (const name of openKeys.keys()) if (name.startsWith(`${gallery} `)) openKeys.delete(name);
      if (handle !== null) closeSync(handle);
      await shredFile(file);
    },

    wrap: (context, key) => seal(directoryKey, Buffer.from(context), key).toString('base64'),

    unwrap(context, wrapped) {
      const key = unseal(directoryKey, Buffer.from(context), Buffer.from(wrapped, 'base64'));
      if (!key)
        throw new HarmonidError('DATA_CORRUPT', `the key of ${context} does not open`, { details: { context } });
      return key;
    },

    async rotate(master) {
      await writeMaster(path, directory, directoryKey, master);
      keyId = keyIdOf(master);
    },

    close() {
      for (const { handle } of galleries.values()) if (handle !== null) closeSync(handle);
      galleries.clear();
      openKeys.clear();
    },
  };
}

function slotsFile(path: string, gallery: number): string {
  return join(keysFolder(path), `${gallery}.keys`);
}

function slotContext(directory: string, gallery: number, owner: number): Buffer {
  return Buffer.from(`harmonid data key ${directory} ${gallery} ${owner}`);
}

/** The key that a slot holds; null when it is destroyed. @throws DATA_CORRUPT */
function keyIn(
  slot: Buffer,
  of: {
    readonly file: string;
    readonly directory: string;
    readonly directoryKey: Buffer;
    readonly gallery: number;
    readonly owner: number;
  },
): Buffer | null {
  if (slot.length === slotBytes && isZero(slot)) return null;
  const key = slot.subarray(0, slotMark.length).equals(slotMark)
    ? unseal(of.directoryKey, slotContext(of.directory, of.gallery, of.owner), slot.subarray(slotMark.length))
    : undefined;
  if (!key) throw damaged(of.file, `the key of owner ${of.owner} is missing or damaged`);
  return key;
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

function syncFolderNow(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
