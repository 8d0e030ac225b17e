/** Clients that lose patience: calls cancelled at any moment, and deadlines of milliseconds. */
import { constants } from 'node:http2';
import { setTimeout as pause } from 'node:timers/promises';
import { pick } from '../../index/faces.js';
import type { Attack, Attacker } from '../attacker.js';
import { makeRequest, methods } from '../methods.js';
import { endOf, framed, withWire } from '../wire-call.js';

export const departureAttacker: Attacker = { name: 'departures', lanes: 3, attack };

async function attack({ port, random, fillings, ended }: Attack): Promise<void> {
  await withWire(port, async (wire) => {
    const ends = Array.from({ length: 6 }, async () => {
      const method = pick(random, methods);
      if (!method) return;
      const count = method.requestStream ? 1 + Math.floor(8 * random()) : 1;
      const body = Buffer.concat(Array.from({ length: count }, () => framed(makeRequest(random, method, fillings))));
      const isTimed = random() < 0.4;
      const stream = wire.open(method.path, isTimed ? { 'grpc-timeout': `${Math.ceil(20 * random() ** 2)}m` } : {});
      const end = endOf(stream);
      stream.end(body);
      const patienceMs = 80 * random() ** 2;
      if (!isTimed) {
        await pause(patienceMs);
        stream.close(constants.NGHTTP2_CANCEL);
      }
      ended(await end);
    });
    await Promise.all(ends);
  });
}
