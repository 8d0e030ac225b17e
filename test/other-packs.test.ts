/**
 * Packs beside the default one, with real networks of the shared research data: added to a models directory, run on aligned crops by LFW's
 * protocol, and through the whole pipeline. Expected values are the networks' published LFW accuracies (99.33 % and 98.93 % over ten
 * folds; two folds are run here, with room for their spread).
 */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { openDatabase } from '../src/database.js';
import { openOnnxEmbedder } from '../src/embedder/onnx-embedder.js';
import { defaultPackId } from '../src/embedder/model-pack.js';
import { ModelStore } from '../src/embedder/packs/model-store.js';
import { isHarmonidError } from '../src/errors.js';
import { parsePairs } from '../src/evaluate/pairs.js';
import { evaluateVerification } from '../src/evaluate/verification.js';
import { squaredDistance, type UnitVector } from '../src/vector.js';
import { modelsPath, temporaryFolder } from './support/database.js';
import { sharedPath } from './support/paths.js';
import { portrait } from './support/photos.js';
import { sharedNetworkPath, writeSharedPack } from './support/shared-packs.js';

describe('other packs', function () {
  this.timeout(120_000);
  let models = '';

  before(async function () {
    if (!existsSync(sharedNetworkPath('mobilefacenet-112x112'))) {
      console.log('      skipped: the shared research data is not here');
      this.skip();
    }
    await new ModelStore(modelsPath).open();
    models = temporaryFolder();
    cpSync(join(modelsPath, defaultPackId), join(models, defaultPackId), { recursive: true });
    const source = temporaryFolder();
    writeSharedPack('mobilefacenet-112x112', source);
    await new ModelStore(models).add(source);
    rmSync(source, { recursive: true });
  });

  after(() => {
    if (models !== '') rmSync(models, { recursive: true, force: true });
  });

  it('reach the accuracy that is published for them, on aligned crops', async () => {
    const embedder = await openOnnxEmbedder({ modelsPath: models, provider: 'cpu', pack: 'mobilefacenet-112x112' });
    try {
      const path = join(sharedPath, 'data', 'lfw-dev', 'pairs.txt');
      const pairs = parsePairs(readFileSync(path, 'utf8'), path);
      const report = await evaluateVerification({
        embedder,
        imagesPath: join(sharedPath, 'data', 'lfw-dev', 'aligned112'),
        pairs: { ...pairs, folds: pairs.folds.slice(0, 2) },
        mode: 'aligned',
      });
      assert.ok(report.accuracy.mean > 0.98, `accuracy ${report.accuracy.mean}`);
      assert.equal(report.facesNotFound.count, 0);
    } finally {
      await embedder.close();
    }
  });

  it('cut their own chip out of an ArcFace crop', async () => {
    const root = join(sharedPath, 'data', 'lfw-dev', 'aligned112', 'Aaron_Peirsol');
    const crops = readdirSync(root).map((file) => readFileSync(join(root, file)));
    const own = await openOnnxEmbedder({ modelsPath: models, provider: 'cpu', pack: 'mobilefacenet-112x112' });
    const other = await openOnnxEmbedder({ modelsPath: models, provider: 'cpu' });
    try {
      const vectors: UnitVector[] = [];
      for (const crop of crops) {
        const [chip] = (await own.embedAlignedCrop(crop)).faces;
        const [cut] = (await own.embedAlignedCrop(crop, { alignment: 'arcface112' })).faces;
        assert.ok(
          chip && cut && squaredDistance(chip.vector, cut.vector) < 1e-3,
          'it is that crop, up to rounded coordinates',
        );
        const [derived] = (await other.embedAlignedCrop(crop, { alignment: 'arcface112' })).faces;
        if (derived) vectors.push(derived.vector);
      }
      const [one, another] = vectors;
      assert.ok(one && another && squaredDistance(one, another) < other.info.threshold, 'the same person');
    } finally {
      await other.close();
      await own.close();
    }
  });

  it('work through the whole pipeline with their own alignment, in a space of their own', async () => {
    const path = temporaryFolder();
    const own = await openDatabase({
      path,
      embedder: { modelsPath: models, provider: 'cpu', pack: 'mobilefacenet-112x112' },
    });
    const other = await openOnnxEmbedder({ modelsPath: models, provider: 'cpu' });
    try {
      for (const person of ['blonde', 'bow', 'green'] as const)
        await own.enroll({ identity: person, images: [await portrait(person)], refuseReasons: [] });
      const answer = await own.identify({ image: await portrait('middle') });
      assert.equal(answer.candidates[0]?.identity, 'blonde');
      assert.equal(answer.decision, 'match');
      const { faces } = await other.embedImage(await portrait('green'));
      const embedding = { space: other.info.space, vector: faces[0]?.vector ?? [] };
      await assert.rejects(
        own.identify({ embedding }),
        (error) => isHarmonidError(error) && error.code === 'SPACE_MISMATCH',
      );
    } finally {
      await other.close();
      await own.close();
      rmSync(path, { recursive: true, force: true });
    }
  });
});
