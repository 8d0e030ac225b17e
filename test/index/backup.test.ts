/**
 * Method: backups of real directories under real writes, restored and opened. Damage is done to the bytes, everywhere in a small backup and
 * at seeded places of a larger one; none may be accepted, and none may leave anything behind. The layout is compared with bytes put
 * together by the page of the format.
 */
import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { writeBackup } from '../../src/index/backup.js';
import { verifyBackup } from '../../src/index/backup-reader.js';
import { formatCodec, formatVersion, keys, markCodec } from '../../src/index/codec.js';
import { openIdentityIndex, type IdentityIndex } from '../../src/index/identity-index.js';
import { openLmdbStore } from '../../src/index/lmdb-store.js';
import { openMemoryStore } from '../../src/index/memory-store.js';
import { restoreDatabase } from '../../src/index/restore.js';
import type { Store } from '../../src/index/store.js';
import { collect, forge, json, part, partsOf, preamble, preambleBytes, sha256, streamOf } from './backups.js';
import { makeFaces, randomFrom, runSeed } from './faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder } from './folders.js';

const faces = makeFaces(randomFrom(91));
const product = '9.8.7';

/** Everything that callers can see of an index, but for the state of its graphs. */
function contents(index: IdentityIndex): object {
  return index.listGalleries().map((gallery) => ({
    gallery,
    identities: index.listIdentities({ gallery: gallery.gallery, limit: 100_000 }),
    templates: Array.from(index.exportTemplates(gallery.gallery), ({ identity, template, vector }) => ({
      identity: identity.identity,
      template,
      vector: Buffer.from(vector.buffer).toString('hex'),
    })),
  }));
}

/** Two galleries with groups, attributes, several templates, somebody erased, a retry to answer. */
async function fillIndex(index: IdentityIndex, people: number): Promise<void> {
  await index.createGallery(galleryDraft('lobby', faces.dimensions));
  await index.createGallery(
    galleryDraft('gate', faces.dimensions, { threshold: 0.04, description: 'das Tor, Zürich' }),
  );
  await Promise.all(
    Array.from({ length: people }, (_, person) =>
      index.enroll(
        enrollDraft('lobby', `p${person}`, [faces.face(person), faces.face(person)], {
          label: `Person ${person}`,
          groups: [person % 2 ? 'day' : 'night'],
          attributes: { badge: `${person}` },
        }),
      ),
    ),
  );
  await index.enroll(
    enrollDraft('gate', 'retried', [faces.face(5_000)], { idempotency: { key: 'k', digest: 'd' }, label: 'Again' }),
  );
  await index.removeTemplate('lobby', 'p1', index.getIdentity('lobby', 'p1').templates[0]?.template ?? -1);
  await index.eraseIdentity('lobby', 'p2');
}

async function withFilled(
  people: number,
  work: (index: IdentityIndex, folder: string) => Promise<void>,
): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const index = await openIdentityIndex({ path: join(folder, 'data') });
    try {
      await fillIndex(index, people);
      await work(index, folder);
    } finally {
      await index.close();
    }
  });
}

/** A small directory's backup and the folder for what is restored. */
async function withBackup(work: (backup: Buffer, folder: string) => Promise<void>): Promise<void> {
  let backup: Buffer = Buffer.alloc(0);
  await withFilled(6, async (index) => {
    backup = await collect(index.backup({ product }));
  });
  await inTemporaryFolder((folder) => work(backup, folder));
}

async function refuses(
  backup: Buffer,
  folder: string,
  code: string,
  says = /./,
): Promise<Readonly<Record<string, unknown>>> {
  const before = await readdir(folder);
  let details: Readonly<Record<string, unknown>> = {};
  await assert.rejects(
    restoreDatabase({ path: join(folder, 'restored'), from: streamOf(backup) }),
    (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error && 'details' in error);
      assert.equal(error.code, code, error.message);
      assert.match(error.message, says);
      details = error.details as typeof details;
      return true;
    },
  );
  assert.deepEqual(await readdir(folder), before, 'something was left behind');
  return details;
}

