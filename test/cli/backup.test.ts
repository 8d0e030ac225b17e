/**
 * `harmonid backup`, `restore`, `export` and `import --templates`, run as they are shipped: on a directory and against a server. Files are
 * looked at with Node's own tools; what was restored is compared with `harmonid export` of the original.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { openDatabase } from '../../src/database.js';
import { temporaryFolder } from '../support/database.js';
import { harmonid, json, serve } from './command-line.js';

describe('harmonid backup and restore', function () {
  this.timeout(120_000);
  let folder = '';

  before(async () => {
    folder = temporaryFolder();
    const database = await openDatabase({ path: join(folder, 'data'), embedder: false });
    await database.createGallery({ gallery: 'lobby', space: 's', dimensions: 4, threshold: 0.1 });
    for (let person = 0; person < 5; person++) {
      const vector = [1, person, person * person, -1];
      await database.enroll({
        gallery: 'lobby',
        identity: `p${person}`,
        embeddings: [{ space: 's', vector }],
        duplicates: 'ignore',
      });
    }
    await database.close();
    await mkdir(join(folder, 'backups'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const run = (line: string): ReturnType<typeof harmonid> => harmonid(line.split(' '), { cwd: folder });

  async function exportOf(data: string): Promise<string> {
    const { code, stdout, stderr } = await run(`export --gallery lobby --data ${data}`);
    assert.equal(code, 0, stderr);
    assert.equal(stdout.trimEnd().split('\n').length, 5);
    return stdout;
  }

  it('go there and back, through a file for its owner only, whose digest is told', async () => {
    const taken = await run('backup monday.backup --json');
    assert.equal(taken.code, 0, taken.stderr);
    const { file, bytes, sha256, records, directoryFormat, product, at } = json(taken);
    const content = await readFile(join(folder, 'monday.backup'));
    assert.deepEqual([file, bytes], ['monday.backup', content.length]);
    assert.equal(sha256, createHash('sha256').update(content).digest('hex'));
    assert.deepEqual([typeof directoryFormat, typeof product, typeof at], ['number', 'string', 'string']);
    assert.equal((records as Record<string, number>)['templates'], 5);
    assert.equal((await stat(join(folder, 'monday.backup'))).mode & 0o777, 0o600);

    const verified = await run('restore monday.backup --verify-only --data nowhere');
    assert.equal(verified.code, 0, verified.stderr);
    assert.match(verified.stdout, /whole\n1 gallery, 5 people, 5 templates as of .*\n.*SHA-256 [0-9a-f]{64}\n$/);
    assert.ok(!(await readdir(folder)).includes('nowhere'));

    const restored = await run('restore monday.backup --data restored');
    assert.equal(restored.code, 0, restored.stderr);
    assert.match(restored.stdout, /restored to restored\n1 gallery, 5 people, 5 templates/);
    assert.equal(await exportOf('restored'), await exportOf('data'));
    const piped = await harmonid(['restore', '-', '--data', 'piped'], { cwd: folder, stdin: content });
    assert.equal(piped.code, 0, piped.stderr);
    assert.equal(await exportOf('piped'), await exportOf('data'));
  });

  it('of a server that goes on, into a folder', async () => {
    const serving = await serve(['--data', join(folder, 'data'), '--vectors-only']);
    try {
      const held = await run('backup held.backup');
      assert.deepEqual([held.code, held.stdout], [1, '']);
      assert.match(held.stderr, /DATA_LOCKED/);
      const taken = await run(`backup backups --server ${serving.address}`);
      assert.equal(taken.code, 0, taken.stderr);
    } finally {
      await serving.stop();
    }
    const names = await readdir(join(folder, 'backups'));
    assert.equal(names.length, 1);
    assert.match(names[0] ?? '', /^harmonid-\d{8}T\d{6}Z\.backup$/);
    const restored = await run(`restore backups/${names[0]} --data of-the-server`);
    assert.equal(restored.code, 0, restored.stderr);
    assert.equal(await exportOf('of-the-server'), await exportOf('data'));
    assert.ok(!(await readdir(folder)).some((name) => name.includes('held') || name.endsWith('.part')));
  });

  it('replace nothing, and refuse what is damaged, with what to do', async () => {
    const existing = await run('backup monday.backup');
    assert.equal(existing.code, 1);
    assert.match(existing.stderr, /monday\.backup exists.*\(DATA_EXISTS\)\n/);
    const occupied = await run('restore monday.backup --data data');
    assert.equal(occupied.code, 1);
    assert.match(occupied.stderr, /not empty.*\(DATA_EXISTS\)\n/);

    await writeFile(join(folder, 'cut.backup'), await readFile(join(folder, 'monday.backup')));
    await truncate(join(folder, 'cut.backup'), 700);
    for (const line of ['restore cut.backup --data cut', 'restore cut.backup --verify-only']) {
      const refused = await run(line);
      assert.deepEqual([refused.code, refused.stdout], [1, '']);
      assert.match(refused.stderr, /ends at byte 700.*\(BACKUP_INVALID\)\n.*another backup/);
    }
    assert.ok(!(await readdir(folder)).some((name) => name.startsWith('cut') && name !== 'cut.backup'));
    const absent = await run('restore absent.backup --data cut');
    assert.equal(absent.code, 2);
    assert.match(absent.stderr, /no such file: absent\.backup/);
    assert.equal((await run('backup no/such/folder/x.backup')).code, 2);
    assert.equal((await run('backup x.backup --data absent')).code, 1);
  });

  it('export as protobuf and as JSON Lines come in again, and a second time add nothing', async () => {
    for (const format of ['binary', 'jsonl']) {
      const out = await run(`export --gallery lobby --format ${format} -o out.${format}`);
      assert.equal(out.code, 0, out.stderr);
      const refused = await run(`import --templates out.${format} --data copy-${format}`);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /DATA_NOT_FOUND/);
      const imported = await run(
        `import --templates out.${format} --data copy-${format} --create-gallery --threshold 0.2 --json`,
      );
      assert.equal(imported.code, 0, imported.stderr);
      const { seconds, ...report } = json(imported);
      assert.equal(typeof seconds, 'number');
      assert.deepEqual(report, {
        templates: 5, peopleCreated: 5, added: 5, alreadyThere: 0, refused: [], complete: true,
      }); // prettier-ignore
      assert.equal(await exportOf(`copy-${format}`), await exportOf('data'));
      const again = await harmonid(['import', '--templates', '-', '--data', `copy-${format}`], {
        cwd: folder,
        stdin: await readFile(join(folder, `out.${format}`)),
      });
      assert.equal(again.code, 0, again.stderr);
      assert.match(again.stdout, /^5 templates: 0 added, 5 already there, none refused/);
    }
  });

  it('import --templates tells what is refused, and what is wrong with the line', async () => {
    const lines = (await readFile(join(folder, 'out.jsonl'), 'utf8')).split('\n');
    const wrong = [lines[0], lines[1]?.replace('"gallery":"lobby"', '"gallery":"nowhere"'), '{"cut'].join('\n');
    await writeFile(join(folder, 'wrong.jsonl'), wrong);
    const outcome = await run('import --templates wrong.jsonl --report report.json');
    assert.equal(outcome.code, 1);
    assert.match(outcome.stdout, /^2 templates: 0 added, 1 already there, 1 refused/);
    assert.match(outcome.stdout, /GALLERY_NOT_FOUND\s+2, p1\s/);
    assert.match(outcome.stderr, /line 3 is no JSON.*\(INVALID_ARGUMENT\)/);
    const report = JSON.parse(await readFile(join(folder, 'report.json'), 'utf8')) as Record<string, unknown>;
    assert.deepEqual([report['templates'], report['complete']], [2, false]);
    for (const line of [
      'import',
      'import people --templates out.jsonl',
      'import --templates out.jsonl --group staff',
      'import --templates out.jsonl --threshold 0.2',
      'import people --create-gallery',
      'import --templates absent.jsonl',
    ]) {
      assert.equal((await run(line)).code, 2, line);
    }
  });
});
