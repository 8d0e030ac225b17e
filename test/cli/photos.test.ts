/** Folders of people: a folder is made on disk, and what is listed is compared with what was put there. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { CommanderError } from 'commander';
import { listPeople } from '../../src/cli/photos.js';

describe('a folder of people', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'harmonid-people-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  async function put(...path: string[]): Promise<void> {
    await mkdir(join(folder, ...path.slice(0, -1)), { recursive: true });
    await writeFile(join(folder, ...path), '');
  }

  it('lists photos person by person, and says what it leaves out', async () => {
    await put('bob', '2.PNG');
    await put('bob', '1.jpg');
    await put('alice', 'portrait.webp');
    await put('alice', 'notes.txt');
    await put('alice', '.hidden.jpg');
    await put('alice', 'older', 'nested.jpg');
    await put('loose.jpg');
    await put('.git', 'object.jpg');
    await mkdir(join(folder, 'carol'));
    await symlink(join(folder, 'bob', '1.jpg'), join(folder, 'carol', 'linked.jpg'));

    const { photos, people, ignored } = await listPeople(folder);
    assert.deepEqual(
      photos.map(({ identity, path }) => [identity, path.slice(folder.length + 1)]),
      [
        ['alice', 'alice/portrait.webp'],
        ['bob', 'bob/1.jpg'],
        ['bob', 'bob/2.PNG'],
        ['carol', 'carol/linked.jpg'],
      ],
    );
    assert.equal(people, 3);
    assert.deepEqual(
      ignored.map((path) => path.slice(folder.length + 1)),
      ['alice/notes.txt', 'alice/older', 'loose.jpg'],
    );
  });

  it('refuses a name that is not a directory, and says which', async () => {
    await put('file.jpg');
    for (const [path, message] of [
      [join(folder, 'absent'), `no such directory: ${join(folder, 'absent')}`],
      [join(folder, 'file.jpg'), `${join(folder, 'file.jpg')} is a file`],
    ] as const) {
      await assert.rejects(
        listPeople(path),
        (error) => error instanceof CommanderError && error.exitCode === 2 && error.message.includes(message),
      );
    }
  });
});
