/**
 * Every command on a database, as a user runs it: child processes on a real data directory and on a real server.
 *
 * One script is played twice, with --data and with --server. Each step says what is expected (who is in the photos is known from
 * looking at them), and the two answers must be alike, apart from clocks.
 */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import sharp from 'sharp';
import { modelsPath } from '../support/database.js';
import { groupPhoto } from '../support/photos.js';
import { harmonid, json, portrait, serve, type Outcome, type Serving } from './command-line.js';

type Json = Record<string, unknown>;

/** What is known when a step begins: template numbers are given by the database. */
interface Script {
  annaTemplates: number[];
}

interface Step {
  readonly args: readonly string[] | ((script: Script) => readonly string[]);
  readonly code: number;
  readonly check: (answer: Json, script: Script) => void;
}

const distanceMax = 4;

const steps: readonly Step[] = [
  {
    args: [
      'enroll',
      'anna',
      'anna1.jpg',
      'anna2.jpg',
      '--label',
      'Anna A.',
      '--group',
      'staff',
      '--attribute',
      'office=B2',
    ],
    code: 0,
    check: ({ identity, created, templates, faces }) => {
      assert.deepEqual([identity, created, list(templates).length, list(faces).length], ['anna', true, 2, 2]);
    },
  },
  {
    args: ['enroll', 'bella', 'bella1.jpg'],
    code: 0,
    check: ({ created, templates }) => assert.deepEqual([created, list(templates).length], [true, 1]),
  },
  {
    args: ['enroll', 'somebody-else', 'anna3.jpg'],
    code: 1,
    check: (answer) => assert.equal(errorOf(answer)['code'], 'DUPLICATE_FACE'),
  },
  {
    args: ['enroll', 'nobody', 'cara1.jpg', 'grey.png'],
    code: 1,
    check: (answer) => {
      // Of several photos the bad one is named, and none is enrolled: see the list below.
      assert.equal(errorOf(answer)['code'], 'NO_FACE');
      assert.match(String(errorOf(answer)['message']), /grey\.png/);
      assert.equal((errorOf(answer)['details'] as Json)['photo'], 'grey.png');
    },
  },
  {
    args: ['list'],
    code: 0,
    check: ({ identities }) => assert.deepEqual(pick(identities, 'identity'), ['anna', 'bella']),
  },
  {
    args: ['list', '--page-size', '1'],
    code: 0,
    check: ({ identities, nextPageToken }) => {
      assert.deepEqual(pick(identities, 'identity'), ['anna']);
      assert.equal(typeof nextPageToken, 'string');
    },
  },
  {
    args: ['list', '--all', '--page-size', '1'],
    code: 0,
    check: ({ identities, nextPageToken }) => {
      assert.deepEqual([pick(identities, 'identity'), nextPageToken], [['anna', 'bella'], undefined]);
    },
  },
  {
    args: ['show', 'anna'],
    code: 0,
    check: ({ label, groups, attributes, templates }, script) => {
      assert.deepEqual([label, groups, attributes], ['Anna A.', ['staff'], { office: 'B2' }]);
      script.annaTemplates = pick(templates, 'template').map(Number);
      assert.equal(script.annaTemplates.length, 2);
    },
  },
  {
    args: ['update', 'bella', '--label', 'Bella B.', '--group', 'night', '--group', 'staff'],
    code: 0,
    check: ({ label, groups }) => assert.deepEqual([label, groups], ['Bella B.', ['night', 'staff']]),
  },
  {
    args: ['update', 'bella', '--no-group', '--if-version', '999'],
    code: 1,
    check: (answer) => assert.equal(errorOf(answer)['code'], 'VERSION_CONFLICT'),
  },
  {
    args: ['list', '--group', 'night'],
    code: 0,
    check: ({ identities }) => assert.deepEqual(pick(identities, 'identity'), ['bella']),
  },
  {
    args: ['verify', 'anna', 'anna3.jpg'],
    code: 0,
    check: ({ photo, decision, distance, threshold }) => {
      assert.deepEqual([photo, decision], ['anna3.jpg', 'match']);
      assert.ok(Number(distance) <= Number(threshold));
    },
  },
  {
    args: ['verify', 'bella', 'anna3.jpg'],
    code: 3,
    check: ({ decision, distance, threshold }) => {
      assert.equal(decision, 'no-match');
      assert.ok(Number(distance) > Number(threshold) && Number(distance) <= distanceMax);
    },
  },
  {
    args: ['identify', 'anna3.jpg'],
    code: 0,
    check: ({ photos }) => {
      assert.deepEqual(decisionsOf(photos), [['anna3.jpg', ['match anna']]]);
      const [{ face, candidates, timings }] = identificationsOf(list(photos)[0]) as [Json];
      assert.equal(typeof (face as Json)['box'], 'object');
      assert.deepEqual(pick(candidates, 'identity').toSorted(), ['anna', 'bella']);
      assert.equal(typeof timings, 'object');
    },
  },
  {
    args: ['identify', 'anna3.jpg', 'cara1.jpg', 'grey.png', '--k', '1', '--exact'],
    code: 3,
    check: ({ photos }) => {
      const [, stranger, nobody] = decisionsOf(photos);
      assert.deepEqual(nobody, ['grey.png', []]);
      assert.match(String(stranger?.[1][0]), /^no-match /);
      assert.equal(list(identificationsOf(list(photos)[0])[0]?.['candidates']).length, 1);
    },
  },
  {
    args: ['identify', 'anna3.jpg', '--group', 'night'],
    code: 3,
    check: ({ photos }) => assert.deepEqual(decisionsOf(photos), [['anna3.jpg', ['no-match bella']]]),
  },
  {
    args: ['identify', 'junk.jpg', 'anna3.jpg'],
    code: 1,
    check: ({ photos }) => {
      const [junk, anna] = list(photos);
      assert.equal(errorOf(junk as Json)['code'], 'IMAGE_UNREADABLE');
      assert.equal(identificationsOf(anna).length, 1);
    },
  },
  {
    args: ['embed', 'anna3.jpg'],
    code: 0,
    check: ({ photo, faces, width, height }) => {
      assert.deepEqual([photo, width, height], ['anna3.jpg', 330, 330]);
      const [{ embedding, face }] = list(faces) as [Json];
      const { vector, space } = embedding as { vector: number[]; space: string };
      assert.deepEqual([vector.length, typeof space, typeof face], [128, 'string', 'object']);
      assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-5);
    },
  },
  {
    args: [
      'gallery',
      'create',
      'lobby',
      '--threshold',
      '0.125',
      '--refuse',
      'TOO_SMALL',
      '--description',
      'at the door',
    ],
    code: 0,
    check: ({ gallery, threshold, refuseReasons, description, identityCount }) => {
      assert.deepEqual(
        [gallery, threshold, refuseReasons, description, identityCount],
        ['lobby', 0.125, ['TOO_SMALL'], 'at the door', 0],
      );
    },
  },
  {
    args: ['gallery', 'set', 'lobby', '--no-refuse', '--templates-max', '7'],
    code: 0,
    check: ({ refuseReasons, templatesPerIdentityMax, threshold }) =>
      assert.deepEqual([refuseReasons, templatesPerIdentityMax, threshold], [[], 7, 0.125]),
  },
  {
    args: ['gallery', 'set', 'lobby', '--presentation', 'require'],
    code: 1,
    // The default pack has no network for it.
    check: (answer) => assert.equal(errorOf(answer)['code'], 'NO_PRESENTATION_SCORE'),
  },
  {
    args: ['gallery', 'set', 'lobby', '--presentation', 'ignore'],
    code: 0,
    check: ({ presentation }) => assert.equal(presentation, 'ignore'),
  },
  {
    args: ['gallery', 'show', 'lobby'],
    code: 0,
    check: ({ gallery, duplicates, presentation }) =>
      assert.deepEqual([gallery, duplicates, presentation], ['lobby', 'refuse', 'ignore']),
  },
  {
    args: ['gallery', 'list'],
    code: 0,
    check: ({ galleries }) => assert.deepEqual(pick(galleries, 'gallery').toSorted(), ['default', 'lobby']),
  },
  {
    args: ['gallery', 'delete', 'lobby', '--yes'],
    code: 0,
    check: ({ gallery, deleted }) => assert.deepEqual([gallery, deleted], ['lobby', true]),
  },
  {
    args: ['identify', 'anna3.jpg', '--gallery', 'lobby'],
    code: 1,
    check: (answer) => assert.equal(errorOf(answer)['code'], 'GALLERY_NOT_FOUND'),
  },
  {
    args: ({ annaTemplates }) => ['remove-template', 'anna', String(annaTemplates[0])],
    code: 0,
    check: ({ templates }, { annaTemplates }) => assert.deepEqual(pick(templates, 'template'), annaTemplates.slice(1)),
  },
  {
    args: ['remove-template', 'anna', '999999'],
    code: 1,
    check: (answer) => assert.equal(errorOf(answer)['code'], 'TEMPLATE_NOT_FOUND'),
  },
  { args: ['checkpoint'], code: 0, check: (answer) => assert.deepEqual(answer, { checkpoint: 'written' }) },
  {
    args: ['erase', 'bella', '--yes'],
    code: 0,
    check: ({ identity, existed, templatesErased }) =>
      assert.deepEqual([identity, existed, templatesErased], ['bella', true, 1]),
  },
  { args: ['erase', 'bella', '--yes'], code: 0, check: ({ existed }) => assert.equal(existed, false) },
  {
    args: ['show', 'bella'],
    code: 1,
    check: (answer) => assert.equal(errorOf(answer)['code'], 'IDENTITY_NOT_FOUND'),
  },
];

