/** Backup and import of templates through a real socket: what arrives must be what the library gives, and survive what clients do. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import type { Database, ExportedTemplate } from '../../src/api.js';
import { openDatabase, restoreDatabase, verifyBackup } from '../../src/database.js';
import { isHarmonidError } from '../../src/errors.js';
import { streamOf, collect } from '../index/backups.js';
import { temporaryFolder } from '../support/database.js';
import { axis, dimensions, makeVectorGallery, overriding, scattered, space, withServer } from './served.js';

async function exported(database: Database, gallery = 'lobby'): Promise<ExportedTemplate[]> {
  const all: ExportedTemplate[] = [];
  for await (const template of database.exportTemplates({ gallery })) all.push(template);
  return all;
}

async function fill(database: Database, people: number): Promise<void> {
  await makeVectorGallery(database);
  await Promise.all(
    Array.from({ length: people }, (_, person) =>
      database.enroll({
        gallery: 'lobby',
        identity: `p${person}`,
        label: `Person ${person}`,
        groups: ['all'],
        attributes: { about: 'x'.repeat(900) },
        embeddings: [scattered(person), scattered(person + 10_000)],
        duplicates: 'ignore',
      }),
    ),
  );
}

describe('backup over gRPC', function () {
  this.timeout(60_000);

  it('restores to what the server has, also through small messages', () =>
    withServer({ messageBytesMax: 64 * 1024 }, async ({ database, remote }) => {
      await fill(database, 800);
      const folder = temporaryFolder();
      try {
        const path = join(folder, 'restored');
        const summary = await restoreDatabase({ path, from: remote.backup() });
        assert.equal(summary.records['templates'], 1_600);
        const restored = await openDatabase({ path, embedder: false });
        assert.deepEqual(await exported(restored), await exported(database));
        assert.deepEqual(await restored.listGalleries(), await database.listGalleries());
        await restored.close();
      } finally {
        rmSync(folder, { recursive: true });
      }
    }));

  it('ends when the client leaves, and the server goes on', () =>
    withServer({}, async ({ database, remote, logged }) => {
      await fill(database, 800);
      for await (const chunk of remote.backup()) {
        assert.ok(chunk.length > 0);
        break;
      }
      const controller = new AbortController();
      await assert.rejects(
        async () => {
          for await (const chunk of remote.backup({ signal: controller.signal })) {
            assert.ok(chunk.length > 0);
            controller.abort();
          }
        },
        { code: 'CANCELLED' },
      );
      assert.equal((await verifyBackup(remote.backup())).records['identities'], 800);
      assert.deepEqual(logged, []);
    }));

  it('a backup that fails on the way is an error, never a short one that looks whole', () => {
    const failing = (database: Database): Database =>
      overriding(database, {
        async *backup() {
          let chunks = 0;
          for await (const chunk of database.backup()) {
            if (++chunks === 3) throw new Error('the disk went away');
            yield chunk;
          }
        },
      });
    return withServer({ around: failing }, async ({ database, remote, logged }) => {
      await fill(database, 10);
      let received = Buffer.alloc(0);
      await assert.rejects(
        async () => {
          for await (const chunk of remote.backup()) received = Buffer.concat([received, chunk]);
        },
        { code: 'INTERNAL' },
      );
      assert.ok(received.length > 0);
      await assert.rejects(verifyBackup(streamOf(received)), { code: 'BACKUP_INVALID' });
      assert.equal(logged.length, 1);
      assert.ok((await collect(database.backup())).length > received.length);
    });
  });
});

describe('ImportTemplates', () => {
  it('brings a gallery over, once', () =>
    withServer({}, async (source) => {
      await fill(source.database, 60);
      const templates = await exported(source.remote);
      await withServer({}, async ({ database, remote }) => {
        const run = async (): Promise<readonly (boolean | undefined)[]> => {
          const added: (boolean | undefined)[] = [];
          const options = { createGallery: { threshold: 0.5, templatesPerIdentityMax: 1000 } };
          for await (const { index, identity, answer } of remote.importTemplates(templates, options)) {
            assert.equal(templates[index]?.identity, identity);
            assert.deepEqual(answer?.template.enrolledAt, templates[index].template.enrolledAt);
            added[index] = answer?.added;
          }
          return added;
        };
        assert.deepEqual(
          await run(),
          templates.map(() => true),
        );
        const copy = await exported(database);
        assert.deepEqual(copy.map(withoutNumber), templates.map(withoutNumber));
        assert.deepEqual(
          await run(),
          templates.map(() => false),
        );
        assert.equal((await database.getGallery({ gallery: 'lobby' })).sequence, 120);
      });
    }));

  it('answers each item for itself, in the words of the library', () =>
    withServer({}, async ({ database, remote, logged }) => {
      await makeVectorGallery(database);
      const template = {
        template: 0,
        space,
        origin: 'native',
        quality: null,
        imageDigest: null,
        enrolledAt: new Date(5),
      } as const;
      const good: ExportedTemplate = {
        gallery: 'lobby', identity: 'anna', label: '', groups: [], attributes: {}, template, embedding: axis(0),
      }; // prettier-ignore
      const items: ExportedTemplate[] = [
        good,
        { ...good, identity: 'late', template: { ...template, enrolledAt: new Date(Number.NaN) } },
        { ...good, gallery: 'nowhere' },
        { ...good, identity: 'odd', template: { ...template, origin: 'invented' as 'native' } },
        { ...good, embedding: { space, vector: Array.from({ length: dimensions + 1 }, () => 1) } },
        { ...good, identity: 'bert', embedding: axis(1) },
      ];
      const results = new Map<number, string>();
      for await (const { index, identity, answer, error } of remote.importTemplates(items)) {
        assert.equal(identity, items[index]?.identity);
        results.set(index, answer ? 'added' : isHarmonidError(error) ? error.code : String(error));
      }
      assert.deepEqual(
        [...results].toSorted(([a], [b]) => a - b).map(([, code]) => code),
        ['added', 'INVALID_ARGUMENT', 'GALLERY_NOT_FOUND', 'INVALID_ARGUMENT', 'VECTOR_WRONG_LENGTH', 'added'],
      );
      assert.equal((await database.getGallery({ gallery: 'lobby' })).templateCount, 2);
      assert.deepEqual(logged, []);
    }));

  it('answers while the client waits before it sends the next', () =>
    withServer({}, async ({ database, remote }) => {
      await fill(database, 3);
      const templates = await exported(database);
      await database.deleteGallery({ gallery: 'lobby' });
      await makeVectorGallery(database);
      let answered = 0;
      let tell = (): void => undefined;
      async function* oneByOne(): AsyncGenerator<ExportedTemplate> {
        for (const [sent, item] of templates.entries()) {
          while (answered < sent) await new Promise<void>((resolve) => (tell = resolve));
          yield item;
        }
      }
      for await (const { index, answer } of remote.importTemplates(oneByOne())) {
        assert.deepEqual([index, answer?.added], [answered, true]);
        answered++;
        tell();
      }
      assert.equal(answered, templates.length);
    }));
});

function withoutNumber({ template: { template: _number, ...template }, ...about }: ExportedTemplate): object {
  return { ...about, template };
}
