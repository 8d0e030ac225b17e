/**
 * Manifests and spaces, on manifests that are bent in one place at a time: each refusal must name the field that was bent. Digests
 * are computed here by node's crypto; the canonical text under the space's digest is written out by hand.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { HarmonidError } from '../../src/errors.js';
import { loadModelPack, parseManifest, readPackFile, spaceName, verifyPack } from '../../src/embedder/model-pack.js';
import { temporaryFolder } from '../support/database.js';
import { writePack, writtenDimensions, writtenManifest } from './packs/written-pack.js';

type Bent = Record<string, unknown>;

const presentation = {
  file: 'pad.onnx',
  sha256: createHash('sha256').update('a network').digest('hex'),
  input: writtenManifest().embedding.input,
  boxScale: 2.7,
  output: 'classes',
  bonaFide: 1,
  softmax: true,
  threshold: { value: 0.5, source: 'invented by a test' },
};

/** The manifest with one field set; an undefined value removes it. */
function bent(path: string, value: unknown): unknown {
  const manifest = writtenManifest();
  const keys = path.split('.');
  const last = keys.pop() ?? assert.fail();
  let owner = manifest as unknown as Bent;
  for (const key of keys) owner = owner[key] as Bent;
  if (value === undefined) delete owner[last];
  else owner[last] = value;
  return manifest;
}

/** The space of the bent manifest. */
function bentSpace(path: string, value: unknown): string {
  return spaceName(parseManifest(JSON.stringify(bent(path, value)), 'here'));
}

function refusal(code: string, ...words: readonly string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HarmonidError, String(error));
    assert.equal(error.code, code, error.message);
    for (const word of words) assert.ok(error.message.includes(word), `"${word}" is wanted in: ${error.message}`);
    return true;
  };
}

