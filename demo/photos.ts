/** The demo's photos: the six group photos of the default model's dependency, altered as a door camera might. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import type { Box } from '../src/api.js';

export const photoCount = 6;

export async function groupPhoto(number: number): Promise<Buffer> {
  const manifest = createRequire(import.meta.url).resolve('@vladmandic/face-api/package.json');
  return readFile(join(dirname(manifest), 'demo', `sample${number}.jpg`));
}

/** A portrait: the face with half its size again around it. */
export async function cutOut(photo: Buffer, box: Box): Promise<Buffer> {
  const { width, height } = await sharp(photo).metadata();
  const side = 2 * Math.max(box.width, box.height);
  const left = clamp(box.left + box.width / 2 - side / 2, 0, width - 1);
  const top = clamp(box.top + box.height / 2 - side / 2, 0, height - 1);
  return sharp(photo)
    .extract({ left, top, width: clamp(side, 1, width - left), height: clamp(side, 1, height - top) })
    .jpeg({ quality: 95 })
    .toBuffer();
}

function clamp(value: number, smallest: number, largest: number): number {
  return Math.round(Math.min(largest, Math.max(smallest, value)));
}

export async function sizeOf(photo: Buffer): Promise<{ width: number; height: number }> {
  const { width, height } = await sharp(photo).metadata();
  return { width, height };
}

export interface Alteration {
  readonly name: string;
  readonly apply: (photo: Buffer) => Promise<Buffer>;
  /** From a point of the altered photo back to the original's, both as shares of width and height. */
  readonly restore: (x: number, y: number) => readonly [x: number, y: number];
}

const inPlace = (x: number, y: number): readonly [number, number] => [x, y];

export const alterations: readonly Alteration[] = [
  { name: 'original', apply: async (photo) => photo, restore: inPlace },
  {
    // An eighth of the width and height is cut from every side.
    name: 'cropped',
    apply: async (photo) => {
      const { width, height } = await sharp(photo).metadata();
      return sharp(photo)
        .extract({ left: width >> 3, top: height >> 4, width: width - (width >> 2), height: height - (height >> 3) })
        .jpeg()
        .toBuffer();
    },
    restore: (x, y) => [1 / 8 + x * (3 / 4), 1 / 16 + y * (7 / 8)],
  },
  {
    name: 'darkened',
    apply: (photo) => sharp(photo).modulate({ brightness: 0.5 }).jpeg().toBuffer(),
    restore: inPlace,
  },
  { name: 'quality20', apply: (photo) => sharp(photo).jpeg({ quality: 20 }).toBuffer(), restore: inPlace },
];
