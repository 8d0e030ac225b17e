/**
 * A process of its own for the tests that kill, lock out or starve one. Not a test: `role` and the folder are its arguments.
 *
 * `write` enrolls one identity after another, several at a time, and tells each acknowledgement to its parent; `hold` opens and waits;
 * `open-unprivileged` gives up root's rights and reports how opening went.
 */
import process, { argv, getuid, setuid } from 'node:process';
import { asHarmonidError } from '../../src/errors.js';
import { openIdentityIndex } from '../../src/index/identity-index.js';
import { makeFaces, randomFrom } from './faces.js';
import { enrollDraft, galleryDraft } from './folders.js';

export interface ChildMessage {
  readonly ready?: true;
  readonly acknowledged?: string;
  readonly code?: string;
  readonly message?: string;
}

const [, , role, path = ''] = argv;
const tell = (message: ChildMessage): void => void process.send?.(message);

async function write(): Promise<void> {
  const faces = makeFaces(randomFrom(31));
  const index = await openIdentityIndex({ path, exactMax: 100, checkpointEvery: 50 });
  await index.createGallery(galleryDraft('lobby', faces.dimensions, { duplicates: 'ignore' }));
  tell({ ready: true });
  let next = 0;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (;;) {
        const person = next++;
        await index.enroll(enrollDraft('lobby', `p${person}`, [faces.face(person), faces.face(person)]));
        tell({ acknowledged: `p${person}` });
      }
    }),
  );
}

async function openAndTell(readOnly: boolean): Promise<void> {
  try {
    const index = await openIdentityIndex({ path, readOnly });
    tell({ ready: true });
    if (role !== 'hold') await index.close();
    // An open index alone keeps no process alive.
    else setInterval(() => undefined, 60_000);
  } catch (error) {
    const { code, message } = asHarmonidError(error);
    tell({ code, message });
  }
}

if (role?.endsWith('unprivileged') && getuid?.() === 0) setuid?.(65_534);
if (role === 'write') await write();
else await openAndTell(role === 'read-unprivileged');
