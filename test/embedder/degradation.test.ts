/**
 * Real photos made worse, judged by what became of them: bytes, pixels, contrast, places; a bar is compared with a rectangle that was worked out by hand.
 */
import assert from 'node:assert/strict';
import { before, describe, it } from 'mocha';
import { degrade } from '../../src/embedder/degradation.js';
import { decodeImage, defaultImageLimits, inspectImage, type RgbImage } from '../../src/embedder/image.js';
import { isHarmonidError } from '../../src/errors.js';
import { portrait } from '../support/photos.js';

async function decoded(bytes: Uint8Array): Promise<RgbImage> {
  return decodeImage(await inspectImage(bytes, defaultImageLimits));
}

function mean({ data }: RgbImage): number {
  return data.reduce((sum, value) => sum + value, 0) / data.length;
}

/** Mean of the differences of neighbours in a row. */
function detail({ data, width }: RgbImage): number {
  let sum = 0;
  for (let i = 3; i < data.length; i++)
    if (Math.floor(i / 3) % width > 0) sum += Math.abs((data[i] ?? 0) - (data[i - 3] ?? 0));
  return sum / data.length;
}

const free = { sameSize: false };

describe('degradations', () => {
  let photo: Buffer;
  let image: RgbImage;
  before(async () => {
    photo = await portrait('blonde');
    image = await decoded(photo);
  });

  it('JPEG: the lower the quality, the fewer bytes, and the size stays', async () => {
    const sizes: number[] = [];
    for (const level of [10, 50, 90]) {
      const worse = await degrade(photo, { kind: 'jpeg', level }, free);
      const { width, height } = await decoded(worse);
      assert.deepEqual([width, height], [image.width, image.height]);
      sizes.push(worse.length);
    }
    assert.deepEqual(
      sizes,
      sizes.toSorted((a, b) => a - b),
    );
    assert.ok((sizes[0] ?? 0) < (sizes[2] ?? 0) / 4, `${sizes.join(', ')} bytes`);
  });

  it('1,600 pixels are 1,600 within a row, and a crop gets its size back without what it showed', async () => {
    const small = await decoded(await degrade(photo, { kind: 'size', level: 1600 }, free));
    assert.ok(Math.abs(small.width * small.height - 1600) <= Math.max(small.width, small.height));
    assert.ok(Math.abs(small.width / small.height - image.width / image.height) < 0.03, 'its proportions stay');
    const same = await decoded(await degrade(photo, { kind: 'size', level: 1600 }, { sameSize: true }));
    assert.deepEqual([same.width, same.height], [image.width, image.height]);
    assert.ok(detail(same) < detail(image) / 2);
  });

  it('a photo with no more pixels than it may have is the very same', async () => {
    assert.equal(await degrade(photo, { kind: 'size', level: image.width * image.height }, free), photo);
  });

  it('blur takes detail and no light, the more the wider it is', async () => {
    const [one, four] = [
      await decoded(await degrade(photo, { kind: 'blur', level: 1 }, free)),
      await decoded(await degrade(photo, { kind: 'blur', level: 4 }, free)),
    ];
    assert.ok(detail(four) < detail(one) && detail(one) < detail(image));
    assert.ok(Math.abs(mean(four) - mean(image)) < 1, `${mean(four)} and ${mean(image)}`);
  });

  it('half the brightness is half of every value', async () => {
    const dark = await decoded(await degrade(photo, { kind: 'brightness', level: 0.5 }, free));
    dark.data.forEach((value, i) => assert.ok(Math.abs(value - (image.data[i] ?? 0) / 2) <= 1));
  });

  it('turned by 90 degrees four times it is the photo again, pixel for pixel', async () => {
    let turned: Uint8Array = photo;
    for (let i = 0; i < 4; i++) turned = await degrade(turned, { kind: 'rotation', level: 90 }, free);
    const { width, height, data } = await decoded(turned);
    assert.deepEqual([width, height], [image.width, image.height]);
    assert.deepEqual(Buffer.from(data), Buffer.from(image.data));
  });

  it('turned by 15 degrees a photo needs more room, and a crop gets none and has grey corners', async () => {
    const level = 15;
    const [roomy, crop] = [
      await decoded(await degrade(photo, { kind: 'rotation', level }, free)),
      await decoded(await degrade(photo, { kind: 'rotation', level }, { sameSize: true })),
    ];
    const [cosine, sine] = [Math.cos(Math.PI / 12), Math.sin(Math.PI / 12)];
    assert.ok(Math.abs(roomy.width - (image.width * cosine + image.height * sine)) <= 2);
    assert.deepEqual([crop.width, crop.height], [image.width, image.height]);
    assert.deepEqual([...crop.data.subarray(0, 3)], [128, 128, 128]);
  });

  it('a bar over the eyes or the mouth covers a rectangle of the face and nothing else', async () => {
    // 100 between the eyes: the face is 240 wide and 220 high, so a bar of 0.2 is 240 by 44.
    const points = [
      { x: 180, y: 180 },
      { x: 280, y: 180 },
      { x: 230, y: 240 },
      { x: 190, y: 300 },
      { x: 270, y: 300 },
    ];
    for (const [kind, y] of [
      ['eyes', 180],
      ['mouth', 300],
    ] as const) {
      const covered = await decoded(await degrade(photo, { kind, level: 0.2 }, { sameSize: false, points }));
      for (let row = 0; row < image.height; row++) {
        for (let column = 0; column < image.width; column++) {
          const inside = column >= 110 && column < 350 && row >= y - 22 && row < y + 22;
          const at = (row * image.width + column) * 3;
          assert.equal(covered.data[at], inside ? 128 : image.data[at], `${kind}: column ${column}, row ${row}`);
        }
      }
    }
  });

  it('a bar without a face is refused, and so is what is no image', async () => {
    await assert.rejects(
      degrade(photo, { kind: 'eyes', level: 0.2 }, free),
      (error) => isHarmonidError(error) && error.code === 'INVALID_ARGUMENT',
    );
    await assert.rejects(
      degrade(Buffer.from('no image'), { kind: 'jpeg', level: 50 }, free),
      (error) => isHarmonidError(error) && error.code === 'IMAGE_UNREADABLE',
    );
  });
});
