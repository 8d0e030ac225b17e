/**
 * Unary calls of gRPC over node:http2 alone: half of what they cost a client with grpc-js, which at three times what a server can answer has less of the machine left
 * than the server. Bytes that were made before go out, the answer's bytes come back undecoded.
 */
import { connect, constants, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { status } from '@grpc/grpc-js';

export interface WireAnswer {
  /** Of gRPC. What HTTP/2 itself refuses is UNAVAILABLE. */
  readonly code: status;
  /** The message, where there is one. */
  readonly message: Buffer | null;
}

/** Before each message: whether it is compressed, and its length. */
const prefixBytes = 5;

/** Connections of their own to one server, as of so many doors. */
export async function connectWire(address: string, connections: number): Promise<readonly ClientHttp2Session[]> {
  return Promise.all(Array.from({ length: connections }, () => connected(address)));
}

function connected(address: string): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://${address}`);
    session.once('connect', () => resolve(session)).once('error', reject);
  });
}

/** The bytes of a message as they travel. */
export function frame(message: Buffer): Buffer {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** @param framed what `frame` made. Never rejects. */
export function callUnary(
  session: ClientHttp2Session,
  path: string,
  framed: Buffer,
  deadlineMs: number | null,
): Promise<WireAnswer> {
  return new Promise((resolve) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...(deadlineMs === null ? {} : { 'grpc-timeout': `${deadlineMs}m` }),
    });
    const chunks: Buffer[] = [];
    let code: status | null = null;
    const end = (ended: status): void => {
      code ??= ended;
      if (timer) clearTimeout(timer);
    };
    const timer =
      deadlineMs === null
        ? null
        : setTimeout(() => {
            end(status.DEADLINE_EXCEEDED);
            stream.close(constants.NGHTTP2_CANCEL);
          }, deadlineMs);
    const read = (headers: IncomingHttpHeaders): void => {
      const told = headers['grpc-status'];
      if (told !== undefined) end(Number(told));
    };
    stream.on('response', read);
    stream.on('trailers', read);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => end(status.UNAVAILABLE));
    stream.on('close', () => {
      end(status.UNAVAILABLE);
      const message = code === status.OK ? Buffer.concat(chunks).subarray(prefixBytes) : null;
      resolve({ code: code ?? status.UNAVAILABLE, message });
    });
    stream.end(framed);
  });
}
