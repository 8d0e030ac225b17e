/** Method: an operator's afternoon with keys, as child processes: made, shown, used, refused, revoked, on a real server with TLS. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { makeAuthority, signCertificate } from '../support/certificates.js';
import { harmonid, json, serve, type Outcome } from './command-line.js';

type Json = Record<string, unknown>;

describe('harmonid keys', () => {
  let folder: string;
  let data: string;
  const place = (name: string): string => join(folder, name);

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'harmonid-keys-'));
    data = place('data');
    const made = await harmonid([
      'gallery',
      'create',
      'lobby',
      '--space',
      's',
      '--dimensions',
      '2',
      '--threshold',
      '1',
      '--data',
      data,
    ]);
    assert.equal(made.code, 0, made.stderr);
  });

  after(() => rm(folder, { recursive: true }));

  it('prints a key once, keeps its digest, and lists it without either', async () => {
    const added = await harmonid([
      'keys',
      'add',
      'desk',
      '--role',
      'reader',
      '--gallery',
      'lobby',
      '--expires',
      '30',
      '--data',
      data,
    ]);
    assert.equal(added.code, 0, added.stderr);
    const key = added.stdout.trim();
    assert.match(key, /^hmd_[a-z2-7]{12}_[A-Za-z0-9_-]{43}$/);
    const secret = key.split('_').slice(2).join('_');
    assert.ok(!(await readFile(join(data, 'access.json'), 'utf8')).includes(secret));
    const listed = await harmonid(['keys', 'list', '--data', data]);
    assert.match(listed.stdout, /desk +[a-z2-7]{12} +read +lobby +- +until /);
    assert.ok(!listed.stdout.includes(secret));
    const [entry = {}] = json(await harmonid(['keys', 'list', '--json', '--data', data]))['entries'] as Json[];
    assert.deepEqual(
      [entry['name'], entry['permissions'], entry['open'], 'digest' in entry],
      ['desk', ['read'], true, false],
    );
    await writeFile(place('desk.key'), added.stdout);
  });

  it('refuses what it does not know with exit code 2, and a name that is taken with 1', async () => {
    const add = (...words: string[]) => harmonid(['keys', 'add', ...words, '--data', data]);
    assert.equal((await add('x')).code, 2);
    assert.equal((await add('x', '--role', 'king')).code, 2);
    assert.equal((await add('x', '--allow', 'everything')).code, 2);
    assert.equal((await add('x', '--role', 'door', '--expires', '-1')).code, 2);
    const taken = await add('desk', '--role', 'door');
    assert.deepEqual([taken.code, /ACCESS_INVALID/.test(taken.stderr), taken.stdout], [1, true, '']);
    const bad = await add('a b', '--role', 'door');
    assert.deepEqual([bad.code, bad.stdout], [1, '']);
    assert.equal(
      (json(await harmonid(['keys', 'list', '--all', '--json', '--data', data]))['entries'] as Json[]).length,
      1,
    );
  });

  it('opens a server to who is on the list, over TLS, until it is revoked', async () => {
    const authority = await makeAuthority();
    const pem = await signCertificate(authority, { commonName: 'localhost' });
    await writeFile(place('ca.crt'), authority.certificate);
    await writeFile(place('tls.crt'), pem.certificate);
    await writeFile(place('tls.key'), pem.key);
    const serving = await serve([
      '--data',
      data,
      '--vectors-only',
      '--tls-certificate',
      place('tls.crt'),
      '--tls-key',
      place('tls.key'),
    ]);
    try {
      const port = serving.address.split(':')[1] ?? '';
      const ask = (words: readonly string[], ...credentials: string[]) =>
        harmonid([...words, '--json', '--server', `localhost:${port}`, '--tls-ca', place('ca.crt'), ...credentials]);
      const withKey = ['--api-key-file', place('desk.key')];
      assert.deepEqual(json(await ask(['list', '--gallery', 'lobby'], ...withKey))['identities'], []);
      const codeOf = async (answer: ReturnType<typeof ask>): Promise<unknown> => errorOf(await answer)['code'];
      assert.equal(await codeOf(ask(['list', '--gallery', 'lobby'])), 'UNAUTHENTICATED');
      assert.equal(await codeOf(ask(['list', '--gallery', 'vault'], ...withKey)), 'PERMISSION_DENIED');
      assert.equal(await codeOf(ask(['erase', 'a', '--gallery', 'lobby', '--yes'], ...withKey)), 'PERMISSION_DENIED');
      const plain = await harmonid(['list', '--json', '--server', `localhost:${port}`, ...withKey]);
      assert.equal(errorOf(plain)['code'], 'UNAVAILABLE');

      assert.equal((await harmonid(['keys', 'revoke', 'desk', '--data', data])).code, 0);
      // The server looks at the list every second; mocha's time limit ends the asking.
      while ((await codeOf(ask(['list', '--gallery', 'lobby'], ...withKey))) !== 'UNAUTHENTICATED');
      const refusals = serving.log.filter(({ msg }) => msg === 'refused at the door');
      assert.ok(refusals.some(({ code, actor }) => code === 'PERMISSION_DENIED' && actor === 'key:desk'));
    } finally {
      assert.equal(await serving.stop(), 0);
    }
  });

  it('is wanted beyond loopback addresses', async () => {
    const refused = await harmonid(['serve', '--data', data, '--listen', '0.0.0.0:0', '--vectors-only']);
    assert.deepEqual([refused.code, /no certificate/.test(refused.stderr)], [1, true], refused.stderr);
  });

  it('and a certificate are looked at before the data, which is not made', async () => {
    const never = place('never-made');
    const refusedWith = async (...words: string[]): Promise<string> => {
      const { code, stderr } = await harmonid(['serve', '--data', never, '--vectors-only', ...words]);
      assert.deepEqual([code, existsSync(never)], [1, false], stderr);
      return stderr;
    };
    const tls = ['--tls-certificate', place('nowhere.crt'), '--tls-key', place('nowhere.key')];
    assert.match(await refusedWith(...tls), /nowhere\.crt/);
    assert.match(await refusedWith('--listen', '0.0.0.0:0', '--insecure-plaintext'), /no list of keys/);
  });
});

/** A refusal is told as JSON on stderr; an answer is none. */
function errorOf({ code, stderr }: Outcome): Json {
  if (code === 0) return {};
  return (JSON.parse(stderr) as { readonly error: Json }).error;
}
