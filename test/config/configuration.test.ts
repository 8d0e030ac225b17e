/**
 * Method: one key of every kind of value is set in each source alone and in all of them; what must come out is written by hand. Sources are
 * real files, and plain records in place of the process.
 */
import assert from 'node:assert/strict';
import { join, dirname } from 'node:path';
import { describe, it } from 'mocha';
import { readConfiguration } from '../../src/config/configuration.js';
import { defaultConfiguration } from '../../src/config/schema.js';
import { configured, refused, settingOf, withFile } from './sources.js';

interface Kind {
  readonly kind: string;
  readonly key: string;
  readonly standard: unknown;
  readonly yaml: string;
  readonly inFile: unknown;
  readonly variable: readonly [name: string, text: string];
  readonly inVariable: unknown;
  readonly flag: unknown;
}

const kinds: readonly Kind[] = [
  {
    kind: 'a text that may be unset',
    key: 'embedder.pack',
    standard: undefined,
    yaml: 'embedder: { pack: one }',
    inFile: 'one',
    // What a file would take for a number stays a text.
    variable: ['HARMONID_EMBEDDER_PACK', '2'],
    inVariable: '2',
    flag: 'three',
  },
  {
    kind: 'a path',
    key: 'data',
    standard: './data',
    yaml: 'data: /srv/one',
    inFile: '/srv/one',
    variable: ['HARMONID_DATA', 'two'],
    inVariable: 'two',
    flag: './three',
  },
  {
    kind: 'an address',
    key: 'listen',
    standard: '127.0.0.1:50051',
    yaml: 'listen: 0.0.0.0:1',
    inFile: '0.0.0.0:1',
    variable: ['HARMONID_LISTEN', '[::1]:2'],
    inVariable: '[::1]:2',
    flag: 'localhost:3',
  },
  {
    kind: 'a whole number',
    key: 'drainSeconds',
    standard: 10,
    yaml: 'drainSeconds: 1',
    inFile: 1,
    variable: ['HARMONID_DRAIN_SECONDS', '0'],
    inVariable: 0,
    flag: 3,
  },
  {
    kind: 'a number',
    key: 'graph.recallMin',
    standard: 0.9,
    yaml: 'graph:\n  recallMin: 0.5',
    inFile: 0.5,
    variable: ['HARMONID_GRAPH_RECALL_MIN', '6e-1'],
    inVariable: 0.6,
    flag: 1,
  },
  {
    kind: 'a yes or no',
    key: 'vectorsOnly',
    standard: false,
    yaml: 'vectorsOnly: true',
    inFile: true,
    variable: ['HARMONID_VECTORS_ONLY', 'false'],
    inVariable: false,
    flag: true,
  },
  {
    kind: 'a yes or no that may be unset',
    key: 'embedder.mirrorAveraging',
    standard: undefined,
    yaml: 'embedder:\n  mirrorAveraging: false',
    inFile: false,
    variable: ['HARMONID_EMBEDDER_MIRROR_AVERAGING', 'true'],
    inVariable: true,
    flag: false,
  },
  {
    kind: 'a choice',
    key: 'log.level',
    standard: 'info',
    yaml: 'log:\n  level: warn',
    inFile: 'warn',
    variable: ['HARMONID_LOG_LEVEL', 'error'],
    inVariable: 'error',
    flag: 'debug',
  },
  {
    kind: 'a number two sections deep',
    key: 'embedder.qualityLimits.yawMaxDegrees',
    standard: 45,
    yaml: 'embedder: { qualityLimits: { yawMaxDegrees: 30 } }',
    inFile: 30,
    variable: ['HARMONID_EMBEDDER_QUALITY_LIMITS_YAW_MAX_DEGREES', '20.5'],
    inVariable: 20.5,
    flag: 10,
  },
  {
    kind: 'a secret',
    key: 'encryption.key',
    standard: undefined,
    yaml: `encryption:\n  key: ${'a1'.repeat(32)}`,
    inFile: 'a1'.repeat(32),
    variable: ['HARMONID_KEY', '22'.repeat(32)],
    inVariable: '22'.repeat(32),
    flag: '33'.repeat(32),
  },
];

