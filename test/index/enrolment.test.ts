/**
 * Method: a real index in a temporary folder; each rule of enrolment, search and erasure by itself, expected values from the rule. After
 * each test the folder is opened again and compared with what the test says should be there.
 */
import assert from 'node:assert/strict';
import { setImmediate as immediate } from 'node:timers/promises';
import { describe, it } from 'mocha';
import { asHarmonidError } from '../../src/errors.js';
import { openIdentityIndex, type IdentityIndex, type IdentityIndexOptions } from '../../src/index/identity-index.js';
import { squaredDistance } from '../../src/vector.js';
import { makeFaces, randomFrom } from './faces.js';
import { enrollDraft, galleryDraft, inTemporaryFolder, templateDraft, testSpace } from './folders.js';

const gallery = 'lobby';
const faces = makeFaces(randomFrom(21));

/** Opens an index with one gallery, and afterwards checks that exactly these identities with so many templates are stored. */
async function withIndex(
  work: (index: IdentityIndex) => Promise<Record<string, number>>,
  options: Partial<IdentityIndexOptions> = {},
): Promise<void> {
  await inTemporaryFolder(async (path) => {
    const index = await openIdentityIndex({ path, durability: 'committed', ...options });
    await index.createGallery(galleryDraft(gallery, faces.dimensions));
    const expected = await work(index);
    await index.close();
    const reopened = await openIdentityIndex({ path });
    const stored = reopened
      .listIdentities({ gallery, limit: 10_000 })
      .map((each) => [each.identity, each.templates.length]);
    assert.deepEqual(Object.fromEntries(stored), expected);
    await reopened.close();
  });
}

const search = (index: IdentityIndex, probe: ReturnType<typeof faces.face>, more: object = {}) =>
  index.search({ gallery, space: testSpace, probe, k: 5, exact: false, ef: 64, ...more });

