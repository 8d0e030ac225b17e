/**
 * ONNX graphs that run: the only importer of onnxruntime-node.
 *
 * Promises: a provider that was asked for by name runs, or `chooseProvider` says what is missing; `auto` takes another one only
 * when that is measured to be faster than the CPU, and always says why. The proof is a small network that must run wholly on
 * the provider (ONNX Runtime is forbidden to put any of its nodes on the CPU) and give the known values. With a provider that
 * passed, ONNX Runtime may still keep single nodes of a real network on the CPU where that is the better place, such as the
 * arithmetic of shapes; it does so silently for nodes only, never for a provider that fails.
 *
 * `run` computes on the calling thread and blocks it, whatever its promise suggests: keep sessions in a worker. Sessions of several
 * threads run side by side, except on WebGPU: there all sessions of a process record into one command encoder, and two runs at once
 * end the process (microsoft/onnxruntime, issue 32561; open in 1.30). Threads that share a `deviceTurn` do so one after the other.
 */
import { access } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { env, InferenceSession, listSupportedBackends, Tensor as OrtTensor } from 'onnxruntime-node';
import { HarmonidError, isHarmonidError } from '../errors.js';
import type { SharedTurn } from '../threads/shared-turn.js';
import type { ExecutionProvider } from './embedder.js';
import { probeInput, probeNetwork, probeOutput } from './packs/probe-network.js';

/** A provider that runs, never `auto`. */
export type RunningProvider = Exclude<ExecutionProvider, 'auto'>;

/** Values with their shape, row-major. */
export interface Tensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

export interface SessionOptions {
  readonly provider: RunningProvider;
  /** Threads of one graph's run on the CPU; 0 lets ONNX Runtime take one a physical core. */
  readonly threads: number;
  /** Wanted where several threads may have sessions on WebGPU. */
  readonly deviceTurn?: SharedTurn | undefined;
}

export interface OnnxSession {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** The outputs by name. Blocks the calling thread. */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
  close(): Promise<void>;
}

export interface ChosenProvider {
  readonly provider: RunningProvider;
  /** Why, for logs and statistics. */
  readonly reason: string;
}

/** ONNX Runtime's names of the providers. */
const backendNames = {
  cpu: 'cpu',
  webgpu: 'webgpu',
  cuda: 'cuda',
  tensorrt: 'tensorrt',
  coreml: 'coreml',
  directml: 'dml',
} as const satisfies Record<RunningProvider, string>;

/** What `auto` tries, best first. TensorRT builds engines for minutes at the first start: it is used by name only. */
const autoOrder: readonly RunningProvider[] = ['cuda', 'directml', 'coreml', 'webgpu'];

/** The command that adds the CUDA and TensorRT providers, which are not in the npm package. */
export const cudaInstallCommand = 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node';

/** What the providers in the npm package need of the machine. */
const requirements = {
  cpu: 'ONNX Runtime does not run on this processor',
  webgpu: 'it needs a GPU with its driver, and on Linux the Vulkan loader (libvulkan.so.1, Debian package libvulkan1)',
  directml: 'it needs a GPU with a DirectX 12 driver',
  coreml: 'it needs a macOS version with Core ML',
} as const;

/** @throws MODEL_INVALID when ONNX Runtime does not take the graph, PROVIDER_UNAVAILABLE when the provider does not start. */
export async function openSession(model: Uint8Array, options: SessionOptions): Promise<OnnxSession> {
  const inTurn = turnOf(options);
  let session: InferenceSession;
  try {
    session = await inTurn(() => create(model, options, false));
  } catch (error) {
    if (options.provider === 'cpu') {
      throw new HarmonidError('MODEL_INVALID', `ONNX Runtime refuses the graph: ${firstLine(error)}`, { cause: error });
    }
    throw await unavailable(options.provider, error);
  }
  return wrap(session, inTurn);
}

/**
 * The provider that a request for `asked` means on this machine.
 * @throws PROVIDER_UNAVAILABLE when it was asked for by name and does not run; the message says what is missing.
 */
export async function chooseProvider(asked: ExecutionProvider, deviceTurn?: SharedTurn): Promise<ChosenProvider> {
  if (asked === 'cpu') return { provider: 'cpu', reason: 'asked for by name' };
  if (asked !== 'auto') {
    await probe(asked, deviceTurn);
    return { provider: asked, reason: 'asked for by name' };
  }
  if (!(await showsGpu()))
    return { provider: 'cpu', reason: `auto: this machine shows no GPU (${gpuDevices.join(', ')})` };
  const refused: string[] = [];
  for (const candidate of autoOrder) {
    // What this platform's package does not have at all is no news.
    if (!isBundled(candidate)) continue;
    try {
      const [candidateMs, cpuMs] = [await probe(candidate, deviceTurn), await probe('cpu')];
      const timing = `${candidateMs.toFixed(1)} ms for the probe network where cpu takes ${cpuMs.toFixed(1)} ms`;
      if (candidateMs < cpuMs) {
        return { provider: candidate, reason: `auto: ${[...refused, `${candidate} takes ${timing}`].join('; ')}` };
      }
      refused.push(`${candidate} takes ${timing}`);
    } catch (error) {
      if (!isHarmonidError(error) || error.code !== 'PROVIDER_UNAVAILABLE') throw error;
      refused.push(`${candidate} cannot start, ${String(error.details['missing'])}`);
    }
  }
  const why = refused.length > 0 ? refused.join('; ') : `this platform's package has no other`;
  return { provider: 'cpu', reason: `auto: ${why}` };
}

