/**
 * The README's snippets, run as a newcomer would: in an empty folder that has harmonid in node_modules and a few photos. What they
 * print is compared with what the README promises in words. The tables of codes are compared with the source.
 */
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { after, before, describe, it } from 'mocha';
import { errorCodes } from '../src/errors.js';
import { environmentIn, listeningAddress, makeNewcomersFolder, snippetsOf } from './support/newcomer.js';
import { repositoryPath } from './support/paths.js';
import { hasPythonClients, python } from './support/python.js';

const run = promisify(execFile);
const readme = readFileSync(join(repositoryPath, 'README.md'), 'utf8');

describe('README', function () {
  this.timeout(120_000);
  let folder = '';
  let server: ChildProcess | undefined;
  let address: string | undefined;

  before(async () => {
    folder = await makeNewcomersFolder(['data', 'library-data']);
  });

  after(async () => {
    if (server && server.exitCode === null) {
      server.kill('SIGTERM');
      await once(server, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  });

  it('the command line does what it shows', async () => {
    const [script] = snippetsOf(readme, 'run', 'sh');
    assert.ok(script);
    const { stdout } = await run('bash', ['-ec', script], { cwd: folder, env: environmentIn(folder) });
    assert.match(stdout, /alice/);
    assert.match(stdout, /match/);
  });

  it('the library example knows alice at the door', async () => {
    const [code] = snippetsOf(readme, 'run', 'js');
    assert.ok(code);
    writeFileSync(join(folder, 'library.mjs'), code);
    const { stdout } = await run(process.execPath, ['library.mjs'], { cwd: folder });
    assert.match(stdout, /^match alice 0\.\d+/);
  });

  it('the gRPC example does the same through the server', async () => {
    const [code] = snippetsOf(readme, 'run against a server', 'js');
    assert.ok(code);
    const stdout = await runWith('remote.mjs', code, await serving());
    assert.match(stdout, /^match alice 0\.\d+/);
  });

  it('the camera example is answered, and branches on a code', async () => {
    const [, code] = snippetsOf(readme, 'run against a server', 'js');
    assert.ok(code);
    const stdout = await runWith('camera.mjs', code, await serving());
    assert.equal(stdout, '1 match alice 0\nIDENTITY_NOT_FOUND\n');
  });

  it('the client by reflection finds alice', async function () {
    const [script] = snippetsOf(readme, 'run in a clone against a server', 'sh');
    assert.ok(script);
    if (!hasPythonClients()) this.skip();
    const here = script.replaceAll('127.0.0.1:50051', await serving()).replaceAll('python3 ', `${python} `);
    const { stdout } = await run('bash', ['-ec', here], { cwd: repositoryPath, env: environmentIn(folder) });
    assert.match(stdout, /^Identify\(harmonid\.v1\.IdentifyRequest\) -> harmonid\.v1\.IdentifyResponse$/m);
    assert.match(stdout, /"identity": "alice"/);
  });

  /** The address of one server for all examples that need one. */
  async function serving(): Promise<string> {
    if (address !== undefined) return address;
    const child = spawn('harmonid', ['serve', '--data', './data', '--listen', '127.0.0.1:0'], {
      cwd: folder,
      env: environmentIn(folder),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    server = child;
    address = await listeningAddress(child);
    return address;
  }

  async function runWith(file: string, code: string, address: string): Promise<string> {
    writeFileSync(join(folder, file), code.replace('127.0.0.1:50051', address));
    return (await run(process.execPath, [file], { cwd: folder })).stdout;
  }

  it('lists every error code with its meaning', () => {
    for (const [code, meaning] of Object.entries(errorCodes)) {
      assert.ok(readme.includes(`| \`${code}\` | ${meaning} |`), `README lacks the row of ${code}`);
    }
  });
});
