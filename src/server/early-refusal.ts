/**
 * Refuses streams of HTTP/2 before grpc-js has made a call of them.
 *
 * Most of what a call costs a server under Node is what grpc-js does with it, refused or not: refused by an interceptor it costs a quarter of an answered one, refused
 * here about a twelfth (bench/README.md, `overload`). The answer is gRPC's "Trailers-Only": a head with the status in it and the end of the stream, after
 * which Node resets what the client still sends (RFC 9113, 8.1: NO_ERROR).
 */
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { StatusObject } from '@grpc/grpc-js';
import { gate } from './http2-servers.js';

/** Milliseconds of the units of `grpc-timeout` (gRPC over HTTP2: TimeoutUnit). */
const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

const timeoutPattern = /^(\d{1,8})([HMSmun])$/;

export interface EarlyRefusal {
  /** @param leftMs until the call's deadline; Infinity without one */
  readonly isRefused: (path: string, leftMs: number) => boolean;
  readonly status: StatusObject;
}

/** From now on the streams of servers that are bound are judged before they are calls. */
export function refuseEarly(servers: readonly Http2Server[], { isRefused, status }: EarlyRefusal): void {
  const refusal = {
    ':status': 200,
    'content-type': 'application/grpc+proto',
    'grpc-status': String(status.code),
    'grpc-message': encodeURI(status.details),
    ...status.metadata.toHttp2Headers(),
  };
  for (const server of servers) {
    gate(server, 'stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      const isTaken = !isRefused(headers[':path'] ?? '', leftMsOf(headers));
      if (!isTaken) refuse(stream, refusal);
      return isTaken;
    });
  }
}

function leftMsOf(headers: IncomingHttpHeaders): number {
  const [, count, unit = ''] = timeoutPattern.exec(String(headers['grpc-timeout'] ?? '')) ?? [];
  return count === undefined ? Infinity : Number(count) * (unitMs[unit] ?? Infinity);
}

function refuse(stream: ServerHttp2Stream, refusal: Parameters<ServerHttp2Stream['respond']>[0]): void {
  // The client may be gone already, and nobody else would hear of it.
  stream.on('error', () => undefined);
  if (!stream.destroyed && !stream.closed) stream.respond(refusal, { endStream: true });
}
