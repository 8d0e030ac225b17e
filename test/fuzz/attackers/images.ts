/** Images that are spoiled, cut short, larger inside than outside, or something else as well. Sent completely, so an answer is due. */
import { crc32, deflateSync } from 'node:zlib';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import sharp from 'sharp';
import { pick, type Random } from '../../index/faces.js';
import type { Attack, Attacker } from '../attacker.js';
import { makeRequest, methodNamed } from '../methods.js';
import { randomBytes, spoilBytes } from '../mutations.js';
import { framed, withWire } from '../wire-call.js';

const methods = ['Embed', 'Identify', 'Enroll', 'Verify', 'IdentifyStream', 'Import'].map(methodNamed);

/** @param photo in any format; what is spoiled is made from it */
export async function makeImageAttacker(photo: Uint8Array): Promise<Attacker> {
  const image = sharp(photo).resize(200);
  const images = await Promise.all([
    image.clone().jpeg().toBuffer(),
    image.clone().jpeg({ progressive: true }).toBuffer(),
    image.clone().png().toBuffer(),
    image.clone().webp().toBuffer(),
    image.clone().avif({ effort: 0 }).toBuffer(),
    image.clone().tiff().toBuffer(),
    image.clone().gif().toBuffer(),
  ]);
  // A hundred megapixels in a few kilobytes, as a format that tells its size first and as one that hides it in its pages.
  const large = sharp({ create: { width: 10_000, height: 10_000, channels: 3, background: '#000' } });
  const bombs = [
    await large.clone().png({ compressionLevel: 9 }).toBuffer(),
    await large.clone().tiff({ compression: 'deflate' }).toBuffer(),
  ];
  return { name: 'images', lanes: 2, attack: (attack) => attackWith(attack, images, bombs) };
}

async function attackWith(
  { port, random, fillings, ended }: Attack,
  images: readonly Buffer[],
  bombs: readonly Buffer[],
): Promise<void> {
  await withWire(port, async (wire) => {
    for (let calls = 0; calls < 4 && wire.isOpen; calls++) {
      const method = pick(random, methods);
      if (!method) continue;
      const photos = [spoiledImage(random, images, bombs)];
      // Embed knows nothing but its image.
      const request = method.path.endsWith('/Embed')
        ? new BinaryWriter()
            .tag(1, WireType.LengthDelimited)
            .bytes(photos[0] ?? Buffer.alloc(0))
            .finish()
        : makeRequest(random, method, { ...fillings, photos });
      ended(await wire.call(method.path, framed(request)));
    }
  });
}

function spoiledImage(random: Random, images: readonly Buffer[], bombs: readonly Buffer[]): Uint8Array {
  const image = pick(random, images) ?? Buffer.alloc(0);
  const other = pick(random, images) ?? Buffer.alloc(0);
  switch (Math.floor(random() * 8)) {
    case 0:
      return image.subarray(0, Math.floor(random() * image.length));
    case 1:
      return withSpoiledHead(random, image);
    case 2:
      return pngOfSize(pick(random, sizes) ?? 0, pick(random, sizes) ?? 0);
    case 3:
      return pick(random, bombs) ?? image;
    case 4:
      // A magic number and the rest of another file; two files in one.
      return random() < 0.5
        ? Buffer.concat([image.subarray(0, 12), other.subarray(12)])
        : Buffer.concat([image, other]);
    case 5:
      return Buffer.concat([Buffer.from(pick(random, otherFormats) ?? ''), random() < 0.5 ? image : Buffer.alloc(0)]);
    case 6:
      return Buffer.concat([image.subarray(0, 16), randomBytes(random, 2_000)]);
    default:
      return spoilBytes(random, image);
  }
}

/** Sizes, counts and offsets stand at the beginning. */
function withSpoiledHead(random: Random, image: Buffer): Buffer {
  const spoiled = Buffer.from(image);
  for (let count = 1 + Math.floor(8 * random()); count > 0; count--) {
    const at = 4 + Math.floor(random() * Math.min(600, spoiled.length - 4));
    spoiled[at] = pick(random, [0, 0xff, 0x7f, 0x80, Math.floor(256 * random())]) ?? 0;
  }
  return spoiled;
}

const sizes = [0, 1, 15, 16, 8_000, 65_535, 2 ** 31 - 1, 2 ** 32 - 1];

/** A PNG whose header is in order and says this size; there is one row of it. */
function pngOfSize(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const row = deflateSync(Buffer.alloc(1 + 3 * Math.min(width, 10_000)));
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    pngChunk('IHDR', header),
    pngChunk('IDAT', row),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

const entity = (name: string, of: string): string => `<!ENTITY ${name} "${`&${of};`.repeat(10)}">`;

/** What an image library may know, too, and must not be asked to open. */
const otherFormats = [
  `<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "ha">${entity('b', 'a')}${entity('c', 'b')}${entity('d', 'c')}]><svg xmlns="http://www.w3.org/2000/svg" width="99999" height="99999"><text>&d;</text></svg>`,
  '<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/hostname"/></svg>',
  '%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n',
  'PK\u0003\u0004',
  'P6 60000 60000 255\n',
  '#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 60000 +X 60000\n',
  'GIF89a',
  'II*\0\u0008\0\0\0\uffff',
  '<html><script>1</script></html>',
];
