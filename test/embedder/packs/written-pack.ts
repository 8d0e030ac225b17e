/** A small pack with a real graph, for tests: 192 dimensions, five-point alignment, borrowed detection and landmarks. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { convolution, unpadded } from '../../../src/embedder/packs/layers.js';
import { OnnxWriter } from '../../../src/embedder/packs/onnx-writer.js';

export const writtenDimensions = 192;

function graphBytes(): Uint8Array {
  const graph = new OnnxWriter('mean-colour');
  const mean = graph.node('GlobalAveragePool', ['data']);
  const weights = Float64Array.from({ length: writtenDimensions * 3 }, (_, i) => Math.cos(i));
  const kernel = {
    weights,
    dims: [writtenDimensions, 3, 1, 1],
    bias: new Float64Array(writtenDimensions),
    groups: 1,
  } as const;
  const planes = convolution(graph, mean, kernel, 1, unpadded);
  graph.rename(graph.node('Flatten', [planes], { axis: 1 }), 'emb');
  return graph.finish([{ name: 'data', dims: ['n', 3, 112, 112] }], [{ name: 'emb', dims: ['n', writtenDimensions] }]);
}

function point(x: number, y: number): { x: number; y: number } {
  return { x, y };
}

/** A fresh manifest as plain JSON, to be bent by tests. */
export function writtenManifest(id = 'mean-colour') {
  return {
    formatVersion: 1,
    id,
    description: 'The mean colour, for tests.',
    licence: { spdx: 'Apache-2.0', files: [{ file: 'net.onnx', spdx: 'Apache-2.0', notes: 'made by a test' }] },
    embedding: {
      file: 'net.onnx',
      sha256: createHash('sha256').update(graphBytes()).digest('hex'),
      input: {
        name: 'data',
        width: 112,
        height: 112,
        channels: 'bgr',
        normalisation: { mean: [127.5, 127.5, 127.5], scale: 1 / 128 },
      },
      output: 'emb',
      dimensions: writtenDimensions,
      mirrorAveraging: false,
    },
    alignment: {
      kind: 'five-points',
      leftEye: point(38.29, 51.7),
      rightEye: point(73.53, 51.5),
      nose: point(56.03, 71.74),
      mouthLeft: point(41.55, 92.37),
      mouthRight: point(70.73, 92.2),
    },
    detection: 'default',
    landmarks: 'default',
    threshold: { value: 1.2, source: 'invented by a test' },
    margin: 0.1,
  };
}

/** Writes the pack into `folder`, with `manifest` in place of its own when given. */
export function writePack(folder: string, manifest: unknown = writtenManifest()): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'net.onnx'), graphBytes());
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
}
