/**
 * Method: real files, changed by hand while the log is written and between its openings. What should be found is counted by hand.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  watch,
  writeFile,
} from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, it } from 'mocha';
import { entry, found, inPlace, records, shape } from './log-place.js';

describe('the writer of an audit log', () => {
  it('is alone: a second one is refused, as long as there is a first', () =>
    inPlace(async ({ folder, open }) => {
      const first = await open();
      for (const whenFull of ['refuse', 'continue'] as const) {
        await assert.rejects(open({ whenFull }), { code: 'DATA_LOCKED' });
      }
      await first.append(entry('a'));
      await first.close();
      const second = await open();
      await second.append(entry('b'));
      await second.close();
      assert.deepEqual(shape(await records(folder)), ['file', 'a', 'b']);
    }));

  it('is alone under every path to its folder, and while it lives only: nothing is left by one that was killed', () =>
    inPlace(async ({ folder, open }) => {
      const child = spawn(process.execPath, [new URL('writer-child.js', import.meta.url).pathname, folder]);
      const ended = once(child, 'exit');
      try {
        await once(child.stdout, 'data');
        await symlink(folder, `${folder}-link`);
        await assert.rejects(open({ folder: `${folder}-link` }), { code: 'DATA_LOCKED' });
      } finally {
        child.kill('SIGKILL');
        await ended;
      }
      await (await open()).close();
      assert.deepEqual(await found(folder), []);
    }));

  it('is not held up by one that could not open', () =>
    inPlace(async ({ file, folder, open }) => {
      await mkdir(file(1), { recursive: true });
      await assert.rejects(open(), { code: 'AUDIT_UNAVAILABLE' });
      await rm(folder, { recursive: true });
      await (await open()).close();
    }));

  it('keeps its files to itself', () =>
    inPlace(async ({ file, folder, open }) => {
      await (await open()).close();
      const modes = await Promise.all([folder, file(1)].map(async (path) => (await stat(path)).mode & 0o777));
      assert.deepEqual(modes, [0o700, 0o600]);
    }));

  it('goes on in another file when somebody takes its file away, so that the gap is found', () =>
    inPlace(async ({ file, folder, open, warnings }) => {
      const log = await open();
      await log.append(entry('a'));
      await unlink(file(1));
      await log.append(entry('b'));
      await log.close();
      assert.deepEqual(await readdir(folder), ['audit-00000002.jsonl']);
      assert.deepEqual(shape(await records(folder)), ['file', 'mended', 'b']);
      assert.deepEqual(await found(folder), ['2:']);
      assert.deepEqual(warnings, ['a file of the audit log was removed by somebody else']);
    }));

  it('goes on in another file when somebody cuts its file, so that the gap is found', () =>
    inPlace(async ({ file, folder, open, warnings }) => {
      const log = await open();
      await log.append(entry('a'));
      const { size } = await stat(file(1));
      await log.append(entry('b'));
      await truncate(file(1), size);
      await log.append(entry('c'));
      await log.close();
      assert.deepEqual(shape(await records(folder)), ['file', 'a', 'file', 'mended', 'c']);
      // The file's number, and the hash that it follows.
      assert.deepEqual(await found(folder), ['2:1', '2:1']);
      assert.deepEqual(warnings, ['a file of the audit log was cut short by somebody else']);
    }));

  it('removes no file that it cannot read: it is for the check to find', () =>
    inPlace(async ({ file, folder, open, warnings }) => {
      const log = await open({ fileBytesMax: 1 });
      await log.append(entry('a'));
      await log.close();
      const spoilt = 'no entry\nand no other\n';
      await writeFile(file(2), spoilt);
      const again = await open();
      await again.append(entry('b'));
      await again.close();
      assert.equal(await readFile(file(2), 'utf8'), spoilt);
      const all = await records(folder);
      assert.deepEqual(shape(all), ['file', 'a', 'file', 'mended', 'b']);
      assert.deepEqual(all[3]?.facts, { file: 'audit-00000002.jsonl', why: 'unreadable' });
      // The chain goes on from what can be read.
      assert.deepEqual(await found(folder), ['2:1', '2:2']);
      assert.deepEqual(warnings, ['the newest file of the audit log cannot be read and is left as it is']);
    }));

  it('with `continue` lives without a folder, and tells afterwards how much is missing', () =>
    inPlace(async ({ folder, open, warnings }) => {
      await writeFile(folder, '');
      const log = await open({ whenFull: 'continue' });
      await log.append(entry('a'));
      await log.append(entry('b'));
      await rm(folder);
      await log.append(entry('c'));
      await log.close();
      const all = await records(folder);
      assert.deepEqual(shape(all), ['file', 'missing', 'c']);
      assert.equal(all[1]?.facts['entries'], 2);
      assert.deepEqual(warnings, ['the audit log cannot be opened', 'the audit log cannot be written']);
    }));

  it('removes files in their time also when they are damaged', () =>
    inPlace(async ({ file, folder, open, wait }) => {
      const log = await open({ retentionDays: 10 });
      await log.append(entry('a'));
      wait(1);
      await log.append(entry('b'));
      // Written after the second file has begun, for which the entry before does not wait.
      await log.append(entry('c'));
      await writeFile(file(1), 'spoilt\n');
      wait(20);
      await log.append(entry('d'));
      await log.append(entry('e'));
      await log.close();
      assert.ok(!(await readdir(folder)).includes('audit-00000001.jsonl'));
      assert.deepEqual(await found(folder), []);
    }));

  it('does not begin anew when its only file cannot be read', () =>
    inPlace(async ({ file, folder, open }) => {
      await (await open()).close();
      await writeFile(file(1), 'no entry\n');
      const log = await open();
      await log.append(entry('a'));
      await log.close();
      assert.deepEqual(await readdir(folder), ['audit-00000001.jsonl', 'audit-00000002.jsonl']);
      assert.ok((await found(folder)).includes('1:1'));
    }));

  it('goes on in another file when its file was replaced by a copy', () =>
    inPlace(async ({ file, folder, open }) => {
      const log = await open();
      await log.append(entry('a'));
      const copy = await readFile(file(1));
      await rename(file(1), join(folder, 'elsewhere'));
      await writeFile(file(1), copy);
      await log.append(entry('b'));
      await log.close();
      assert.deepEqual(shape(await records(folder)), ['file', 'a', 'file', 'mended', 'b']);
      assert.deepEqual(await found(folder), []);
    }));

  it('passes over a file that somebody has put where its next one would be', () =>
    inPlace(async ({ file, folder, open }) => {
      const log = await open({ fileBytesMax: 1 });
      await writeFile(file(2), 'no entry\n');
      await log.append(entry('a'));
      await log.append(entry('b'));
      await log.close();
      assert.deepEqual(shape(await records(folder)), ['file', 'a', 'file', 'b', 'file']);
      assert.deepEqual(await found(folder), ['2:1']);
    }));

  it('removes files in their time also when nothing is appended', () =>
    inPlace(async ({ file, folder, open, wait }) => {
      const log = await open({ retentionDays: 10 });
      await log.append(entry('a'));
      wait(1);
      await log.append(entry('b'));
      // Written after the second file has begun, for which the entry before does not wait.
      await log.append(entry('c'));
      const changes = watch(folder, { signal: AbortSignal.timeout(30_000) });
      wait(20);
      for await (const { filename } of changes) {
        if (filename === basename(file(1)) && !(await readdir(folder)).includes(filename)) break;
      }
      await log.close();
      assert.deepEqual(await found(folder), []);
    }));

  it('tells the end of what it removes as the check would find it', () =>
    inPlace(async ({ folder, open, wait }) => {
      const log = await open({ fileBytesMax: 500, retentionDays: 10 });
      for (let i = 0; i < 10; i++) await log.append(entry(`p${i}`));
      const ends = new Map((await records(folder)).map(({ sequence, hash }) => [sequence, hash]));
      wait(20);
      await log.append(entry('last'));
      await log.close();
      const retired = (await records(folder)).flatMap(({ action, facts }) =>
        action === 'retired' ? (facts['files'] as { readonly sequence: number; readonly hash: string }[]) : [],
      );
      assert.ok(retired.length > 2);
      for (const { sequence, hash } of retired) assert.equal(hash, ends.get(sequence));
      assert.deepEqual(await found(folder), []);
    }));

  it('says of every file that it is gone, also of more than one entry has room for', () =>
    inPlace(async ({ folder, open, wait }) => {
      const log = await open({ fileBytesMax: 1, retentionDays: 10 });
      for (let i = 0; i < 600; i++) await log.append(entry(`p${i}`));
      wait(20);
      await log.append(entry('a'));
      await log.append(entry('b'));
      assert.deepEqual(await found(folder), []);
      await log.append(entry('c'));
      await log.close();
      assert.ok((await readdir(folder)).length < 10);
      assert.deepEqual(await found(folder), []);
    }));

  it('has no gap in its chain when another file could be made but its name not be synced', () =>
    inPlace(async ({ folder }) => {
      const child = new URL('few-files-child.js', import.meta.url).pathname;
      const script = `ulimit -n 200; exec "${process.execPath}" "${child}" "${folder}"`;
      const { stdout } = await promisify(execFile)('bash', ['-c', script]);
      assert.deepEqual(JSON.parse(stdout), ['the audit log could not begin another file']);
      const identities = (await records(folder)).flatMap(({ identity }) => identity ?? []);
      assert.deepEqual(identities, ['a', 'b', 'c', 'd']);
      assert.deepEqual(await found(folder), []);
    }));
});