describe('backup', function () {
  this.timeout(60_000);

  it('is, byte for byte, what the page of the format says', async () => {
    const store = openMemoryStore();
    const format = formatCodec.encode(keys.format(), { format: formatVersion, nextGalleryNumber: 3 });
    const mark = markCodec.encode(Buffer.from([0, 0, 0, 7]), {});
    await store.write((writer) => {
      writer.put('meta', keys.format(), format);
      writer.put('meta', keys.holder(), Buffer.from('whatever: it is of the process'));
      writer.put('owners', Buffer.from([0, 0, 0, 7]), mark);
      writer.put('checkpoints', Buffer.from([0, 0, 0, 7]), mark);
    });
    const made = await collect(
      writeBackup({ snapshot: () => store.snapshot(), product, clock: () => 1_700_000_000_000 }),
    );

    const record = (key: Buffer, value: Buffer): Buffer => {
      const sizes = Buffer.alloc(6);
      sizes.writeUInt16LE(key.length, 0);
      sizes.writeUInt32LE(value.length, 2);
      return Buffer.concat([sizes, key, value]);
    };
    const chunk = (table: string, ...records: Buffer[]): Buffer =>
      Buffer.concat([Buffer.from([table.length]), Buffer.from(table), ...records]);
    let expected = preamble(1);
    const add = (kind: number, payload: Buffer): void => {
      expected = Buffer.concat([expected, part(kind, expected.length, payload)]);
    };
    add(1, json({ directoryFormat: formatVersion, product, at: 1_700_000_000_000 }));
    add(2, chunk('meta', record(Buffer.from('format'), format)));
    add(2, chunk('owners', record(Buffer.from([0, 0, 0, 7]), mark)));
    const records = {
      meta: 1, galleries: 0, identities: 0, owners: 1, templates: 0, memberships: 0, changes: 0, idempotency: 0,
      expiries: 0, pairs: 0, contributors: 0, documents: 0, receipts: 0, suppressions: 0, quarantine: 0,
    }; // prettier-ignore
    add(3, json({ records, bytes: expected.length, sha256: sha256(expected) }));
    assert.deepEqual(made.toString('latin1'), expected.toString('latin1'));

    const summary = await verifyBackup(streamOf(made));
    assert.deepEqual(summary, {
      at: new Date(1_700_000_000_000),
      product,
      directoryFormat: formatVersion,
      records,
      bytes: expected.length,
      sha256: sha256(expected),
    });
  });

  it('restored, is the same: people, templates, sequences, retries, and numbers that go on', async () => {
    await withFilled(30, async (index, folder) => {
      const path = join(folder, 'restored');
      const before = contents(index);
      const summary = await restoreDatabase({ path, from: index.backup({ product }) });
      assert.deepEqual([summary.records['galleries'], summary.records['identities']], [2, 30]);
      assert.equal(summary.records['templates'], 2 * 29 - 1 + 1);
      assert.equal(summary.product, product);
      assert.ok(Math.abs(Date.now() - summary.at.getTime()) < 60_000);

      const probe = faces.face(4);
      const search = { gallery: 'lobby', space: 'test-net:1', probe, k: 5, exact: true, ef: 64 } as const;
      // So small that a graph is built: no graph file came with the backup.
      const restored = await openIdentityIndex({ path, exactMax: 5 });
      assert.deepEqual(contents(restored), before);
      assert.deepEqual(await restored.search(search), await index.search(search));
      await restored.settle();
      const [, lobby] = await restored.stats();
      assert.deepEqual([lobby?.graph.engine, lobby?.graph.openedFrom], ['hnsw', 'rebuild']);
      assert.equal(lobby?.graph.indexedCount, 57);
      const retry = enrollDraft('gate', 'retried', [faces.face(5_000)], { idempotency: { key: 'k', digest: 'd' } });
      assert.equal((await restored.enroll(retry)).replayed, true);
      const next = enrollDraft('lobby', 'next', [faces.face(6_000)]);
      const [there, here] = [await restored.enroll(next), await index.enroll(next)];
      assert.equal(there.templates[0]?.template, here.templates[0]?.template);
      assert.equal(there.sequence, here.sequence);
      await restored.close();
    });
  });

  it('shows one moment while writes go on: a beginning of them, whole, with counters that agree', async () => {
    await inTemporaryFolder(async (folder) => {
      const index = await openIdentityIndex({ path: join(folder, 'data') });
      // Of everybody enrolled, every third is erased right after, so that counters go both ways.
      await index.createGallery(galleryDraft('lobby', faces.dimensions, { templatesPerIdentityMax: 1000 }));
      const padding = Array.from({ length: 6 }, (_, i) => faces.face(i));
      let acknowledged = 0;
      let stop = false;
      const erasing: Promise<unknown>[] = [];
      const write = async (): Promise<void> => {
        for (let person = 0; !stop; person++) {
          await index.enroll(enrollDraft('lobby', name(person), padding, { duplicates: 'ignore', groups: ['all'] }));
          // Done in the order of the calls; answered when no backup reads the old pages any more.
          if (person % 3 === 0) erasing.push(index.eraseIdentity('lobby', name(person)));
          acknowledged = person + 1;
        }
      };
      const writing = write();
      for (let round = 0; round < 3; round++) {
        while (acknowledged < 100 * (round + 1)) await index.settle();
        const path = join(folder, `restored-${round}`);
        const before = { acknowledged, sequence: index.getGallery('lobby').sequence };
        await restoreDatabase({ path, from: index.backup({ product }) });
        const after = { acknowledged, sequence: index.getGallery('lobby').sequence };
        assert.ok(after.acknowledged > before.acknowledged, 'nothing was written meanwhile');

        const restored = await openIdentityIndex({ path });
        const gallery = restored.getGallery('lobby');
        assert.ok(before.sequence <= gallery.sequence && gallery.sequence < after.sequence);
        const people = restored.listIdentities({ gallery: 'lobby', limit: 100_000 });
        const members = restored.listIdentities({ gallery: 'lobby', limit: 100_000, groups: ['all'] });
        const numbers = people.map(({ identity }) => Number(identity.slice(1)));
        const last = Math.max(...numbers);
        // Who is enrolled and not erased is exactly a beginning of what was done; the newest may be there before their erasure.
        assert.deepEqual(
          numbers,
          Array.from({ length: last + 1 }, (_, person) => person).filter(
            (person) => person % 3 !== 0 || person === last,
          ),
        );
        assert.ok(last + 1 >= before.acknowledged - 1);
        assert.equal(gallery.identityCount, people.length);
        assert.equal(gallery.templateCount, people.length * padding.length);
        assert.equal(
          people.reduce((sum, { templates }) => sum + templates.length, 0),
          gallery.templateCount,
        );
        assert.equal(members.length, people.length);
        await restored.close();
      }
      stop = true;
      await writing;
      await Promise.all(erasing);
      await index.close();
    });

    function name(person: number): string {
      return `p${`${person}`.padStart(6, '0')}`;
    }
  });

  it('gives the event loop a turn after every chunk, and takes the next one only when asked', async () => {
    const store = openMemoryStore();
    await fillStore(store, 1_500);
    let turns = 0;
    const count = (): void => {
      turns++;
      ticking = setImmediate(count);
    };
    let ticking = setImmediate(count);
    const backup = await collect(writeBackup({ snapshot: () => store.snapshot(), product, clock: () => 0 }));
    clearImmediate(ticking);
    const chunks = partsOf(backup).filter(({ kind }) => kind === 2);
    assert.ok(chunks.length > 5, `${chunks.length} chunks`);
    assert.ok(chunks.every(({ start, end }) => end - start < 300 * 1024));
    assert.ok(turns >= chunks.length, `${turns} turns for ${chunks.length} chunks`);
  });

  it('releases its snapshot at the end, when it is aborted, when the reader leaves, and when it fails', async () => {
    await inTemporaryFolder(async (path) => {
      const store = openLmdbStore({ path, readOnly: false });
      await fillStore(store, 1_500);
      let open = 0;
      const backup = (signal?: AbortSignal): AsyncIterable<Uint8Array> =>
        writeBackup({
          snapshot: () => {
            const snapshot = store.snapshot();
            open++;
            return {
              ...snapshot,
              release: () => {
                open--;
                snapshot.release();
              },
            };
          },
          product,
          clock: () => 0,
          signal,
        });
      await collect(backup());
      assert.equal(open, 0);

      const controller = new AbortController();
      let chunks = 0;
      await assert.rejects(
        async () => {
          for await (const chunk of backup(controller.signal)) {
            assert.equal(open, 1);
            assert.ok(chunk.length > 0);
            if (++chunks === 4) controller.abort();
          }
        },
        { code: 'CANCELLED' },
      );
      assert.deepEqual([open, chunks], [0, 4]);

      for await (const chunk of backup()) {
        assert.ok(chunk.length > 0);
        break;
      }
      assert.equal(open, 0);

      await store.write((writer) => writer.put('templates', Buffer.from([0, 0, 1]), Buffer.from('no record')));
      await assert.rejects(collect(backup()), { code: 'DATA_CORRUPT', message: /000001/ });
      assert.equal(open, 0);
      await store.close();
    });
  });

  it('ends with CLOSED when the index is closed, which does not wait for its reader', async () => {
    await withFilled(30, async (index) => {
      const backup = index.backup({ product })[Symbol.asyncIterator]();
      await backup.next();
      await backup.next();
      await index.close();
      await assert.rejects(async () => backup.next(), { code: 'CLOSED' });
    });
  });
});

