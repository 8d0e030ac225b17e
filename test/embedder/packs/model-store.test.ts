/**
 * The store of model packs on real folders: what is damaged, half there, of another build or made by several at once. Digests of the
 * default pack are pinned: they are those of the first build, and another machine must get the same bytes.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'mocha';
import { HarmonidError } from '../../../src/errors.js';
import { defaultPackId, readPackFile, spaceName } from '../../../src/embedder/model-pack.js';
import { openSession } from '../../../src/embedder/onnx-session.js';
import { ModelStore } from '../../../src/embedder/packs/model-store.js';
import { modelsPath, temporaryFolder } from '../../support/database.js';
import { writePack, writtenDimensions, writtenManifest } from './written-pack.js';

/** SHA-256 of what the build writes. */
const pinned = {
  'dlib-resnet.onnx': 'f6402ec37d73c9db7b4f601a7b1ab4f230137570288595f216a38e323b89a379',
  'ssd-mobilenet-v1.onnx': 'd19d3e7106e6875e2a6b38955c5d48e3ab20dd949221fad870debcb3532ed207',
  'tiny-yolo-v2.onnx': 'e5e73c2614b6e73dfc32de6c31ae4685e9a4759a5bcf434a9e3ef19ef35f8c6b',
  'landmarks68.onnx': 'c497c40cf5565cb6d6a8ef2021c5847671aea370f168a2fe1ae8d6778f35f8cb',
} as const;
const pinnedSpace = 'dlib-resnet-v1:2d778df7edc9d436';

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

function hasCode(code: string, ...words: readonly string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HarmonidError, String(error));
    assert.equal(error.code, code, error.message);
    for (const word of words) assert.ok(error.message.includes(word), `"${word}" is wanted in: ${error.message}`);
    return true;
  };
}

function temporaryEntries(folder: string): readonly string[] {
  return readdirSync(folder).filter((name) => name.startsWith('.'));
}

