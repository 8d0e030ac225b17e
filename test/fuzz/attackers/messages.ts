/** Every method, with random bytes and with valid requests spoiled. Sent completely, so an answer is due. */
import { pick } from '../../index/faces.js';
import type { Attack, Attacker } from '../attacker.js';
import { makeRequest, methods } from '../methods.js';
import { mutated, randomBytes } from '../mutations.js';
import { framed, withWire } from '../wire-call.js';

/** Not of our contract, but on the same port. Those of their methods that end by themselves. */
const standardPaths = ['/grpc.health.v1.Health/Check', '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'];

export const messageAttacker: Attacker = { name: 'messages', lanes: 4, attack };

async function attack({ port, random, fillings, ended }: Attack): Promise<void> {
  await withWire(port, async (wire) => {
    for (let calls = 0; calls < 8 && wire.isOpen; calls++) {
      const method = pick(random, methods);
      const path = random() < 0.05 ? pick(random, standardPaths) : method?.path;
      if (!method || path === undefined) continue;
      const message = (): Uint8Array => {
        if (random() < 0.1) return randomBytes(random, Math.floor(2 ** (12 * random())));
        const request = makeRequest(random, method, fillings);
        // A valid one now and then lets what is spoiled find something there.
        return random() < 0.2 ? request : mutated(random, request);
      };
      const count = method.requestStream ? Math.floor(6 * random()) : 1;
      const body = Buffer.concat(Array.from({ length: count }, () => framed(message())));
      ended(await wire.call(path, body));
    }
  });
}
