/**
 * Documents of a gallery: bytes under a name, put together with other changes. In an encrypted directory they are sealed with the directory's key.
 */
import { documentCodec, keyParts, keys } from './codec.js';
import type { Keyring } from './keyring.js';
import type { StoreReader, StoreWriter } from './store.js';

export type Documents = Readonly<Record<string, Uint8Array | null>>;

export function putDocuments(
  writer: StoreWriter,
  keyring: Keyring | null,
  gallery: number,
  documents: Documents,
): void {
  for (const [name, bytes] of Object.entries(documents)) {
    const key = keys.document(gallery, name);
    if (bytes === null) writer.remove('documents', key);
    else {
      const payload = keyring ? Buffer.from(keyring.wrap(contextOf(gallery, name), bytes), 'base64') : bytes;
      writer.put('documents', key, documentCodec.encode(key, payload));
    }
  }
}

export function readDocument(
  reader: StoreReader,
  keyring: Keyring | null,
  gallery: number,
  name: string,
): Buffer | undefined {
  const key = keys.document(gallery, name);
  const bytes = reader.get('documents', key);
  const payload = bytes && documentCodec.decode(key, bytes);
  if (!payload || !keyring) return payload;
  return keyring.unwrap(contextOf(gallery, name), payload.toString('base64'));
}

/** Names that begin so, in byte order. */
export function documentNames(reader: StoreReader, gallery: number, beginning: string): readonly string[] {
  const start = keys.document(gallery, beginning);
  const end = Buffer.concat([start, Buffer.alloc(1, 0xff)]);
  return Array.from(reader.keys('documents', start, end), (key) => keyParts.document(key));
}

function contextOf(gallery: number, name: string): string {
  return `harmonid document ${gallery} ${name}`;
}
