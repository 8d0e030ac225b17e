/**
 * Method: a gallery is moved from one space to another and back by the index's own calls, in the clear and encrypted, and looked at from
 * outside in every state: searches in both spaces against a plain list, checks, another opening, the bytes of the files after an erasure.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { keys, markCodec } from '../../src/index/codec.js';
import {
  checkDirectory,
  openIdentityIndex,
  type IdentityIndex,
  type IdentityIndexOptions,
  type TemplateDraft,
} from '../../src/index/identity-index.js';
import { openLmdbStore } from '../../src/index/lmdb-store.js';
import type { UnitVector } from '../../src/vector.js';
import { makeFaces, randomFrom } from './faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder, templateDraft, testSpace } from './folders.js';

const gallery = 'lobby';
const [from, to] = [makeFaces(randomFrom(71)), makeFaces(randomFrom(72), { dimensions: 48 })];
const toSpace = 'other-net:1';
const lane = { space: toSpace, dimensions: to.dimensions, threshold: 0.05, thresholdSource: 'set by the test' };

function both(person: number): TemplateDraft {
  return {
    ...templateDraft(from.face(person)),
    beside: { vector: to.face(person), space: toSpace, origin: 'native' },
  };
}

async function open(path: string, more: Partial<IdentityIndexOptions> = {}): Promise<IdentityIndex> {
  return openIdentityIndex({ path, exactMax: 8, checkpointEvery: 1_000_000, ...more });
}

async function found(index: IdentityIndex, space: string, probe: UnitVector): Promise<string | undefined> {
  const { candidates, decision } = await index.search({ gallery, space, probe, k: 3, exact: false, ef: 64 });
  return decision === 'match' ? candidates[0]?.identity : undefined;
}

/** Gives every template that has none a vector beside. */
async function fill(index: IdentityIndex): Promise<number> {
  let filled = 0;
  for (let after: Uint8Array | null = null, more = true; more;) {
    const { templates, next } = index.templatesAfter(gallery, after, 7);
    const missing = templates.filter(({ beside }) => beside === null);
    const entries = missing.map(({ owner, template }) => ({
      owner,
      template,
      vector: to.face(owner),
      origin: 'mapped' as const,
    }));
    filled += await index.fillLane(gallery, toSpace, entries);
    after = next;
    more = next !== null;
  }
  return filled;
}

async function assertSound(path: string, encryption?: IdentityIndexOptions['encryption']): Promise<void> {
  const findings: string[] = [];
  for await (const { message } of checkDirectory({ path, encryption })) findings.push(message);
  assert.deepEqual(findings, []);
}

