/**
 * `harmonid check` as a user runs it: child processes on real directories that are whole or damaged through the raw store, and on a server.
 * What a repair must leave is counted by hand.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { openDatabase } from '../../src/database.js';
import { keys } from '../../src/index/codec.js';
import { dataFile, openLmdbStore } from '../../src/index/lmdb-store.js';
import { inTemporaryFolder } from '../index/folders.js';
import { axis, makeVectorGallery } from '../server/served.js';
import { harmonid, json, serve } from './command-line.js';

const personCount = 6;

async function fill(path: string, key?: string): Promise<void> {
  const database = await openDatabase({ path, embedder: false, encryption: key === undefined ? undefined : { key } });
  await makeVectorGallery(database);
  for (let person = 0; person < personCount; person++) {
    await database.enroll({ gallery: 'lobby', identity: `p${person}`, groups: ['all'], embeddings: [axis(person)] });
  }
  await database.close();
}

async function spoilIdentity(path: string, owner: number): Promise<void> {
  const store = openLmdbStore({ path, readOnly: false });
  await store.write((writer) => {
    const key = keys.owner(1, owner);
    const bytes = Buffer.from(writer.get('owners', key) ?? assert.fail());
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    writer.put('owners', key, bytes);
  });
  await store.close();
}

describe('harmonid check', function () {
  this.timeout(120_000);

  it('exits 0 on a healthy directory; 1 with each finding on a line; 0 again after a repair', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'data');
      await fill(path);
      const healthy = await harmonid(['check', '--data', path]);
      assert.deepEqual([healthy.code, healthy.stderr], [0, '']);
      assert.match(
        healthy.stdout,
        /^0 errors, 0 warnings: \d+ records and 1 file read, 6 templates searched for in \d+\.\d s\n$/,
      );
      const quick = json(await harmonid(['check', '--data', path, '--no-search', '--json']));
      assert.deepEqual([quick['errors'], quick['templates'], quick['findings']], [0, 0, []]);

      await spoilIdentity(path, 2);
      const damaged = await harmonid(['check', '--data', path]);
      assert.equal(damaged.code, 1);
      assert.match(
        damaged.stdout,
        /^error record \(owners 0000000100000002\): .*checksum.*\[--repair: quarantined\]\n1 error, /,
      );
      const repaired = json(await harmonid(['check', '--data', path, '--repair', '--json']));
      // The identity, its pointer, its membership, its template, and two counters.
      assert.equal((repaired['mended'] as unknown[]).length, 6);
      assert.deepEqual([repaired['errors'], repaired['findings'], repaired['templates']], [0, [], 5]);
      const again = await harmonid(['check', '--data', path, '--repair']);
      assert.deepEqual([again.code, again.stdout.startsWith('0 errors, 0 warnings')], [0, true]);
    });
  });

  it('asks for the key of an encrypted directory, and checks it with that', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'data');
      const key = 'ab'.repeat(32);
      await fill(path, key);
      const file = join(folder, 'key');
      writeFileSync(file, key);
      const without = await harmonid(['check', '--data', path]);
      assert.equal(without.code, 1);
      assert.match(without.stderr, /KEY_REQUIRED/);
      const checked = json(await harmonid(['check', '--data', path, '--key-file', file, '--json']));
      assert.deepEqual([checked['errors'], checked['templates']], [0, personCount]);
    });
  });

  it('tells of a file that cannot be opened as a finding', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'data');
      await fill(path);
      const bytes = readFileSync(dataFile(path));
      writeFileSync(dataFile(path), bytes.subarray(0, bytes.length >> 1));
      const outcome = await harmonid(['check', '--data', path, '--json']);
      assert.equal(outcome.code, 1);
      const { errors, findings } = json(outcome);
      assert.ok(Number(errors) > 0);
      assert.ok(
        (findings as { kind: string; repair: string }[]).every(
          ({ kind, repair }) => kind === 'page' && repair === 'none',
        ),
      );
    });
  });

  it('checks a server while it works', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'data');
      await fill(path);
      const serving = await serve(['--data', path, '--vectors-only']);
      try {
        const { errors, templates } = json(await harmonid(['check', '--server', serving.address, '--json']));
        assert.deepEqual([errors, templates], [0, personCount]);
        const locked = await harmonid(['check', '--data', path]);
        assert.equal(locked.code, 1);
        assert.match(locked.stderr, /DATA_LOCKED/);
      } finally {
        await serving.stop();
      }
    });
  });
});