/** Where Linux shows GPUs: Mesa's and NVIDIA's drivers, WSL. */
const gpuDevices = ['/dev/dri', '/dev/nvidia0', '/dev/dxg'] as const;

/** Whether trying GPU providers can succeed at all. Without one, Dawn would print a warning of its own to the terminal. */
async function showsGpu(): Promise<boolean> {
  if (platform() !== 'linux') return true;
  const found = await Promise.all(
    gpuDevices.map((path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}

async function create(model: Uint8Array, options: SessionOptions, onlyThere: boolean): Promise<InferenceSession> {
  // Every failure is thrown; without this ONNX Runtime prints it to the terminal, too. It reads the level once, at the first session.
  env.logLevel = 'fatal';
  return InferenceSession.create(model, {
    executionProviders: [backendNames[options.provider]],
    // One graph at a time uses all threads; none of these networks has branches worth running side by side.
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    ...(options.threads > 0 ? { intraOpNumThreads: options.threads } : {}),
    extra: {
      session: {
        // Idle threads that spin starve the other sessions' threads: without it a detector, landmarks and embeddings in turn ran
        // 2.3 times as fast on two cores (24 instead of 60 ms, 15 instead of 36 ms), and a single session no slower.
        intra_op: { allow_spinning: '0' },
        ...(onlyThere ? { disable_cpu_ep_fallback: '1' } : {}),
      },
    },
  });
}

/** How whatever touches a session waits for its turn, or does not. */
type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

function turnOf({ provider, deviceTurn }: SessionOptions): InTurn {
  if (provider !== 'webgpu' || !deviceTurn) return (work) => work();
  return (work) => deviceTurn.take(work);
}

function wrap(session: InferenceSession, inTurn: InTurn): OnnxSession {
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    async run(feeds) {
      const ortFeeds: Record<string, OrtTensor> = {};
      for (const [name, tensor] of Object.entries(feeds)) {
        ortFeeds[name] = new OrtTensor('float32', tensor.data, tensor.dims);
      }
      const results = await inTurn(() => session.run(ortFeeds));
      const outputs: Record<string, Tensor> = {};
      for (const [name, result] of Object.entries(results)) {
        if (!(result.data instanceof Float32Array)) {
          throw new HarmonidError('MODEL_INVALID', `output ${name} holds ${result.type}, float32 is wanted`);
        }
        outputs[name] = { data: result.data, dims: result.dims };
      }
      return outputs;
    },
    close: () => inTurn(() => session.release()),
  };
}

/** Runs the probe network on `provider` and nowhere else; returns its best time. @throws PROVIDER_UNAVAILABLE */
async function probe(provider: RunningProvider, deviceTurn?: SharedTurn): Promise<number> {
  const options = { provider, threads: 0, deviceTurn };
  const inTurn = turnOf(options);
  let session: OnnxSession | undefined;
  try {
    session = wrap(await inTurn(() => create(probeNetwork(), options, provider !== 'cpu')), inTurn);
    const feeds = { input: probeInput() };
    let bestMs = Infinity;
    // The first run compiles kernels and does not count.
    for (let round = 0; round < 4; round++) {
      const startMs = performance.now();
      const { output } = await session.run(feeds);
      if (round > 0) bestMs = Math.min(bestMs, performance.now() - startMs);
      const wrong = output?.data.find((value) => !(Math.abs(value - probeOutput) <= 1e-2 * probeOutput));
      if (output === undefined || output.data.length === 0 || wrong !== undefined) {
        throw new Error(`it computes ${wrong} where ${probeOutput} is right`);
      }
    }
    return bestMs;
  } catch (error) {
    throw await unavailable(provider, error);
  } finally {
    await session?.close();
  }
}

function isBundled(provider: RunningProvider): boolean {
  return listSupportedBackends().some((backend) => backend.name === backendNames[provider]);
}

/** The first line, without the place in ONNX Runtime's sources that some messages open with. */
function firstLine(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).trim().split('\n');
  return line.replace(/^\/.* was false\. /, '');
}

async function unavailable(provider: RunningProvider, cause: unknown): Promise<HarmonidError> {
  const missing = await whatIsMissing(provider);
  const message = `execution provider ${provider} cannot start: ${missing} (ONNX Runtime: ${firstLine(cause)})`;
  return new HarmonidError('PROVIDER_UNAVAILABLE', message, { details: { provider, missing }, cause });
}

async function whatIsMissing(provider: RunningProvider): Promise<string> {
  if (!isBundled(provider)) {
    const present = listSupportedBackends().map((backend) => backend.name);
    return `onnxruntime-node on ${platform()}/${arch()} does not have it, it has ${present.join(', ')}`;
  }
  if (provider !== 'cuda' && provider !== 'tensorrt') return requirements[provider];
  const library = `libonnxruntime_providers_${provider}.so`;
  return (await hasLibrary(library))
    ? `${library} is installed, so it is the NVIDIA driver, a GPU, CUDA 12, cuDNN 9 or TensorRT that it does not find`
    : `${library} is not installed; run \`${cudaInstallCommand}\` in the folder of your project`;
}

/** Whether onnxruntime-node has that file beside its own binary. */
async function hasLibrary(library: string): Promise<boolean> {
  const packageFile = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  const path = join(dirname(packageFile), 'bin', 'napi-v6', platform(), arch(), library);
  return access(path).then(
    () => true,
    () => false,
  );
}
