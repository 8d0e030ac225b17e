/**
 * `harmonid config`, and `harmonid serve` with a file: child processes with real files, variables and options. Whether a server listens where it is
 * told is seen by connecting to that port; the ports are free ones of this machine.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { after, before, describe, it } from 'mocha';
import { connectDatabase } from '../../src/client/remote-database.js';
import { keysOf } from '../../src/config/outline.js';
import { outline } from '../../src/config/schema.js';
import { makeFaces, randomFrom } from '../index/faces.js';
import { modelsPath } from '../support/database.js';
import { repositoryPath } from '../support/paths.js';
import { harmonid, json, portrait, serveExactly, type Outcome } from './command-line.js';

type Json = Record<string, unknown>;

const secret = 'a1b2'.repeat(16);

describe('harmonid config', function () {
  this.timeout(60_000);
  let folder = '';
  const yaml = 'data: people\nlog:\n  level: warn\ngraph: { recallMin: 0.5 }\ndrainSeconds: 1\n';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'harmonid-config-'));
    await writeFile(join(folder, 'harmonid.yaml'), yaml);
    await writeFile(join(folder, 'wrong.yaml'), 'listen: nowhere\nlog:\n  levle: info\n');
  });
  after(async () => {
    await rm(folder, { recursive: true });
  });
  const inFolder = (args: string, variables: Record<string, string> = {}): Promise<Outcome> =>
    harmonid(['config', ...args.split(' ')], { cwd: folder, variables });

  it('print says of every key what holds and who says so', async () => {
    const variables = { HARMONID_LOG_LEVEL: 'error', HARMONID_EMBEDDER_THREADS: '2', HARMONID_KEY_FILE: 'master.key' };
    const words = 'print --config harmonid.yaml --drain 3 --engine hnswlib --no-mirror --json';
    const outcome = await inFolder(words, variables);
    const { file, settings } = json(outcome) as { file: string; settings: Json[] };
    assert.equal(file, 'harmonid.yaml');
    const of = (key: string): Json => settings.find((setting) => setting['key'] === key) ?? {};
    const inFile = (line: number, column: number): Json => ({ kind: 'file', file, line, column });
    for (const [key, value, origin] of [
      ['data', 'people', inFile(1, 7)],
      ['log.level', 'error', { kind: 'variable', name: 'HARMONID_LOG_LEVEL' }],
      ['graph.recallMin', 0.5, inFile(4, 21)],
      ['drainSeconds', 3, { kind: 'flag', name: '--drain' }],
      ['graph.engine', 'hnswlib', { kind: 'flag', name: '--engine' }],
      ['embedder.mirrorAveraging', false, { kind: 'flag', name: '--no-mirror' }],
      ['embedder.threads', 2, { kind: 'variable', name: 'HARMONID_EMBEDDER_THREADS' }],
      // Commander knows this variable, too; it is not taken for an option.
      ['encryption.keyFile', 'master.key', { kind: 'variable', name: 'HARMONID_KEY_FILE' }],
      ['embedder.pack', null, { kind: 'default' }],
      // An option whose default the help shows was not given by that.
      ['listen', '127.0.0.1:50051', { kind: 'default' }],
    ] as const) {
      assert.deepEqual(of(key), { key, value, origin });
    }
  });

  it('print has a line a key for people', async () => {
    const { stdout, code } = await inFolder('print', { HARMONID_CONFIG: 'harmonid.yaml', HARMONID_LOG_FORMAT: 'json' });
    assert.equal(code, 0);
    for (const line of [
      /^harmonid\.yaml$/m,
      /^KEY +VALUE +FROM$/m,
      /^data +people +harmonid\.yaml:1:7$/m,
      /^log\.level +warn +harmonid\.yaml:3:10$/m,
      /^log\.format +json +HARMONID_LOG_FORMAT$/m,
      /^embedder\.batchMax +16 +default$/m,
      /^embedder\.pack +not set: the default pack +default$/m,
    ])
      assert.match(stdout, line);
  });

  it('print shows no secret, wherever it was set', async () => {
    await writeFile(join(folder, 'secret.yaml'), `encryption:\n  key: ${secret}\n`);
    for (const [args, variables] of [
      ['', { HARMONID_KEY: secret }],
      [' --config secret.yaml', {}],
    ] as const) {
      const text = await inFolder(`print${args}`, variables);
      const machine = await inFolder(`print${args} --json`, variables);
      assert.match(text.stdout, /^encryption\.key +set +(HARMONID_KEY|secret\.yaml:2:8)$/m);
      const { settings } = json(machine) as { settings: Json[] };
      const setting = settings.find(({ key }) => key === 'encryption.key');
      assert.deepEqual([setting?.['set'], setting && 'value' in setting], [true, false]);
      for (const { stdout, stderr } of [text, machine]) assert.ok(!(stdout + stderr).includes(secret));
    }
    assert.match((await inFolder('print')).stdout, /^encryption\.key +not set +default$/m);
  });

  it('check says that nothing is wrong', async () => {
    const { code, stdout, stderr } = await inFolder('check --config harmonid.yaml');
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^harmonid\.yaml: nothing is wrong; 4 of \d+ keys set\n$/);
    const example = join(repositoryPath, 'deploy', 'harmonid.yaml');
    assert.equal((await inFolder(`check --config ${example}`)).code, 0);
  });

  it('check tells everything that is wrong, and exits 1', async () => {
    const variables = { HARMONID_LOG_FORMT: 'json' };
    const { code, stdout, stderr } = await inFolder('check --config wrong.yaml --threads 999', variables);
    assert.deepEqual([code, stdout], [1, '']);
    for (const line of [
      /4 errors:$/m,
      /^ {2}wrong\.yaml:1:9: listen is "nowhere", host:port/m,
      /^ {2}wrong\.yaml:3:3: there is no key log\.levle; did you mean log\.level\?$/m,
      /^ {2}HARMONID_LOG_FORMT: there is no such variable; did you mean HARMONID_LOG_FORMAT\?$/m,
      /^ {2}--threads: embedder\.threads is 999, a whole number from 0 to 256 is wanted \(CONFIG_INVALID\)$/m,
    ])
      assert.match(stderr, line);
    const machine = await inFolder('check --config wrong.yaml --json');
    const { error } = JSON.parse(machine.stderr) as { error: { code: string; details: { problems: Json[] } } };
    assert.equal(error.code, 'CONFIG_INVALID');
    assert.deepEqual(
      error.details.problems.map(({ origin }) => origin),
      [
        { kind: 'file', file: 'wrong.yaml', line: 1, column: 9 },
        { kind: 'file', file: 'wrong.yaml', line: 3, column: 3 },
      ],
    );
  });

  it('schema prints a JSON Schema', async () => {
    const schema = json(await inFolder('schema')) as { properties: { log: { properties: { level: Json } } } };
    const { description, ...level } = schema.properties.log.properties.level;
    assert.deepEqual(level, { default: 'info', type: 'string', enum: ['debug', 'info', 'warn', 'error'] });
    assert.equal(typeof description, 'string');
  });

  it('the help of serve has every option that the schema names, and the defaults of the page', async () => {
    const { stdout } = await harmonid(['serve', '--help']);
    // --master-key is hidden: what is written on a command line can be read off the process list.
    const flags = keysOf(outline).flatMap(({ flag }) => (flag && flag !== '--master-key' ? [flag] : []));
    assert.ok(flags.length > 10);
    for (const flag of flags) assert.match(stdout, new RegExp(`^ +(-\\w, )?${flag}\\b`, 'm'));
    const words = stdout.replaceAll(/\s+/g, ' ');
    for (const told of [
      'stopping (default: 10)',
      '(default: "127.0.0.1:50051")',
      '(default: "./data")',
      'default: "info")',
    ])
      assert.ok(words.includes(told), `${told} is not in the help`);
  });
});

describe('harmonid serve --config', function () {
  this.timeout(60_000);
  let folder = '';
  let ports: readonly number[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'harmonid-serve-config-'));
    ports = await freePorts(3);
    await writeFile(
      join(folder, 'harmonid.yaml'),
      `data: people\nlisten: 127.0.0.1:${ports[0]}\nvectorsOnly: true\ndrainSeconds: 0\nlog: { level: debug }\n`,
    );
  });
  after(async () => {
    await rm(folder, { recursive: true });
  });

  it('listens where the file says, unless a variable or an option says otherwise', async () => {
    const file = join(folder, 'harmonid.yaml');
    const variables = { HARMONID_LISTEN: `127.0.0.1:${ports[1]}` };
    const option = ['--listen', `127.0.0.1:${ports[2]}`];
    for (const [args, surroundings, expected] of [
      [[], {}, ports[0]],
      [[], { variables }, ports[1]],
      [option, { variables }, ports[2]],
    ] as const) {
      const server = await serveExactly(['--config', file, ...args], surroundings);
      try {
        assert.deepEqual(
          await Promise.all(ports.map(answers)),
          ports.map((port) => port === expected),
        );
        const opened = server.log.find(({ msg }) => msg === 'opened');
        // Relative to the file; and no model was loaded.
        assert.deepEqual(
          [opened?.['data'], opened?.['pack'], opened?.['config']],
          [join(folder, 'people'), null, file],
        );
      } finally {
        assert.equal(await server.stop(), 0);
      }
      const draining = server.log.find(({ msg }) => msg === 'draining');
      assert.equal(draining?.['drainMs'], 0);
    }
  });

  it('hands the file on to the model, the key and the limits', async () => {
    const file = join(folder, 'model.yaml');
    const data = join(folder, 'sealed');
    await writeFile(join(folder, 'master.key'), secret);
    await writeFile(
      file,
      [
        `data: ${data}`,
        'listen: 127.0.0.1:0',
        'encryption: { keyFile: master.key }',
        'embedder:',
        '  provider: cpu',
        '  detector: tiny',
        '  mirrorAveraging: false',
        `  modelsPath: ${modelsPath}`,
        '  imageLimits: { pixelsMax: 100000 }',
        'limits: { messageBytesMax: 65536 }',
      ].join('\n'),
    );
    await writeFile(join(folder, 'small.jpg'), await portrait('anna', { halfWidth: 150 }));
    await writeFile(join(folder, 'wide.jpg'), await portrait('anna', { halfWidth: 160, quality: 50 }));
    const server = await serveExactly(['--config', file]);
    try {
      const opened = server.log.find(({ msg }) => msg === 'opened');
      assert.deepEqual(
        [opened?.['provider'], opened?.['detector'], opened?.['mirrorAveraging']],
        ['cpu', 'tiny', false],
      );
      const answer = async (photo: string): Promise<unknown> => {
        const outcome = await harmonid(['embed', photo, '--json', '--server', server.address], { cwd: folder });
        return outcome.code === 0 ? 'taken' : (JSON.parse(outcome.stderr) as { error: Json }).error['code'];
      };
      // 300 x 300 pixels and 320 x 320.
      assert.equal(await answer('small.jpg'), 'taken');
      assert.equal(await answer('wide.jpg'), 'IMAGE_TOO_LARGE');
      await writeFile(join(folder, 'heavy.jpg'), randomBytes(70_000));
      assert.equal(await answer('heavy.jpg'), 'LIMIT_EXCEEDED');
    } finally {
      await server.stop();
    }
    const { stderr } = await harmonid(['stats', '--data', data]);
    assert.match(stderr, /KEY_REQUIRED/);
  });

  it('a server searches through the engine that it is told, and says so by the files that it leaves', async () => {
    const faces = makeFaces(randomFrom(3));
    const data = join(folder, 'either');
    for (const [engine, ending] of [
      ['hnswlib', '.hnsw'],
      ['harmonid', '.graph'],
    ] as const) {
      const words = ['--data', data, '--listen', '127.0.0.1:0', '--vectors-only', '--engine', engine];
      const server = await serveExactly(words, { variables: { HARMONID_GRAPH_EXACT_MAX: '20' } });
      const database = connectDatabase({ address: server.address });
      const gallery = 'vectors';
      if (engine === 'hnswlib') {
        await database.createGallery({ gallery, space: 'test', dimensions: faces.dimensions, threshold: 0.05 });
        for (let person = 0; person < 60; person++) {
          const embeddings = [{ space: 'test', vector: faces.face(person) }];
          await database.enroll({ gallery, identity: `p${person}`, embeddings });
        }
      }
      for (const person of [0, 31, 59]) {
        const embedding = { space: 'test', vector: faces.face(person) };
        const found = await database.identify({ gallery, embedding });
        assert.equal(found.candidates[0]?.identity, `p${person}`);
      }
      await database.close();
      assert.equal(await server.stop(), 0);
      const files = await readdir(join(data, 'graphs'));
      assert.deepEqual(
        files.map((name) => extname(name)),
        [ending],
      );
    }
  });

  it('starts nothing with a configuration that is wrong', async () => {
    const file = join(folder, 'wrong.yaml');
    await writeFile(file, `data: ${folder}/never\nvectorsOnly: perhaps\n`);
    const { code, stderr } = await harmonid(['serve', '--config', file]);
    assert.equal(code, 1);
    assert.match(stderr, /wrong\.yaml:2:14: vectorsOnly is "perhaps", true or false is wanted \(CONFIG_INVALID\)/);
    assert.equal((await harmonid(['stats', '--data', join(folder, 'never')])).code, 1);
  });
});

/** Different ports that nobody listens on: the system gave them out a moment ago. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

/** Whether anybody takes connections there. */
async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
