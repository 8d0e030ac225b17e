/**
 * Calls that cost a client as little as grpc-js allows: bytes that were made before go out, the answer's bytes come back undecoded.
 *
 * For loads that share the machine with their server: what the client costs, the server lacks.
 */
import type { Client } from '@grpc/grpc-js';

/** @param deadlineAt milliseconds since 1970; default: never. Rejects with the ServiceError of grpc-js. */
export function unary(client: Client, path: string, request: Buffer, deadlineAt = Infinity): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, asIs, asIs, request, { deadline: deadlineAt }, (error, answer) =>
      error ? reject(error) : resolve(answer ?? Buffer.alloc(0)),
    );
  });
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}
