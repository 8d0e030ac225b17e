/** Method: records in place of the process's environment. What Kubernetes puts beside a service is written as its documentation shows it. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { keysOf } from '../../src/config/outline.js';
import { outline } from '../../src/config/schema.js';
import { configured, keyNamed, refused, settingOf } from './sources.js';

describe('the environment', () => {
  it('has a variable of its own for every key', () => {
    const variables = keysOf(outline).map(({ variable }) => variable);
    assert.deepEqual(
      variables.filter((name, i) => variables.indexOf(name) !== i || !/^HARMONID(_[A-Z0-9]+)+$/.test(name)),
      [],
    );
  });

  it('names variables after their keys, and keeps the two names that were there before', () => {
    const names = ['drainSeconds', 'embedder.imageLimits.bytesMax', 'encryption.keyFile', 'encryption.key'];
    assert.deepEqual(
      names.map((name) => keyNamed(name).variable),
      ['HARMONID_DRAIN_SECONDS', 'HARMONID_EMBEDDER_IMAGE_LIMITS_BYTES_MAX', 'HARMONID_KEY_FILE', 'HARMONID_KEY'],
    );
  });

  for (const [name, meant] of [
    ['HARMONID_LOG_LEVLE', 'HARMONID_LOG_LEVEL'],
    ['HARMONID_EMBEDER_PROVIDER', 'HARMONID_EMBEDDER_PROVIDER'],
    ['HARMONID_ENCRYPTION_KEY_FILE', 'HARMONID_KEY_FILE'],
    ['HARMONID_CONFG', 'HARMONID_CONFIG'],
  ] as const) {
    it(`refuses ${name} and names ${meant}`, async () => {
      const { error } = await refused({ variables: { [name]: 'x' } });
      assert.equal(error.message, `${name}: there is no such variable; did you mean ${meant}?`);
    });
  }

  it('refuses a variable like none', async () => {
    const { error } = await refused({ variables: { HARMONID_X: '1' } });
    assert.equal(error.message, 'HARMONID_X: there is no such variable');
  });

  it('lets alone what is not meant for it', async () => {
    await configured({
      variables: {
        PATH: '/bin',
        HARMONID_TEST_SEED: '7',
        HARMONID_SERVICE_HOST: '10.0.0.11',
        HARMONID_SERVICE_PORT: '50051',
        HARMONID_SERVICE_PORT_GRPC: '50051',
        HARMONID_PORT: 'tcp://10.0.0.11:50051',
        HARMONID_PORT_50051_TCP: 'tcp://10.0.0.11:50051',
        HARMONID_PORT_50051_TCP_PROTO: 'tcp',
        HARMONID_PORT_50051_TCP_PORT: '50051',
        HARMONID_PORT_50051_TCP_ADDR: '10.0.0.11',
        HARMONID_METRICS_SERVICE_HOST: '10.0.0.12',
        HARMONID_METRICS_PORT: 'tcp://10.0.0.12:9090',
      },
    });
    // The same name with a value that somebody wrote.
    await refused({ variables: { HARMONID_PORT: '50051' } });
  });

  it('takes an empty variable as one that is not set', async () => {
    const variables = { HARMONID_LOG_LEVEL: '', HARMONID_CONFIG: '', HARMONID_LOG_LEVLE: '' };
    assert.deepEqual(settingOf(await configured({ variables }), 'log.level'), { value: 'info', kind: 'default' });
  });

  for (const [name, text, says] of [
    ['HARMONID_VECTORS_ONLY', 'yes', 'vectorsOnly is "yes", true or false is wanted'],
    ['HARMONID_DRAIN_SECONDS', '10s', 'drainSeconds is "10s", a whole number from 0 to 86400 is wanted'],
    ['HARMONID_DRAIN_SECONDS', '*ten', 'drainSeconds is "*ten", a whole number from 0 to 86400 is wanted'],
    ['HARMONID_GRAPH_RECALL_MIN', '2', 'graph.recallMin is 2, a number from 0 to 1 is wanted'],
  ] as const) {
    it(`refuses ${name}=${text} under its name`, async () => {
      const { error } = await refused({ variables: { [name]: text } });
      assert.equal(error.message, `${name}: ${says}`);
    });
  }
});
