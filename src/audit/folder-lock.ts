/**
 * One writer a folder, among the processes of one machine.
 *
 * Node has no file locks. A listening socket with an abstract name (unix(7), Linux only) is held by the kernel for as long as the process lives, so that nothing is left behind by
 * one that was killed. Its name is of the folder's device and inode, whatever path leads there. It is not seen from another network namespace (another container), and nothing
 * keeps another user of the machine from taking the name first, which keeps the log from being opened and no more. Elsewhere than on Linux there is no lock. For all of that
 * the writer looks at its file's length.
 */
import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { platform } from 'node:os';
import { HarmonidError } from '../errors.js';

export interface FolderLock {
  readonly release: () => Promise<void>;
}

/** @throws DATA_LOCKED when somebody else has it */
export async function lockFolder(folder: string): Promise<FolderLock> {
  if (platform() !== 'linux') return { release: async () => undefined };
  const { dev, ino } = await stat(folder, { bigint: true });
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new HarmonidError('DATA_LOCKED', `another process writes the audit log in ${folder}`, {
              details: { folder },
            })
          : error,
      ),
    );
    // Exclusive: workers of a cluster would share it.
    server.listen({ path: `\0harmonid-audit-${dev}-${ino}`, exclusive: true }, resolve);
  });
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}