describe('enrolment', () => {
  it('makes the identity, keeps what is not given, replaces what is', async () => {
    await withIndex(async (index) => {
      const first = await index.enroll(
        enrollDraft(gallery, 'alice', [faces.face(1)], {
          label: 'Alice',
          groups: ['staff'],
          attributes: { badge: '7' },
        }),
      );
      assert.deepEqual([first.created, first.sequence, first.templates.length, first.replayed], [true, 1, 1, false]);
      const second = await index.enroll(
        enrollDraft(gallery, 'alice', [faces.face(1), faces.face(1)], { groups: ['night'] }),
      );
      assert.deepEqual([second.created, second.sequence], [false, 2]);
      assert.deepEqual(
        second.templates.map(({ template }) => template),
        [2, 3],
      );
      const { label, groups, attributes, version, templates } = index.getIdentity(gallery, 'alice');
      assert.deepEqual([label, groups, attributes, version], ['Alice', ['night'], { badge: '7' }, 2]);
      assert.deepEqual(
        templates.map(({ template, space, origin }) => [template, space, origin]),
        [1, 2, 3].map((n) => [n, testSpace, 'native']),
      );
      return { alice: 3 };
    });
  });

  it('refuses a vector of another space, naming both', async () => {
    await withIndex(async (index) => {
      const draft = { gallery, identity: 'a', templates: [{ ...templateDraft(faces.face(1)), space: 'other-net:2' }] };
      await assert.rejects(index.enroll(draft), (error: Error & { code: string }) => {
        assert.equal(error.code, 'SPACE_MISMATCH');
        assert.match(error.message, /other-net:2/);
        assert.match(error.message, /test-net:1/);
        return true;
      });
      await assert.rejects(search(index, faces.face(1), { space: 'other-net:2' }), { code: 'SPACE_MISMATCH' });
      return {};
    });
  });

  it('refuses more templates than the gallery allows, and then writes none of them', async () => {
    await withIndex(async (index) => {
      await index.updateGallery(gallery, { templatesPerIdentityMax: 2 });
      await index.enroll(enrollDraft(gallery, 'a', [faces.face(1)]));
      await assert.rejects(index.enroll(enrollDraft(gallery, 'a', [faces.face(1), faces.face(1)])), {
        code: 'LIMIT_EXCEEDED',
      });
      return { a: 1 };
    });
  });

  it('finds a face that is enrolled under another name: refuse, report, ignore', async () => {
    await withIndex(async (index) => {
      await index.enroll(enrollDraft(gallery, 'alice', [faces.face(1)], { label: 'Alice' }));
      const probe = faces.face(1);
      await assert.rejects(
        index.enroll(enrollDraft(gallery, 'bob', [faces.face(2), probe])),
        (error: Error & { code: string; details: { candidates: { identity: string }[] } }) => {
          assert.equal(error.code, 'DUPLICATE_FACE');
          assert.deepEqual(
            error.details.candidates.map(({ identity }) => identity),
            ['alice'],
          );
          return true;
        },
      );
      const reported = await index.enroll(enrollDraft(gallery, 'bob', [probe], { duplicates: 'report' }));
      const stored = Array.from(index.exportTemplates(gallery)).find(({ identity }) => identity.identity === 'alice');
      assert.ok(stored);
      assert.deepEqual(reported.duplicates, [
        { identity: 'alice', label: 'Alice', groups: [], distance: squaredDistance(probe, stored.vector), template: 1 },
      ]);
      const ignored = await index.enroll(enrollDraft(gallery, 'carol', [faces.face(1)], { duplicates: 'ignore' }));
      assert.deepEqual(ignored.duplicates, []);
      // A second photo of the same person is no duplicate of the first.
      await index.enroll(enrollDraft(gallery, 'dora', [faces.face(4)]));
      await index.enroll(enrollDraft(gallery, 'dora', [faces.face(4)]));
      return { alice: 1, bob: 1, carol: 1, dora: 2 };
    });
  });

  it('lets exactly one of many concurrent enrolments of a face under different names win', async () => {
    await withIndex(async (index) => {
      const people = Array.from({ length: 12 }, (_, person) => person);
      const attempts = people.flatMap((person) => [0, 1, 2, 3].map((rival) => ({ person, rival })));
      const results = await Promise.allSettled(
        attempts.map(({ person, rival }) =>
          index.enroll(enrollDraft(gallery, `${person}-${rival}`, [faces.face(person)])),
        ),
      );
      const winners = attempts.filter((_, i) => results[i]?.status === 'fulfilled');
      assert.deepEqual(
        winners.map(({ person }) => person).toSorted((a, b) => a - b),
        people,
      );
      for (const result of results) {
        if (result.status === 'rejected') assert.equal(result.reason.code, 'DUPLICATE_FACE');
      }
      return Object.fromEntries(winners.map(({ person, rival }) => [`${person}-${rival}`, 1]));
    });
  });

  it('lets a face be enrolled again as soon as its erasure was asked for before', async () => {
    await withIndex(async (index) => {
      await index.enroll(enrollDraft(gallery, 'old', [faces.face(1)]));
      const [erased, enrolled] = await Promise.all([
        index.eraseIdentity(gallery, 'old'),
        index.enroll(enrollDraft(gallery, 'new', [faces.face(1)])),
      ]);
      assert.deepEqual([erased.existed, enrolled.created], [true, true]);
      return { new: 1 };
    });
  });

  it('answers a retry with the first answer, for 24 hours, and refuses the key for another request', async () => {
    let nowMs = 1_700_000_000_000;
    await withIndex(
      async (index) => {
        const draft = enrollDraft(gallery, 'a', [faces.face(1)], { idempotency: { key: 'retry-1', digest: 'x' } });
        const first = await index.enroll(draft);
        const { idempotency } = draft;
        assert.ok(idempotency);
        assert.deepEqual(await index.enroll(draft), { ...first, replayed: true });
        assert.deepEqual(await index.findEnrolment(gallery, idempotency), { ...first, replayed: true });
        const other = { key: 'retry-1', digest: 'y' };
        await assert.rejects(index.enroll({ ...draft, idempotency: other }), { code: 'IDEMPOTENCY_CONFLICT' });
        await assert.rejects(index.findEnrolment(gallery, other), { code: 'IDEMPOTENCY_CONFLICT' });
        nowMs += 24 * 60 * 60 * 1000 - 1;
        assert.equal((await index.enroll(draft)).replayed, true);
        nowMs += 1;
        assert.equal(await index.findEnrolment(gallery, idempotency), undefined);
        assert.equal((await index.enroll({ ...draft, idempotency: other })).replayed, false);
        return { a: 2 };
      },
      { clock: () => nowMs },
    );
  });

  it('answers one of two concurrent retries from the other', async () => {
    await withIndex(async (index) => {
      const draft = enrollDraft(gallery, 'a', [faces.face(1)], { idempotency: { key: 'k', digest: 'x' } });
      const answers = await Promise.all([index.enroll(draft), index.enroll(draft), index.enroll(draft)]);
      assert.deepEqual(answers.map(({ replayed }) => replayed).toSorted(), [false, true, true]);
      assert.equal(new Set(answers.map(({ sequence }) => sequence)).size, 1);
      return { a: 1 };
    });
  });

  it('does not begin when the caller has given up', async () => {
    await withIndex(async (index) => {
      const signal = AbortSignal.abort();
      await assert.rejects(index.enroll(enrollDraft(gallery, 'a', [faces.face(1)], { signal })), { code: 'CANCELLED' });
      await assert.rejects(search(index, faces.face(1), { signal }), { code: 'CANCELLED' });
      return {};
    });
  });
});