describe('lanes', () => {
  for (const [how, options] of [
    ['in the clear', {}],
    ['encrypted', { encryption: { key: Buffer.alloc(32, 7) } }],
  ] as const) {
    it(`move a gallery to another space and back, ${how}`, async () => {
      await inTemporaryFolder(async (path) => {
        let index = await open(path, options);
        const reopen = async (): Promise<void> => {
          await index.close();
          await assertSound(path, options.encryption);
          index = await open(path, options);
        };
        await index.createGallery(galleryDraft(gallery, from.dimensions));
        for (let person = 0; person < 30; person++) {
          await index.enroll(enrollDraft(gallery, `p${person}`, [from.face(person), from.face(person)]));
        }
        await assert.rejects(index.search({ gallery, space: toSpace, probe: to.face(1), k: 1, exact: true, ef: 8 }), {
          code: 'SPACE_MISMATCH',
        });
        await index.move(gallery, { lanes: [{ kind: 'open', lane }], documents: { state: Buffer.from('shadow') } });
        await assert.rejects(index.move(gallery, { lanes: [{ kind: 'switch', space: toSpace }] }), {
          code: 'ROLLOUT_STATE',
        });
        // Whoever comes and goes meanwhile does so in both.
        await index.enroll({ gallery, identity: 'new', templates: [both(100)] });
        assert.equal(await found(index, toSpace, to.face(100)), 'new');
        await index.removeTemplate(gallery, 'p1', 3);
        await index.eraseIdentity(gallery, 'p2');
        await reopen();
        assert.equal(await fill(index), 30 * 2 - 1 - 2);
        assert.equal(await fill(index), 0);
        assert.equal(index.getGallery(gallery).beside?.templateCount, index.getGallery(gallery).templateCount);
        for (const person of [0, 1, 29]) {
          assert.equal(await found(index, testSpace, from.face(person)), `p${person}`);
          assert.equal(await found(index, toSpace, to.face(person)), `p${person}`);
        }
        await index.settle();
        await reopen();
        const moved = await index.move(gallery, {
          lanes: [{ kind: 'switch', space: toSpace }],
          documents: { state: Buffer.from('active') },
        });
        assert.deepEqual([moved.space, moved.dimensions, moved.beside?.space], [toSpace, to.dimensions, testSpace]);
        assert.equal(index.document(gallery, 'state')?.toString(), 'active');
        await index.enroll({ gallery, identity: 'later', templates: [both(101)] });
        await reopen();
        assert.equal(await found(index, toSpace, to.face(101)), 'later');
        assert.equal(await found(index, testSpace, from.face(101)), 'later');
        assert.equal(index.document(gallery, 'state')?.toString(), 'active');
        await index.move(gallery, { lanes: [{ kind: 'switch', space: testSpace }] });
        assert.equal(await found(index, testSpace, from.face(5)), 'p5');
        await index.move(gallery, { lanes: [{ kind: 'drop', space: toSpace }], documents: { state: null } });
        await assert.rejects(index.search({ gallery, space: toSpace, probe: to.face(1), k: 1, exact: true, ef: 8 }), {
          code: 'SPACE_MISMATCH',
        });
        assert.equal(index.document(gallery, 'state'), undefined);
        await reopen();
        assert.equal(await found(index, testSpace, from.face(29)), 'p29');
        // A lane is numbered anew, so that what is left of an old one is never taken for it.
        await index.move(gallery, { lanes: [{ kind: 'open', lane }] });
        assert.equal(await fill(index), index.getGallery(gallery).templateCount);
        await reopen();
        await index.close();
      });
    });
  }

  it('refuse to open twice, or in the space that serves, and leave nothing of it', async () => {
    await inTemporaryFolder(async (path) => {
      const index = await open(path);
      await index.createGallery(galleryDraft(gallery, from.dimensions));
      const refused = (space: string): Promise<void> =>
        assert.rejects(
          index.move(gallery, {
            lanes: [{ kind: 'open', lane: { ...lane, space } }],
            documents: { a: Buffer.from('b') },
          }),
          {
            code: 'ROLLOUT_STATE',
          },
        );
      await refused(testSpace);
      assert.equal(index.document(gallery, 'a'), undefined);
      await index.move(gallery, { lanes: [{ kind: 'open', lane }] });
      await refused('third-net:1');
      await index.enroll({ gallery, identity: 'p', templates: [both(1)] });
      assert.equal(await found(index, toSpace, to.face(1)), 'p');
      await index.close();
      await assertSound(path);
    });
  });

  it('an enrolment that was prepared before a switch holds after it', async () => {
    await inTemporaryFolder(async (path) => {
      const index = await open(path);
      await index.createGallery(galleryDraft(gallery, from.dimensions));
      await index.move(gallery, { lanes: [{ kind: 'open', lane }] });
      const draft = both(3);
      const [, enrolment] = await Promise.all([
        index.move(gallery, { lanes: [{ kind: 'switch', space: toSpace }] }),
        index.enroll({ gallery, identity: 'late', templates: [draft] }),
      ]);
      assert.equal(enrolment.templates[0]?.space, toSpace);
      assert.equal(await found(index, testSpace, from.face(3)), 'late');
      assert.equal(await found(index, toSpace, to.face(3)), 'late');
      await index.close();
    });
  });

  it('what was left of a dropped lane goes at the next opening', async () => {
    await inTemporaryFolder(async (path) => {
      let index = await open(path);
      await index.createGallery(galleryDraft(gallery, from.dimensions));
      await index.move(gallery, { lanes: [{ kind: 'open', lane }] });
      for (let person = 0; person < 20; person++)
        await index.enroll({ gallery, identity: `p${person}`, templates: [both(person)] });
      await index.move(gallery, { lanes: [{ kind: 'drop', space: toSpace }] });
      await index.close();
      const store = openLmdbStore({ path, readOnly: false });
      const [some] = store.range('templates', Buffer.alloc(1), Buffer.alloc(20, 0xff));
      assert.ok(some);
      // As a process leaves it that dies while it clears.
      const left = keys.template(1, 0, 1, 1);
      await store.write((writer) => {
        writer.put('templates', left, some.value);
        writer.put('meta', keys.drop(1, 1), markCodec.encode(keys.drop(1, 1), {}));
      });
      await store.close();
      await assertSound(path);
      index = await open(path);
      await index.close();
      const after = openLmdbStore({ path, readOnly: true });
      assert.equal(after.get('templates', left), undefined);
      assert.equal(after.get('meta', keys.drop(1, 1)), undefined);
      await after.close();
    });
  });

  it('a template is replaced under a new number', async () => {
    await inTemporaryFolder(async (path) => {
      const index = await open(path);
      await index.createGallery(galleryDraft(gallery, from.dimensions));
      await index.enroll(enrollDraft(gallery, 'p', [from.face(1)]));
      await index.move(gallery, { lanes: [{ kind: 'open', lane }] });
      const [{ owner, template } = { owner: -1, template: -1 }] = index.templatesAfter(gallery, null, 5).templates;
      const number = await index.replaceTemplate(gallery, owner, template, both(1));
      assert.equal(number, template + 1);
      assert.deepEqual(
        index.getIdentity(gallery, 'p').templates.map((one) => one.template),
        [number],
      );
      assert.equal(index.templatesAfter(gallery, null, 5).templates[0]?.beside?.origin, 'native');
      assert.equal(await index.replaceTemplate(gallery, owner, template, both(1)), null);
      assert.equal(await found(index, toSpace, to.face(1)), 'p');
      await index.close();
      await assertSound(path);
    });
  });

  it('distances by origin are calibrated, and decide who is nearest', async () => {
    await inTemporaryFolder(async (path) => {
      const index = await open(path);
      await index.createGallery(galleryDraft(gallery, from.dimensions));
      for (const person of [1, 2]) await index.enroll(enrollDraft(gallery, `p${person}`, [from.face(person)]));
      const wide = makeFaces(randomFrom(73), { dimensions: to.dimensions, spread: 0.3 });
      const probe = wide.face(1);
      const near = wide.face(1);
      await index.move(gallery, { lanes: [{ kind: 'open', lane: { ...lane, threshold: 0.2 } }] });
      const { templates } = index.templatesAfter(gallery, null, 5);
      const entries = templates.map(({ owner, template }) => ({
        owner,
        template,
        vector: near,
        origin: 'mapped' as const,
      }));
      await index.fillLane(gallery, toSpace, entries.slice(0, 1));
      await index.replaceTemplate(gallery, templates[1]?.owner ?? -1, templates[1]?.template ?? -1, {
        ...templateDraft(from.face(2)),
        beside: { vector: wide.face(1), space: toSpace, origin: 're-embedded' },
      });
      const search = async () =>
        (await index.search({ gallery, space: toSpace, probe, k: 2, exact: true, ef: 8 })).candidates;
      const raw = new Map((await search()).map(({ identity, distance }) => [identity, distance]));
      // Mapped distances are worth half, which puts them first whatever they were, or twice.
      for (const [factor, first] of [
        [0.5, 'p1'],
        [1.9, 'p2'],
      ] as const) {
        const knots = [[2, 2 * factor]] as const;
        await index.move(gallery, {
          lanes: [{ kind: 'set', space: toSpace, settings: { calibration: { mapped: knots } } }],
        });
        const ranked = await search();
        assert.equal(ranked[0]?.identity, first);
        const mapped = ranked.find(({ identity }) => identity === 'p1')?.distance ?? 0;
        assert.ok(Math.abs(mapped - (raw.get('p1') ?? 0) * factor) < 1e-6);
        assert.equal(ranked.find(({ identity }) => identity === 'p2')?.distance, raw.get('p2'));
        const verified = index.verify({ gallery, space: toSpace, identity: 'p1', probe });
        assert.ok(Math.abs(verified.distance - mapped) < 1e-6);
      }
      await index.close();
    });
  });
});

