/**
 * No client at all: bytes on the port, other protocols, and HTTP/2 frames that no implementation would send. The server may say or close
 * what it likes; we go after a while.
 */
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { pick, type Random } from '../../index/faces.js';
import { wordOf, type Attack, type Attacker } from '../attacker.js';
import { randomBytes, spoilBytes } from '../mutations.js';

export const rawByteAttacker: Attacker = { name: 'raw bytes', lanes: 2, attack };

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

async function attack({ port, random, ended }: Attack): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' });
  let answerBytes = 0;
  socket.on('data', (chunk: Buffer) => (answerBytes += chunk.length));
  socket.on('error', () => undefined);
  const closed = new Promise<boolean>((resolve) => socket.once('close', () => resolve(true)));
  const bytes = makeBytes(random);
  if (random() < 0.2) for (const byte of bytes.subarray(0, 200)) socket.write(Uint8Array.of(byte));
  else socket.write(bytes);
  const isEnded = random() < 0.3;
  if (isEnded) socket.end();
  const isClosed = await Promise.race([closed, pause(20 + 300 * random(), false)]);
  // What is being shut down cannot be reset: node would never tell that it is closed.
  if (!isEnded && random() < 0.5) socket.resetAndDestroy();
  else socket.destroy();
  await closed;
  ended({ ...wordOf(isClosed ? 'closed by the server' : 'we went'), answerBytes });
}

function makeBytes(random: Random): Buffer {
  switch (Math.floor(random() * 6)) {
    case 0:
      return randomBytes(random, Math.floor(2 ** (16 * random())));
    case 1:
      return Buffer.from(pick(random, otherProtocols) ?? '', 'latin1');
    case 2:
      return preface.subarray(0, Math.floor(random() * preface.length));
    case 3:
      return Buffer.from(spoilBytes(random, Buffer.concat([preface, settings, ...headersOf(1)])));
    default:
      return Buffer.concat([preface, settings, ...framesOf(random)]);
  }
}

const otherProtocols = [
  'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n',
  'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
  // The beginning of a TLS handshake.
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'SSH-2.0-OpenSSH_9.6\r\n',
  '\0'.repeat(4_096),
];

const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
};
const everyFrameType = [...Object.values(frameTypes), 0xfa];

/** RFC 9113, 4.1. */
function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array,
  claimedBytes = payload.length,
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(claimedBytes & 0xff_ffff, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([header, payload]);
}

const settings = frame(frameTypes.settings, 0, 0, Buffer.alloc(0));
const [endStream, endHeaders] = [1, 4];

/** A call of Identify: literal fields without indexing (RFC 7541, 6.2.2). */
function headersOf(stream: number, flags = endHeaders, more: readonly (readonly [string, string])[] = []): Buffer[] {
  const fields = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/harmonid.v1.IdentityService/Identify'],
    [':authority', 'x'],
    ['te', 'trailers'],
    ['content-type', 'application/grpc'],
    ...more,
  ] as const;
  const block = fields.flatMap(([name, value]) => [
    Buffer.of(0, name.length),
    Buffer.from(name),
    Buffer.of(value.length),
    Buffer.from(value, 'latin1'),
  ]);
  return [frame(frameTypes.headers, flags, stream, Buffer.concat(block))];
}

function framesOf(random: Random): Buffer[] {
  const any = (): Buffer =>
    frame(
      pick(random, everyFrameType) ?? 0,
      Math.floor(256 * random()),
      pick(random, [0, 1, 2, 3, 2 ** 31 - 1, 2 ** 32 - 1]) ?? 0,
      randomBytes(random, Math.floor(64 * random() ** 2)),
    );
  const streams = Array.from({ length: 200 }, (_, i) => 2 * i + 1);
  switch (Math.floor(random() * 9)) {
    case 0:
      return Array.from({ length: 1 + Math.floor(20 * random()) }, any);
    case 1:
      return [...headersOf(1), ...Array.from({ length: 5 }, any)];
    case 2:
      // Opened and reset at once, again and again (CVE-2023-44487).
      return streams.flatMap((stream) => [
        ...headersOf(stream),
        frame(frameTypes.reset, 0, stream, Buffer.of(0, 0, 0, 8)),
      ]);
    case 3:
      // Headers that never end.
      return [...headersOf(1, 0), ...streams.map(() => frame(frameTypes.continuation, 0, 1, randomBytes(random, 40)))];
    case 4:
      return [
        frame(frameTypes.data, 0, 0, randomBytes(random, 9)),
        frame(frameTypes.window, 0, 0, Buffer.from([0x7f, 255, 255, 255])),
      ];
    case 5:
      return streams.map(() => frame(frameTypes.ping, 0, 0, randomBytes(random, 8)));
    case 6:
      return [
        frame(frameTypes.settings, 0, 0, Buffer.from([0, 4, 255, 255, 255, 255, 0, 5, 0, 0, 0, 1])),
        ...headersOf(1),
      ];
    case 7:
      // The second message's frame is longer than what comes.
      return [...headersOf(1), frame(frameTypes.data, endStream, 1, randomBytes(random, 12), 16_384)];
    default:
      return headersOf(1, endHeaders, [pick(random, oddFields) ?? ['x', 'y']]);
  }
}

const oddFields: readonly (readonly [string, string])[] = [
  ['', 'empty'],
  ['UPPER', 'x'],
  [':path', '/twice'],
  [':unknown', 'x'],
  ['connection', 'close'],
  ['x-nul', 'a\0b'],
  ['x-line', 'a\r\nb: c'],
  ['x-latin', '\xff\xfe'],
  ['grpc-timeout', '\xff'],
  ['grpc-encoding', '\xff\xff'],
  ['trailer-bin', '\xff'],
];
