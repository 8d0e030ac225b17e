/** Photos to work on: the sample photos of the default model's dependency, portraits cut out of them, and LFW where it is at hand. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import type { Embedder } from '../src/embedder/embedder.js';
import { parsePairs, photosOf } from '../src/evaluate/pairs.js';
import { repositoryPath } from './machine.js';

/** Where the default pack is built once, for tests and benches alike. */
export const modelsPath = join(repositoryPath, '.cache', 'models');

/** Six group photos, 1920 pixels wide. */
export function readSamplePhotos(): Promise<readonly Buffer[]> {
  const manifest = createRequire(import.meta.url).resolve('@vladmandic/face-api/package.json');
  const numbers = [1, 2, 3, 4, 5, 6];
  return Promise.all(numbers.map((number) => readFile(join(dirname(manifest), 'demo', `sample${number}.jpg`))));
}

/** Portraits in the manner of LFW: 250 x 250, the face's box filling 45 % of the side. JPEG. */
export async function cutPortraits(embedder: Embedder, photos: readonly Buffer[]): Promise<readonly Buffer[]> {
  const portraits: Buffer[] = [];
  for (const photo of photos) {
    const { width, height, faces } = await embedder.embedImage(photo);
    for (const { face } of faces) {
      const { box } = face;
      const side = Math.round(Math.min(Math.max(box.width, box.height) / 0.45, width, height));
      const inside = (centre: number, limit: number): number =>
        Math.round(Math.min(Math.max(centre - side / 2, 0), limit - side));
      const left = inside(box.left + box.width / 2, width);
      const top = inside(box.top + box.height / 2, height);
      portraits.push(
        await sharp(photo)
          .extract({ left, top, width: side, height: side })
          .resize(250, 250)
          .jpeg({ quality: 90 })
          .toBuffer(),
      );
    }
  }
  return portraits;
}

/** The first photos of LFW's pairs; undefined where the research data is absent, as on most machines. */
export async function readLfwPhotos(count: number): Promise<readonly Buffer[] | undefined> {
  const lfwPath = join(repositoryPath, '..', 'shared', 'data', 'lfw-dev');
  if (!existsSync(lfwPath)) return undefined;
  const pairs = parsePairs(await readFile(join(lfwPath, 'pairs.txt'), 'utf8'), 'pairs.txt');
  const names = photosOf(pairs).slice(0, count);
  return Promise.all(names.map((name) => readFile(join(lfwPath, 'images', `${name}.jpg`))));
}

/** Raw RGB pixels, upright. */
export async function decodeRgb(photo: Buffer): Promise<{ data: Buffer; width: number; height: number }> {
  const { data, info } = await sharp(photo)
    .rotate()
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}
