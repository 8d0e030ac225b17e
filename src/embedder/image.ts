/**
 * Encoded bytes become upright RGB pixels, or an error that says why not. The only importer of sharp.
 *
 * Promises: bytes are untrusted. Only the formats of `imageFormats` reach a decoder, told apart by their first bytes (what
 * sharp could also open, such as SVG or PDF, is refused); bytes and pixels are held against their limits before any pixel
 * is decoded; a file that is cut short is refused, never half decoded.
 *
 * The result is 8-bit RGB: EXIF orientation is applied, CMYK is converted, grey becomes three equal channels, 16 bits become
 * 8, transparent parts show mid-grey (black would darken the rim of a cut-out face, white would brighten it), an animation
 * gives its first frame. Embedded RGB colour profiles are not applied: the networks were trained on pixels as stored, and
 * the conversion would cost more than the decoding.
 */
import sharp, { type Metadata } from 'sharp';
import { HarmonidError } from '../errors.js';

/** What `decodeImage` opens. */
export const imageFormats = ['jpeg', 'png', 'webp', 'avif', 'tiff', 'gif'] as const;
export type ImageFormat = (typeof imageFormats)[number];

/** Limits on one encoded image. */
export interface ImageLimits {
  /** Most pixels, width times height. Larger admits larger photos and costs 3 bytes of memory a pixel while in work. */
  readonly pixelsMax: number;
  /** Most encoded bytes. Larger costs memory and copying. */
  readonly bytesMax: number;
}

/** 50 megapixels are above today's cameras; 64 MiB above their least compressed JPEG. */
export const defaultImageLimits: ImageLimits = { pixelsMax: 50_000_000, bytesMax: 64 * 2 ** 20 };

/** An upright image: interleaved RGB rows, `data[(y * width + x) * 3 + channel]`. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** An image whose header was read and found within the limits; no pixel is decoded yet. */
export interface InspectedImage {
  readonly bytes: Uint8Array;
  readonly format: ImageFormat;
  /** Size as stored, before EXIF orientation, pixels. */
  readonly storedWidth: number;
  readonly storedHeight: number;
  readonly cmyk: boolean;
}

/** Transparent parts show this grey level. */
const backgroundLevel = 128;

/** Sharp keeps recently decoded images in a cache by default; faces have no business there. */
export function forgetDecodedImages(): void {
  sharp.cache(false);
}

/**
 * Reads the header only.
 * @throws IMAGE_EMPTY, IMAGE_UNREADABLE, IMAGE_TOO_LARGE
 */
export async function inspectImage(bytes: Uint8Array, limits: ImageLimits): Promise<InspectedImage> {
  if (bytes.length === 0) throw new HarmonidError('IMAGE_EMPTY', 'the image has 0 bytes');
  if (bytes.length > limits.bytesMax) {
    throw new HarmonidError('IMAGE_TOO_LARGE', `the image has ${bytes.length} bytes, the limit is ${limits.bytesMax}`, {
      details: { bytes: bytes.length, bytesMax: limits.bytesMax },
    });
  }
  const format = sniffFormat(bytes);
  if (format === null) {
    throw new HarmonidError(
      'IMAGE_UNREADABLE',
      `the bytes begin like none of the formats that are read (${imageFormats.join(', ')})`,
    );
  }
  const { width, height, space } = await readMetadata(bytes, format);
  if (!(width > 0 && height > 0)) {
    throw new HarmonidError('IMAGE_UNREADABLE', `the ${format} image is ${width}x${height} pixels: it shows nothing`);
  }
  if (width * height > limits.pixelsMax) {
    throw new HarmonidError(
      'IMAGE_TOO_LARGE',
      `the image is ${width}x${height}, ${width * height} pixels; the limit is ${limits.pixelsMax}`,
      { details: { width, height, pixels: width * height, pixelsMax: limits.pixelsMax } },
    );
  }
  return { bytes, format, storedWidth: width, storedHeight: height, cmyk: space === 'cmyk' };
}

/**
 * Decodes an inspected image to upright 8-bit sRGB.
 * @throws IMAGE_UNREADABLE
 */
