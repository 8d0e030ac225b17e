/**
 * Method: real files. The chain is followed by a second, simple reader written here from docs/FORMAT.md; tampering is done by hand, line by line; a full disk is a
 * limit on file sizes of a child process, as the system enforces it.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFile, readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, it } from 'mocha';
import { checkAuditLog } from '../../src/audit/audit-check.js';
import type { AuditRecord } from '../../src/audit/audit-line.js';
import { csvCell, lastOf, queryAuditLog } from '../../src/audit/audit-query.js';
import { entry, inPlace } from './log-place.js';

async function textOf(folder: string): Promise<readonly { readonly name: string; readonly lines: string[] }[]> {
  const names = (await readdir(folder)).toSorted();
  return Promise.all(
    names.map(async (name) => ({ name, lines: (await readFile(join(folder, name), 'utf8')).split('\n').slice(0, -1) })),
  );
}

/** As docs/FORMAT.md has it, and no other way: what the log says of itself is not asked. */
async function chainOf(folder: string): Promise<readonly Record<string, unknown>[]> {
  let before = '0'.repeat(64);
  const records: Record<string, unknown>[] = [];
  for (const { lines } of await textOf(folder)) {
    for (const line of lines) {
      const record = JSON.parse(line) as Record<string, unknown>;
      const rest = line.replace(/^\{"hash":"[0-9a-f]{64}",/, '');
      assert.equal(
        record['hash'],
        createHash('sha256')
          .update(before + rest)
          .digest('hex'),
      );
      assert.equal(record['sequence'], records.length + 1);
      before = record['hash'];
      records.push(record);
    }
  }
  return records;
}

const shape = (records: readonly Record<string, unknown>[]): unknown[] =>
  records.map(({ action, identity }) => identity ?? action);

async function messages(folder: string, known?: { sequence: number; hash: string }): Promise<readonly string[]> {
  return (await checkAuditLog(folder, known)).findings.map(
    ({ file, line, message }) => `${file.replace(/^.*\//, '')}:${line ?? ''} ${message}`,
  );
}

describe('the audit log', () => {
  it('chains what is appended, in order, also when many append at once and over restarts', () =>
    inPlace(async ({ folder, open }) => {
      const names: string[] = [];
      for (const start of [0, 1]) {
        const log = await open();
        const batch = Array.from({ length: 200 }, (_, i) => `p${start}-${i}`);
        await Promise.all(batch.map((name) => log.append(entry(name))));
        names.push(...batch);
        await log.close();
      }
      const records = await chainOf(folder);
      assert.deepEqual(shape(records), ['file', ...names]);
      const { findings, entries, head } = await checkAuditLog(folder);
      assert.deepEqual([findings, entries, head?.hash], [[], 401, records.at(-1)?.['hash']]);
      assert.equal((await stat(join(folder, 'audit-00000001.jsonl'))).mode & 0o777, 0o600);
    }));

  it('goes on in another file beyond its size and every day, in one chain', () =>
    inPlace(async ({ folder, open, wait }) => {
      const log = await open({ fileBytesMax: 2_000 });
      for (let i = 0; i < 30; i++) await log.append(entry(`p${i}`));
      wait(1);
      await log.append(entry('next day'));
      await log.append(entry('after'));
      await log.close();
      const files = await textOf(folder);
      assert.ok(files.length > 4);
      for (const { lines } of files) assert.ok(lines.join('\n').length < 2_600);
      await chainOf(folder);
      assert.deepEqual(await messages(folder), []);
      const [first = ''] = files.at(-1)?.lines ?? [];
      assert.equal((JSON.parse(first) as AuditRecord).action, 'file');
    }));

  it('removes files that have had their time, and says so in the chain', () =>
    inPlace(async ({ folder, open, wait }) => {
      for (let day = 0; day < 6; day++) {
        const log = await open({ retentionDays: 2 });
        await log.append(entry(`day ${day}`));
        await log.close();
        wait(1);
      }
      const names = (await readdir(folder)).toSorted();
      assert.ok(names.length >= 2 && names.length <= 5, names.join());
      assert.notEqual(names[0], 'audit-00000001.jsonl');
      assert.deepEqual(await messages(folder), []);
      // The same without the entry that tells of it is no retention.
      await unlink(join(folder, names[0] ?? ''));
      assert.ok(
        (await messages(folder)).some((message) => message.includes('no entry says that those before it were removed')),
      );
    }));

  it('finds every change, gap, addition and swap', () =>
    inPlace(async ({ folder, open }) => {
      const log = await open();
      for (let i = 0; i < 8; i++) await log.append(entry(`p${i}`));
      const { head } = log;
      await log.close();
      const file = join(folder, 'audit-00000001.jsonl');
      const good = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
      const tampered = async (lines: readonly string[]): Promise<readonly string[]> => {
        await writeFile(file, lines.map((line) => `${line}\n`).join(''));
        return messages(folder, head);
      };
      assert.deepEqual(await tampered(good), []);
      for (let i = 0; i < good.length; i++) {
        const line = good[i] ?? '';
        // Every character of one line, every fiftieth of the others.
        for (let at = 0; at < line.length; at += i === 3 ? 1 : 50) {
          const other = line[at] === '0' ? '1' : '0';
          const changed = good.with(i, line.slice(0, at) + other + line.slice(at + 1));
          assert.notDeepEqual(await tampered(changed), [], `line ${i}, character ${at}`);
        }
        assert.notDeepEqual(await tampered(good.toSpliced(i, 1)), [], `without line ${i}`);
        assert.notDeepEqual(await tampered(good.toSpliced(i, 0, line)), [], `line ${i} twice`);
        if (i > 0) {
          const swapped = good.with(i, good[i - 1] ?? '').with(i - 1, line);
          assert.notDeepEqual(await tampered(swapped), [], `lines ${i} and ${i - 1} swapped`);
        }
      }
      // A tail that is cut off fits in itself: only the noted head tells.
      await writeFile(
        file,
        good
          .slice(0, -2)
          .map((line) => `${line}\n`)
          .join(''),
      );
      assert.deepEqual(await messages(folder), []);
      assert.match((await messages(folder, head)).join(), /ends at entry 7: entry 9, which was noted, is missing/);
    }));

  it('finds a file that is missing in the middle, and one that was put in', () =>
    inPlace(async ({ folder, open }) => {
      const log = await open({ fileBytesMax: 1_000 });
      for (let i = 0; i < 20; i++) await log.append(entry(`p${i}`));
      await log.close();
      const names = (await readdir(folder)).toSorted();
      const taken = await readFile(join(folder, names[2] ?? ''));
      await unlink(join(folder, names[2] ?? ''));
      assert.match((await messages(folder)).join('\n'), /follows file 2: what was between is missing/);
      await writeFile(join(folder, names[2] ?? ''), taken);
      assert.deepEqual(await messages(folder), []);
      await writeFile(join(folder, 'audit-00000099.jsonl'), taken);
      assert.notDeepEqual(await messages(folder), []);
    }));

  it('cuts off a line that was torn at any byte, says so, and loses nothing before it', () =>
    inPlace(async ({ folder, open, warnings }) => {
      const file = join(folder, 'audit-00000001.jsonl');
      const log = await open();
      await log.append(entry('whole'));
      const whole = (await stat(file)).size;
      await log.append(entry('torn'));
      await log.close();
      const bytes = await readFile(file);
      for (let cut = whole + 1; cut < bytes.length; cut++) {
        await writeFile(file, bytes.subarray(0, cut));
        const again = await open();
        await again.append(entry('after'));
        await again.close();
        assert.deepEqual(shape(await chainOf(folder)), ['file', 'whole', 'mended', 'after'], `cut at ${cut}`);
        assert.deepEqual(await messages(folder), []);
      }
      assert.equal(warnings.length, bytes.length - whole - 1);
    }));

  it('begins again after a death in the very first line of a file', () =>
    inPlace(async ({ folder, open }) => {
      const log = await open();
      await log.append(entry('a'));
      await log.close();
      await writeFile(join(folder, 'audit-00000002.jsonl'), '{"hash":"12');
      const again = await open();
      await again.append(entry('b'));
      await again.close();
      assert.deepEqual(shape(await chainOf(folder)), ['file', 'a', 'b']);
    }));

  it('refuses to write beside somebody else', () =>
    inPlace(async ({ folder, open }) => {
      const log = await open();
      await log.append(entry('a'));
      await appendFile(join(folder, 'audit-00000001.jsonl'), 'x');
      await assert.rejects(log.append(entry('b')), { code: 'AUDIT_UNAVAILABLE', message: /somebody else writes it/ });
      await log.close();
    }));

  it('cannot be opened where its folder is a file', () =>
    inPlace(async ({ folder, open }) => {
      await writeFile(folder, '');
      await assert.rejects(open(), { code: 'AUDIT_UNAVAILABLE' });
    }));

  for (const whenFull of ['refuse', 'continue'] as const) {
    it(`on a full disk: ${whenFull}; nothing is half written, and what is missing is told`, () =>
      inPlace(async ({ folder }) => {
        const child = new URL('full-disk-child.js', import.meta.url).pathname;
        // Blocks of 1024 bytes: nothing in the child may write a longer file.
        const { stdout } = await promisify(execFile)('bash', [
          '-c',
          `ulimit -S -f 4; exec "${process.execPath}" "${child}" "${folder}" ${whenFull}`,
        ]);
        const told = JSON.parse(stdout) as {
          readonly written: number;
          readonly refused: number;
          readonly warned: number;
        };
        assert.equal(told.written + told.refused, 40);
        const records = await chainOf(folder);
        assert.deepEqual(await messages(folder), []);
        const asked = records.filter(({ action }) => action === 'identify').length;
        const missing = records.flatMap(({ action, facts }) =>
          action === 'missing' ? [(facts as { readonly entries: number }).entries] : [],
        );
        // Forty, and one when there was room again.
        assert.equal(asked + missing.reduce((sum, count) => sum + count, 0), 41);
        assert.ok((missing[0] ?? 0) > 0);
        if (whenFull === 'refuse') assert.equal(told.refused, missing[0]);
        else assert.equal(told.refused, 0);
        assert.equal(told.warned, 1);
      }));
  }

  it('answers questions in order, by every field, and the last so many', () =>
    inPlace(async ({ folder, open }) => {
      const log = await open({ fileBytesMax: 700 });
      const names = ['a', 'b', 'c', 'd', 'e', 'f'];
      for (const [i, name] of names.entries()) {
        await log.append(
          entry(name, {
            action: i % 2 === 0 ? 'identify' : 'enroll',
            actor: i < 3 ? 'key:door' : 'key:desk',
            gallery: i === 5 ? 'vault' : 'lobby',
            outcome: i === 4 ? 'NO_FACE' : 'OK',
          }),
        );
      }
      await log.close();
      const asked = async (question: Parameters<typeof queryAuditLog>[1]): Promise<string> => {
        const found: string[] = [];
        for await (const { identity } of queryAuditLog(folder, question)) if (identity !== null) found.push(identity);
        return found.join('');
      };
      const all: AuditRecord[] = [];
      for await (const record of queryAuditLog(folder, {})) all.push(record);
      const atOf = (name: string): Date => all.find(({ identity }) => identity === name)?.at ?? new Date(0);
      assert.equal(await asked({}), 'abcdef');
      assert.equal(await asked({ actions: ['enroll'] }), 'bdf');
      assert.equal(await asked({ actor: 'key:desk' }), 'def');
      assert.equal(await asked({ gallery: 'vault' }), 'f');
      assert.equal(await asked({ identity: 'c' }), 'c');
      assert.equal(await asked({ outcome: 'NO_FACE' }), 'e');
      assert.equal(await asked({ since: atOf('b'), until: atOf('e') }), 'bcd');
      assert.equal(await asked({ actor: 'key:door', actions: ['identify'] }), 'ac');
      const last = await lastOf(queryAuditLog(folder, { actions: ['identify', 'enroll'] }), 2);
      assert.deepEqual(
        last.map(({ identity }) => identity),
        ['e', 'f'],
      );
    }));

  it('gives spreadsheets no formulas', () => {
    assert.deepEqual(['=1+1', '+1', '-1', '@x', 'plain', 'a,b', 'say "hi"', '=a,"b"'].map(csvCell), [
      "'=1+1",
      "'+1",
      "'-1",
      "'@x",
      'plain',
      '"a,b"',
      '"say ""hi"""',
      '"\'=a,""b"""',
    ]);
  });
});
