/** Method: a child process appends through a preloaded library that fails flushes on order and keeps what a power loss would leave; the model is what it told. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { execPath } from 'node:process';
import { promisify } from 'node:util';
import { before, describe, it } from 'mocha';
import { checkAuditLog } from '../../src/audit/audit-check.js';
import { buildFailingDisk, canFailDisk } from '../support/failing-disk.js';
import { inPlace } from './log-place.js';

describe('an audit log whose disk fails to flush', () => {
  before(function () {
    if (!canFailDisk()) this.skip();
  });

  it('refuses what is not on the disk, takes it back, and goes on in one chain', () =>
    inPlace(async ({ folder, file }) => {
      const around = join(folder, '..');
      const { env, kept } = buildFailingDisk(around, file(1));
      const child = new URL('failed-sync-child.js', import.meta.url).pathname;
      const { stdout } = await promisify(execFile)(execPath, [child, folder], { env });
      assert.deepEqual(JSON.parse(stdout), [
        'a written',
        'b written',
        'c written',
        'd AUDIT_UNAVAILABLE',
        'e AUDIT_UNAVAILABLE',
        'f written',
        'g written',
      ]);
      const left = join(around, 'left');
      await mkdir(left);
      const name = basename(file(1));
      await copyFile(kept, join(left, name));
      for (const each of [folder, left]) {
        const lines = (await readFile(join(each, name), 'utf8')).split('\n').slice(0, -1);
        const entries = lines.map((line) => JSON.parse(line) as { action: string; identity: string | null });
        assert.deepEqual(
          entries.flatMap(({ action, identity }) => (action === 'identify' ? [identity] : [])),
          ['a', 'b', 'c', 'f', 'g'],
          each,
        );
        // Those that were refused are told of.
        assert.ok(
          entries.some(({ action }) => action === 'missing'),
          each,
        );
        assert.deepEqual((await checkAuditLog(each)).findings, []);
      }
    }));
});
