/**
 * Packs with a small real network in the place of one that detects presentation attacks: bona fide is what is red enough. It detects nothing;
 * its right answer is easy to compute from the pixels alone. Recognition is the default pack's.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import type { Box } from '../../src/embedder/face.js';
import { defaultPackId, type PackManifest, type PresentationModel } from '../../src/embedder/model-pack.js';
import { convolution, unpadded } from '../../src/embedder/packs/layers.js';
import { ModelStore } from '../../src/embedder/packs/model-store.js';
import { OnnxWriter } from '../../src/embedder/packs/onnx-writer.js';
import { modelsPath } from './database.js';

/** A crop with this mean of red scores a half, and the score's odds grow e-fold with every `redFold` more. */
const redHalf = 100;
const redFold = 16;
const side = 64;

/** Softmax of two classes, of which the second is bona fide; or one value, which is the score, or what is none. */
export type RednessOutput = 'two-classes' | 'one-score' | 'no-score';

function rednessGraph(kind: RednessOutput): Uint8Array {
  const graph = new OnnxWriter('redness');
  const mean = graph.node('GlobalAveragePool', ['crop']);
  // Planes are blue, green, red; red comes as (value - redHalf) / redFold.
  const weights = kind === 'two-classes' ? [0, 0, 0, 0, 0, 1] : [0, 0, 1];
  const classes = weights.length / 3;
  const kernel = {
    weights: Float64Array.from(weights),
    dims: [classes, 3, 1, 1],
    // Beyond 1 whatever the crop.
    bias: new Float64Array(classes).fill(kind === 'no-score' ? 1000 : 0),
    groups: 1,
  } as const;
  const planes = graph.node('Flatten', [convolution(graph, mean, kernel, 1, unpadded)], { axis: 1 });
  graph.rename(kind === 'one-score' ? graph.node('Sigmoid', [planes]) : planes, 'classes');
  return graph.finish([{ name: 'crop', dims: ['n', 3, side, side] }], [{ name: 'classes', dims: ['n', classes] }]);
}

export interface RednessDraft {
  readonly id: string;
  readonly kind: RednessOutput;
  readonly boxScale: number;
  readonly threshold: number;
}

/** A models directory with the default pack and one more for each draft. */
export async function writeRednessPacks(models: string, drafts: readonly RednessDraft[]): Promise<void> {
  const { folder, manifest, embedding } = await new ModelStore(modelsPath).open();
  mkdirSync(models, { recursive: true });
  symlinkSync(folder, join(models, defaultPackId));
  for (const { id, kind, boxScale, threshold } of drafts) {
    const own = join(models, id);
    mkdirSync(own);
    copyFileSync(embedding.packFile.path, join(own, embedding.file));
    const graph = rednessGraph(kind);
    writeFileSync(join(own, 'redness.onnx'), graph);
    const presentation: PresentationModel = {
      file: 'redness.onnx',
      sha256: createHash('sha256').update(graph).digest('hex'),
      input: {
        name: 'crop',
        width: side,
        height: side,
        channels: 'bgr',
        normalisation: { mean: [0, 0, redHalf], scale: [1, 1, 1 / redFold] },
      },
      boxScale,
      output: 'classes',
      bonaFide: kind === 'two-classes' ? 1 : 0,
      softmax: kind === 'two-classes',
      threshold: { value: threshold, source: 'invented by a test' },
    };
    const { build: _build, ...kept } = manifest;
    const written: PackManifest = { ...kept, id, detection: 'default', landmarks: 'default', presentation };
    writeFileSync(join(own, 'manifest.json'), JSON.stringify(written));
  }
}

/** Takes the network out of a pack that was written here. */
export function removePresentation(models: string, id: string): void {
  const path = join(models, id, 'manifest.json');
  const { presentation: _presentation, ...kept } = JSON.parse(readFileSync(path, 'utf8')) as PackManifest;
  writeFileSync(path, JSON.stringify(kept));
}

/** The right score: of the square of `boxScale` times the box's longer side, pixels weighed by how much of them lies in it, black outside. */
export async function rednessOf(
  photo: Uint8Array,
  { left, top, width, height }: Box,
  boxScale: number,
): Promise<number> {
  const image = await sharp(photo).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const half = (boxScale * Math.max(width, height)) / 2;
  const [fromX, toX] = [left + width / 2 - half, left + width / 2 + half];
  const [fromY, toY] = [top + height / 2 - half, top + height / 2 + half];
  const covered = (from: number, to: number, at: number): number =>
    Math.max(0, Math.min(to, at + 1) - Math.max(from, at));
  let red = 0;
  for (let y = 0; y < image.info.height; y++) {
    const rowShare = covered(fromY, toY, y);
    if (rowShare === 0) continue;
    for (let x = 0; x < image.info.width; x++) {
      red +=
        rowShare * covered(fromX, toX, x) * (image.data[(y * image.info.width + x) * image.info.channels] as number);
    }
  }
  return 1 / (1 + Math.exp(-(red / (2 * half) ** 2 - redHalf) / redFold));
}
