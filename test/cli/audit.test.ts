/** Method: a server with `--audit` as a child process, then the log as its operator reads it; a byte changed by hand. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { connectDatabase } from '../../src/client/remote-database.js';
import { axis, makeVectorGallery } from '../server/served.js';
import { harmonid, json, serve } from './command-line.js';

interface Entry {
  readonly action: string;
  readonly actor: string;
  readonly outcome: string;
}

describe('harmonid audit', () => {
  it('verifies, shows and exports what a server and local commands have done', async () => {
    const data = await mkdtemp(join(tmpdir(), 'harmonid-audit-cli-'));
    const ask = (...words: string[]) => harmonid(['audit', ...words, '--data', data]);
    try {
      const serving = await serve(['--data', data, '--vectors-only', '--audit']);
      const remote = connectDatabase({ address: serving.address });
      await makeVectorGallery(remote);
      await remote.enroll({ gallery: 'lobby', identity: '=cmd', embeddings: [axis(0)] });
      await remote.identify({ gallery: 'lobby', embedding: axis(0) });
      await remote.close();
      assert.equal(await serving.stop(), 0);
      // On the directory itself: the log is there, so that this leaves a trace, too.
      assert.equal((await harmonid(['erase', '=cmd', '--gallery', 'lobby', '--yes', '--data', data])).code, 0);

      const { entries } = json(await ask('query', '--json')) as { readonly entries: readonly Entry[] };
      assert.deepEqual(
        entries.map(({ action, outcome }) => `${action} ${outcome}`),
        [
          'file OK',
          'serve OK',
          'create-gallery begun',
          'create-gallery OK',
          'enroll begun',
          'enroll OK',
          'identify OK',
          'serve OK',
          'erase begun',
          'erase OK',
        ],
      );
      assert.match(entries.at(-1)?.actor ?? '', /^local:/);
      const shown = await ask('query', '--action', 'identify');
      assert.match(
        shown.stdout,
        /^7 +\S+ \S+ +anonymous +identify +lobby +- +OK +decision=match candidate==cmd distance=/m,
      );
      const csv = (await ask('export', '--format', 'csv', '--action', 'enroll')).stdout.split('\n');
      assert.equal(csv.length, 4);
      assert.match(csv[1] ?? '', /^5,[^,]+,anonymous,[^,]+,[^,]+,enroll,lobby,'=cmd,begun,/);
      const exported = (await ask('export')).stdout.trimEnd().split('\n');
      assert.equal((JSON.parse(exported[2] ?? '') as Entry).action, 'create-gallery');

      const head = (await ask('head')).stdout.trim();
      assert.equal((await ask('verify', '--head', head)).code, 0);
      const file = join(data, 'audit', 'audit-00000001.jsonl');
      const text = await readFile(file, 'utf8');
      await writeFile(file, text.replace('"decision":"match"', '"decision":"no-match"'));
      const verified = await ask('verify');
      assert.deepEqual(
        [verified.code, /audit-00000001\.jsonl:7: was changed/.test(verified.stdout)],
        [1, true],
        verified.stdout,
      );
      await writeFile(file, text.split('\n').slice(0, -2).join('\n') + '\n');
      assert.equal((await ask('verify')).code, 0);
      assert.equal((await ask('verify', '--head', head)).code, 1);
      assert.equal((await ask('verify', '--head', 'nonsense')).code, 2);
    } finally {
      await rm(data, { recursive: true });
    }
  });
});