describe('model pack', () => {
  let folder: string;
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('takes a right manifest as it is', () => {
    assert.deepEqual(parseManifest(JSON.stringify(writtenManifest()), 'here'), writtenManifest());
  });

  const refused: readonly (readonly [string, unknown])[] = [
    ['formatVersion', 2],
    ['id', '../evil'],
    ['id', 'Upper'],
    ['id', ''],
    ['licence', undefined],
    ['embedding.file', '../net.onnx'],
    ['embedding.file', '/etc/passwd'],
    ['embedding.file', '.hidden'],
    ['embedding.sha256', 'ABC'],
    ['embedding.dimensions', 1.5],
    ['embedding.dimensions', 5000],
    ['embedding.input.width', 0],
    ['embedding.input.channels', 'rgba'],
    ['embedding.input.normalisation.mean', [1, 2]],
    ['embedding.input.normalisation.scale', 'x'],
    ['embedding.mirrorAveraging', 'yes'],
    ['alignment.nose', undefined],
    ['alignment.kind', 'three-points'],
    ['detection', 'another'],
    ['detection', { default: 'ssd', variants: {} }],
    ['threshold.value', 0],
    ['threshold.value', 5],
    ['threshold.source', ''],
    ['margin', -1],
    ['presentation', 'default'],
    ['presentation', { ...presentation, file: '../pad.onnx' }],
    ['presentation', { ...presentation, boxScale: 0 }],
    ['presentation', { ...presentation, bonaFide: -1 }],
    ['presentation', { ...presentation, softmax: 'yes' }],
    ['presentation', { ...presentation, threshold: { value: 1.5, source: 'a test' } }],
    ['presentation', { ...presentation, threshold: { value: 0.5, source: '' } }],
  ];
  for (const [path, value] of refused) {
    it(`names ${path} when it is ${JSON.stringify(value)}`, () => {
      const json = JSON.stringify(bent(path, value));
      assert.throws(() => parseManifest(json, 'here'), refusal('MODEL_INVALID', 'here', path));
    });
  }

  it('names a field that it does not know', () => {
    const json = JSON.stringify(bent('embedding.normalization', {}));
    assert.throws(() => parseManifest(json, 'here'), refusal('MODEL_INVALID', 'embedding', 'normalization'));
  });

  it('refuses a landmark that is listed twice', () => {
    const point = { landmark: 30, x: 1, y: 2 };
    const json = JSON.stringify(bent('alignment', { kind: 'landmarks68', points: [point, point] }));
    assert.throws(() => parseManifest(json, 'here'), refusal('MODEL_INVALID', 'alignment.points', 'twice'));
  });

  it('refuses what is not JSON, and a folder without a manifest', async () => {
    assert.throws(() => parseManifest('{', 'here'), refusal('MODEL_INVALID', 'not JSON'));
    await assert.rejects(verifyPack(join(folder, 'nowhere')), refusal('MODEL_NOT_FOUND', 'nowhere'));
  });

  it('verifies every file and hands out the bytes that it verified', async () => {
    writePack(folder);
    const manifest = await verifyPack(folder);
    const file = { path: join(folder, 'net.onnx'), sha256: manifest.embedding.sha256 };
    assert.deepEqual(Buffer.from(await readPackFile(file)), readFileSync(file.path));

    appendFileSync(file.path, 'x');
    const actual = createHash('sha256').update(readFileSync(file.path)).digest('hex');
    await assert.rejects(verifyPack(folder), refusal('MODEL_INVALID', actual, file.sha256));
    rmSync(file.path);
    await assert.rejects(verifyPack(folder), refusal('MODEL_NOT_FOUND', 'net.onnx'));
  });

  it('notices damage of a single bit between loading and use', async () => {
    writePack(folder);
    const { embedding } = await verifyPack(folder);
    const path = join(folder, 'net.onnx');
    const bytes = readFileSync(path);
    bytes[100] = (bytes[100] as number) ^ 1;
    writeFileSync(path, bytes);
    await assert.rejects(readPackFile({ path, sha256: embedding.sha256 }), refusal('MODEL_INVALID', 'SHA-256'));
  });

  it('verifies the file of a network for presentation attacks, too, and takes a right section as it is', async () => {
    writePack(folder, bent('presentation', presentation));
    await assert.rejects(verifyPack(folder), refusal('MODEL_NOT_FOUND', 'pad.onnx'));
    writeFileSync(join(folder, 'pad.onnx'), 'another');
    await assert.rejects(verifyPack(folder), refusal('MODEL_INVALID', 'pad.onnx', presentation.sha256));
    writeFileSync(join(folder, 'pad.onnx'), 'a network');
    assert.deepEqual((await verifyPack(folder)).presentation, presentation);
  });

  it('has the same space with and without a network for presentation attacks', () => {
    assert.equal(bentSpace('presentation', presentation), bentSpace('presentation', undefined));
  });

  it('needs a lender when it borrows', async () => {
    writePack(folder);
    await assert.rejects(loadModelPack(folder), refusal('MODEL_NOT_FOUND', 'borrows'));
  });

  it('names its space after the network and all that decides which pixels it sees', () => {
    const manifest = parseManifest(JSON.stringify(writtenManifest()), 'here');
    const preprocessing =
      '{"alignment":{"kind":"five-points","leftEye":{"x":38.29,"y":51.7},"mouthLeft":{"x":41.55,"y":92.37},' +
      '"mouthRight":{"x":70.73,"y":92.2},"nose":{"x":56.03,"y":71.74},"rightEye":{"x":73.53,"y":51.5}},' +
      `"channels":"bgr","dimensions":${writtenDimensions},"height":112,"mirrorAveraging":false,` +
      '"normalisation":{"mean":[127.5,127.5,127.5],"scale":0.0078125},"pipelineVersion":1,"width":112}';
    const digest = createHash('sha256').update(`${manifest.embedding.sha256}\n${preprocessing}`).digest('hex');
    assert.equal(spaceName(manifest), `mean-colour:${digest.slice(0, 16)}`);
  });

  it('gives another space to each change of those, and the same one to all else', () => {
    const same = bentSpace('description', 'other words');
    assert.equal(bentSpace('threshold.value', 0.5), same);
    assert.equal(bentSpace('margin', 0), same);
    const others = [
      bentSpace('id', 'other'),
      bentSpace('embedding.sha256', '0'.repeat(64)),
      bentSpace('embedding.dimensions', 128),
      bentSpace('embedding.input.width', 96),
      bentSpace('embedding.input.channels', 'rgb'),
      bentSpace('embedding.input.normalisation.scale', 1),
      bentSpace('embedding.mirrorAveraging', true),
      bentSpace('alignment.nose.x', 56),
    ];
    assert.equal(new Set([same, ...others]).size, others.length + 1);
    const manifest = parseManifest(JSON.stringify(writtenManifest()), 'here');
    assert.equal(spaceName(manifest, true), bentSpace('embedding.mirrorAveraging', true));
  });
});
