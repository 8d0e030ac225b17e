/**
 * Refuses streams of HTTP/2 before grpc-js has made a call of them.
 *
 * Most of what a call costs a server under Node is what grpc-js does with it, refused or not: refused by an interceptor it costs a quarter of an answered one, refused
 * here about a twelfth (bench/README.md, `overload`). The answer is gRPC's "Trailers-Only": a head with the status in it and the end of the stream, after
 * which Node resets what the client still sends (RFC 9113, 8.1: NO_ERROR).
 *
 * grpc-js gives nobody the server of HTTP/2 that it makes, so this takes it from a field that is not documented. Where another release has no such field, nothing
 * is refused here, and `refuseEarly` says so.
 */
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Server as GrpcServer, StatusObject } from '@grpc/grpc-js';

/** `http2Servers` of grpc-js 1.10 to 1.14: the keys are servers of `node:http2`, one an address. */
interface GrpcInternals {
  readonly http2Servers?: ReadonlyMap<Http2Server, unknown>;
}

/** Milliseconds of the units of `grpc-timeout` (gRPC over HTTP2: TimeoutUnit). */
const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

const timeoutPattern = /^(\d{1,8})([HMSmun])$/;

export interface EarlyRefusal {
  /** @param leftMs until the call's deadline; Infinity without one */
  readonly isRefused: (path: string, leftMs: number) => boolean;
  readonly status: StatusObject;
}

/**
 * From now on the streams of a bound server are judged before they are calls.
 * @returns false where this grpc-js does not let us
 */
export function refuseEarly(grpc: GrpcServer, { isRefused, status }: EarlyRefusal): boolean {
  const servers = [...((grpc as unknown as GrpcInternals).http2Servers?.keys() ?? [])];
  const refusal = {
    ':status': 200,
    'content-type': 'application/grpc+proto',
    'grpc-status': String(status.code),
    'grpc-message': encodeURI(status.details),
    ...status.metadata.toHttp2Headers(),
  };
  for (const server of servers) {
    const takers = server.listeners('stream');
    server.removeAllListeners('stream');
    server.on('stream', (stream, headers, ...rest) => {
      if (isRefused(headers[':path'] ?? '', leftMsOf(headers))) refuse(stream, refusal);
      else for (const take of takers) Reflect.apply(take, server, [stream, headers, ...rest]);
    });
  }
  return servers.length > 0;
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
