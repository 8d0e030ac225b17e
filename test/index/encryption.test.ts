/**
 * Method: a directory's files are read as bytes and searched, by brute force, for every 16 bytes of every vector and for the labels; the same search in an
 * unencrypted directory finds them, so that it could. Keys are exchanged, damaged, moved and destroyed on real files.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { fineVectorBytes } from '../../src/engine/stored-vector.js';
import type { EncryptionOptions } from '../../src/index/index-api.js';
import { openIdentityIndex, rotateMasterKey, type IdentityIndex } from '../../src/index/identity-index.js';
import { keyIdOf, parseMasterKey, seal, unseal } from '../../src/index/sealing.js';
import type { UnitVector } from '../../src/vector.js';
import { makeFaces, randomFrom } from './faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder } from './folders.js';

const gallery = 'lobby';
const master = randomBytes(32);
const encryption: EncryptionOptions = { key: master };
const personCount = 40;

function facesOf(): UnitVector[][] {
  const faces = makeFaces(randomFrom(31), { dimensions: 24 });
  return Array.from({ length: personCount }, (_, person) => [faces.face(person), faces.face(person)]);
}

/** A graph from the start, so that its file is looked at, too. */
function open(path: string, options: EncryptionOptions | undefined): Promise<IdentityIndex> {
  return openIdentityIndex({ path, encryption: options, exactMax: 16, checkpointEvery: 1_000_000 });
}

