/**
 * A rollout with photos: two real networks of the shared research data, a gallery of sixty people, from the first pair to the last photo. The
 * fit is of linear maps on these few people, which no gate would let pass: what is shown is what becomes of photos, not how well a map does.
 */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { after, before, describe, it } from 'mocha';
import { gateNames } from '../src/migrate/rollout.js';
import { openDatabase, type Database, type Rollout } from '../src/database.js';
import { defaultPackId } from '../src/embedder/model-pack.js';
import { ModelStore } from '../src/embedder/packs/model-store.js';
import { modelsPath, temporaryFolder } from './support/database.js';
import { sharedPath } from './support/paths.js';
import { sharedNetworkPath, writeSharedPack } from './support/shared-packs.js';

const gallery = 'lobby';
const pack = 'mobilefacenet-112x112';
const data = join(sharedPath, 'data', 'lfw-dev');

interface Person {
  readonly identity: string;
  readonly photos: readonly Buffer[];
  readonly crops: readonly Buffer[];
}

function readPeople(count: number): readonly Person[] {
  const filesOf = (folder: string, identity: string): readonly Buffer[] => {
    const path = join(data, folder, identity);
    return existsSync(path) ? readdirSync(path).map((file) => readFileSync(join(path, file))) : [];
  };
  return readdirSync(join(data, 'images'))
    .map((identity) => ({ identity, photos: filesOf('images', identity), crops: filesOf('aligned112', identity) }))
    .filter(({ photos, crops }) => photos.length > 1 && crops.length > 0)
    .slice(0, count);
}

function photo({ photos }: Person, position: number): Buffer {
  return photos[position] ?? Buffer.alloc(0);
}

async function last<T>(steps: AsyncGenerator<unknown, T, void>): Promise<T> {
  for (let next = await steps.next(); ; next = await steps.next()) if (next.done) return next.value;
}

