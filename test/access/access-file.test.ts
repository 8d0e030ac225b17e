/** Method: real files in a temporary folder; what is refused must leave them as they were. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { changeAccessFile, followAccessFile, readAccessFile } from '../../src/access/access-file.js';
import { formatAccessList, parseAccessList, type AccessList } from '../../src/access/access-list.js';
import { makeApiKey } from '../../src/access/api-key.js';
import { addEntry, revokeEntry, type EntryDraft } from '../../src/access/key-changes.js';

const now = new Date('2026-01-01T00:00:00Z');

function draft(name: string): EntryDraft {
  const { id, digest } = makeApiKey();
  return {
    name,
    permissions: ['identify', 'verify'],
    galleries: ['lobby'],
    expiresAt: new Date('2027-01-01T00:00:00Z'),
    requestsPerSecondMax: 5,
    by: { kind: 'key', id, digest },
  };
}

async function withFile(work: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'harmonid-access-'));
  try {
    await work(join(folder, 'access.json'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('the list of keys', () => {
  it('comes back from the file as it went', () =>
    withFile(async (file) => {
      const list = addEntry([], draft('a'), now);
      await changeAccessFile(file, () => list);
      assert.deepEqual(await readAccessFile(file), list);
      assert.equal((await stat(file)).mode & 0o777, 0o600);
    }));

  it('is null where there is none', () =>
    withFile(async (file) => {
      assert.equal(await readAccessFile(file), null);
    }));

  it('takes changes made at the same time one after the other, and leaves nothing beside', () =>
    withFile(async (file) => {
      const names = Array.from({ length: 12 }, (_, i) => `door-${i}`);
      await Promise.all(names.map((name) => changeAccessFile(file, (list) => addEntry(list, draft(name), now))));
      const list = (await readAccessFile(file)) ?? [];
      assert.deepEqual(list.map(({ name }) => name).toSorted(), names.toSorted());
      assert.deepEqual(await readdir(join(file, '..')), ['access.json']);
    }));

  it('stays as it is when a change is refused', () =>
    withFile(async (file) => {
      await changeAccessFile(file, (list) => addEntry(list, draft('a'), now));
      const before = await readFile(file, 'utf8');
      await assert.rejects(
        changeAccessFile(file, (list) => addEntry(list, draft('a'), now)),
        {
          code: 'ACCESS_INVALID',
          message: '"a" is on the list already; revoke it first',
        },
      );
      await assert.rejects(
        changeAccessFile(file, (list) => revokeEntry(list, 'b', now)),
        {
          code: 'ACCESS_INVALID',
          message: '"b" is not on the list; who can come in: a',
        },
      );
      assert.equal(await readFile(file, 'utf8'), before);
    }));

  it('keeps who was revoked, and lets the name be used again', () => {
    const first = addEntry([], draft('a'), now);
    const again = addEntry(revokeEntry(first, 'a', now), draft('a'), now);
    assert.deepEqual(
      again.map(({ name, revokedAt }) => [name, revokedAt]),
      [
        ['a', now],
        ['a', null],
      ],
    );
    assert.deepEqual(parseAccessList(formatAccessList(again), 'x'), again);
  });

  it('is refused whole for anything in it that is not understood', () => {
    const good = JSON.parse(formatAccessList(addEntry([], draft('a'), now))) as { entries: Record<string, unknown>[] };
    const [entry = {}] = good.entries;
    const broken: readonly (readonly [what: string, text: string])[] = [
      ['no JSON', '{'],
      ['another format', JSON.stringify({ ...good, format: 2 })],
      ['an unknown field', JSON.stringify({ ...good, entries: [{ ...entry, master: true }] })],
      ['an unknown permission', JSON.stringify({ ...good, entries: [{ ...entry, permissions: ['root'] }] })],
      ['a digest that is none', JSON.stringify({ ...good, entries: [{ ...entry, digest: 'secret' }] })],
      ['a time that is none', JSON.stringify({ ...good, entries: [{ ...entry, expiresAt: 'soon' }] })],
      ['a name twice', JSON.stringify({ ...good, entries: [entry, { ...entry, id: 'aaaaaaaaaaaa' }] })],
      [
        'an id twice',
        JSON.stringify({ ...good, entries: [entry, { ...entry, name: 'b', revokedAt: now.toISOString() }] }),
      ],
      ['a field missing', JSON.stringify({ ...good, entries: [{ ...entry, galleries: undefined }] })],
    ];
    for (const [what, text] of broken)
      assert.throws(
        () => parseAccessList(text, 'access.json'),
        { code: 'ACCESS_INVALID', message: /^access\.json / },
        what,
      );
  });

  it('is followed: changes are told, and an invalid or missing file leaves the one before in force', () =>
    withFile(async (file) => {
      await changeAccessFile(file, (list) => addEntry(list, draft('a'), now));
      const events: string[] = [];
      let wake = (): void => undefined;
      const tell = (event: string): void => {
        events.push(event);
        wake();
      };
      const followed = await followAccessFile(file, {
        onChange: (list: AccessList) => tell(list.map(({ name }) => name).join()),
        onFailure: ({ code }) => tell(code),
      });
      const next = async (act: () => Promise<unknown>): Promise<void> => {
        const told = new Promise<void>((resolve) => (wake = resolve));
        await act();
        await told;
      };
      try {
        await next(() => changeAccessFile(file, (list) => addEntry(list, draft('b'), now)));
        await next(() => writeFile(file, 'half a fi'));
        assert.equal(followed.list.length, 2);
        await next(() => rename(file, `${file}.away`));
        assert.equal(followed.list.length, 2);
        await next(() => changeAccessFile(file, () => addEntry([], draft('c'), now)));
        assert.deepEqual(events, ['a,b', 'ACCESS_INVALID', 'ACCESS_INVALID', 'c']);
      } finally {
        followed.close();
      }
    }));

  it('must be there to be followed', () =>
    withFile(async (file) => {
      await assert.rejects(followAccessFile(file, { onChange: () => {}, onFailure: () => {} }), {
        code: 'ACCESS_INVALID',
        message: /harmonid keys add/,
      });
    }));
});
