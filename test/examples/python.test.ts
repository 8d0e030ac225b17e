/**
 * Method: grpcio, which shares no code with grpc-js, against a real server with TLS and keys; from generated stubs, and from reflection alone. What Python prints
 * is compared with what the contract says. Skipped, and it says so, where python3 has no grpc.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { after, before, describe, it } from 'mocha';
import { AdminServiceService } from '../../src/wire/harmonid/v1/admin.js';
import { IdentityServiceService } from '../../src/wire/harmonid/v1/identity.js';
import { roles, type Role } from '../../src/access/grant.js';
import { temporaryFolder } from '../support/database.js';
import { repositoryPath } from '../support/paths.js';
import { alterations, portrait } from '../support/photos.js';
import { hasPythonClients, python } from '../support/python.js';
import { startSecuredServer, type SecuredServer } from '../support/secured-server.js';

const examples = join(repositoryPath, 'examples', 'python');

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe('a client in Python', function () {
  this.timeout(120_000);
  let folder = '';
  let server: SecuredServer | undefined;

  /** Never rejects for what the program says. */
  async function run(program: string, programArguments: readonly string[], input = ''): Promise<Finished> {
    const env = { ...process.env, PYTHONPATH: join(folder, 'stubs'), PYTHONDONTWRITEBYTECODE: '1' };
    const ran = promisify(execFile)(python, [join(examples, program), ...programArguments], { env, timeout: 60_000 });
    ran.child.stdin?.end(input);
    return ran.then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: Finished) => error,
    );
  }

  const access = (role: Role): string[] => ['--ca', server?.caFile ?? '', '--key-file', join(folder, `${role}.key`)];
  const address = (): string => server?.address ?? '';

  before(async function () {
    if (!hasPythonClients()) this.skip();
    folder = temporaryFolder();
    await promisify(execFile)(join(examples, 'generate.sh'), [join(folder, 'stubs')]);
    server = await startSecuredServer(join(folder, 'server'));
    for (const role of Object.keys(roles) as Role[])
      writeFileSync(join(folder, `${role}.key`), `${server.keys[role]}\n`);
    const photo = await portrait('green');
    writeFileSync(join(folder, 'alice.jpg'), photo);
    writeFileSync(join(folder, 'door.jpg'), await alterations.darkened(photo));
  });

  after(async () => {
    await server?.close();
    if (folder !== '') rmSync(folder, { recursive: true });
  });

  it('enrols, identifies, verifies, streams, and reads refusals', async () => {
    const photos = [join(folder, 'alice.jpg'), join(folder, 'door.jpg')];
    const { stdout, stderr, code } = await run('people.py', [address(), ...photos, ...access('owner')]);
    assert.equal(code, 0, stderr);
    const steps = stdout.trimEnd().split('\n');
    const { refusals, identify_stream: frames, ...rest } = Object.assign({}, ...steps.map((line) => JSON.parse(line)));
    const alice = { decision: 'DECISION_MATCH', nearest: 'alice' };
    assert.deepEqual(rest, {
      enroll: { created: true, templates: 1, replayed: true },
      identify: alice,
      verify: { decision: 'DECISION_MATCH', within: true },
    });
    // The first frame is answered or dropped, whichever comes first; the last one is answered.
    assert.deepEqual(frames.at(-1), { sequence: 1, dropped: 2 - frames.length, outcome: alice });
    const codes = Object.entries(refusals as Record<string, { status: string; code: string }>);
    assert.deepEqual(Object.fromEntries(codes.map(([name, { status, code }]) => [name, [status, code]])), {
      'nobody of that name': ['NOT_FOUND', 'IDENTITY_NOT_FOUND'],
      "somebody else's face": ['ALREADY_EXISTS', 'DUPLICATE_FACE'],
      'no image': ['INVALID_ARGUMENT', 'IMAGE_UNREADABLE'],
    });
    assert.equal(refusals["somebody else's face"].details.candidates[0].identity, 'alice');
  });

  it('may do what its key permits, and nothing to a server whose certificate it does not trust', async () => {
    const photos = [join(folder, 'alice.jpg'), join(folder, 'door.jpg')];
    const atDoor = await run('people.py', [address(), ...photos, ...access('door')]);
    assert.deepEqual([atDoor.code, JSON.parse(atDoor.stdout)], [1, { refused: 'PERMISSION_DENIED' }]);
    const noKey = await run('people.py', [address(), ...photos, ...access('door').slice(0, 2)]);
    assert.deepEqual([noKey.code, JSON.parse(noKey.stdout)], [1, { refused: 'UNAUTHENTICATED' }]);
    const noTrust = await run('people.py', [address(), ...photos]);
    assert.deepEqual([noTrust.code, JSON.parse(noTrust.stdout)], [1, { refused: 'UNAVAILABLE' }]);
  });

  it('learns everything from reflection, and calls with JSON', async () => {
    const listed = await run('reflect.py', [address(), 'list', ...access('door')]);
    const services = listed.stdout.trimEnd().split('\n');
    assert.ok(services.includes('harmonid.v1.IdentityService'), listed.stderr);
    for (const [service, definition] of Object.entries({
      'harmonid.v1.IdentityService': IdentityServiceService,
      'harmonid.v1.AdminService': AdminServiceService,
    })) {
      const described = await run('reflect.py', [address(), 'describe', service, ...access('door')]);
      assert.deepEqual(
        described.stdout
          .trimEnd()
          .split('\n')
          .map((line) => line.replace(/\(.*/, ''))
          .toSorted(),
        Object.values(definition)
          .map(({ path }) => path.split('/').at(-1))
          .toSorted(),
        described.stderr,
      );
    }
    const image = (await portrait('burgundy')).toString('base64');
    const enrolling = JSON.stringify({ identity: 'bob', images: [image] });
    const call = (method: string, role: Role, input: string): Promise<Finished> =>
      run('reflect.py', [address(), 'call', `harmonid.v1.IdentityService/${method}`, ...access(role)], input);
    assert.equal((await call('Enroll', 'enroller', enrolling)).code, 0);
    const asking = JSON.stringify({ sample: { image }, faces: 'FACE_SELECTION_LARGEST', search: { k: 1 } });
    const asked = await call('Identify', 'door', asking);
    const { identifications } = JSON.parse(asked.stdout);
    const [{ decision, candidates }] = identifications;
    assert.deepEqual([decision, candidates[0].identity], ['DECISION_MATCH', 'bob'], asked.stderr);
    const refused = await call('Enroll', 'door', enrolling);
    assert.deepEqual([refused.code, refused.stderr.split(':')[0]], [1, 'PERMISSION_DENIED']);
  });
});