async function fill(path: string, options: EncryptionOptions | undefined): Promise<void> {
  const index = await open(path, options);
  await index.createGallery(galleryDraft(gallery, 24, { duplicates: 'ignore' }));
  for (const [person, vectors] of facesOf().entries()) {
    const more = {
      label: `Label of number ${person}`,
      groups: ['staff'],
      attributes: { badge: `badge-${person}-of-many` },
    };
    await index.enroll(enrollDraft(gallery, `p${person}`, vectors, more));
  }
  await index.settle();
  await index.close();
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Names of what stands somewhere in the files in the clear. */
function inTheClear(folder: string): Set<string> {
  const found = new Set<string>();
  for (const file of filesIn(folder)) {
    const bytes = readFileSync(file);
    for (const [person, vectors] of facesOf().entries()) {
      if (bytes.includes(`Label of number ${person}`)) found.add('label');
      if (bytes.includes(`badge-${person}-of-many`)) found.add('attribute');
      for (const vector of vectors) {
        for (const needle of [Buffer.from(vector.buffer), fineVectorBytes(vector)]) {
          for (let at = 0; at + 16 <= needle.length; at += 4) {
            if (bytes.includes(needle.subarray(at, at + 16)))
              found.add(file.endsWith('.graph') ? 'vector in a graph' : 'vector');
          }
        }
      }
    }
  }
  return found;
}

async function assertAnswers(index: IdentityIndex, missing: readonly number[] = []): Promise<void> {
  for (const [person, vectors] of facesOf().entries()) {
    const [probe] = vectors;
    assert.ok(probe);
    const { candidates } = await index.search({ gallery, space: 'test-net:1', probe, k: 1, exact: false, ef: 64 });
    if (missing.includes(person)) assert.notEqual(candidates[0]?.identity, `p${person}`);
    else assert.deepEqual([candidates[0]?.identity, candidates[0]?.distance], [`p${person}`, 0]);
  }
  assert.equal(index.listIdentities({ gallery, limit: 1000 }).length, personCount - missing.length);
}

describe('encryption at rest', () => {
  it('leaves no vector, label or attribute in the clear, in any file, and answers the same after reopening', async () => {
    await inTemporaryFolder(async (path) => {
      await fill(path, undefined);
      assert.deepEqual([...inTheClear(path)].toSorted(), ['attribute', 'label', 'vector', 'vector in a graph']);
    });
    await inTemporaryFolder(async (path) => {
      await fill(path, encryption);
      assert.ok(filesIn(path).some((file) => file.endsWith('.graph')));
      assert.deepEqual([...inTheClear(path)], []);
      const index = await open(path, encryption);
      assert.equal((await index.stats())[0]?.graph.openedFrom, 'checkpoint');
      await assertAnswers(index);
      // Whose keys were made after the graphs' thread had begun to read.
      const faces = makeFaces(randomFrom(5), { dimensions: 24 });
      for (let person = 0; person < 300; person++)
        await index.enroll(enrollDraft(gallery, `later-${person}`, [faces.face(person)]));
      const probe = faces.face(300);
      await index.enroll(enrollDraft(gallery, 'last', [probe]));
      const { candidates } = await index.search({ gallery, space: 'test-net:1', probe, k: 1, exact: false, ef: 64 });
      assert.deepEqual([candidates[0]?.identity, candidates[0]?.distance], ['last', 0]);
      await index.close();
      assert.deepEqual([...inTheClear(path)], []);
    });
  });

  it('refuses to open without the key, with another one, and where there is nothing to decrypt', async () => {
    await inTemporaryFolder(async (path) => {
      await fill(path, encryption);
      const other = randomBytes(32);
      await assert.rejects(open(path, undefined), { code: 'KEY_REQUIRED' });
      await assert.rejects(open(path, { key: other }), (error: Error & { code: string }) => {
        assert.equal(error.code, 'KEY_WRONG');
        assert.ok(error.message.includes(keyIdOf(master)) && error.message.includes(keyIdOf(other)));
        return true;
      });
      await assert.rejects(open(path, { key: 'secret' }), { code: 'KEY_WRONG' });
      await (await open(path, { key: () => Promise.resolve(`${master.toString('hex')}\n`) })).close();
    });
    await inTemporaryFolder(async (path) => {
      await fill(path, undefined);
      await assert.rejects(open(path, encryption), { code: 'KEY_WRONG' });
      await (await open(path, undefined)).close();
    });
  });

  it('takes a master key as bytes, in hexadecimal and in base64, and nothing else', () => {
    for (const text of [master.toString('hex'), master.toString('base64'), `${master.toString('base64url')}\n`]) {
      assert.deepEqual(parseMasterKey(Buffer.from(text)), master);
    }
    assert.deepEqual(parseMasterKey(master), master);
    for (const wrong of ['', 'a', master.toString('hex').slice(2), `${master.toString('hex')}00`]) {
      assert.throws(() => parseMasterKey(Buffer.from(wrong)), { code: 'KEY_WRONG' });
    }
  });

  it('opens a sealed text with its key, in its place and unchanged only', () => {
    const place = Buffer.from('here');
    const sealed = seal(master, place, Buffer.from('somebody'));
    assert.equal(unseal(master, place, sealed)?.toString(), 'somebody');
    assert.equal(unseal(master, Buffer.from('there'), sealed), undefined);
    assert.equal(unseal(randomBytes(32), place, sealed), undefined);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(unseal(master, place, changed), undefined);
    }
    assert.equal(unseal(master, place, sealed.subarray(0, 20)), undefined);
  });

  it('says that keys are missing, damaged, or those of another directory, and loses nothing by it', async () => {
    await inTemporaryFolder(async (path) => {
      await inTemporaryFolder(async (otherPath) => {
        await fill(path, encryption);
        await fill(otherPath, encryption);
        cpSync(join(path, 'keys'), join(path, 'kept'), { recursive: true });
        const restore = (): void => {
          rmSync(join(path, 'keys'), { recursive: true, force: true });
          cpSync(join(path, 'kept'), join(path, 'keys'), { recursive: true });
        };
        rmSync(join(path, 'keys'), { recursive: true });
        await assert.rejects(open(path, encryption), { code: 'DATA_CORRUPT' });
        cpSync(join(otherPath, 'keys'), join(path, 'keys'), { recursive: true });
        await assert.rejects(open(path, encryption), { code: 'DATA_CORRUPT' });
        restore();
        const slots = filesIn(join(path, 'keys')).find((file) => file.endsWith('.keys')) ?? '';
        const bytes = readFileSync(slots);
        bytes[70] = (bytes[70] ?? 0) ^ 1;
        writeFileSync(slots, bytes);
        await assert.rejects(open(path, encryption), { code: 'DATA_CORRUPT' });
        restore();
        const index = await open(path, encryption);
        await assertAnswers(index);
        await index.close();
      });
    });
  });

  it('takes a new master key without writing a byte of the gallery, also while the directory is open', async () => {
    await inTemporaryFolder(async (path) => {
      await fill(path, encryption);
      const next = { key: randomBytes(32) };
      const digestOf = (name: string): string => createHash('sha256').update(readFileSync(name)).digest('hex');
      const others = filesIn(path).filter((file) => !file.endsWith('master.json'));
      const before = others.map(digestOf);
      await rotateMasterKey({ path, from: encryption, to: next });
      assert.deepEqual(others.map(digestOf), before);
      await assert.rejects(open(path, encryption), { code: 'KEY_WRONG' });
      await assert.rejects(rotateMasterKey({ path, from: encryption, to: next }), { code: 'KEY_WRONG' });

      const index = await open(path, next);
      await rotateMasterKey({ path, from: next, to: encryption });
      const [[first] = []] = facesOf();
      assert.ok(first);
      await index.enroll(enrollDraft(gallery, 'late', [first], { duplicates: 'ignore' }));
      await index.eraseIdentity(gallery, 'late');
      await index.close();
      const again = await open(path, encryption);
      await assertAnswers(again);
      await again.close();
    });
  });

  it('erases by destroying the key: an old copy of the data, with the keys of now, shows everybody else', async () => {
    await inTemporaryFolder(async (path) => {
      await fill(path, encryption);
      const copy = join(path, 'old-data');
      cpSync(join(path, 'data.lmdb'), copy);
      const index = await open(path, encryption);
      const erased = await index.eraseIdentity(gallery, 'p7', { prove: true });
      assert.equal(erased.existed, true);
      assert.deepEqual([erased.proof?.remainsFound, erased.proof?.keyDestroyed], [0, true]);
      await assertAnswers(index, [7]);
      await index.close();

      cpSync(copy, join(path, 'data.lmdb'));
      rmSync(copy);
      const old = await open(path, encryption);
      await assertAnswers(old, [7]);
      assert.equal(old.getGallery(gallery).identityCount, personCount - 1);
      assert.equal(old.getGallery(gallery).templateCount, 2 * (personCount - 1));
      assert.equal((await old.eraseIdentity(gallery, 'p7')).existed, false);
      await old.close();
    });
  });

  it('makes more keys as people come, and drops them with their gallery', async () => {
    await inTemporaryFolder(async (path) => {
      const index = await open(path, encryption);
      await index.createGallery(galleryDraft(gallery, 24, { duplicates: 'ignore' }));
      const faces = makeFaces(randomFrom(33), { dimensions: 24 });
      await Promise.all(
        Array.from({ length: 700 }, (_, person) =>
          index.enroll(enrollDraft(gallery, `p${person}`, [faces.face(person)])),
        ),
      );
      assert.equal(index.getIdentity(gallery, 'p699').templates.length, 1);
      await index.deleteGallery(gallery);
      assert.deepEqual(
        filesIn(join(path, 'keys')).filter((file) => file.endsWith('.keys')),
        [],
      );
      await index.close();
      await (await open(path, encryption)).close();
    });
  });
});