describe('the default pack in a store', function () {
  this.timeout(60_000);
  let folder: string;
  let packFolder: string;

  before(() => {
    folder = temporaryFolder();
    packFolder = join(folder, defaultPackId);
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function assertWhole(): void {
    for (const [file, digest] of Object.entries(pinned)) assert.equal(digestOf(join(packFolder, file)), digest, file);
    assert.deepEqual(temporaryEntries(folder), []);
  }

  it('is built once by callers at the same time, with the same bytes as everywhere', async () => {
    const store = new ModelStore(folder);
    const [a, b] = await Promise.all([store.open(), store.open(defaultPackId)]);
    assert.equal(spaceName(a.manifest), pinnedSpace);
    assert.deepEqual(a, b);
    assertWhole();
  });

  it('is not built again while it is whole', async () => {
    const built = statSync(join(packFolder, 'dlib-resnet.onnx')).ino;
    await new ModelStore(folder).open();
    assert.equal(statSync(join(packFolder, 'dlib-resnet.onnx')).ino, built);
  });

  const damages: Readonly<Record<string, () => void>> = {
    'a bit of a model flipped': () => {
      const path = join(packFolder, 'ssd-mobilenet-v1.onnx');
      const bytes = readFileSync(path);
      bytes[1_000_000] = (bytes[1_000_000] as number) ^ 0x10;
      writeFileSync(path, bytes);
    },
    'a model cut short': () => writeFileSync(join(packFolder, 'landmarks68.onnx'), 'onnx'),
    'a model removed': () => rmSync(join(packFolder, 'tiny-yolo-v2.onnx')),
    'the manifest emptied': () => writeFileSync(join(packFolder, 'manifest.json'), ''),
    'the manifest of another build': () => {
      const path = join(packFolder, 'manifest.json');
      writeFileSync(path, readFileSync(path, 'utf8').replace('build 1', 'build 0'));
    },
    'the folder removed': () => rmSync(packFolder, { recursive: true }),
  };
  for (const [what, damage] of Object.entries(damages)) {
    it(`is built again after ${what}`, async () => {
      damage();
      const pack = await new ModelStore(folder).open();
      assert.equal(spaceName(pack.manifest), pinnedSpace);
      assertWhole();
    });
  }

  it('is whole after several processes built it at the same time over a damaged one', async () => {
    writeFileSync(join(packFolder, 'dlib-resnet.onnx'), 'damaged');
    const module = new URL('../../../src/embedder/packs/model-store.js', import.meta.url).href;
    const program = `import { ModelStore } from ${JSON.stringify(module)};
      const pack = await new ModelStore(process.argv[1]).open();
      process.stdout.write(pack.manifest.embedding.sha256);`;
    const builders = Array.from({ length: 3 }, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', program, folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let printed = '';
      child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
      const [code] = (await once(child, 'close')) as [number];
      assert.equal(code, 0);
      return printed;
    });
    assert.deepEqual(new Set(await Promise.all(builders)), new Set([pinned['dlib-resnet.onnx']]));
    assertWhole();
  });

  it('clears away what a killed builder left long ago, and nothing younger', async () => {
    const [old, young] = ['.tmp-old', '.tmp-young'].map((name) => join(folder, name)) as [string, string];
    for (const path of [old, young]) mkdirSync(path);
    utimesSync(old, new Date(0), new Date(0));
    rmSync(packFolder, { recursive: true });
    await new ModelStore(folder).open();
    assert.deepEqual(temporaryEntries(folder), ['.tmp-young']);
    rmSync(young, { recursive: true });
  });
});

describe('a store of model packs', function () {
  this.timeout(60_000);
  let folder: string;
  let store: ModelStore;
  let source: string;

  before(async () => {
    await new ModelStore(modelsPath).open();
  });
  beforeEach(() => {
    folder = temporaryFolder();
    source = join(folder, 'source');
    store = new ModelStore(join(folder, 'models'));
    cpSync(join(modelsPath, defaultPackId), join(store.folder, defaultPackId), { recursive: true });
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('adds a pack that borrows the default detectors, lists it and runs it', async () => {
    writePack(source);
    const added = await store.add(source);
    rmSync(source, { recursive: true });
    const pack = await store.open('mean-colour');
    assert.deepEqual(pack, added);
    assert.equal(pack.folder, join(store.folder, 'mean-colour'));
    assert.equal(
      pack.detection.variants['ssd']?.packFile.path,
      join(store.folder, defaultPackId, 'ssd-mobilenet-v1.onnx'),
    );
    assert.equal(pack.landmarks.packFile.sha256, pinned['landmarks68.onnx']);
    const listed = await store.list();
    assert.deepEqual(
      listed.map(({ id, manifest, problem }) => [id, manifest?.embedding.dimensions, problem]),
      [
        [defaultPackId, 128, null],
        ['mean-colour', writtenDimensions, null],
      ],
    );
    const session = await openSession(await readPackFile(pack.embedding.packFile), { provider: 'cpu', threads: 1 });
    const data = new Float32Array(2 * 3 * 112 * 112).fill(0.5);
    const { emb } = await session.run({ data: { data, dims: [2, 3, 112, 112] } });
    await session.close();
    assert.deepEqual(emb?.dims, [2, writtenDimensions]);
    // The graph is 0.5 * (cos(3 i) + cos(3 i + 1) + cos(3 i + 2)).
    for (const i of [0, 1, 191]) {
      const expected = 0.5 * (Math.cos(3 * i) + Math.cos(3 * i + 1) + Math.cos(3 * i + 2));
      assert.ok(Math.abs((emb?.data[i] as number) - expected) < 1e-5);
    }
  });

  it('adds the same pack twice without a change, and refuses another one of the same id', async () => {
    writePack(source);
    await store.add(source);
    await store.add(source);
    writePack(source, { ...writtenManifest(), margin: 0.3 });
    await assert.rejects(store.add(source), hasCode('MODEL_INVALID', 'another model pack', 'mean-colour'));
    assert.equal((await store.open('mean-colour')).manifest.margin, 0.1);
    assert.deepEqual(temporaryEntries(store.folder), []);
  });

  it('refuses a damaged pack and leaves nothing behind', async () => {
    writePack(source);
    writeFileSync(join(source, 'net.onnx'), 'damaged');
    const digest = digestOf(join(source, 'net.onnx'));
    await assert.rejects(store.add(source), hasCode('MODEL_INVALID', digest, writtenManifest().embedding.sha256));
    assert.deepEqual(readdirSync(store.folder), [defaultPackId]);
  });

  it('refuses to open an added pack that was damaged later, keeps it, and lists what has no manifest', async () => {
    writePack(source);
    await store.add(source);
    writeFileSync(join(store.folder, 'mean-colour', 'net.onnx'), 'damaged');
    await assert.rejects(store.open('mean-colour'), hasCode('MODEL_INVALID', 'net.onnx'));
    assert.ok(existsSync(join(store.folder, 'mean-colour', 'net.onnx')));
    writeFileSync(join(store.folder, 'mean-colour', 'manifest.json'), '{}');
    const broken = (await store.list()).find(({ id }) => id === 'mean-colour');
    assert.equal(broken?.manifest, null);
    assert.match(broken?.problem ?? '', /embedding/);
  });

  it("refuses the default pack's id, unknown ids, and ids that lead elsewhere", async () => {
    writePack(source, writtenManifest(defaultPackId));
    await assert.rejects(store.add(source), hasCode('MODEL_INVALID', defaultPackId));
    await assert.rejects(store.open('unknown'), hasCode('MODEL_NOT_FOUND', 'unknown', store.folder));
    for (const id of ['../source', '', '.tmp-x', 'a/b'])
      await assert.rejects(store.open(id), hasCode('INVALID_IDENTIFIER'));
  });

  it('refuses a models directory that is a file', async () => {
    const path = join(folder, 'file');
    writeFileSync(path, '');
    for (const models of [path, join(path, 'models')]) {
      await assert.rejects(new ModelStore(models).open(), hasCode('INVALID_ARGUMENT', models));
    }
  });

  it('refuses a folder whose name is not the id of its pack', async () => {
    writePack(join(store.folder, 'renamed'));
    await assert.rejects(store.open('renamed'), hasCode('MODEL_INVALID', 'renamed', 'mean-colour'));
  });
});
