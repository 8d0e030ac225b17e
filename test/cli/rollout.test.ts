/**
 * `harmonid rollout` as a user runs it, on a gallery of vectors: with --data and with --server. The pairs are made and put in through the
 * library, since the command line takes photos.
 */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { openDatabase } from '../../src/database.js';
import type { Gate, Rollout } from '../../src/api.js';
import { inTemporaryFolder } from '../index/folders.js';
import { madePairs, samplesOf } from '../migrate/made-pairs.js';
import { harmonid, json, serve } from './command-line.js';

const dimensions = 16;

/** A gallery in the old space, in which one person is enrolled. */
async function fill(path: string): Promise<void> {
  const database = await openDatabase({ path, embedder: false });
  await database.createGallery({ gallery: 'lobby', space: 'old:1', dimensions, threshold: 0.6 });
  const vector = Array.from({ length: dimensions }, (_, i) => (i === 0 ? 1 : 0));
  await database.enroll({ gallery: 'lobby', identity: 'anna', embeddings: [{ space: 'old:1', vector }] });
  await database.close();
}

/** Pairs of too few people for the gates to know anything. */
async function addPairs(path: string): Promise<void> {
  const database = await openDatabase({ path, embedder: false });
  const samples = samplesOf(madePairs({ people: 40, imagesEach: 3, dimensions, dimensionsTo: dimensions }));
  for await (const { error } of database.rollouts.addPairs({ gallery: 'lobby' }, samples))
    assert.equal(error, undefined);
  await database.close();
}

describe('harmonid rollout', function () {
  this.timeout(300_000);

  it('starts, says what is missing, prints the gates that refuse, is overruled, and goes back', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'data');
      await fill(path);
      const rollout = (...args: string[]) => harmonid(['rollout', ...args, '--data', path]);

      const absent = await rollout('status', 'lobby');
      assert.equal(absent.code, 1);
      assert.match(absent.stderr, /\(ROLLOUT_NOT_FOUND\)\n {2}`harmonid rollout start GALLERY --to PACK`/);

      const space = ['--to-space', 'new:1', '--dimensions', `${dimensions}`, '--threshold', '0.6'];
      const started = await rollout('start', 'lobby', ...space);
      assert.deepEqual([started.code, started.stderr], [0, '']);
      assert.match(
        started.stdout,
        /^gallery lobby: draft, from old:1 to new:1\nnext: `harmonid rollout pairs lobby --images DIR`, or `harmonid rollout probes lobby --collect-pairs`\n$/,
      );

      const early = await rollout('activate', 'lobby');
      assert.equal(early.code, 1);
      assert.match(early.stderr, /\(ROLLOUT_STATE\)\n {2}`harmonid rollout status GALLERY`/);

      await addPairs(path);
      const fitted = await rollout('fit', 'lobby', '--far', '1e-2', '--estimators', 'procrustes', 'ridge');
      assert.equal(fitted.code, 1);
      assert.match(fitted.stdout, /^enough-people +not-measurable +40 /m);
      assert.match(fitted.stdout, /^enough-people: \S/m);
      assert.match(fitted.stdout, /^gallery lobby: fitted/m);

      const report = await rollout('report', 'lobby');
      assert.equal(report.code, 0);
      assert.match(report.stdout, /^VAL @ FAR 1e-2 /m);

      const refused = await rollout('shadow', 'lobby');
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /\(GATE_REFUSED\)/);
      assert.match(refused.stderr, /enough-people: .*\(value 40, wanted \d+\)\n {4}\S/);
      assert.match(refused.stderr, /--overrule GATE/);

      const { fit } = json(await rollout('status', 'lobby', '--json')) as unknown as Rollout;
      const overruled = (fit?.gates ?? [])
        .filter(({ verdict }: Gate) => verdict !== 'passed')
        .flatMap(({ gate }) => ['--overrule', gate]);
      const shadow = json(await rollout('shadow', 'lobby', ...overruled, '--json')) as unknown as Rollout;
      assert.deepEqual([shadow.state, shadow.templates.mapped], ['shadow', 1]);

      const order = json(await rollout('order', 'lobby', '--json')) as { candidates: { identity: string }[] };
      assert.deepEqual(
        order.candidates.map(({ identity }) => identity),
        ['anna'],
      );

      const unasked = await rollout('rollback', 'lobby');
      assert.deepEqual([unasked.code, unasked.stdout], [2, '']);
      const back = await rollout('rollback', 'lobby', '--yes');
      assert.equal(back.code, 0);
      assert.match(back.stdout, /^gallery lobby: rolled-back, /);
      const status = await rollout('status', 'lobby');
      assert.match(status.stdout, /^state +rolled-back$/m);
      assert.match(status.stdout, /^1 +\d{4}-.* draft /m);
    });
  });

  it('on a server: the same answers, and every photo that a server of vectors refuses is listed', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'data');
      await fill(path);
      const people = join(folder, 'people');
      await mkdir(join(people, 'anna'), { recursive: true });
      await writeFile(join(people, 'anna', '1.jpg'), 'a photo');
      await writeFile(join(people, 'notes.txt'), 'none');
      const serving = await serve(['--data', path, '--vectors-only']);
      try {
        const rollout = (...args: string[]) => harmonid(['rollout', ...args, '--server', serving.address]);
        const space = ['--to-space', 'new:1', '--dimensions', `${dimensions}`, '--threshold', '0.6'];
        const started = json(await rollout('start', 'lobby', ...space, '--json'));
        assert.deepEqual(json(await rollout('status', 'lobby', '--json')), started);
        const pairs = await rollout('pairs', 'lobby', '--images', people, '--json');
        assert.equal(pairs.code, 1);
        const { photos, added, refused, ignored, complete } = json(pairs);
        assert.deepEqual([photos, added, complete, ignored], [1, 0, true, [join(people, 'notes.txt')]]);
        const [{ photo, identity, error }] = refused as [{ photo: string; identity: string; error: { code: string } }];
        assert.deepEqual([photo, identity, error.code], [join(people, 'anna', '1.jpg'), 'anna', 'EMBEDDER_MISSING']);
        const allowed = await rollout('pairs', 'lobby', '--images', people, '--allow-refused');
        assert.equal(allowed.code, 0);
        assert.match(allowed.stdout, /^1 photo of 1 person: 0 added, 1 refused/);
        assert.equal(json(await rollout('rollback', 'lobby', '--yes', '--json'))['state'], 'rolled-back');
      } finally {
        await serving.stop();
      }
    });
  });
});
