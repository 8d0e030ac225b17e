/** Method: more pairs than a fit takes are put into a real index; what is asked of a fit is counted, and who is left out is left out as a whole. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { openIdentityIndex, type IdentityIndex } from '../../src/index/identity-index.js';
import { makeFitQuestion } from '../../src/migrate/fit-question.js';
import type { RolloutTarget } from '../../src/migrate/rollout.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { galleryDraft, inTemporaryFolder, testSpace } from '../index/folders.js';

const gallery = 'lobby';
const imagesEach = 4;
const faces = makeFaces(randomFrom(91));
const target = (space: string): RolloutTarget => ({
  pack: null,
  space,
  dimensions: faces.dimensions,
  threshold: 0.1,
});
const [from, to] = [target(testSpace), target('other-net:1')];

async function addPeople(index: IdentityIndex, first: number, count: number): Promise<void> {
  const pairs = Array.from({ length: count * imagesEach }, (_, i) => {
    const vector = faces.face(first + Math.floor(i / imagesEach));
    return {
      person: `person ${first + Math.floor(i / imagesEach)}`,
      source: 'photos',
      imageDigest: null,
      from: { space: from.space, vector },
      to: { space: to.space, vector },
    } as const;
  });
  for (let at = 0; at < pairs.length; at += 400) await index.addPairs(gallery, pairs.slice(at, at + 400));
}

describe('the question of a fit', function () {
  this.timeout(120_000);

  it('holds every pair, and of too many those of some of the people, the same ones each time', () =>
    inTemporaryFolder(async (path) => {
      const index = await openIdentityIndex({ path });
      try {
        await index.createGallery(galleryDraft(gallery, faces.dimensions));
        const ask = () =>
          makeFitQuestion(
            { index, clock: Date.now },
            gallery,
            { from, to },
            { far: null, seed: 1, estimators: ['ridge'] },
          );
        await addPeople(index, 0, 100);
        assert.equal((await ask()).pairs.personOf.length, 100 * imagesEach);
        await addPeople(index, 100, 3_900);
        assert.equal(index.pairCounts(gallery).pairs, 4_000 * imagesEach);
        const { pairs } = await ask();
        assert.ok(Math.abs(pairs.personOf.length - 12_000) < 600, `${pairs.personOf.length} pairs`);
        assert.equal(pairs.personOf.length, pairs.people.length * imagesEach);
        assert.deepEqual((await ask()).pairs.people, pairs.people);
      } finally {
        await index.close();
      }
    }));
});
