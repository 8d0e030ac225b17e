/**
 * Photos made worse, to see what a model still makes of them (FaceNet, tables 4 and 5: JPEG quality and image size).
 *
 * Promises: the same bytes and the same level give the same bytes. Whatever is not about compression is written without loss (PNG), so that nothing but the
 * degradation is measured. Photos are never enlarged. What comes out has the size of what went in, except where size is what is changed, or where a turned
 * photo needs more room: `sameSize` says that it must not have (an aligned crop).
 */
import sharp, { type Sharp } from 'sharp';
import { HarmonidError } from '../errors.js';
import type { Point } from './face.js';
import { decodeImage, defaultImageLimits, inspectImage, type RgbImage } from './image.js';

/** Kinds, and what their level means. */
export const degradations = {
  jpeg: 'JPEG quality',
  size: 'pixels',
  blur: 'blur, standard deviation in pixels',
  brightness: 'brightness, times',
  rotation: 'rotation, degrees',
  eyes: 'bar over the eyes, share of the face’s height',
  mouth: 'bar over the mouth, share of the face’s height',
} as const;
export type DegradationKind = keyof typeof degradations;

export interface Degradation {
  readonly kind: DegradationKind;
  /**
   * `jpeg` quality 1 to 100; `size` most pixels, width times height; `blur` sigma of the Gaussian, pixels, at least 0.3; `brightness` factor of every
   * value, above 0; `rotation` degrees, clockwise; `eyes` and `mouth` height of a grey bar as a share of the face's, (0, 1].
   */
  readonly level: number;
}

/** Where the eyes and the mouth are in a photo: left eye, right eye, nose, left and right corner of the mouth (align.ts: `fivePoints`). */
export type FivePoints = readonly Point[];

/** Of a bar, and of what a turned photo leaves open. */
const grey = 128;
/** Of the mean of the 68 landmarks (landmarks.ts), in distances between the eyes. */
const face = { width: 2.4, height: 2.2 } as const;

/**
 * @param points wanted for `eyes` and `mouth`
 * @returns an encoded image; the very bytes that were given when there was nothing to do
 * @throws IMAGE_EMPTY, IMAGE_UNREADABLE, IMAGE_TOO_LARGE; INVALID_ARGUMENT for bars without points
 */
export async function degrade(
  bytes: Uint8Array,
  { kind, level }: Degradation,
  { sameSize, points }: { readonly sameSize: boolean; readonly points?: FivePoints | undefined },
): Promise<Uint8Array> {
  const image = await decodeImage(await inspectImage(bytes, defaultImageLimits));
  switch (kind) {
    case 'jpeg':
      return opened(image).jpeg({ quality: level }).toBuffer();
    case 'size':
      return image.width * image.height <= level ? bytes : shrunk(image, level, sameSize);
    case 'blur':
      return png(opened(image).blur(level));
    case 'brightness':
      return png(opened(image).linear(level, 0));
    case 'rotation':
      return turned(image, level, sameSize);
    case 'eyes':
    case 'mouth': {
      if (!points) throw new HarmonidError('INVALID_ARGUMENT', `a bar over the ${kind} needs the points of the face`);
      return png(opened(barred(image, points, kind, level)));
    }
  }
}

function opened({ data, width, height }: RgbImage): Sharp {
  return sharp(data, { raw: { width, height, channels: 3 } });
}

/** The quickest compression: such files are read once. */
function png(image: Sharp): Promise<Buffer> {
  return image.png({ compressionLevel: 1 }).toBuffer();
}

async function shrunk(image: RgbImage, pixelsMax: number, sameSize: boolean): Promise<Buffer> {
  const factor = Math.sqrt(pixelsMax / (image.width * image.height));
  const [width, height] = [
    Math.max(1, Math.round(image.width * factor)),
    Math.max(1, Math.round(image.height * factor)),
  ];
  const small = await png(opened(image).resize(width, height, { fit: 'fill', kernel: 'lanczos3' }));
  // A crop has to have its size: the pixels come back, what they showed does not.
  return sameSize ? png(sharp(small).resize(image.width, image.height, { fit: 'fill', kernel: 'cubic' })) : small;
}

async function turned(image: RgbImage, degrees: number, sameSize: boolean): Promise<Buffer> {
  const background = { r: grey, g: grey, b: grey };
  const { data, info } = await opened(image)
    .rotate(degrees, { background })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const whole = { data, width: info.width, height: info.height };
  return png(opened(sameSize ? middle(whole, image.width, image.height) : whole));
}

/** The middle of an image on grey. */
function middle(image: RgbImage, width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3).fill(grey);
  const [left, top] = [(image.width - width) >> 1, (image.height - height) >> 1];
  for (let y = Math.max(0, -top); y < Math.min(height, image.height - top); y++) {
    const from = Math.max(0, -left);
    const to = Math.min(width, image.width - left);
    const source = ((y + top) * image.width + left) * 3;
    data.set(image.data.subarray(source + from * 3, source + to * 3), (y * width + from) * 3);
  }
  return { width, height, data };
}

/** A grey bar as wide as the face, along the line between the eyes, over their middle or over the mouth's. */
function barred(image: RgbImage, points: FivePoints, place: 'eyes' | 'mouth', share: number): RgbImage {
  const [leftEye, rightEye, , mouthLeft, mouthRight] = points as readonly [Point, Point, Point, Point, Point];
  const [one, other] = place === 'eyes' ? [leftEye, rightEye] : [mouthLeft, mouthRight];
  const centre = { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
  const eyes = Math.hypot(rightEye.x - leftEye.x, rightEye.y - leftEye.y);
  const along = { x: (rightEye.x - leftEye.x) / eyes, y: (rightEye.y - leftEye.y) / eyes };
  const [halfWidth, halfHeight] = [(eyes * face.width) / 2, (eyes * face.height * share) / 2];
  const data = Uint8Array.from(image.data);
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++) {
      const [dx, dy] = [x + 0.5 - centre.x, y + 0.5 - centre.y];
      const isUnder =
        Math.abs(dx * along.x + dy * along.y) <= halfWidth && Math.abs(dy * along.x - dx * along.y) <= halfHeight;
      if (isUnder) data.fill(grey, (y * image.width + x) * 3, (y * image.width + x + 1) * 3);
    }
  }
  return { ...image, data };
}
