/**
 * Method: `test/fixtures/format-1` is a directory that version 0.1 at format 1 wrote and left as a killed process leaves it, with what that
 * version answered. The upgrade must give the same answers; cut short at each of its transactions and taken up again, too.
 */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { formatCodec, formatVersion, keys } from '../../src/index/codec.js';
import { readFormat, upgradeFormat } from '../../src/index/format-upgrade.js';
import { openIdentityIndex, type Enrolment } from '../../src/index/identity-index.js';
import { openLmdbStore } from '../../src/index/lmdb-store.js';
import type { Gallery, Identity } from '../../src/index/records.js';
import type { Store } from '../../src/index/store.js';
import { repositoryPath } from '../support/paths.js';
import { inTemporaryFolder } from './folders.js';

interface Expected {
  readonly [gallery: string]: {
    readonly gallery: Gallery;
    readonly identities: readonly Identity[];
    readonly vectors: readonly unknown[];
  };
}

const fixture = join(repositoryPath, 'test', 'fixtures', 'format-1');
const { answers, now, ...galleries } = JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8')) as {
  readonly answers: Readonly<Record<'k1' | 'twin', Enrolment>>;
  readonly now: number;
} & Expected;

/** The directory as it was left, without the lock of a process that is long gone on another machine. */
async function layFixture(path: string): Promise<void> {
  copyFileSync(join(fixture, 'data.lmdb'), join(path, 'data.lmdb'));
  const store = openLmdbStore({ path, readOnly: false });
  await store.write((writer) => writer.remove('meta', keys.holder()));
  await store.close();
}

/** As JSON has it: dates as text. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

async function assertUpgraded(path: string): Promise<void> {
  const index = await openIdentityIndex({ path, clock: () => now });
  try {
    for (const [name, { gallery, identities, vectors }] of Object.entries(galleries)) {
      const since = { presentation: 'ignore', fpirTarget: null, fmrTarget: null, beside: null };
      assert.deepEqual(plain(index.getGallery(name)), { ...gallery, ...since });
      assert.deepEqual(plain(index.listIdentities({ gallery: name, limit: 1000 })), identities);
      const found = Array.from(index.exportTemplates(name), ({ identity, template, vector }) => [
        identity.identity,
        template.template,
        [...vector],
      ]);
      assert.deepEqual(plain(found), vectors);
    }
    assert.deepEqual(plain(await index.findEnrolment('lobby', { key: 'k1', digest: 'd1' })), answers.k1);
    assert.deepEqual(plain(await index.findEnrolment('lab', { key: 'twin', digest: 'dt' })), answers.twin);
  } finally {
    await index.close();
  }
}

/** The store, until so many writes were done; every further one fails. */
function failingAfter(store: Store, writes: number): Store {
  let left = writes;
  return {
    ...store,
    async write(change) {
      if (left-- === 0) throw new Error('cut short');
      return store.write(change);
    },
  };
}

describe('format upgrade', () => {
  it('turns a directory of format 1 into the present one, with the same answers', async () => {
    await inTemporaryFolder(async (path) => {
      await layFixture(path);
      await assertUpgraded(path);
      await assertUpgraded(path);
      const store = openLmdbStore({ path, readOnly: true });
      assert.deepEqual(readFormat(store, path), { format: formatVersion, nextGalleryNumber: 3 });
      await store.close();
    });
  });

  it('is taken up again wherever it was cut short, and keeps older versions off meanwhile', async () => {
    for (let writes = 0; ; writes++) {
      const done = await inTemporaryFolder(async (path) => {
        await layFixture(path);
        const store = openLmdbStore({ path, readOnly: false });
        const cut = await upgradeFormat(failingAfter(store, writes), path).then(
          () => false,
          (error: unknown) => {
            assert.match(String(error), /cut short/);
            return true;
          },
        );
        const format = formatCodec.decode(keys.format(), store.get('meta', keys.format()) ?? Buffer.alloc(0));
        assert.equal(format.format, writes === 0 ? 1 : formatVersion);
        await store.close();
        if (cut) {
          await assert.rejects(openIdentityIndex({ path, readOnly: true }), { code: 'DATA_READ_ONLY' });
        }
        await assertUpgraded(path);
        return !cut;
      });
      if (done) {
        assert.ok(writes >= 6, 'an upgrade of two galleries has several steps');
        return;
      }
    }
  });
});
