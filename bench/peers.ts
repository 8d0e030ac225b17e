/**
 * Peers that are not dependencies, in a folder of their own: face-api on TensorFlow.js with its WASM back end, and the vector indexes of vector-peers.ts.
 *
 * Absent unless `npm run bench -- peers install` was run; what needs them is then skipped with a message.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { HarmonidError } from '../src/errors.js';
import { benchPath } from './machine.js';
import type { Progress } from './progress.js';

const peersPath = join(benchPath, 'peers');

/** face-api's whole pipeline with the SSD detector: detection, 68 landmarks, descriptors. */
export interface FaceApi {
  /** Number of faces. Pixels are raw RGB, upright. */
  describeFaces(image: { data: Buffer; width: number; height: number }): Promise<number>;
  readonly version: string;
  readonly threads: number;
}

/** What is used of face-api's and TensorFlow.js' interfaces. */
interface FaceApiModule {
  readonly version: string;
  readonly nets: Readonly<
    Record<
      'ssdMobilenetv1' | 'faceLandmark68Net' | 'faceRecognitionNet',
      { loadFromDisk(folder: string): Promise<void> }
    >
  >;
  readonly SsdMobilenetv1Options: new (options: { minConfidence: number; maxResults: number }) => object;
  detectAllFaces(
    input: object,
    options: object,
  ): { withFaceLandmarks(): { withFaceDescriptors(): Promise<readonly object[]> } };
}

interface TensorFlowModule {
  setBackend(name: 'wasm'): Promise<boolean>;
  ready(): Promise<void>;
  tensor3d(values: Int32Array, shape: readonly [number, number, number], type: 'int32'): { dispose(): void };
}

interface WasmModule {
  setWasmPaths(folder: string): void;
  getThreadsCount(): number;
}

/** @throws UNAVAILABLE when npm fails; its last words are in the message. */
export async function installPeers(progress: Progress): Promise<void> {
  progress(`installing into ${peersPath}`);
  const npm = ['install', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts'];
  await promisify(execFile)('npm', npm, { cwd: peersPath }).catch((error: unknown) => {
    throw new HarmonidError('UNAVAILABLE', `npm install in ${peersPath} failed: ${String(error)}`, { cause: error });
  });
  progress('done');
}

/** From the folder of the peers; undefined when one of these packages is not installed there. */
export function peerRequire(...packages: readonly string[]): NodeJS.Require | undefined {
  const isInstalled = (name: string): boolean => existsSync(join(peersPath, 'node_modules', name));
  return packages.every(isInstalled) ? createRequire(join(peersPath, 'package.json')) : undefined;
}

/** Of a package that is installed. */
export function peerVersion(name: string): string {
  const manifest = readFileSync(join(peersPath, 'node_modules', name, 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}

/** Undefined when the peers are not installed. */
export async function openFaceApi(): Promise<FaceApi | undefined> {
  const require = peerRequire('@tensorflow/tfjs-backend-wasm');
  if (!require) return undefined;
  const tf = require('@tensorflow/tfjs') as TensorFlowModule;
  const wasm = require('@tensorflow/tfjs-backend-wasm') as WasmModule;
  wasm.setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`);
  await tf.setBackend('wasm');
  await tf.ready();
  const faceApiPath = dirname(require.resolve('@vladmandic/face-api/package.json'));
  const faceApi = require(join(faceApiPath, 'dist', 'face-api.node-wasm.js')) as FaceApiModule;
  for (const net of ['ssdMobilenetv1', 'faceLandmark68Net', 'faceRecognitionNet'] as const) {
    await faceApi.nets[net].loadFromDisk(join(faceApiPath, 'model'));
  }
  const options = new faceApi.SsdMobilenetv1Options({ minConfidence: 0.5, maxResults: 100 });
  return {
    version: faceApi.version,
    threads: wasm.getThreadsCount(),
    describeFaces: async ({ data, width, height }) => {
      const tensor = tf.tensor3d(Int32Array.from(data), [height, width, 3], 'int32');
      try {
        return (await faceApi.detectAllFaces(tensor, options).withFaceLandmarks().withFaceDescriptors()).length;
      } finally {
        tensor.dispose();
      }
    },
  };
}