describe('commands on a data directory and on a server', function () {
  this.timeout(120_000);
  let folder = '';
  let serving: Serving | undefined;
  const embedded: Script = { annaTemplates: [] };
  const remote: Script = { annaTemplates: [] };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'harmonid-commands-'));
    const photos = {
      'anna1.jpg': await portrait('anna'),
      'anna2.jpg': await portrait('anna', { halfWidth: 170, quality: 60 }),
      'anna3.jpg': await portrait('anna', { halfWidth: 165, brightness: 0.85 }),
      'bella1.jpg': await portrait('bella'),
      'cara1.jpg': await portrait('cara'),
      'grey.png': await sharp({ create: { width: 400, height: 300, channels: 3, background: '#777777' } })
        .png()
        .toBuffer(),
      'junk.jpg': Buffer.from('this is not an image'),
    };
    for (const [name, bytes] of Object.entries(photos)) await writeFile(join(folder, name), bytes);
    serving = await serve(['--data', join(folder, 'served'), '--models', modelsPath, '--provider', 'cpu']);
  });
  after(async () => {
    await serving?.stop();
    await rm(folder, { recursive: true });
  });

  async function play(step: Step, script: Script, target: readonly string[]): Promise<Json> {
    const args = typeof step.args === 'function' ? step.args(script) : step.args;
    const outcome = await harmonid([...args, ...target, '--json'], { cwd: folder });
    assert.equal(outcome.code, step.code, `${outcome.stdout}${outcome.stderr}`);
    const answer = answerOf(outcome);
    step.check(answer, script);
    return answer;
  }

  function onData({ args }: Step): readonly string[] {
    const words = typeof args === 'function' ? args(embedded) : args;
    const imaging = ['enroll', 'identify', 'verify', 'embed'].includes(words[0] ?? '') || words[1] === 'create';
    return [
      ...(words[0] === 'embed' ? [] : ['--data', 'embedded']),
      ...(imaging ? ['--models', modelsPath, '--provider', 'cpu'] : []),
    ];
  }

  for (const step of steps) {
    const title = typeof step.args === 'function' ? step.args({ annaTemplates: [] }) : step.args;
    it(`harmonid ${title.join(' ')}`, async () => {
      const there = play(step, remote, ['--server', serving?.address ?? '']);
      // Both end before the next step begins, whichever fails.
      const [here] = await Promise.all([play(step, embedded, onData(step)), there.catch(() => undefined)]);
      assertAlike(await there, here, '');
    });
  }

  it('harmonid stats: the same counts, and the model of the server', async () => {
    const here = answerOf(await harmonid(['stats', '--data', 'embedded', '--json'], { cwd: folder }));
    const there = answerOf(await harmonid(['stats', '--server', serving?.address ?? '', '--json']));
    assert.deepEqual(pick(here['galleries'], 'templateCount'), [1]);
    assert.deepEqual(pick(there['galleries'], 'templateCount'), [1]);
    assert.equal(here['embedder'], null);
    const { info } = there['embedder'] as { info: Json };
    for (const field of ['pack', 'space', 'provider', 'providerReason', 'threshold'])
      assert.ok(info[field] !== undefined, field);
    const searched = there['search'] as Json;
    assert.deepEqual(here['search'], { ...searched, ownSearches: 0 }, 'a directory that was just opened');
    assert.ok(Number(searched['ownSearches']) > 0 && searched['searches'] === 0);
    const { stdout } = await harmonid(['stats', '--server', serving?.address ?? '']);
    assert.match(stdout, /^searches +[1-9]\d*, 0 of them by helping threads \(0 running, at most \d+\)$/m);
  });

  it('harmonid export: JSON Lines with vectors of norm 1, to stdout or to a file for its owner only', async () => {
    const here = await harmonid(['export', '--data', 'embedded'], { cwd: folder });
    const there = await harmonid(['export', '--server', serving?.address ?? '', '-o', 'out.jsonl', '--json'], {
      cwd: folder,
    });
    assert.deepEqual([here.code, there.code, there.stdout], [0, 0, '']);
    const lines = here.stdout.trimEnd().split('\n');
    assert.equal(lines.length, 1);
    const { identity, label, groups, attributes, template, space, dimensions, vector } = JSON.parse(
      lines[0] ?? '',
    ) as Json;
    assert.deepEqual([identity, label, groups, attributes], ['anna', 'Anna A.', ['staff'], { office: 'B2' }]);
    assert.deepEqual([typeof (template as Json)['template'], typeof space, dimensions], ['number', 'string', 128]);
    const bytes = Buffer.from(String(vector), 'base64');
    assert.equal(bytes.length, 4 * 128);
    const values = Array.from({ length: 128 }, (_, i) => bytes.readFloatLE(4 * i));
    assert.ok(Math.abs(Math.hypot(...values) - 1) < 1e-5);
    const { mode } = await stat(join(folder, 'out.jsonl'));
    assert.equal(mode & 0o077, 0);
  });

  it('harmonid identify - reads standard input, and --annotate draws', async () => {
    const photo = groupPhoto(6);
    const args = ['identify', '-', '--annotate', 'who.png', '--server', serving?.address ?? ''];
    const outcome = await harmonid(args, { cwd: folder, stdin: photo });
    assert.equal(outcome.code, 3, outcome.stderr);
    // Four women stand there; one of them is enrolled.
    assert.match(outcome.stdout, /^PHOTO\s+FACE\s+DECISION\s+IDENTITY\s+DISTANCE\s+THRESHOLD\s+FPIR\s+NEAREST$/m);
    assert.equal(outcome.stdout.match(/ match +anna +0\.\d{3} /g)?.length, 1, outcome.stdout);
    assert.equal(outcome.stdout.match(/ no-match /g)?.length, 3, outcome.stdout);
    assert.ok(!outcome.stdout.includes('\u001B'), 'no colours in a pipe');
    const drawn = await sharp(join(folder, 'who.png')).metadata();
    const given = await sharp(photo).metadata();
    assert.deepEqual([drawn.format, drawn.width, drawn.height], ['png', given.width, given.height]);
  });

  it('a data directory that is served is refused, with the way out', async () => {
    const { code, stderr } = await harmonid(['list', '--data', 'served'], { cwd: folder });
    assert.equal(code, 1);
    assert.match(stderr, /\(DATA_LOCKED\)\n.*--server/);
  });

  it('an address that is in use is refused', async () => {
    const { code, stderr } = await harmonid(
      ['serve', '--data', 'other', '--vectors-only', '--listen', serving?.address ?? ''],
      { cwd: folder },
    );
    assert.equal(code, 1);
    assert.match(stderr, /\(ADDRESS_IN_USE\)\n.*--listen/);
  });

  it('a provider that cannot start is refused, never replaced', async () => {
    const elsewhere = process.platform === 'win32' ? 'coreml' : 'directml';
    const { code, stderr } = await harmonid(
      ['identify', 'anna3.jpg', '--data', 'embedded', '--provider', elsewhere, '--models', modelsPath, '--json'],
      { cwd: folder },
    );
    assert.equal(code, 1);
    assert.equal((JSON.parse(stderr) as { error: Json }).error['code'], 'PROVIDER_UNAVAILABLE');
  });

  it('harmonid evaluate verification: two people, two photos each, in two folds', async () => {
    const pairs = ['2\t1', 'anna\t1\t2', 'anna\t1\tbella\t1', 'bella\t1\t2', 'bella\t2\tanna\t2'];
    for (const person of ['anna', 'bella'] as const) {
      await mkdir(join(folder, 'lfw', person), { recursive: true });
      await writeFile(join(folder, 'lfw', person, `${person}_0001.jpg`), await portrait(person));
      await writeFile(join(folder, 'lfw', person, `${person}_0002.jpg`), await portrait(person, { brightness: 0.9 }));
    }
    await writeFile(join(folder, 'pairs.txt'), `${pairs.join('\n')}\n`);
    const args = ['--images', 'lfw', '--pairs', 'pairs.txt', '--models', modelsPath, '--provider', 'cpu', '--json'];
    const report = json(await harmonid(['evaluate', 'verification', ...args], { cwd: folder }));
    assert.deepEqual([report['photos'], (report['facesNotFound'] as Json)['count'], report['folds']], [4, 0, 2]);
    assert.equal((report['accuracy'] as Json)['mean'], 1);
    assert.ok(Number(report['threshold']) > 0 && Number(report['imagesPerSecond']) > 0);
  });

  it('models list and show: the default pack is there', async () => {
    const listed = json(await harmonid(['models', 'list', '--models', modelsPath, '--json'], { cwd: folder }));
    assert.equal((list(listed['models'])[0] as Json)['problem'], null);
    const shown = json(await harmonid(['models', 'show', '--models', modelsPath, '--json'], { cwd: folder }));
    assert.deepEqual([shown['id'], typeof shown['manifest']], ['dlib-resnet-v1', 'object']);
    const added = await harmonid(['models', 'add', 'nowhere', '--models', modelsPath, '--json'], { cwd: folder });
    assert.deepEqual([added.code, (JSON.parse(added.stderr) as { error: Json }).error['code']], [1, 'MODEL_NOT_FOUND']);
  });

  it('SIGTERM drains the server, which exits 0', async () => {
    const own = await serve(['--data', join(folder, 'own'), '--vectors-only']);
    assert.equal(await own.stop(), 0);
    assert.equal(own.log.at(-1)?.['msg'], 'stopped');
    const opened = serving?.log.find(({ msg }) => msg === 'opened');
    for (const field of ['provider', 'providerReason', 'pack', 'space'])
      assert.equal(typeof opened?.[field], 'string', field);
  });
});

