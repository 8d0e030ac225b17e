/** Streams cut in the middle, or left open and idle; a thousand on one connection; many connections. We go, the server should notice. */
import { constants } from 'node:http2';
import { setTimeout as pause } from 'node:timers/promises';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { pick } from '../../index/faces.js';
import { wordOf, type Attack, type Attacker } from '../attacker.js';
import { makeRequest, methods } from '../methods.js';
import { randomBytes } from '../mutations.js';
import { endOf, framed, withWire, Wire } from '../wire-call.js';

export const streamAttacker: Attacker = { name: 'streams', lanes: 2, attack };

/** Has no end but the client's. */
const watchPath = '/grpc.health.v1.Health/Watch';

async function attack(attack: Attack): Promise<void> {
  const kind = attack.random();
  if (kind < 0.5) await cut(attack);
  else if (kind < 0.8) await idle(attack);
  else if (kind < 0.9) await crowd(attack);
  else await manyConnections(attack);
}

function requestBody({ random, fillings }: Attack): readonly [string, Buffer] {
  const method = pick(random, methods) ?? methods[0];
  if (!method) throw new Error('the contract has no methods');
  return [method.path, framed(makeRequest(random, method, fillings))];
}

/** In the middle of a message: the stream is reset, or ended, or the connection dropped. */
async function cut(attack: Attack): Promise<void> {
  const { port, random, ended } = attack;
  await withWire(port, async (wire) => {
    const [path, body] = requestBody(attack);
    const stream = wire.open(path);
    const end = endOf(stream);
    stream.write(body.subarray(0, Math.floor(random() * body.length)));
    await pause(30 * random());
    const how = random();
    if (how < 0.4) {
      stream.close(
        pick(random, [constants.NGHTTP2_CANCEL, constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_PROTOCOL_ERROR]),
      );
      // No answer is due any more. Not waited for: with NO_ERROR node's client never ends a stream with unsent data.
      await Promise.race([end, pause(50)]);
      ended(wordOf('reset by us'));
      return;
    }
    if (how < 0.7) stream.end();
    else wire.close();
    ended(await end);
  });
}

/** Open, perhaps with a first message, and nothing more. */
async function idle({ port, random, fillings, ended }: Attack): Promise<void> {
  await withWire(port, async (wire) => {
    for (const method of methods.filter(({ requestStream }) => requestStream)) {
      const stream = wire.open(method.path);
      if (random() < 0.5) stream.write(framed(makeRequest(random, method, fillings)));
      stream.resume();
    }
    const watched = randomBytes(random, Math.floor(2 ** (16 * random())));
    wire.open(watchPath).end(framed(new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(watched).finish()));
    await pause(500 * random());
    ended(wordOf('left idle'));
  });
}

/** As many streams as the server allows on a connection, and some more; each is a call in work that waits for its message. */
async function crowd({ port, random, ended }: Attack): Promise<void> {
  await withWire(port, async (wire) => {
    const paths = methods.map(({ path }) => path);
    const streams = Array.from({ length: 1_050 }, () => wire.open(pick(random, paths) ?? watchPath));
    for (const stream of streams.slice(0, 50)) stream.write(Buffer.alloc(3));
    await pause(200 + 500 * random());
    ended(wordOf('a thousand left open'));
  });
}

async function manyConnections({ port, random, ended }: Attack): Promise<void> {
  const wires = Array.from({ length: 100 }, () => new Wire(port));
  for (const wire of wires) if (random() < 0.5) wire.open(pick(random, methods)?.path ?? watchPath);
  await pause(200 + 300 * random());
  for (const wire of wires) wire.close();
  ended(wordOf('a hundred connections'));
}
