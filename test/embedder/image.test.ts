// Method: sharp writes the encoded files; the pixels expected are those that were put in, and limits are met by their numbers.
import assert from 'node:assert/strict';
import { before, describe, it } from 'mocha';
import sharp, { type Sharp } from 'sharp';
import { decodeImage, defaultImageLimits, inspectImage, thumbnail, type RgbImage } from '../../src/embedder/image.js';
import { isHarmonidError, type ErrorCode } from '../../src/errors.js';

const width = 64;
const height = 48;

/** A smooth picture that every codec keeps closely: red grows to the right, green downwards, blue is flat. */
function paint(x: number, y: number): [number, number, number] {
  return [40 + x * 3, 30 + y * 4, 90];
}

const painted = new Uint8Array(width * height * 3);
for (let y = 0; y < height; y++) {
  for (let x = 0; x < width; x++) painted.set(paint(x, y), (y * width + x) * 3);
}
const picture = (): Sharp => sharp(painted, { raw: { width, height, channels: 3 } });

const open = async (bytes: Uint8Array, limits = defaultImageLimits): Promise<RgbImage> =>
  decodeImage(await inspectImage(bytes, limits));

const refusal = (code: ErrorCode, words?: RegExp) => (error: unknown) => {
  assert.ok(isHarmonidError(error), String(error));
  assert.equal(error.code, code);
  if (words) assert.match(error.message, words);
  return true;
};

function meanDifference(image: RgbImage, wanted: (x: number, y: number) => readonly number[]): number {
  let sum = 0;
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++) {
      wanted(x, y).forEach((value, channel) => {
        sum += Math.abs((image.data[(y * image.width + x) * 3 + channel] as number) - value);
      });
    }
  }
  return sum / image.data.length;
}