export async function decodeImage(image: InspectedImage): Promise<RgbImage> {
  try {
    const { data, info } = await sharp(image.bytes, {
      // Refuses files that are cut short and serious damage, and lets the harmless oddities of old cameras pass.
      failOn: 'error',
      // The header was checked; this holds the decoder to it.
      limitInputPixels: image.storedWidth * image.storedHeight,
      pages: 1,
      ignoreIcc: !image.cmyk,
    })
      .autoOrient()
      .flatten({ background: { r: backgroundLevel, g: backgroundLevel, b: backgroundLevel } })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, data: asRgb(data, info.width * info.height, info.channels) };
  } catch (cause) {
    throw unreadable(image.format, cause);
  }
}

/** Part of an upright image, pixels. */
export interface ImageArea {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** A small JPEG for people to look at; nothing is embedded from it. */
export interface Thumbnail {
  readonly jpeg: Buffer;
  readonly width: number;
  readonly height: number;
}

/**
 * Shrinks an image, or the part `area` of it (as far as it lies in the image), to fit into a square of `sidePx`; small ones are not enlarged.
 * @throws IMAGE_EMPTY, IMAGE_UNREADABLE, IMAGE_TOO_LARGE; INVALID_ARGUMENT when the area lies outside
 */
export async function thumbnail(bytes: Uint8Array, sidePx: number, area?: ImageArea): Promise<Thumbnail> {
  const { width, height, data } = await decodeImage(await inspectImage(bytes, defaultImageLimits));
  const [left, top] = [clamped(area?.left ?? 0, width), clamped(area?.top ?? 0, height)];
  const right = clamped(area ? area.left + area.width : width, width);
  const bottom = clamped(area ? area.top + area.height : height, height);
  if (right <= left || bottom <= top) {
    throw new HarmonidError(
      'INVALID_ARGUMENT',
      `the area ${JSON.stringify(area)} lies outside of the image, ${width}x${height}`,
    );
  }
  const { data: jpeg, info } = await sharp(data, { raw: { width, height, channels: 3 } })
    .extract({ left, top, width: right - left, height: bottom - top })
    .resize(sidePx, sidePx, { fit: 'inside', withoutEnlargement: true })
    .jpeg({ quality: 80 })
    .toBuffer({ resolveWithObject: true });
  return { jpeg, width: info.width, height: info.height };
}

function clamped(value: number, most: number): number {
  return Math.min(most, Math.max(0, Math.round(value)));
}

/**
 * The format by its first bytes, null for anything else. libvips picks its decoder by the same bytes, so what is not
 * named here never reaches one.
 */
export function sniffFormat(bytes: Uint8Array): ImageFormat | null {
  const text = (from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to));
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return 'jpeg';
  if (text(0, 8) === '\x89PNG\r\n\x1a\n') return 'png';
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'webp';
  if (text(4, 8) === 'ftyp' && ['avif', 'avis', 'mif1', 'miaf'].includes(text(8, 12))) return 'avif';
  if (text(0, 4) === 'II*\0' || text(0, 4) === 'MM\0*') return 'tiff';
  if (text(0, 6) === 'GIF87a' || text(0, 6) === 'GIF89a') return 'gif';
  return null;
}

async function readMetadata(bytes: Uint8Array, format: ImageFormat): Promise<Metadata> {
  try {
    // The limit is ours to check and to word; metadata alone decodes nothing.
    return await sharp(bytes, { failOn: 'error', limitInputPixels: false, pages: 1 }).metadata();
  } catch (cause) {
    throw unreadable(format, cause);
  }
}

/** Grey that stayed on one or two channels becomes three; a fourth channel is dropped. */
function asRgb(data: Uint8Array, pixels: number, channels: number): Uint8Array {
  // A plain view: loops that meet both Buffers and Uint8Arrays are compiled for neither.
  if (channels === 3) return new Uint8Array(data.buffer, data.byteOffset, data.length);
  const rgb = new Uint8Array(pixels * 3);
  const [green, blue] = channels < 3 ? [0, 0] : [1, 2];
  for (let i = 0, from = 0, to = 0; i < pixels; i++, from += channels, to += 3) {
    rgb[to] = data[from] as number;
    rgb[to + 1] = data[from + green] as number;
    rgb[to + 2] = data[from + blue] as number;
  }
  return rgb;
}

function unreadable(format: ImageFormat, cause: unknown): HarmonidError {
  // libvips reports one line per failed read; the first one tells.
  const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
  return new HarmonidError('IMAGE_UNREADABLE', `the image looks like ${format} and cannot be decoded: ${reason}`, {
    cause,
  });
}
