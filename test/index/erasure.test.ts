/**
 * Method: the files of a directory are read as bytes after an erasure and searched, by brute force, for every 16 bytes of every vector and for the
 * label; the same search before it finds them. Receipts are recomputed from docs/FORMAT.md. What happens when the process dies in
 * between is left to the crash test.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it } from 'mocha';
import { fineVectorBytes } from '../../src/engine/stored-vector.js';
import { ranges } from '../../src/index/codec.js';
import { openLmdbStore } from '../../src/index/lmdb-store.js';
import type { StoreReader } from '../../src/index/store.js';
import { openIdentityIndex, type IdentityIndex, type TemplateDraft } from '../../src/index/identity-index.js';
import type { Receipt } from '../../src/index/records.js';
import type { UnitVector } from '../../src/vector.js';
import { makeFaces, randomFrom } from './faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder, templateDraft } from './folders.js';

const gallery = 'lobby';
const dimensions = 40;

function open(path: string, exactMax = 2_000): Promise<IdentityIndex> {
  return openIdentityIndex({ path, exactMax, checkpointEvery: 1_000_000 });
}

/** Files with at least 16 bytes of a vector, or with a text. */
function filesWith(folder: string, vectors: readonly UnitVector[], texts: readonly string[]): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files
    .filter((entry) => {
      const bytes = readFileSync(join(entry.parentPath, entry.name));
      if (texts.some((text) => bytes.includes(text))) return true;
      return vectors.some((vector) => {
        for (const needle of [Buffer.from(vector.buffer), fineVectorBytes(vector)]) {
          for (let at = 0; at + 16 <= needle.length; at += 4) {
            if (bytes.includes(needle.subarray(at, at + 16))) return true;
          }
        }
        return false;
      });
    })
    .map(({ name }) => name);
}

function withDigest(vector: UnitVector, text: string): TemplateDraft {
  return { ...templateDraft(vector), imageDigest: createHash('sha256').update(text).digest('hex') };
}