describe('galleries', () => {
  it('makes the same one twice without harm, and says what differs of another', async () => {
    await withIndex(async (index) => {
      const draft = galleryDraft(gallery, faces.dimensions);
      assert.equal((await index.createGallery(draft)).gallery, gallery);
      await assert.rejects(index.createGallery({ ...draft, threshold: 0.3 }), /threshold 0.05, the request says 0.3/);
      const both = await Promise.all([
        index.createGallery({ ...draft, gallery: 'b' }),
        index.createGallery({ ...draft, gallery: 'b' }),
      ]);
      assert.deepEqual(both[0], both[1]);
      assert.deepEqual(
        index.listGalleries().map((each) => each.gallery),
        ['b', gallery],
      );
      await assert.rejects(index.enroll(enrollDraft('nowhere', 'a', [faces.face(1)])), { code: 'GALLERY_NOT_FOUND' });
      assert.equal(index.findGallery('nowhere'), undefined);
      return {};
    });
  });

  it('deletes one with everybody in it, and a new one of that name is empty', async () => {
    await withIndex(async (index) => {
      const draft = galleryDraft('second', faces.dimensions);
      await index.createGallery(draft);
      await index.enroll(enrollDraft('second', 'a', [faces.face(1)], { groups: ['g'] }));
      await index.enroll(enrollDraft(gallery, 'a', [faces.face(1)]));
      assert.equal(await index.deleteGallery('second'), true);
      assert.equal(await index.deleteGallery('second'), false);
      assert.throws(() => index.getIdentity('second', 'a'), { code: 'GALLERY_NOT_FOUND' });
      await index.createGallery(draft);
      assert.deepEqual(index.listIdentities({ gallery: 'second', limit: 10 }), []);
      const answer = await search(index, faces.face(1), { gallery: 'second', groups: ['g'] });
      assert.deepEqual([answer.candidates, answer.decision], [[], 'no-match']);
      return { a: 1 };
    });
  });

  it('tells whoever enrolls while it is deleted that it is gone, and nothing else', async () => {
    await withIndex(async (index) => {
      for (let round = 0; round < 10; round++) {
        await index.createGallery(galleryDraft('second', faces.dimensions, { duplicates: 'refuse' }));
        await index.enroll(enrollDraft('second', 'first', [faces.face(0)]));
        let isDeleted = false;
        const deletion = index.deleteGallery('second').finally(() => (isDeleted = true));
        const codes: Promise<string>[] = [];
        const giveUpMs = performance.now() + 10_000;
        for (let person = 1; !isDeleted && performance.now() < giveUpMs; person++) {
          const enrolment = index.enroll(enrollDraft('second', `late-${person}`, [faces.face(person)]));
          codes.push(
            enrolment.then(
              () => 'OK',
              (error: unknown) => asHarmonidError(error).code,
            ),
          );
          await immediate();
        }
        assert.ok(isDeleted, 'a deletion waits for whoever comes after it');
        assert.equal(await deletion, true);
        const others = new Set(await Promise.all(codes));
        others.delete('OK');
        assert.deepEqual([...others], ['GALLERY_NOT_FOUND']);
      }
      return {};
    });
  });

  it('goes also while checkpoints are asked for and figures are read', async () => {
    await withIndex(async (index) => {
      for (let round = 0; round < 10; round++) {
        await index.createGallery(galleryDraft('second', faces.dimensions));
        await index.enroll(enrollDraft('second', 'first', [faces.face(0)]));
        let isDeleted = false;
        const deletion = index.deleteGallery('second').finally(() => (isDeleted = true));
        const asked: Promise<unknown>[] = [];
        while (!isDeleted) {
          asked.push(index.checkpoint(), index.checkpoint(), index.stats());
          await immediate();
        }
        assert.equal(await deletion, true);
        await Promise.all(asked);
      }
      return {};
    });
  });

  it('changes settings while in use', async () => {
    await withIndex(async (index) => {
      const before = index.getGallery(gallery);
      const after = await index.updateGallery(gallery, { threshold: 0.5, description: 'front door' });
      assert.deepEqual(after, { ...before, threshold: 0.5, description: 'front door', sequence: before.sequence + 1 });
      assert.equal((await search(index, faces.face(1))).threshold, 0.5);
      assert.equal((await search(index, faces.face(1), { threshold: 0.1 })).threshold, 0.1);
      return {};
    });
  });
});

