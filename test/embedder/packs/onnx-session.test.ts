/**
 * Sessions and providers on the real ONNX Runtime. Which GPU providers start depends on the machine, so for those the promise itself
 * is tested: asked for by name, a provider is in use or refused with what is missing, and never another one.
 */
import assert from 'node:assert/strict';
import { platform } from 'node:os';
import { describe, it } from 'mocha';
import { HarmonidError } from '../../../src/errors.js';
import { executionProviders } from '../../../src/embedder/embedder.js';
import { chooseProvider, openSession } from '../../../src/embedder/onnx-session.js';
import { probeInput, probeNetwork } from '../../../src/embedder/packs/probe-network.js';

describe('execution providers', function () {
  this.timeout(60_000);

  it('take the CPU by name', async () => {
    assert.deepEqual(await chooseProvider('cpu'), { provider: 'cpu', reason: 'asked for by name' });
  });

  for (const asked of executionProviders) {
    if (asked === 'auto' || asked === 'cpu') continue;
    it(`give ${asked} by name, or say what is missing`, async () => {
      try {
        assert.deepEqual(await chooseProvider(asked), { provider: asked, reason: 'asked for by name' });
      } catch (error) {
        assert.ok(error instanceof HarmonidError, String(error));
        assert.equal(error.code, 'PROVIDER_UNAVAILABLE');
        assert.ok(error.message.startsWith(`execution provider ${asked} cannot start: `), error.message);
        assert.ok(String(error.details['missing']).length > 10, error.message);
      }
    });
  }

  it('refuse what the platform does not have, naming what it has', async () => {
    const absent = platform() === 'win32' ? 'coreml' : 'directml';
    await assert.rejects(chooseProvider(absent), (error: unknown) => {
      assert.ok(error instanceof HarmonidError);
      assert.equal(error.code, 'PROVIDER_UNAVAILABLE');
      assert.match(error.message, /does not have it, it has cpu/);
      return true;
    });
    await assert.rejects(openSession(probeNetwork(), { provider: absent, threads: 0 }), {
      code: 'PROVIDER_UNAVAILABLE',
    });
  });

  it('choose one that runs for auto, and say why', async () => {
    const { provider, reason } = await chooseProvider('auto');
    assert.match(reason, /^auto: ./);
    const session = await openSession(probeNetwork(), { provider, threads: 0 });
    await session.close();
    // On the CPU the reason says why nothing better: what each GPU provider lacks, or that there is no GPU to try.
    if (provider === 'cpu' && platform() === 'linux' && process.arch === 'x64') {
      assert.match(reason, /cuda .*webgpu |shows no GPU/);
    }
  });
});

describe('sessions', () => {
  it('compute: four convolutions of ones with constant weights', async () => {
    const session = await openSession(probeNetwork(), { provider: 'cpu', threads: 2 });
    assert.deepEqual([session.inputs, session.outputs], [['input'], ['output']]);
    const { output } = await session.run({ input: probeInput() });
    await session.close();
    // Each value is (64 channels * 9 taps / 512) ** 4, on 96 - 4 * 2 pixels a side.
    assert.deepEqual(output?.dims, [1, 64, 88, 88]);
    assert.ok(output?.data.every((value) => Math.abs(value - 1.601806640625) < 1e-4));
  });

  it('refuse bytes that are no graph', async () => {
    await assert.rejects(openSession(Buffer.from('no graph'), { provider: 'cpu', threads: 0 }), {
      code: 'MODEL_INVALID',
    });
  });
});