describe('erasure', () => {
  it('looks for codes, too, which are all that a graph file holds of a face when candidates are compared by the store', async () => {
    await inTemporaryFolder(async (path) => {
      const faces = makeFaces(randomFrom(44), { dimensions });
      const index = await openIdentityIndex({ path, exactMax: 16, rerank: 'store', checkpointEvery: 1_000_000 });
      await index.createGallery(galleryDraft(gallery, dimensions, { duplicates: 'ignore' }));
      for (let person = 0; person < 60; person++)
        await index.enroll(enrollDraft(gallery, `p${person}`, [faces.face(person)]));
      await index.settle();
      await index.checkpoint();
      const folder = join(path, 'graphs');
      const file = readdirSync(folder).find((name) => name.endsWith('.graph'));
      assert.ok(file);
      assert.deepEqual(filesWith(folder, [faces.face(7)], []), [], 'no other trace of a vector is in it');
      const proofOf = async (identity: string): Promise<number | undefined> =>
        (await index.eraseIdentity(gallery, identity, { prove: true })).proof?.remainsFound;
      // A copy that somebody has made by hand.
      copyFileSync(join(folder, file), join(path, 'a copy'));
      assert.ok(((await proofOf('p7')) ?? 0) > 0, 'the code lies in the copy');
      rmSync(join(path, 'a copy'));
      assert.equal(await proofOf('p8'), 0);
      await index.close();
    });
  });

  it('leaves nothing of the person in any file: not in old pages, not in the graph', async () => {
    await inTemporaryFolder(async (path) => {
      const faces = makeFaces(randomFrom(41), { dimensions });
      const index = await open(path, 16);
      await index.createGallery(galleryDraft(gallery, dimensions, { duplicates: 'ignore' }));
      const vectors = [0, 1, 2].map(() => faces.face(1000));
      const label = 'The person who is to be forgotten';
      for (let person = 0; person < 60; person++) {
        await index.enroll(enrollDraft(gallery, `p${person}`, [faces.face(person), faces.face(person)]));
        if (person === 30) await index.enroll(enrollDraft(gallery, 'gone', vectors.slice(0, 2), { label }));
      }
      await index.enroll(enrollDraft(gallery, 'gone', vectors.slice(2)));
      await index.updateIdentity({ gallery, identity: 'gone', attributes: { note: 'some note on them' } });
      await index.settle();
      await index.checkpoint();
      const before = filesWith(path, vectors, [label]);
      assert.ok(
        before.includes('data.lmdb') && before.some((name) => name.endsWith('.graph')),
        'the search can find them',
      );

      const answer = await index.eraseIdentity(gallery, 'gone', { prove: true });
      assert.equal(answer.templatesErased, 3);
      assert.equal(answer.overwritten, true);
      assert.equal(answer.proof?.remainsFound, 0);
      assert.equal(answer.proof.keyDestroyed, null);
      assert.ok(answer.proof.filesScanned >= 3 && answer.proof.bytesScanned > 100_000);
      assert.deepEqual(filesWith(path, vectors, [label, 'some note on them']), []);

      for (let person = 0; person < 60; person++)
        assert.equal(index.getIdentity(gallery, `p${person}`).templates.length, 2);
      await index.close();
      assert.deepEqual(filesWith(path, vectors, [label]), []);
      const again = await open(path, 16);
      assert.equal((await again.stats())[0]?.graph.openedFrom, 'checkpoint');
      const exported = Array.from(again.exportTemplates(gallery));
      assert.equal(exported.length, 120);
      await again.close();
    });
  });

  it('leaves nothing of anybody when a gallery is deleted', async () => {
    await inTemporaryFolder(async (path) => {
      const faces = makeFaces(randomFrom(42), { dimensions });
      const index = await open(path, 16);
      await index.createGallery(galleryDraft(gallery, dimensions, { duplicates: 'ignore' }));
      await index.createGallery(galleryDraft('other', dimensions));
      const vectors = Array.from({ length: 40 }, (_, person) => faces.face(person));
      for (const [person, vector] of vectors.entries())
        await index.enroll(enrollDraft(gallery, `p${person}`, [vector]));
      await index.enroll(enrollDraft('other', 'stays', [faces.face(100)]));
      await index.settle();
      await index.checkpoint();
      assert.ok(filesWith(path, vectors, []).length >= 2);
      await index.deleteGallery(gallery);
      assert.deepEqual(filesWith(path, vectors, []), []);
      assert.equal(index.getIdentity('other', 'stays').templates.length, 1);
      await index.close();
    });
  });

  it('waits for an export that began before, which still sees everybody', async () => {
    await inTemporaryFolder(async (path) => {
      const faces = makeFaces(randomFrom(43), { dimensions });
      const index = await open(path);
      await index.createGallery(galleryDraft(gallery, dimensions, { duplicates: 'ignore' }));
      for (let person = 0; person < 50; person++) {
        await index.enroll(enrollDraft(gallery, `p${person}`, [faces.face(person)]));
      }
      const exporting = index.exportTemplates(gallery)[Symbol.iterator]();
      assert.equal(exporting.next().value?.identity.identity, 'p0');
      let erased = false;
      const erasing = index.eraseIdentity(gallery, 'p49').then((answer) => {
        erased = true;
        return answer;
      });
      // An erasure of somebody who is not there waits for nothing: when it answers, the other one is past its transaction.
      while (index.getGallery(gallery).identityCount === 50) await index.eraseIdentity(gallery, 'nobody');
      const rest: string[] = [];
      for (let next = exporting.next(); !next.done; next = exporting.next()) rest.push(next.value.identity.identity);
      assert.equal(erased, false);
      assert.ok(rest.includes('p49') && rest.length === 49);
      assert.equal((await erasing).overwritten, true);
      await index.close();
    });
  });

  it('leaves what a thread still reads in a snapshot of its own, waits for it for a while, and comes back to it', async () => {
    await inTemporaryFolder(async (path) => {
      const faces = makeFaces(randomFrom(44), { dimensions });
      const index = await open(path);
      await index.createGallery(galleryDraft(gallery, dimensions, { duplicates: 'ignore' }));
      const vectors = Array.from({ length: 50 }, (_, person) => faces.face(person));
      for (const [person, vector] of vectors.entries())
        await index.enroll(enrollDraft(gallery, `p${person}`, [vector]));
      // As threads do that search: a handle of one's own on the same environment.
      const reading = openLmdbStore({ path, readOnly: true });
      const templatesOf = (reader: StoreReader): number =>
        Array.from(reader.range('templates', ...ranges.all())).length;
      const lasting = reading.snapshot();
      assert.equal((await index.eraseIdentity(gallery, 'p7')).overwritten, false);
      assert.deepEqual([templatesOf(lasting), templatesOf(reading)], [50, 49]);
      assert.ok(filesWith(path, [vectors[7] as UnitVector], []).length > 0);
      lasting.release();

      const short = reading.snapshot();
      let isErased = false;
      const erasing = index.eraseIdentity(gallery, 'p8').finally(() => (isErased = true));
      await sleep(200);
      assert.deepEqual([isErased, templatesOf(short)], [false, 49]);
      short.release();
      assert.equal((await erasing).overwritten, true);
      assert.deepEqual(filesWith(path, vectors.slice(7, 9), []), []);
      await reading.close();
      await index.close();
    });
  });

  it('gives receipts that name nobody, each chained to the one before, and again when it is repeated', async () => {
    await inTemporaryFolder(async (path) => {
      const faces = makeFaces(randomFrom(44), { dimensions });
      let now = 1_800_000_000_000;
      const index = await openIdentityIndex({ path, clock: () => now });
      await index.createGallery(galleryDraft(gallery, dimensions));
      await index.createGallery(galleryDraft('other', dimensions));
      const receipts: Receipt[] = [];
      for (const [name, person] of [
        [gallery, 1],
        ['other', 2],
        [gallery, 3],
      ] as const) {
        now += 1_000;
        await index.enroll(enrollDraft(name, `p${person}`, [faces.face(person)]));
        const { receipt } = await index.eraseIdentity(name, `p${person}`);
        assert.ok(receipt);
        assert.deepEqual((await index.eraseIdentity(name, `p${person}`)).receipt, receipt);
        receipts.push(receipt);
      }
      assert.equal((await index.eraseIdentity(gallery, 'never there')).receipt, null);
      let previous = '0'.repeat(64);
      for (const [i, receipt] of receipts.entries()) {
        const person = i + 1;
        const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
        const identityDigest = sha256(`harmonid identity\np${person}`);
        const sequence = i === 2 ? 4 : 2;
        const at = 1_800_000_000_000 + person * 1_000;
        const text = JSON.stringify([person, at, i === 1 ? 2 : 1, identityDigest, 1, sequence, previous]);
        assert.deepEqual(receipt, {
          number: person,
          at: new Date(at),
          identityDigest,
          templateCount: 1,
          sequence,
          previous,
          digest: sha256(`harmonid receipt\n${text}`),
        });
        previous = receipt.digest;
      }
      await index.close();
    });
  });

  it('keeps people and their images from coming back with an import, until they are enrolled on purpose', async () => {
    await inTemporaryFolder(async (path) => {
      const faces = makeFaces(randomFrom(45), { dimensions });
      const index = await open(path);
      await index.createGallery(galleryDraft(gallery, dimensions, { duplicates: 'ignore' }));
      await index.createGallery(galleryDraft('other', dimensions, { duplicates: 'ignore' }));
      const photo = withDigest(faces.face(1), 'photo of alice');
      const another = withDigest(faces.face(1), 'another photo of alice');
      const draft = { gallery, identity: 'alice', templates: [photo] };
      await index.enroll(draft);
      await index.eraseIdentity(gallery, 'alice');
      const imported = { unlessErased: true };
      await assert.rejects(index.enroll({ ...draft, ...imported }), { code: 'IDENTITY_ERASED' });
      await assert.rejects(index.enroll({ ...draft, templates: [another], ...imported }), { code: 'IDENTITY_ERASED' });
      await assert.rejects(index.enroll({ ...draft, identity: 'a. smith', ...imported }), { code: 'IDENTITY_ERASED' });
      assert.equal((await index.enroll({ ...draft, gallery: 'other', ...imported })).created, true);
      assert.equal(index.getGallery(gallery).templateCount, 0);

      assert.equal((await index.enroll({ ...draft, templates: [another] })).created, true);
      assert.equal((await index.enroll({ ...draft, templates: [another], ...imported })).created, false);
      await assert.rejects(
        index.enroll({ ...draft, ...imported }),
        { code: 'IDENTITY_ERASED' },
        'that photo stays listed',
      );
      await index.close();
    });
  });

  it('forgets what idempotent answers told of somebody, and does not enroll them again by a retry', async () => {
    await inTemporaryFolder(async (path) => {
      const faces = makeFaces(randomFrom(46), { dimensions });
      const index = await open(path);
      await index.createGallery(galleryDraft(gallery, dimensions, { duplicates: 'report' }));
      await index.enroll(enrollDraft(gallery, 'first', [faces.face(1)]));
      const idempotency = { key: 'k', digest: 'd' };
      const draft = enrollDraft(gallery, 'second', [faces.face(1)], { idempotency });
      assert.deepEqual(
        (await index.enroll(draft)).duplicates.map(({ identity }) => identity),
        ['first'],
      );
      await index.eraseIdentity(gallery, 'first');
      const replayed = await index.enroll(draft);
      assert.deepEqual([replayed.replayed, replayed.duplicates], [true, []]);
      await index.eraseIdentity(gallery, 'second');
      await assert.rejects(index.enroll(draft), { code: 'IDENTITY_ERASED' });
      assert.equal(index.getGallery(gallery).identityCount, 0);
      await index.close();
    });
  });
});