describe('restore', function () {
  this.timeout(120_000);

  it('finds every damaged byte of a backup', async () => {
    const random = randomFrom(runSeed('damaged bytes'));
    await withBackup(async (backup, folder) => {
      for (let position = 0; position < backup.length; position++) {
        const damaged = Buffer.from(backup);
        damaged[position] = damage(random, damaged[position] ?? 0);
        // The whole path with the folder for some, reading alone for all.
        if (position % 499 === 0) await refuses(damaged, folder, 'BACKUP_INVALID');
        else await assert.rejects(verifyBackup(streamOf(damaged)), { code: 'BACKUP_INVALID' }, `byte ${position}`);
      }
    });
  });

  it('finds a damaged byte in chunks of full size, and says where, with both checksums', async () => {
    const random = randomFrom(runSeed('damaged chunks'));
    const store = openMemoryStore();
    await fillStore(store, 1_500);
    const backup = await collect(writeBackup({ snapshot: () => store.snapshot(), product, clock: () => 0 }));
    await inTemporaryFolder(async (folder) => {
      for (let run = 0; run < 40; run++) {
        const position = preambleBytes + Math.floor(random() * (backup.length - preambleBytes));
        const hit = partsOf(backup).find(({ start, end }) => start <= position && position < end);
        assert.ok(hit);
        const damaged = Buffer.from(backup);
        damaged[position] = damage(random, damaged[position] ?? 0);
        const details = await refuses(damaged, folder, 'BACKUP_INVALID', /stored checksum 0x[0-9a-f]{8}, computed 0x/);
        assert.equal(details['offset'], position < hit.start + 16 ? hit.start : hit.start + 16);
        assert.notEqual(details['storedChecksum'], details['computedChecksum']);
      }
    });
  });

  it('refuses a stream that is cut: at every part and anywhere else', async () => {
    const random = randomFrom(runSeed('cuts'));
    await withBackup(async (backup, folder) => {
      const places = [0, 1, 7, 8, 15, preambleBytes, backup.length - 1];
      for (const { start, end } of partsOf(backup)) places.push(start, start + 1, start + 16, end - 1);
      for (let run = 0; run < 200; run++) places.push(Math.floor(random() * backup.length));
      for (const place of places) {
        await assert.rejects(verifyBackup(streamOf(backup.subarray(0, place), 100)), { code: 'BACKUP_INVALID' });
      }
      for (const { start } of partsOf(backup)) {
        await refuses(backup.subarray(0, start), folder, 'BACKUP_INVALID', new RegExp(`ends at byte ${start}, `));
      }
    });
  });

  it('refuses parts that are missing, repeated, exchanged or too many', async () => {
    await withBackup(async (backup, folder) => {
      const parts = partsOf(backup).map(({ start, end }) => backup.subarray(start, end));
      const whole = (order: readonly (Buffer | undefined)[]): Buffer =>
        Buffer.concat([backup.subarray(0, preambleBytes), ...order.flatMap((bytes) => bytes ?? [])]);
      assert.ok(whole(parts).equals(backup));
      for (let i = 0; i < parts.length; i++) {
        const [without, twice, exchanged] = [
          parts.toSpliced(i, 1),
          parts.toSpliced(i, 0, parts[i] ?? Buffer.alloc(0)),
          [...parts],
        ];
        [exchanged[i], exchanged[i + 1]] = [parts[i + 1] ?? Buffer.alloc(0), parts[i] ?? Buffer.alloc(0)];
        await refuses(whole(without), folder, 'BACKUP_INVALID');
        await refuses(whole(twice), folder, 'BACKUP_INVALID');
        if (i + 1 < parts.length) await refuses(whole(exchanged), folder, 'BACKUP_INVALID');
      }
      await refuses(Buffer.concat([backup, Buffer.from([0])]), folder, 'BACKUP_INVALID', /after the trailer/);
      await refuses(Buffer.concat([backup, backup]), folder, 'BACKUP_INVALID', /after the trailer/);
      await refuses(Buffer.from('{"gallery":"no backup at all"}\n'), folder, 'BACKUP_INVALID', /no backup/);
    });
  });

  it('refuses sound parts that contradict each other', async () => {
    await withBackup(async (backup, folder) => {
      const parts = partsOf(backup).map(({ kind, payload }) => ({ kind, payload }));
      const trailer = parts.at(-1)?.payload ?? Buffer.alloc(0);
      /** With a trailer that agrees with the bytes, but says what `change` makes of it. */
      const sealed = (inner: typeof parts, change: (said: Said) => void = () => undefined): Buffer => {
        const before = forge(inner);
        const said = JSON.parse(trailer.toString()) as Said;
        Object.assign(said, { bytes: before.length, sha256: sha256(before) });
        change(said);
        return Buffer.concat([before, part(3, before.length, json(said))]);
      };
      const inner = parts.slice(0, -1);
      assert.ok(sealed(inner).equals(backup));
      const cases: [Buffer, RegExp][] = [
        [sealed(inner, (said) => (said.records['owners'] = 7)), /6 records of table "owners", the trailer says 7/],
        [sealed(inner, (said) => (said.records['nonsense'] = 1)), /0 records of table "nonsense"/],
        [sealed(inner, (said) => (said.bytes += 1)), /bytes came before the trailer/],
        [sealed(inner, (said) => (said.sha256 = said.sha256.replaceAll(/[0-7]/g, '8'))), /SHA-256/],
        [sealed(inner.slice(1)), /a header is wanted/],
        [sealed(inner.toSpliced(1, 1), (said) => (said.records['meta'] = 0)), /directory's format is missing/],
        [sealed([...inner, inner[0] ?? { kind: 1, payload: trailer }]), /a second header/],
        [sealed([...inner, { kind: 9, payload: trailer }]), /kind 9/],
        [sealed([...inner, { kind: 2, payload: Buffer.from('\u0005holes') }]), /table "holes"/],
        [sealed([...inner, { kind: 2, payload: Buffer.from('\u000bcheckpoints') }]), /table "checkpoints"/],
        [sealed([...inner, { kind: 2, payload: Buffer.from('\u0006owners\u0001') }]), /cut short/],
        [sealed(inner.toSpliced(2, 0, inner[1] ?? { kind: 2, payload: trailer })), /out of order/],
      ];
      for (const [bytes, says] of cases) await refuses(bytes, folder, 'BACKUP_INVALID', says);
    });
  });

  it('refuses a record that does not hold its own checksum, though the backup does', async () => {
    await withBackup(async (backup, folder) => {
      const parts = partsOf(backup).map(({ kind, payload }) => ({ kind, payload: Buffer.from(payload) }));
      const templates = parts.find(({ payload }) => payload.toString('utf8', 1, 10) === 'templates');
      assert.ok(templates);
      const last = templates.payload.length - 1;
      templates.payload[last] = (templates.payload[last] ?? 0) ^ 1;
      await refuses(forge(parts), folder, 'BACKUP_INVALID', /record [0-9a-f]{24}: stored checksum/);
    });
  });

  it('refuses what a newer version made, of the backup and of the directory in it', async () => {
    await withBackup(async (backup, folder) => {
      const newer = Buffer.concat([preamble(2), backup.subarray(preambleBytes)]);
      await refuses(newer, folder, 'DATA_FORMAT_NEWER', /format 2.*up to 1/);
      const header = json({ directoryFormat: formatVersion + 1, product: '99.0.0', at: 0 });
      await refuses(forge([{ kind: 1, payload: header }]), folder, 'DATA_FORMAT_NEWER', /99\.0\.0/);
    });
  });

  it('never touches what is there, and takes the place of an empty folder with its permissions', async () => {
    await withBackup(async (backup, folder) => {
      const path = join(folder, 'restored');
      await mkdir(path);
      await writeFile(join(path, 'note.txt'), 'mine');
      await refuses(backup, folder, 'DATA_EXISTS', /not empty: it holds note\.txt/);
      assert.equal(await readFile(join(path, 'note.txt'), 'utf8'), 'mine');
      await assert.rejects(restoreDatabase({ path: join(path, 'note.txt'), from: streamOf(backup) }), {
        code: 'DATA_EXISTS',
        message: /is a file/,
      });

      const empty = join(folder, 'empty');
      await mkdir(empty);
      await chmod(empty, 0o750);
      await restoreDatabase({ path: empty, from: streamOf(backup) });
      assert.equal((await stat(empty)).mode & 0o777, 0o750);
      const deep = join(folder, 'a', 'b', 'c');
      await restoreDatabase({ path: deep, from: streamOf(backup, 7_919) });
      assert.equal((await stat(deep)).mode & 0o777, 0o700);
      assert.deepEqual(await readdir(deep), ['data.lmdb']);
      assert.deepEqual((await readdir(folder)).toSorted(), ['a', 'empty', 'restored']);
      await assert.rejects(restoreDatabase({ path: join(folder, 'x', 'y'), from: streamOf(backup.subarray(0, 500)) }), {
        code: 'BACKUP_INVALID',
      });
      assert.deepEqual((await readdir(folder)).toSorted(), ['a', 'empty', 'restored']);
    });
  });

  it('stops at an aborted signal and at a source that fails, and leaves nothing behind', async () => {
    await withBackup(async (backup, folder) => {
      const controller = new AbortController();
      async function* slow(): AsyncGenerator<Uint8Array> {
        yield backup.subarray(0, 400);
        controller.abort();
        yield backup.subarray(400);
      }
      const path = join(folder, 'restored');
      await assert.rejects(restoreDatabase({ path, from: slow(), signal: controller.signal }), { code: 'CANCELLED' });
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield backup.subarray(0, 400);
        throw new Error('the cable was pulled');
      }
      await assert.rejects(restoreDatabase({ path, from: broken() }), /the cable was pulled/);
      assert.deepEqual(await readdir(folder), []);
    });
  });
});

interface Said {
  records: Record<string, number>;
  bytes: number;
  sha256: string;
}

/** Another value: one bit, all bits, zero, or anything. */
function damage(random: () => number, value: number): number {
  const kinds = [value ^ (1 << Math.floor(random() * 8)), value ^ 0xff, 0, Math.floor(random() * 256)];
  const chosen = kinds[Math.floor(random() * kinds.length)] ?? 0;
  return chosen === value ? value ^ 1 : chosen;
}

/** Records of about a kilobyte. */
async function fillStore(store: Store, count: number): Promise<void> {
  await store.write((writer) => {
    writer.put(
      'meta',
      keys.format(),
      formatCodec.encode(keys.format(), { format: formatVersion, nextGalleryNumber: 1 }),
    );
    for (let i = 0; i < count; i++) {
      const key = keys.owner(1, i);
      writer.put('owners', key, markCodec.encode(key, { filling: 'x'.repeat(1_000), number: i }));
    }
  });
}
