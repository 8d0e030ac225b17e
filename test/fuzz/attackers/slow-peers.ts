/** Who writes a byte at a time, and who does not read what was asked for. */
import { constants } from 'node:http2';
import { setImmediate, setTimeout as pause } from 'node:timers/promises';
import { pick } from '../../index/faces.js';
import type { Attack, Attacker } from '../attacker.js';
import { makeRequest, methodNamed, methods } from '../methods.js';
import { endOf, framed, withWire } from '../wire-call.js';

export const slowPeerAttacker: Attacker = { name: 'slow peers', lanes: 3, attack };

/** Those with the longest answers. */
const longAnswers = [
  'Backup',
  'ExportTemplates',
  'Import',
  'ImportTemplates',
  'Check',
  'IdentifyStream',
  'ListIdentities',
].map(methodNamed);

async function attack(attack: Attack): Promise<void> {
  if (attack.random() < 0.4) await writeSlowly(attack);
  else await readNothing(attack);
}

/** A small call, complete in the end: an answer is due. */
async function writeSlowly({ port, random, fillings, ended }: Attack): Promise<void> {
  await withWire(port, async (wire) => {
    const method = pick(random, methods);
    if (!method) return;
    const body = framed(makeRequest(random, method, { ...fillings, photos: [Buffer.from('no photo')] }));
    const stream = wire.open(method.path);
    const end = endOf(stream);
    for (const byte of body) {
      if (stream.destroyed) break;
      stream.write(Uint8Array.of(byte));
      await (random() < 0.02 ? pause(5) : setImmediate());
    }
    stream.end();
    ended(await end);
  });
}

/** With a window of few bytes the server can send hardly more than headers. Some read at last, and are then due everything. */
async function readNothing({ port, random, fillings, ended }: Attack): Promise<void> {
  const doWork = async (wire: Parameters<Parameters<typeof withWire>[1]>[0]): Promise<void> => {
    const method = pick(random, longAnswers);
    if (!method) return;
    const count = method.requestStream ? 40 : 1;
    const stream = wire.open(method.path);
    const messages = Array.from({ length: count }, () => framed(makeRequest(random, method, fillings)));
    for (const message of messages) stream.write(message);
    stream.end();
    const end = endOf(stream, Buffer.concat(messages).length);
    await pause(100 + 400 * random());
    if (random() < 0.3) wire.session.settings({ initialWindowSize: 1_000_000 });
    else stream.close(constants.NGHTTP2_CANCEL);
    ended(await end);
  };
  await withWire(port, doWork, { windowBytes: pick(random, [0, 1, 100]) ?? 0 });
}
