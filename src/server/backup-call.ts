/** AdminService.Backup: the database's stream in messages that every client takes. */
import type { BackupResponse } from '../wire/harmonid/v1/admin.js';
import type { CallContext } from './calls.js';

/** A message's bytes, unless the server's own limit is smaller. */
const chunkBytesMax = 512 * 1024;

/** The stream is one of bytes: where it is cut into messages means nothing. */
export async function* sendBackup(
  { database, signal }: CallContext,
  messageBytesMax: number,
): AsyncIterable<BackupResponse> {
  // Half of it, so that the message around the bytes fits, too.
  const bytesMax = Math.max(1, Math.min(chunkBytesMax, messageBytesMax >> 1));
  for await (const bytes of database.backup({ signal })) {
    for (let start = 0; start < bytes.length; start += bytesMax) {
      yield { chunk: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).subarray(start, start + bytesMax) };
    }
  }
}
