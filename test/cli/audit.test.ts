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
  readonly identity: string | null;
  readonly outcome: string;
  readonly facts: Readonly<Record<string, unknown>>;
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

  it('has every step of a plan of the doctor: what was enrolled, described and removed, and the same of what takes it back', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'harmonid-audit-doctor-'));
    const [data, plan] = [join(folder, 'data'), join(folder, 'plan.json')];
    try {
      const serving = await serve(['--data', data, '--vectors-only', '--audit']);
      const remote = connectDatabase({ address: serving.address });
      const gallery = await makeVectorGallery(remote);
      await remote.enroll({ gallery, identity: 'anna', embeddings: [axis(0)] });
      await remote.enroll({
        gallery,
        identity: 'anna-again',
        groups: ['night'],
        embeddings: [axis(0)],
        duplicates: 'ignore',
      });
      await remote.enroll({ gallery, identity: 'bella', embeddings: [axis(1), axis(2)] });
      await remote.close();
      assert.equal(await serving.stop(), 0);
      const query = async (): Promise<readonly Entry[]> => {
        const outcome = await harmonid(['audit', 'query', '--json', '--last', '100', '--data', data]);
        return json(outcome)['entries'] as readonly Entry[];
      };
      const apply = async (file: string): Promise<readonly string[]> => {
        const { length } = await query();
        const outcome = await harmonid(['gallery', 'doctor', gallery, '--apply', file, '--yes', '--data', data]);
        assert.equal(outcome.code, 0, outcome.stderr);
        const entries = (await query()).slice(length);
        for (const { actor } of entries) assert.match(actor, /^local:/);
        return entries.map(({ action, identity, outcome: code, facts }) => {
          const { changed, template } = facts;
          return [action, identity, code, changed, template]
            .filter((part) => part !== null && part !== undefined)
            .map(String)
            .join(' ');
        });
      };
      const twice = (what: string, more = ''): readonly string[] => [`${what} begun${more}`, `${what} OK${more}`];
      /** Enrolled where it goes before it is removed where it was. */
      const moved = (from: string, into: string, template: number, between: readonly string[] = []) => [
        'import begun',
        ...twice(`enroll ${into}`),
        'import OK',
        ...between,
        ...twice(`remove-template ${from}`, ` ${template}`),
      ];
      const described = twice('update-identity anna', ' label,groups,attributes');

      const steps = [
        { action: 'move', identity: 'bella', template: 4, into: 'cara' },
        { action: 'merge', identity: 'anna-again', into: 'anna' },
      ];
      await writeFile(plan, JSON.stringify({ gallery, steps }));
      // Templates are numbered through the gallery: anna has 1, anna-again 2, bella 3 and 4.
      assert.deepEqual(await apply(plan), [
        ...twice('export'),
        ...moved('bella', 'cara', 4),
        ...moved('anna-again', 'anna', 2, described),
      ]);
      assert.deepEqual(await apply(`${plan}.undo`), [
        ...twice('export'),
        ...moved('anna', 'anna-again', 6),
        ...described,
        ...moved('cara', 'bella', 5),
      ]);
      assert.equal((await harmonid(['audit', 'verify', '--data', data])).code, 0);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
