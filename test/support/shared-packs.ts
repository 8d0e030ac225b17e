/** Folders of model packs around the evaluation-only networks of the shared research data; nothing of them is committed. */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sharedPath } from './paths.js';

/** Both take ArcFace's template; the narrow one sees columns 8 to 103 of the same crop. */
export const sharedNetworks = {
  'mobilefacenet-112x112': { width: 112, left: 0 },
  'mobilefacenet-112x96': { width: 96, left: 8 },
} as const;

export type SharedNetwork = keyof typeof sharedNetworks;

export function sharedNetworkPath(id: SharedNetwork): string {
  return join(sharedPath, 'models', `${id}.onnx`);
}

/** Writes the pack of a network into `folder`, as an operator would. */
export function writeSharedPack(id: SharedNetwork, folder: string): void {
  const { width, left } = sharedNetworks[id];
  const file = `${id}.onnx`;
  mkdirSync(folder, { recursive: true });
  copyFileSync(sharedNetworkPath(id), join(folder, file));
  const point = (x: number, y: number): { x: number; y: number } => ({ x: x - left, y });
  const manifest = {
    formatVersion: 1,
    id,
    description: 'MobileFaceNet, for evaluation only.',
    licence: {
      spdx: 'LicenseRef-research-only',
      files: [{ file, spdx: 'LicenseRef-research-only', notes: 'evaluation only' }],
    },
    embedding: {
      file,
      sha256: createHash('sha256')
        .update(readFileSync(join(folder, file)))
        .digest('hex'),
      input: { name: 'data', width, height: 112, channels: 'rgb', normalisation: { mean: [0, 0, 0], scale: 1 } },
      output: 'emb',
      dimensions: 128,
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
    threshold: { value: 1.2, source: 'a guess for tests' },
    margin: 0.1,
  };
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
}
