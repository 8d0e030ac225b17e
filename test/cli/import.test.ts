/**
 * Imports of a folder as people have it, with good photos and junk: what is counted is known from how the folder was made.
 */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { modelsPath } from '../support/database.js';
import { groupPhoto } from '../support/photos.js';
import { harmonid, json, portrait, serve, type Serving } from './command-line.js';

/** The documented fields of `harmonid import --json`. */
interface Report {
  readonly people: number;
  readonly photos: number;
  readonly peopleCreated: number;
  readonly peopleEnrolled: number;
  readonly enrolled: number;
  readonly alreadyThere: number;
  readonly refused: readonly {
    readonly photo: string;
    readonly identity: string;
    readonly error: { readonly code: string };
  }[];
  readonly ignored: readonly string[];
  readonly seconds: number;
  readonly complete: boolean;
}

describe('import', function () {
  this.timeout(120_000);
  let folder = '';
  let serving: Serving | undefined;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'harmonid-import-'));
    const anna = await portrait('anna');
    const files: Record<string, Buffer> = {
      'anna/1.jpg': anna,
      'anna/2.jpg': await portrait('anna', { brightness: 0.9 }),
      'anna/copy of 1.jpg': anna,
      'cara/1.jpg': await portrait('cara'),
      'cara/cut short.jpg': (await portrait('cara')).subarray(0, 4000),
      'cara/empty.jpg': Buffer.alloc(0),
      'cara/text.jpg': Buffer.from('this is not an image'),
      'dora/1.jpg': await portrait('dora'),
      'dora/party.jpg': groupPhoto(6),
      'dora/notes.txt': Buffer.from('met at the party'),
      'loose.jpg': anna,
    };
    for (const [name, bytes] of Object.entries(files)) await put(`people/${name}`, bytes);
    await put('impostors/eve/1.jpg', await portrait('anna', { halfWidth: 165, brightness: 1.1 }));
    serving = await serve(['--data', join(folder, 'served'), '--models', modelsPath, '--provider', 'cpu']);
  });
  after(async () => {
    await serving?.stop();
    await rm(folder, { recursive: true });
  });

  async function put(name: string, bytes: Buffer): Promise<void> {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), bytes);
  }

  function modes(): readonly { readonly name: string; readonly target: readonly string[] }[] {
    return [
      { name: 'a data directory', target: ['--data', 'embedded', '--models', modelsPath, '--provider', 'cpu'] },
      { name: 'a server', target: ['--server', serving?.address ?? ''] },
    ];
  }

  for (const [mode, name] of ['a data directory', 'a server'].entries()) {
    it(`into ${name}: takes what is good, says what was refused and why, and adds nothing twice`, async () => {
      const target = modes()[mode]?.target ?? [];
      const first = await harmonid(['import', 'people', '--report', 'report.json', ...target, '--json'], {
        cwd: folder,
      });
      assert.equal(first.code, 1, first.stderr);
      const report = json(first) as unknown as Report;
      assert.deepEqual(JSON.parse(await readFile(join(folder, 'report.json'), 'utf8')), report);
      assert.deepEqual([report.people, report.photos, report.complete], [3, 9, true]);
      assert.deepEqual(report.ignored, ['people/dora/notes.txt', 'people/loose.jpg']);
      assert.deepEqual(
        report.refused.map(({ photo, identity, error }) => [photo, identity, error.code]),
        [
          ['people/cara/cut short.jpg', 'cara', 'IMAGE_UNREADABLE'],
          ['people/cara/empty.jpg', 'cara', 'IMAGE_EMPTY'],
          ['people/cara/text.jpg', 'cara', 'IMAGE_UNREADABLE'],
          ['people/dora/party.jpg', 'dora', 'SEVERAL_FACES'],
        ],
      );
      assert.deepEqual([report.peopleCreated, report.peopleEnrolled, report.enrolled], [3, 3, 4]);
      assert.equal(report.alreadyThere, 1, 'the copy of a photo is not enrolled again');
      const again = await harmonid(['import', 'people', '--allow-refused', ...target], { cwd: folder });
      assert.equal(again.code, 0, again.stderr);
      assert.match(
        again.stdout,
        new RegExp(
          `9 photos of 3 people: 0 enrolled, ${report.enrolled + 1} already there, ${report.refused.length} refused`,
        ),
      );
      assert.match(again.stdout, /refused: 2 IMAGE_UNREADABLE, 1 /);
      assert.match(again.stdout, /people\/dora\/party\.jpg +\S.*faces/);
      assert.match(again.stderr, /ignored.*people\/loose\.jpg/);

      const { identities } = json(await harmonid(['list', ...target.slice(0, 2), '--json'], { cwd: folder }));
      const templates = (identities as { templates: unknown[] }[]).reduce(
        (sum, identity) => sum + identity.templates.length,
        0,
      );
      assert.equal(templates, 4);

      const impostors = await harmonid(['import', 'impostors', ...target, '--json'], { cwd: folder });
      assert.equal(impostors.code, 1);
      assert.deepEqual(
        (json(impostors) as unknown as Report).refused.map(({ error }) => error.code),
        ['DUPLICATE_FACE'],
      );
    });
  }

  it('tells a gallery that is not there before the first photo', async () => {
    const { code, stderr } = await harmonid(
      ['import', 'people', '--gallery', 'lobby', '--server', serving?.address ?? ''],
      { cwd: folder },
    );
    assert.equal(code, 1);
    assert.match(stderr, /\(GALLERY_NOT_FOUND\)\n.*gallery create/);
  });
});