describe('a rollout with photos', function () {
  this.timeout(240_000);
  let path = '';
  let db: Database;
  let people: readonly Person[] = [];

  before(async function () {
    if (!existsSync(sharedNetworkPath(pack))) {
      console.log('      skipped: the shared research data is not here');
      this.skip();
    }
    await new ModelStore(modelsPath).open();
    path = temporaryFolder();
    cpSync(join(modelsPath, defaultPackId), join(path, 'models', defaultPackId), { recursive: true });
    const source = temporaryFolder();
    writeSharedPack(pack, source);
    await new ModelStore(join(path, 'models')).add(source);
    rmSync(source, { recursive: true });
    people = readPeople(60);
    db = await openDatabase({ path, embedder: { provider: 'cpu', mirrorAveraging: false } });
    await db.createGallery({ gallery, duplicates: 'ignore', refuseReasons: [] });
    for (const { identity, photos } of people) {
      await db.enroll({ gallery, identity, images: photos.slice(0, 1), faces: 'largest' });
    }
  });

  after(async () => {
    if (path === '') return;
    await db.close();
    rmSync(path, { recursive: true, force: true });
  });

  const identify = (person: Person) => db.identify({ gallery, image: photo(person, 1), faces: 'largest', k: 1 });

  /** Comparisons are done beside the answers. */
  async function compared(wanted: number): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      const { shadow } = await db.rollouts.get({ gallery });
      if (shadow.compared >= wanted) return;
      await pause(50);
    }
    assert.fail(`${wanted} comparisons did not come`);
  }

  async function untilTemplates(isThere: (templates: Rollout['templates']) => boolean): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      const { templates } = await db.rollouts.get({ gallery });
      if (isThere(templates)) return;
      await pause(50);
    }
    assert.fail(JSON.stringify((await db.rollouts.get({ gallery })).templates));
  }

  it('takes pairs from crops, through both models', async () => {
    const started = await db.rollouts.start({ gallery, pack });
    assert.deepEqual([started.from.pack, started.to.pack], [defaultPackId, pack]);
    const samples = people.flatMap(({ identity, crops }) =>
      crops.slice(0, 2).map((alignedCrop) => ({ person: identity, alignedCrop })),
    );
    let added = 0;
    for await (const result of db.rollouts.addPairs({ gallery }, [...samples, ...samples.slice(0, 3)])) {
      assert.equal(result.error, undefined);
      if (result.added) added++;
    }
    assert.equal(added, samples.length, 'a photo is a pair once');
    const { fit, state } = await last(db.rollouts.fit({ gallery, far: 0.02, estimators: ['procrustes'] }));
    assert.equal(state, 'fitted');
    assert.equal(fit?.gates.find(({ gate }) => gate === 'enough-people')?.verdict, 'not-measurable');
    assert.equal(fit?.gates.find(({ gate }) => gate === 'belonging')?.verdict, 'passed');
  });

  it('keeps live probes as pairs before anything is mapped, of whom they matched, if they have agreed', async () => {
    const { pairs: before } = await db.rollouts.get({ gallery });
    await assert.rejects(db.rollouts.probes({ gallery, collectPairs: { consent: false as true, retentionDays: 1 } }), {
      code: 'INVALID_ARGUMENT',
    });
    const [first, second] = people;
    assert.ok(first && second);
    await identify(first);
    await pause(300);
    assert.deepEqual((await db.rollouts.get({ gallery })).pairs, before, 'nobody has agreed');
    const set = await db.rollouts.probes({ gallery, collectPairs: { consent: true, retentionDays: 1 } });
    assert.deepEqual([set.state, set.probes], ['fitted', { share: 1, retentionDays: 1 }]);
    const answer = await identify(second);
    assert.equal(answer.decision, 'match');
    for (let tries = 0; (await db.rollouts.get({ gallery })).pairs.pairs === before.pairs; tries++) {
      assert.ok(tries < 100, 'a pair did not come');
      await pause(50);
    }
    const { pairs, shadow } = await db.rollouts.get({ gallery });
    assert.deepEqual([pairs.pairs, shadow.compared], [before.pairs + 1, 0]);
  });

  it('in shadow compares live probes, keeps those that were agreed to, and enrolls into both spaces', async () => {
    await assert.rejects(last(db.rollouts.shadow({ gallery })), { code: 'GATE_REFUSED' });
    const before = await db.rollouts.get({ gallery });
    await last(db.rollouts.shadow({ gallery, overrule: gateNames }));
    const found: Person[] = [];
    for (const [i, person] of people.slice(0, 6).entries()) {
      const answer = await identify(person);
      assert.equal(answer.space, before.from.space);
      if (answer.decision === 'match') found.push(person);
      await compared(i + 1);
    }
    const { shadow, pairs } = await db.rollouts.get({ gallery });
    assert.equal(shadow.bothFound + shadow.negativeFlips, found.length);
    assert.equal(pairs.pairs, before.pairs.pairs + found.length, 'live probes that matched');
    const [first] = people;
    await db.enroll({ gallery, identity: 'again', images: first?.photos.slice(1, 2) ?? [], faces: 'largest' });
    assert.deepEqual((await db.rollouts.get({ gallery })).templates, {
      templates: people.length + 1,
      mapped: people.length,
      native: 1,
      reEmbedded: 0,
    });
  });

  it('as a canary answers photos in the new space', async () => {
    await db.rollouts.canary({ gallery, share: 1 });
    const [person] = people;
    assert.ok(person);
    const { to, from } = await db.rollouts.get({ gallery });
    assert.equal((await identify(person)).space, to.space);
    // A threshold of the caller's own is one of the gallery's distances.
    const own = await db.identify({ gallery, image: photo(person, 1), faces: 'largest', threshold: 0.1 });
    assert.equal(own.space, from.space);
    await db.rollouts.canary({ gallery, share: 0, groups: ['staff'] });
    assert.equal((await identify(person)).space, from.space);
    await db.updateIdentity({ gallery, identity: person.identity, groups: ['staff'] });
    const answer = await db.identify({
      gallery,
      image: photo(person, 1),
      faces: 'largest',
      groups: ['staff'],
    });
    assert.equal(answer.space, to.space);
  });

  it('takes photos for mapped templates: of the very photo, of another one, never of another person', async () => {
    const [one, two, three] = people;
    assert.ok(one && two && three);
    const results = [];
    for await (const result of db.rollouts.backfill({ gallery }, [
      { identity: two.identity, image: two.photos[0] },
      { identity: two.identity, image: two.photos[0] },
      { identity: three.identity, image: two.photos[0] },
      { identity: 'nobody', image: two.photos[0] },
      { identity: three.identity, image: Buffer.from('no photo') },
    ])) {
      results.push(result);
    }
    const shown = results
      .toSorted((a, b) => a.index - b.index)
      .map(({ replaced, error }) => replaced ?? (error as { code?: string } | undefined)?.code);
    assert.deepEqual(shown.slice(0, 2).toSorted(), [0, 1]);
    assert.deepEqual(shown.slice(2), ['FACE_REFUSED', 'IDENTITY_NOT_FOUND', 'IMAGE_UNREADABLE']);
    assert.equal((await db.rollouts.get({ gallery })).templates.reEmbedded, 1);
    const probe = await db.identify({ gallery, image: photo(two, 0), faces: 'largest' });
    assert.equal(probe.candidates[0]?.identity, two.identity);
  });

  it('active serves the new model, or both together, and goes back', async () => {
    const { to, from, fit } = await db.rollouts.get({ gallery });
    const fused = await db.rollouts.activate({ gallery, fuse: true, reEnrol: true });
    assert.deepEqual([fused.fused, fused.reEnrols], [true, true]);
    // Of the very photo that was enrolled the old model is as sure as can be.
    const before = await db.rollouts.get({ gallery });
    let good = 0;
    for (const person of people.slice(10, 16)) {
      const { shadow } = await db.rollouts.get({ gallery });
      const { face, decision } = await db.identify({ gallery, image: photo(person, 0), faces: 'largest', k: 1 });
      await compared(shadow.compared + 1);
      if (decision === 'match' && face?.quality.reasons.length === 0) good++;
    }
    assert.ok(good > 0, 'one of six photos is good');
    await untilTemplates((templates) => templates.reEmbedded === before.templates.reEmbedded + good);
    const [, two] = people;
    assert.ok(two && fit);
    const together = await identify(two);
    assert.deepEqual([together.space, together.threshold], [to.space, fit.fusion.threshold]);
    assert.equal(together.candidates[0]?.identity, two.identity);
    // As by hand: the weighted mean of both distances, each in its own space.
    const seen = await Promise.all(
      [defaultPackId, pack].map(async (name) => {
        const alone = await openDatabase({
          path: temporaryFolder(),
          embedder: { modelsPath: join(path, 'models'), pack: name, provider: 'cpu', mirrorAveraging: false },
        });
        try {
          const { faces } = await alone.embed({ image: photo(two, 1) });
          return faces[0]?.embedding;
        } finally {
          await alone.close();
        }
      }),
    );
    const distances = await Promise.all(
      seen.map(async (embedding) => {
        assert.ok(embedding);
        return (await db.verify({ gallery, identity: two.identity, embedding })).distance;
      }),
    );
    const [old = 0, fresh = 0] = distances;
    const { oldShare } = fit.fusion;
    assert.ok(Math.abs(together.candidates[0].distance - (oldShare * old + (1 - oldShare) * fresh)) < 1e-3);
    // Every face of a photo, too.
    const [first, ...others] = await db.identifyFaces({ gallery, image: photo(two, 1), k: 1 });
    assert.ok([first, ...others].some((one) => one?.candidates[0]?.distance === together.candidates[0]?.distance));
    assert.equal(first?.threshold, fit.fusion.threshold);
    const verified = await db.verify({ gallery, identity: two.identity, image: photo(two, 1), faces: 'largest' });
    assert.deepEqual([verified.distance, verified.threshold], [together.candidates[0].distance, fit.fusion.threshold]);
    // A threshold of the caller's own is one of the gallery's distances, so the new model judges alone.
    const own = { image: photo(two, 1), faces: 'largest', threshold: 0.5 } as const;
    for (const { distance, threshold } of [
      (await db.identify({ gallery, ...own, k: 1 })).candidates[0],
      await db.verify({ gallery, identity: two.identity, ...own }),
    ].map((answer) => ({ threshold: 0.5, ...answer, distance: answer?.distance ?? 4 }))) {
      assert.equal(threshold, 0.5);
      assert.ok(Math.abs(distance - fresh) < 1e-3, `${distance} and ${fresh}`);
    }
    const back = await db.rollouts.rollback({ gallery });
    assert.deepEqual([back.state, back.fused], ['rolled-back', false]);
    assert.equal((await identify(two)).space, from.space);
  });
});