// ── Reading answers ──────────────────────────────────────────────────────────────────────────────────────────────────

/** The document on stdout, or the error on stderr. */
function answerOf(outcome: Outcome): Json {
  if (outcome.stdout !== '') return json(outcome);
  return JSON.parse(outcome.stderr) as Json;
}

function errorOf(answer: Json): Json {
  return answer['error'] as Json;
}

function list(value: unknown): readonly unknown[] {
  assert.ok(Array.isArray(value), `not a list: ${JSON.stringify(value)}`);
  return value;
}

function pick(values: unknown, field: string): unknown[] {
  return list(values).map((value) => (value as Json)[field]);
}

function identificationsOf(photo: unknown): readonly Json[] {
  return list((photo as Json)['identifications']) as Json[];
}

/** Photo by photo: decision and nearest identity of each face. */
function decisionsOf(photos: unknown): readonly (readonly [photo: unknown, faces: readonly string[]])[] {
  return list(photos).map((photo) => [
    (photo as Json)['photo'],
    identificationsOf(photo).map(
      ({ decision, candidates }) => `${String(decision)} ${String((list(candidates)[0] as Json)['identity'])}`,
    ),
  ]);
}

const clocks = new Set(['createdAt', 'updatedAt', 'enrolledAt', 'timings', 'nextPageToken', 'receipt']);

/** Deep equality, with numbers to three decimals (batches change the last bits of a vector) and without clocks. */
function assertAlike(actual: unknown, expected: unknown, at: string): void {
  if (typeof actual === 'number' && typeof expected === 'number') {
    assert.ok(Math.abs(actual - expected) < 1e-3, `${at}: ${actual} and ${expected}`);
  } else if (typeof actual === 'object' && actual !== null && typeof expected === 'object' && expected !== null) {
    assert.deepEqual(Object.keys(actual).toSorted(), Object.keys(expected).toSorted(), at);
    for (const [key, value] of Object.entries(actual)) {
      if (!clocks.has(key)) assertAlike(value, (expected as Json)[key], `${at}.${key}`);
    }
  } else assert.deepEqual(actual, expected, at);
}
