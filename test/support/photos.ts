/** Photos of one person each, cut out of the sample group photos, and altered or broken versions of them. */
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { samplePhotoPath } from './paths.js';

/** Who is where in the sample photos: centre of the face and half the side of a generous square around it, pixels. */
const people = {
  // sample1.jpg: the blonde woman in the work shirt; the woman with the hair bow.
  blonde: { photo: 1, x: 1585, y: 330, half: 230 },
  bow: { photo: 1, x: 500, y: 495, half: 200 },
  // sample3.jpg: the woman in the middle; the woman on the right.
  middle: { photo: 3, x: 1180, y: 330, half: 230 },
  right: { photo: 3, x: 1595, y: 405, half: 220 },
  // sample6.jpg: two of four.
  green: { photo: 6, x: 350, y: 585, half: 190 },
  burgundy: { photo: 6, x: 755, y: 415, half: 190 },
} as const;

export type Person = keyof typeof people;
export const everyPerson = Object.keys(people) as readonly Person[];

export function groupPhoto(number: 1 | 2 | 3 | 4 | 5 | 6): Buffer {
  return readFileSync(samplePhotoPath(number));
}

/** A photo of one person: a square around the face. */
export async function portrait(person: Person): Promise<Buffer> {
  const { photo, x, y, half } = people[person];
  const image = sharp(groupPhoto(photo));
  const { width, height } = await image.metadata();
  const left = Math.max(0, x - half);
  const top = Math.max(0, y - half);
  return image
    .extract({ left, top, width: Math.min(2 * half, width - left), height: Math.min(2 * half, height - top) })
    .jpeg({ quality: 95 })
    .toBuffer();
}

/** The same photo, as a door camera might deliver it. */
export const alterations = {
  darkened: (photo: Buffer) => sharp(photo).modulate({ brightness: 0.6 }).jpeg().toBuffer(),
  'JPEG quality 20': (photo: Buffer) => sharp(photo).jpeg({ quality: 20 }).toBuffer(),
  halved: async (photo: Buffer) => {
    const { width } = await sharp(photo).metadata();
    return sharp(photo)
      .resize(Math.round(width / 2))
      .jpeg()
      .toBuffer();
  },
  mirrored: (photo: Buffer) => sharp(photo).flop().jpeg().toBuffer(),
} as const;

/** An image without anybody: a smooth gradient with noise, from a fixed seed. */
export async function emptyScene(): Promise<Buffer> {
  const [width, height] = [320, 240];
  let state = 1;
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    state = (state * 48271) % 0x7fffffff;
    return ((i / 3) % width) / 3 + (state % 24);
  });
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg()
    .toBuffer();
}

/** 100 megapixels in a few kilobytes. */
export function decompressionBomb(): Promise<Buffer> {
  return sharp({ create: { width: 10_000, height: 10_000, channels: 3, background: '#000' } })
    .png({ compressionLevel: 9 })
    .toBuffer();
}
