/**
 * The manual's first start, backup, restore and change of keys, run as an operator would who copies one block after the other, in an empty folder. Only the ports are
 * others, and the certificate comes from an authority of the test. What must come of it is what the manual says in words.
 */
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { after, before, describe, it } from 'mocha';
import { openDatabase } from '../../src/database.js';
import { serve } from '../cli/command-line.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { makeAuthority, signCertificate } from '../support/certificates.js';
import { modelsPath } from '../support/database.js';
import { environmentIn, listeningAddress, makeNewcomersFolder, snippetsOf } from '../support/newcomer.js';
import { repositoryPath } from '../support/paths.js';

const manual = readFileSync(join(repositoryPath, 'docs', 'OPERATIONS.md'), 'utf8');

describe('the operator’s manual', function () {
  this.timeout(120_000);
  let folder = '';
  let server: ChildProcess | undefined;

  /** @returns what it printed */
  async function shell(script: string): Promise<string> {
    const { stdout } = await promisify(execFile)('bash', ['-ec', script], { cwd: folder, env: environmentIn(folder) });
    return stdout;
  }

  async function shellAll(mark: string, address = ''): Promise<string> {
    const scripts = snippetsOf(manual, mark, 'sh');
    assert.ok(scripts.length > 1, mark);
    let printed = '';
    for (const script of scripts) printed += await shell(script.replaceAll('localhost:50051', address));
    return printed;
  }

  before(async () => {
    folder = await makeNewcomersFolder([]);
    const authority = await makeAuthority();
    const pem = await signCertificate(authority, { commonName: 'localhost' });
    writeFileSync(join(folder, 'tls.crt'), `${pem.certificate}\n${authority.certificate}`);
    writeFileSync(join(folder, 'tls.key'), pem.key);
    const [yaml = ''] = snippetsOf(manual, 'file harmonid.yaml', 'yaml');
    writeFileSync(join(folder, 'harmonid.yaml'), yaml.replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:0'));
  });

  after(async () => {
    if (server && server.exitCode === null) {
      server.kill('SIGTERM');
      await once(server, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  });

  it('makes keys that only their owner reads, and a configuration that is right', async () => {
    const printed = await shellAll('run before the server');
    assert.match(printed, /owner/);
    assert.match(printed, /lobby-door/);
    for (const file of ['master.key', 'owner.key', 'lobby-door.key', 'data/access.json'])
      assert.equal(statSync(join(folder, file)).mode & 0o077, 0, file);
  });

  it('serves, lets the door identify, and takes a backup, which is whole', async () => {
    // The default pack takes seconds to build.
    symlinkSync(modelsPath, join(folder, 'data', 'models'));
    const [serve = ''] = snippetsOf(manual, 'serve', 'sh');
    server = spawn('bash', ['-c', `exec ${serve}`], {
      cwd: folder,
      env: environmentIn(folder),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const address = await listeningAddress(server, '"opened"');
    const printed = await shellAll('run against the server', address.replace('127.0.0.1', 'localhost'));
    assert.match(printed, /alice/);
    assert.match(printed, /monday\.backup is whole/);
    server.kill('SIGTERM');
    const [code] = (await once(server, 'exit')) as [number];
    assert.equal(code, 0);
  });

  it('restores it, revokes a key and changes the master key', async () => {
    await shellAll('run after the server');
    assert.match(await shell('harmonid keys list --all'), /lobby-door.*revoked/);
    assert.match(await shell('harmonid list --gallery lobby --data data --key-file master.key'), /alice/);
  });

  it('calibrates a gallery of more than a hundred people, who are made', async () => {
    const data = join(folder, 'made');
    const [space, dimensions, gallery] = ['made:1', 24, 'lobby'];
    const maker = makeFaces(randomFrom(2), { dimensions });
    const database = await openDatabase({ path: data, embedder: false });
    await database.createGallery({ gallery, space, dimensions, threshold: 0.1 });
    const items = Array.from({ length: 130 }, (_, person) => ({
      gallery,
      identity: `p${person}`,
      embeddings: [{ space, vector: maker.face(person) }],
      duplicates: 'ignore' as const,
    }));
    for await (const { error } of database.importAll(items)) assert.equal(error, undefined);
    await database.close();
    const serving = await serve(['--data', data, '--vectors-only']);
    try {
      const [script = ''] = snippetsOf(manual, 'run with a hundred people', 'sh');
      // Keys and certificates are for the parts above.
      const bare = script.replaceAll(' --tls-ca tls.crt --api-key-file owner.key', '');
      const printed = await shell(bare.replaceAll('localhost:50051', serving.address));
      assert.match(printed, /FPIR 0\.01, the target .*FMR 1e-4, the target /s);
      assert.match(printed, /calibrated: FPIR 0\.01 among 130/);
      assert.match(readFileSync(join(folder, 'lobby.html'), 'utf8'), /<svg/);
    } finally {
      await serving.stop();
    }
  });
});