describe('answers', () => {
  it('are ambiguous when two people are within the threshold and the margin, also when only one is asked for', async () => {
    await withIndex(async (index) => {
      const probe = faces.face(1);
      await index.enroll(enrollDraft(gallery, 'a', [faces.face(1)]));
      await index.enroll(enrollDraft(gallery, 'b', [faces.face(1)], { duplicates: 'ignore' }));
      const wide = { k: 1, threshold: 4 };
      await index.updateGallery(gallery, { margin: 4 });
      const ambiguous = await search(index, probe, wide);
      assert.deepEqual([ambiguous.decision, ambiguous.candidates.length], ['ambiguous', 1]);
      await index.updateGallery(gallery, { margin: 0 });
      assert.equal((await search(index, probe, wide)).decision, 'match');
      await index.eraseIdentity(gallery, 'b');
      const alone = await search(index, probe, wide);
      assert.deepEqual([alone.decision, alone.margin], ['match', null]);
      return { a: 1 };
    });
  });

  it('list pages in UTF-8 byte order, with and without groups', async () => {
    await withIndex(async (index) => {
      const names = ['b', 'a', 'ab', 'Z', 'é', '漢', '\u{1f600}', '\uffee', 'a b'];
      await Promise.all(
        names.map((name, i) =>
          index.enroll(enrollDraft(gallery, name, [faces.face(i)], { groups: i % 2 ? ['odd'] : ['even'] })),
        ),
      );
      const bytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
      const pages = (groups?: string[]): string[] => {
        const seen: string[] = [];
        for (let after: string | undefined; ; after = seen.at(-1)) {
          const page = index.listIdentities({ gallery, after, limit: 2, groups });
          if (page.length === 0) return seen;
          seen.push(...page.map(({ identity }) => identity));
        }
      };
      assert.deepEqual(pages(), names.toSorted(bytes));
      assert.deepEqual(pages(['odd']), names.filter((_, i) => i % 2).toSorted(bytes));
      assert.deepEqual(pages(['odd', 'even']), names.toSorted(bytes));
      assert.deepEqual(pages(['none']), []);
      return Object.fromEntries(names.map((name) => [name, 1]));
    });
  });

  it('never hold a person whose erasure has returned, while searches and erasures run side by side', async () => {
    await withIndex(
      async (index) => {
        const people = Array.from({ length: 120 }, (_, person) => person);
        await Promise.all(
          people.map((person) =>
            index.enroll(
              enrollDraft(gallery, `p${person}`, [faces.face(person), faces.face(person)], { duplicates: 'ignore' }),
            ),
          ),
        );
        const erased = new Set<string>();
        let checked = 0;
        const searching = async (): Promise<void> => {
          while (erased.size < 60) {
            const before = new Set(erased);
            const answer = await search(index, faces.face(erased.size), { k: 10 });
            assert.equal(answer.candidates.length, 10);
            for (const { identity } of answer.candidates) assert.ok(!before.has(identity), identity);
            checked++;
          }
        };
        const erasing = async (): Promise<void> => {
          for (const person of people.slice(0, 60)) {
            await index.eraseIdentity(gallery, `p${person}`);
            erased.add(`p${person}`);
          }
        };
        await Promise.all([searching(), searching(), erasing()]);
        assert.ok(checked > 0);
        return Object.fromEntries(people.slice(60).map((person) => [`p${person}`, 2]));
      },
      { exactMax: 50 },
    );
  });
});