describe('image', () => {
  let encoded: Record<string, Buffer>;
  before(async () => {
    encoded = {
      jpeg: await picture().jpeg({ quality: 95 }).toBuffer(),
      progressive: await picture().jpeg({ quality: 95, progressive: true }).toBuffer(),
      png: await picture().png().toBuffer(),
      webp: await picture().webp({ quality: 95 }).toBuffer(),
      avif: await picture().avif({ quality: 90 }).toBuffer(),
      tiff: await picture().tiff({ compression: 'lzw' }).toBuffer(),
      gif: await picture().gif().toBuffer(),
      png16: await picture().toColourspace('rgb16').png().toBuffer(),
    };
  });

  it('decodes each format to the pixels that were encoded', async () => {
    for (const [name, bytes] of Object.entries(encoded)) {
      const image = await open(bytes);
      assert.deepEqual([image.width, image.height, image.data.length], [width, height, width * height * 3], name);
      const difference = meanDifference(image, paint);
      assert.ok(
        difference < (name === 'png' || name === 'png16' || name === 'tiff' ? 0.01 : 4),
        `${name}: ${difference}`,
      );
    }
  });

  it('turns every EXIF orientation upright', async () => {
    // What the eight orientations of EXIF 2.32 say about where the stored first row and column are.
    const stored: Record<number, (x: number, y: number) => [number, number]> = {
      1: (x, y) => [x, y],
      2: (x, y) => [width - 1 - x, y],
      3: (x, y) => [width - 1 - x, height - 1 - y],
      4: (x, y) => [x, height - 1 - y],
      5: (x, y) => [y, x],
      6: (x, y) => [width - 1 - y, x],
      7: (x, y) => [width - 1 - y, height - 1 - x],
      8: (x, y) => [y, height - 1 - x],
    };
    for (const [orientation, at] of Object.entries(stored)) {
      const sideways = Number(orientation) >= 5;
      const [storedWidth, storedHeight] = sideways ? [height, width] : [width, height];
      const raw = new Uint8Array(painted.length);
      for (let y = 0; y < storedHeight; y++) {
        for (let x = 0; x < storedWidth; x++) raw.set(paint(...at(x, y)), (y * storedWidth + x) * 3);
      }
      const bytes = await sharp(raw, { raw: { width: storedWidth, height: storedHeight, channels: 3 } })
        .withMetadata({ orientation: Number(orientation) })
        .jpeg({ quality: 98 })
        .toBuffer();
      const image = await open(bytes);
      assert.deepEqual([image.width, image.height], [width, height], `orientation ${orientation}`);
      assert.ok(meanDifference(image, paint) < 4, `orientation ${orientation}`);
    }
  });

  it('gives grey three equal channels, 8 and 16 bits, with and without alpha', async () => {
    const grey = sharp(
      painted.filter((_, i) => i % 3 === 0),
      { raw: { width, height, channels: 1 } },
    );
    const level = (x: number): number[] => Array<number>(3).fill(40 + x * 3);
    for (const bytes of [
      await grey.clone().toColourspace('b-w').png().toBuffer(),
      await grey.clone().toColourspace('b-w').jpeg({ quality: 98 }).toBuffer(),
      await grey.clone().toColourspace('grey16').png().toBuffer(),
    ]) {
      const { channels } = await sharp(bytes).metadata();
      assert.equal(channels, 1, 'the file is a grey one');
      const image = await open(bytes);
      assert.equal(image.data.length, width * height * 3);
      assert.ok(meanDifference(image, level) < 2);
    }
    const greyAlpha = await grey.clone().toColourspace('b-w').ensureAlpha(1).png().toBuffer();
    assert.equal((await sharp(greyAlpha).metadata()).channels, 2);
    assert.ok(meanDifference(await open(greyAlpha), level) < 2);
  });

  it('shows mid-grey where an image is transparent', async () => {
    const clear = await picture().ensureAlpha(0).png().toBuffer();
    assert.ok(meanDifference(await open(clear), () => [128, 128, 128]) < 0.01);
    const half = await picture().ensureAlpha(0.5).png().toBuffer();
    const blend = (x: number, y: number): number[] => paint(x, y).map((value) => (value + 128) / 2);
    assert.ok(meanDifference(await open(half), blend) < 1);
  });

  it('converts CMYK', async () => {
    const cmyk = await picture().toColourspace('cmyk').jpeg({ quality: 98 }).toBuffer();
    assert.equal((await sharp(cmyk).metadata()).space, 'cmyk');
    // The inks do not hold every colour: near enough to be the same picture is what can be asked.
    assert.ok(meanDifference(await open(cmyk), paint) < 25);
  });

  it('takes the first frame of an animation', async () => {
    const frames = Buffer.concat([Buffer.from(painted), Buffer.alloc(painted.length)]);
    const gif = await sharp(frames, { raw: { width, height: 2 * height, channels: 3, pageHeight: height } })
      .gif()
      .toBuffer();
    assert.equal((await sharp(gif).metadata()).pages, 2);
    const image = await open(gif);
    assert.equal(image.height, height);
    assert.ok(meanDifference(image, paint) < 6);
  });

  it('refuses zero bytes, foreign bytes and formats that are not on the list', async () => {
    await assert.rejects(open(new Uint8Array(0)), refusal('IMAGE_EMPTY'));
    await assert.rejects(open(Buffer.from('GET / HTTP/1.1')), refusal('IMAGE_UNREADABLE', /jpeg, png/));
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>';
    assert.equal((await sharp(Buffer.from(svg)).metadata()).format, 'svg', 'sharp itself would open it');
    await assert.rejects(open(Buffer.from(svg)), refusal('IMAGE_UNREADABLE'));
    await assert.rejects(open(Buffer.from('%PDF-1.7\n')), refusal('IMAGE_UNREADABLE'));
    // The right first bytes and nothing behind them.
    await assert.rejects(open(Buffer.from([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3])), refusal('IMAGE_UNREADABLE', /jpeg/));
  });

  it('refuses files that are cut short, wherever they are cut', async () => {
    for (const [name, bytes] of Object.entries(encoded)) {
      for (const share of [0.1, 0.5, 0.9]) {
        const cut = bytes.subarray(0, Math.floor(bytes.length * share));
        await assert.rejects(open(cut), refusal('IMAGE_UNREADABLE'), `${name} at ${share}`);
      }
    }
  });

  it('refuses too many bytes and too many pixels, naming both sides', async () => {
    const limits = { pixelsMax: width * height - 1, bytesMax: 10 ** 6 };
    await assert.rejects(open(encoded['png'] as Buffer, limits), refusal('IMAGE_TOO_LARGE', /64x48, 3072.*3071/));
    const bytes = encoded['jpeg'] as Buffer;
    await assert.rejects(
      open(bytes, { pixelsMax: 1e6, bytesMax: bytes.length - 1 }),
      refusal('IMAGE_TOO_LARGE', new RegExp(`${bytes.length} bytes.*${bytes.length - 1}`)),
    );
    await open(bytes, { pixelsMax: width * height, bytesMax: bytes.length });
  });

  it('refuses a decompression bomb by its header, without decoding it', async () => {
    const bomb = await sharp({ create: { width: 10_000, height: 10_000, channels: 3, background: 'black' } })
      .png({ compressionLevel: 9 })
      .toBuffer();
    assert.ok(bomb.length < 2e6, 'small as bytes');
    const before = process.memoryUsage().rss;
    await assert.rejects(open(bomb), refusal('IMAGE_TOO_LARGE', /10000x10000, 100000000 .*50000000/));
    assert.ok(process.memoryUsage().rss - before < 100 * 2 ** 20, 'its 300 MB were never allocated');
  });

  it('makes thumbnails of an image or of a part of it, upright, never enlarged', async () => {
    const bytes = encoded['png'] as Buffer;
    const whole = await thumbnail(bytes, 32);
    assert.deepEqual([whole.width, whole.height], [32, 24]);
    const small = await thumbnail(bytes, 500);
    assert.deepEqual([small.width, small.height], [width, height]);
    // The part hangs over the right edge: what is not there is left out.
    const part = await thumbnail(bytes, 500, { left: 48, top: 8, width: 100, height: 16 });
    assert.deepEqual([part.width, part.height], [16, 16]);
    const shown = await open(part.jpeg);
    assert.ok(meanDifference(shown, (x, y) => paint(48 + x, 8 + y)) < 4);
    const turned = await picture().withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const upright = await thumbnail(turned, 500);
    assert.deepEqual([upright.width, upright.height], [height, width]);
    await assert.rejects(
      thumbnail(bytes, 32, { left: 64, top: 0, width: 5, height: 5 }),
      refusal('INVALID_ARGUMENT', /64x48/),
    );
  });
});
