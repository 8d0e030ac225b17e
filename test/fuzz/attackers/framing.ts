/**
 * What stands around a message is wrong: its flag, its length, its compression, its headers. Every call is ended on our side, so an answer
 * is due.
 */
import { deflateSync, gzipSync } from 'node:zlib';
import { pick, type Random } from '../../index/faces.js';
import type { Attack, Attacker } from '../attacker.js';
import { makeRequest, methods } from '../methods.js';
import { randomBytes } from '../mutations.js';
import { framed, withWire } from '../wire-call.js';

export const framingAttacker: Attacker = { name: 'framing', lanes: 2, attack };

async function attack({ port, random, fillings, ended }: Attack): Promise<void> {
  const method = pick(random, methods);
  if (!method) return;
  const request = makeRequest(random, method, fillings);
  await withWire(port, async (wire) => {
    const [body, headers] = wrongly(random, request);
    const path = random() < 0.1 ? (pick(random, oddPaths) ?? method.path) : method.path;
    ended(await wire.call(path, body, headers));
  });
}

type Wrapped = readonly [Uint8Array, Readonly<Record<string, string>>];

function wrongly(random: Random, request: Uint8Array): Wrapped {
  switch (Math.floor(random() * 11)) {
    case 0:
      return [framed(request, Math.floor(256 * random())), {}];
    case 1:
      return [
        framed(request, 1),
        { 'grpc-encoding': pick(random, ['gzip', 'deflate', 'snappy', 'identity', 'x'.repeat(5_000)]) ?? '' },
      ];
    case 2:
      return [framed(gzipSync(request), 1), { 'grpc-encoding': 'gzip' }];
    case 3:
      return [framed(deflateSync(request).subarray(0, -3), 1), { 'grpc-encoding': 'deflate' }];
    case 4:
      // Half a gigabyte in half a megabyte.
      return [framed(bomb(), 1), { 'grpc-encoding': 'gzip' }];
    case 5:
      return [
        framed(request, 0, pick(random, [request.length + 1, 2 ** 25, 2 ** 25 + 1, 2 ** 31, 2 ** 32 - 1]) ?? 0),
        {},
      ];
    case 6:
      return [framed(request, 0, Math.floor(random() * request.length)), {}];
    case 7:
      // More than the server takes, and announced as such; or two where one is wanted; or none.
      return [
        pick(random, [
          framed(Buffer.alloc(2 ** 25 + 1)),
          Buffer.concat([framed(request), framed(request)]),
          Buffer.alloc(0),
        ]) ?? request,
        {},
      ];
    case 8:
      return [randomBytes(random, Math.floor(64 * random())), {}];
    case 9:
      return [framed(request), { 'grpc-timeout': pick(random, oddTimeouts) ?? '' }];
    default:
      return [framed(request), pick(random, oddHeaders) ?? {}];
  }
}

let madeBomb: Buffer | undefined;

/** Made once: it takes a second. */
function bomb(): Buffer {
  madeBomb ??= gzipSync(Buffer.alloc(2 ** 29));
  return madeBomb;
}

const oddTimeouts = ['', 'x', '-1S', '0n', '1n', '99999999H', '999999999999S', '1.5S', '1S, 1S'];

const oddHeaders: readonly Readonly<Record<string, string>>[] = [
  { 'content-type': 'application/json' },
  { 'content-type': 'application/grpc+json' },
  { 'content-type': '' },
  { 'grpc-accept-encoding': 'gzip,,,,' },
  { 'trace-bin': '%%%not base64%%%' },
  { 'grpc-status': '13' },
  { 'harmonid-code': 'INTERNAL' },
  { authorization: `Bearer ${'x'.repeat(8_000)}` },
  { 'x-long': 'y'.repeat(60_000) },
  { 'x-latin': 'caf\u00e9' },
  { 'content-length': '7' },
  { ':authority': '' },
];

const oddPaths = [
  '/',
  '//',
  '*',
  '/harmonid.v1.IdentityService',
  '/harmonid.v1.IdentityService/',
  '/harmonid.v1.IdentityService/__proto__',
  '/__proto__',
  '/constructor/toString',
  '/harmonid.v1.IdentityService/Identify?x=1',
  `/${'a/'.repeat(4_000)}`,
  '/%00%ff',
  '/caf\u00e9\u00ff',
];