describe('pairs', () => {
  for (const [how, options] of [
    ['in the clear', {}],
    ['encrypted', { encryption: { key: Buffer.alloc(32, 7) } }],
  ] as const) {
    it(`are kept, told, limited, and go with whoever is erased, ${how}`, async () => {
      await inTemporaryFolder(async (path) => {
        let nowMs = 1_000;
        const index = await open(path, { ...options, clock: () => nowMs });
        await index.createGallery(galleryDraft(gallery, from.dimensions));
        await index.enroll(enrollDraft(gallery, 'enrolled', [from.face(1)]));
        const pair = (person: string | null, number: number, source: 'photos' | 'probe' = 'photos') => ({
          person,
          source,
          imageDigest: number.toString(16).padStart(64, '0'),
          from: { space: testSpace, vector: from.face(number) },
          to: { space: toSpace, vector: to.face(number) },
        });
        const enrolled = pair('enrolled', 1);
        const guest = pair('guest', 2);
        assert.equal(await index.addPairs(gallery, [enrolled, guest, pair('guest', 3), pair(null, 4, 'probe')]), 4);
        assert.equal(await index.addPairs(gallery, [enrolled, guest]), 0, 'of an image that is there');
        const kept = Array.from(index.pairs(gallery, testSpace, toSpace));
        assert.deepEqual(
          kept.map(({ owner, source }) => [owner, source]),
          [
            [0, 'photos'],
            [1, 'photos'],
            [1, 'photos'],
            [2, 'probe'],
          ],
        );
        assert.deepEqual(kept[0]?.from, enrolled.from.vector);
        assert.deepEqual(kept[0]?.to, enrolled.to.vector);
        assert.deepEqual([...index.pairs(gallery, testSpace, 'third-net:1')], []);

        for (const [person, vectors] of [
          ['enrolled', [enrolled.from.vector, enrolled.to.vector]],
          ['guest', [guest.from.vector, guest.to.vector]],
        ] as const) {
          const { existed, proof, overwritten } = await index.eraseIdentity(gallery, person, { prove: true });
          assert.deepEqual([existed, overwritten, proof?.remainsFound], [true, true, 0]);
          for (const { name, parentPath } of readdirSync(path, { recursive: true, withFileTypes: true })) {
            if (!name.endsWith('.lmdb')) continue;
            const bytes = readFileSync(join(parentPath, name));
            for (const vector of vectors)
              assert.ok(!bytes.includes(Buffer.from(vector.buffer).subarray(0, 32)), person);
          }
          assert.equal((await index.eraseIdentity(gallery, person)).existed, false);
        }
        assert.equal(await index.addPairs(gallery, [enrolled, guest, pair('guest', 9)]), 0, 'of the erased');
        assert.deepEqual(
          Array.from(index.pairs(gallery, testSpace, toSpace), ({ owner }) => owner),
          [2],
        );
        nowMs = 2_000;
        await index.addPairs(gallery, [pair(null, 5, 'probe')]);
        assert.equal(await index.removePairs(gallery, { source: 'probe', before: 1_500 }), 1);
        assert.equal([...index.pairs(gallery, testSpace, toSpace)].length, 1);
        await index.close();
        await assertSound(path, options.encryption);
      });
    });
  }
});
