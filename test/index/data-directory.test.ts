/**
 * Method: real directories, real processes, real signals. What was acknowledged before a SIGKILL must be there after it; a directory that is
 * held, newer, read-only, damaged or on a full disk is refused with its code and unharmed.
 */
import assert from 'node:assert/strict';
import { execFileSync, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { formatCodec, formatVersion, holderCodec, keys, templateCodec } from '../../src/index/codec.js';
import { openIdentityIndex } from '../../src/index/identity-index.js';
import { dataFile, openLmdbStore } from '../../src/index/lmdb-store.js';
import { makeFaces, randomFrom } from './faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder } from './folders.js';
import type { ChildMessage } from './writer-child.js';

const gallery = 'lobby';
const faces = makeFaces(randomFrom(41));

function start(role: string, path: string): ChildProcess {
  return fork(new URL('./writer-child.js', import.meta.url), [role, path]);
}

async function firstMessage(child: ChildProcess): Promise<ChildMessage> {
  const [message] = (await once(child, 'message')) as [ChildMessage];
  return message;
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function enrollSome(path: string, count: number): Promise<void> {
  const index = await openIdentityIndex({ path });
  await index.createGallery(galleryDraft(gallery, faces.dimensions));
  await Promise.all(
    Array.from({ length: count }, (_, person) =>
      index.enroll(enrollDraft(gallery, `p${person}`, [faces.face(person)])),
    ),
  );
  await index.close();
}

describe('data directory', function () {
  this.timeout(30_000);

  it('is made when it is not there, and read-only opening makes nothing', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'a', 'b');
      await assert.rejects(openIdentityIndex({ path, readOnly: true }), { code: 'DATA_NOT_FOUND' });
      assert.deepEqual(await readdir(folder), []);
      await mkdir(join(folder, 'empty'));
      await assert.rejects(openIdentityIndex({ path: join(folder, 'empty'), readOnly: true }), {
        code: 'DATA_NOT_FOUND',
      });
      assert.deepEqual(await readdir(join(folder, 'empty')), []);
      const index = await openIdentityIndex({ path });
      assert.ok((await readdir(path)).includes('data.lmdb'));
      assert.ok(index.storeBytes() > 0);
      await index.close();
      await index.close();
      await assert.rejects(index.stats(), { code: 'CLOSED' });
    });
  });

  it('holds everything that was acknowledged before a SIGKILL, twice over', async () => {
    await inTemporaryFolder(async (path) => {
      for (const enough of [150, 600]) {
        const child = start('write', path);
        const acknowledged = new Set<string>();
        const killed = new Promise<void>((resolve) => {
          child.on('message', ({ acknowledged: identity }: ChildMessage) => {
            if (identity !== undefined) acknowledged.add(identity);
            if (acknowledged.size === enough) child.kill('SIGKILL');
          });
          child.on('exit', () => resolve());
        });
        await killed;
        assert.ok(acknowledged.size >= enough, `${acknowledged.size} were acknowledged`);
        const warnings: string[] = [];
        const index = await openIdentityIndex({ path, exactMax: 100, onWarning: (message) => warnings.push(message) });
        for (const identity of acknowledged)
          assert.ok(index.getIdentity(gallery, identity).templates.length >= 2, identity);
        const all = index.listIdentities({ gallery, limit: 100_000 });
        assert.ok(
          all.every(({ templates }) => templates.length % 2 === 0),
          'no half enrolment',
        );
        const { identityCount, templateCount } = index.getGallery(gallery);
        assert.equal(identityCount, all.length);
        assert.equal(
          templateCount,
          all.reduce((sum, { templates }) => sum + templates.length, 0),
        );
        assert.deepEqual(warnings, []);
        await index.close();
      }
    });
  });

  it('is refused while another process has it open, and free when that one was killed', async () => {
    await inTemporaryFolder(async (path) => {
      const child = start('hold', path);
      assert.deepEqual(await firstMessage(child), { ready: true });
      await assert.rejects(openIdentityIndex({ path }), (error: Error & { code: string }) => {
        assert.equal(error.code, 'DATA_LOCKED');
        assert.match(error.message, new RegExp(`process ${child.pid}`));
        return true;
      });
      await assert.rejects(openIdentityIndex({ path, readOnly: true }), { code: 'DATA_LOCKED' });
      await kill(child);
      const index = await openIdentityIndex({ path });
      await assert.rejects(openIdentityIndex({ path }), { code: 'DATA_LOCKED' });
      await index.close();
    });
  });

  it('goes to exactly one of several processes that find a lock left behind', async () => {
    await inTemporaryFolder(async (path) => {
      const dead = start('hold', path);
      await firstMessage(dead);
      await kill(dead);
      const rivals = [1, 2, 3].map(() => start('hold', path));
      const messages = await Promise.all(rivals.map(firstMessage));
      assert.deepEqual(messages.map(({ ready, code }) => (ready ? 'ready' : code)).toSorted(), [
        'DATA_LOCKED',
        'DATA_LOCKED',
        'ready',
      ]);
      for (const rival of rivals) if (rival.exitCode === null) await kill(rival);
    });
  });

  it('is not held by a process number that was used again, nor by a holder from elsewhere whose heartbeat has stopped', async () => {
    await inTemporaryFolder(async (path) => {
      await enrollSome(path, 1);
      const child = start('hold', path);
      await firstMessage(child);
      const store = openLmdbStore({ path, readOnly: true });
      const holder = holderCodec.decode(keys.holder(), store.get('meta', keys.holder()) ?? Buffer.alloc(0));
      await store.close();
      await kill(child);
      for (const left of [
        { ...holder, pid: process.pid, startedAt: '1' },
        { ...holder, pid: process.pid, domain: 'other-host other-boot pid:[1]' },
      ]) {
        const writable = openLmdbStore({ path, readOnly: false });
        writable.writeNow((writer) => writer.put('meta', keys.holder(), holderCodec.encode(keys.holder(), left)));
        await writable.close();
        const index = await openIdentityIndex({ path });
        assert.equal(index.getGallery(gallery).identityCount, 1);
        await index.close();
      }
    });
  });

  it('of a newer format is refused and left alone', async () => {
    await inTemporaryFolder(async (path) => {
      await enrollSome(path, 1);
      const store = openLmdbStore({ path, readOnly: false });
      const newer = { format: formatVersion + 1, nextGalleryNumber: 2 };
      store.writeNow((writer) => writer.put('meta', keys.format(), formatCodec.encode(keys.format(), newer)));
      await store.close();
      for (const readOnly of [false, true]) {
        await assert.rejects(openIdentityIndex({ path, readOnly }), (error: Error & { code: string }) => {
          assert.equal(error.code, 'DATA_FORMAT_NEWER');
          assert.match(error.message, /format 4, this version of harmonid reads up to 3/);
          return true;
        });
      }
    });
  });

  it('with a damaged record says which one and both checksums', async () => {
    await inTemporaryFolder(async (path) => {
      await enrollSome(path, 3);
      const store = openLmdbStore({ path, readOnly: false });
      const [entry] = Array.from(store.range('templates', Buffer.alloc(1), Buffer.alloc(12, 0xff)));
      assert.ok(entry);
      templateCodec.decode(entry.key, entry.value, faces.dimensions);
      entry.value[80] = (entry.value[80] ?? 0) ^ 4;
      store.writeNow((writer) => writer.put('templates', entry.key, entry.value));
      await store.close();
      await assert.rejects(
        openIdentityIndex({ path }),
        (error: Error & { code: string; details: Record<string, unknown> }) => {
          assert.equal(error.code, 'DATA_CORRUPT');
          assert.equal(error.details['key'], entry.key.toString('hex'));
          assert.match(error.message, /stored checksum 0x[0-9a-f]{8}, computed 0x[0-9a-f]{8}/);
          return true;
        },
      );
      // And opening gave the lock back.
      await assert.rejects(openIdentityIndex({ path }), { code: 'DATA_CORRUPT' });
    });
  });

  it('that is not one is refused', async () => {
    await inTemporaryFolder(async (path) => {
      await writeFile(dataFile(path), Buffer.alloc(20_000, 1));
      await assert.rejects(openIdentityIndex({ path }), { code: 'DATA_CORRUPT' });
      await assert.rejects(openIdentityIndex({ path: dataFile(path) }), { code: 'INVALID_ARGUMENT' });
    });
  });

  it('opened read-only is searched, never written, and opened by several', async () => {
    await inTemporaryFolder(async (path) => {
      await enrollSome(path, 5);
      const before = await readFile(dataFile(path));
      const names = await readdir(path);
      const readers = [
        await openIdentityIndex({ path, readOnly: true }),
        await openIdentityIndex({ path, readOnly: true }),
      ];
      for (const index of readers) {
        assert.equal(index.getGallery(gallery).identityCount, 5);
        const probe = faces.face(3);
        const answer = await index.search({
          gallery,
          space: index.getGallery(gallery).space,
          probe,
          k: 1,
          exact: false,
          ef: 64,
        });
        assert.equal(answer.candidates[0]?.identity, 'p3');
        for (const write of [
          () => index.enroll(enrollDraft(gallery, 'x', [probe])),
          () => index.eraseIdentity(gallery, 'p1'),
          () => index.updateIdentity({ gallery, identity: 'p1', label: 'x' }),
          () => index.removeTemplate(gallery, 'p1', 1),
          () => index.createGallery(galleryDraft('new', 4)),
          () => index.updateGallery(gallery, { threshold: 1 }),
          () => index.deleteGallery(gallery),
          () => index.checkpoint(),
        ]) {
          await assert.rejects(write(), { code: 'DATA_READ_ONLY' });
        }
      }
      for (const index of readers) await index.close();
      assert.ok(before.equals(await readFile(dataFile(path))));
      assert.deepEqual(await readdir(path), names);
    });
  });

  it('that may not be written is DATA_READ_ONLY, and can still be read', async () => {
    await inTemporaryFolder(async (path) => {
      await enrollSome(path, 2);
      for (const name of await readdir(path))
        await chmod(join(path, name), (await stat(join(path, name))).isDirectory() ? 0o555 : 0o444);
      await chmod(path, 0o555);
      try {
        const writer = await firstMessage(start('open-unprivileged', path));
        assert.equal(writer.code, 'DATA_READ_ONLY', writer.message);
        const reader = await firstMessage(start('read-unprivileged', path));
        assert.deepEqual(reader, { ready: true });
      } finally {
        await chmod(path, 0o755);
      }
    });
  });

  it('on a full disk refuses the write, holds what it held, and goes on when there is room', async function () {
    await inTemporaryFolder(async (path) => {
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', path], { stdio: 'ignore' });
      } catch {
        console.log('      skipped: a small file system can only be mounted as root');
        this.skip();
      }
      try {
        await writeFile(join(path, 'ballast'), Buffer.alloc(2_500_000));
        const index = await openIdentityIndex({ path, exactMax: 100 });
        await index.createGallery(galleryDraft(gallery, faces.dimensions, { duplicates: 'ignore' }));
        const acknowledged: string[] = [];
        let refusals = 0;
        for (let person = 0; refusals < 3; person++) {
          assert.ok(person < 2_000, 'the disk never filled up');
          try {
            await index.enroll(
              enrollDraft(
                gallery,
                `p${person}`,
                Array.from({ length: 20 }, () => faces.face(person)),
              ),
            );
            acknowledged.push(`p${person}`);
          } catch (error) {
            assert.equal((error as { code?: string }).code, 'DISK_FULL', String(error));
            refusals++;
          }
        }
        assert.equal(index.getGallery(gallery).identityCount, acknowledged.length);
        await index.settle();
        await assert.rejects(index.checkpoint(), { code: 'DISK_FULL' });
        assert.deepEqual(await readdir(join(path, 'graphs')), [], 'no litter');
        await rm(join(path, 'ballast'));
        await index.enroll(enrollDraft(gallery, 'late', [faces.face(9_999)]));
        acknowledged.push('late');
        await index.close();
        const reopened = await openIdentityIndex({ path, exactMax: 100 });
        const stored = reopened.listIdentities({ gallery, limit: 10_000 });
        assert.deepEqual(stored.map(({ identity }) => identity).toSorted(), acknowledged.toSorted());
        assert.ok(stored.every(({ identity, templates }) => templates.length === (identity === 'late' ? 1 : 20)));
        await reopened.close();
      } finally {
        execFileSync('umount', [path]);
      }
    });
  });
});
