/**
 * The servers of HTTP/2 under a server of grpc-js, which gives them to nobody: they are taken from a field that is not documented. Where another release has no such
 * field there are none, and what is done with them here is not done.
 */
import type { Http2Server } from 'node:http2';
import type { Server as GrpcServer } from '@grpc/grpc-js';

/** `http2Servers` of grpc-js 1.10 to 1.14: the keys are servers of `node:http2`, one an address. */
interface GrpcInternals {
  readonly http2Servers?: ReadonlyMap<Http2Server, unknown>;
}

/** Of a bound server. Empty where this grpc-js does not let us. */
export function http2ServersOf(grpc: GrpcServer): Http2Server[] {
  return [...((grpc as unknown as GrpcInternals).http2Servers?.keys() ?? [])];
}

/** From now on the listeners that an event has get it only when it `passes`; who says no has dealt with it. */
export function gate(server: Http2Server, event: 'connection' | 'stream', passes: (...args: never[]) => boolean): void {
  const takers = server.listeners(event);
  server.removeAllListeners(event);
  server.on(event, (...args: unknown[]) => {
    if (Reflect.apply(passes, undefined, args)) for (const take of takers) Reflect.apply(take, server, args);
  });
}