describe('the configuration', () => {
  for (const { kind, key, standard, yaml, inFile, variable, inVariable, flag } of kinds) {
    it(`takes ${kind} from the flag, else the variable, else the file, else the default`, async () => {
      const variables = Object.fromEntries([variable]);
      const flags = { [key]: flag };
      const of = async (sources: Parameters<typeof configured>[0]): Promise<unknown> =>
        settingOf(await configured(sources), key);
      assert.deepEqual(await of({}), { value: standard, kind: 'default' });
      assert.deepEqual(await of({ yaml }), { value: inFile, kind: 'file' });
      assert.deepEqual(await of({ variables }), { value: inVariable, kind: 'variable' });
      assert.deepEqual(await of({ yaml, variables }), { value: inVariable, kind: 'variable' });
      assert.deepEqual(await of({ yaml, flags }), { value: flag, kind: 'flag' });
      assert.deepEqual(await of({ yaml, variables, flags }), { value: flag, kind: 'flag' });
    });
  }

  it('has in its values what its settings say, and the defaults beside them', async () => {
    const { values } = await configured({
      yaml: 'embedder: { threads: 3 }\nlog: { level: warn }',
      variables: { HARMONID_EMBEDDER_BATCH_MAX: '4' },
      flags: { 'log.level': 'error' },
    });
    assert.deepEqual(values, {
      ...defaultConfiguration,
      log: { level: 'error', format: 'auto' },
      embedder: { ...defaultConfiguration.embedder, threads: 3, batchMax: 4 },
    });
  });

  it('takes paths in a file as relative to the file, and no others', async () => {
    await withFile('data: people\nencryption:\n  keyFile: ../master.key', async (file) => {
      const environment = { HARMONID_EMBEDDER_MODELS_PATH: 'models' };
      const { values } = await readConfiguration({ file, environment, flags: [] });
      const folder = dirname(file);
      assert.deepEqual(
        [values.data, values.encryption.keyFile, values.embedder.modelsPath],
        [`${folder}/people`, join(dirname(folder), 'master.key'), 'models'],
      );
    });
  });

  it('finds its file by the variable, and by the option first', async () => {
    await withFile('drainSeconds: 1', (one) =>
      withFile('drainSeconds: 2', async (two) => {
        const environment = { HARMONID_CONFIG: one };
        const byVariable = await readConfiguration({ environment, flags: [] });
        assert.deepEqual([byVariable.file, byVariable.values.drainSeconds], [one, 1]);
        const byOption = await readConfiguration({ file: two, environment, flags: [] });
        assert.deepEqual([byOption.file, byOption.values.drainSeconds], [two, 2]);
      }),
    );
  });

  it('tells everything that is wrong at once, also what another source overrides', async () => {
    const { error, problems } = await refused({
      yaml: 'log: { level: loud }\nlisten: nowhere',
      variables: { HARMONID_LOG_LEVEL: 'error', HARMONID_EMBEDDER_THREADS: 'many' },
      flags: { listen: 'localhost:1', 'embedder.threads': 999 },
    });
    assert.deepEqual(
      problems.map(({ key, origin }) => [key, origin?.kind]),
      [
        ['log.level', 'file'],
        ['listen', 'file'],
        ['embedder.threads', 'variable'],
        ['embedder.threads', 'flag'],
      ],
    );
    for (const part of ['4 errors', '"loud"', 'HARMONID_EMBEDDER_THREADS: ', '--threads: ', 'from 0 to 256'])
      assert.ok(error.message.includes(part), `${part} is not in ${error.message}`);
  });

  it('holds keys against each other, at the place of the one that was set', async () => {
    const yaml = 'embedder:\n  qualityLimits:\n    brightnessMin: 230\n';
    const { problems } = await refused({ yaml });
    assert.equal(problems.length, 1);
    assert.match(problems[0]?.message ?? '', /brightnessMax must be above brightnessMin/);
    const origin = problems[0]?.origin;
    assert.ok(origin?.kind === 'file' && origin.line === 3 && origin.column === 20);
    // With a default that fits there is nothing wrong.
    await configured({ yaml, variables: { HARMONID_EMBEDDER_QUALITY_LIMITS_BRIGHTNESS_MAX: '250' } });
  });

  it('says which file cannot be read, and why', async () => {
    const read = readConfiguration({ file: '/nowhere/harmonid.yaml', environment: {}, flags: [] });
    await assert.rejects(read, { code: 'CONFIG_INVALID', message: /\/nowhere\/harmonid\.yaml cannot be read: ENOENT/ });
  });

  it('never tells a secret that is wrong', async () => {
    const secret = 'geheim';
    for (const yaml of [`encryption: { key: [${secret}] }`, `encryption: ${secret}`, `encryption: { key: "${secret}`]) {
      const { error } = await refused({ yaml });
      assert.ok(!JSON.stringify([error.message, error.details]).includes(secret), error.message);
    }
  });
});
