/**
 * How many connections are held open, for one address and in all. With the calls on each (`callsPerConnectionMax`) it bounds what one client may ask for at once, and what
 * strangers can take of the memory before they have shown a key.
 *
 * Promises: one connection too many is closed before a byte of it is read, with nothing said: a client of gRPC takes it for UNAVAILABLE and comes again.
 */
import type { Http2Server } from 'node:http2';
import type { Socket } from 'node:net';
import { gate } from './http2-servers.js';

export interface ConnectionLimit {
  readonly perAddressMax: number;
  /** On each address that the server is bound to. */
  readonly max: number;
  /** @param address without the port; undefined where nobody knows it */
  readonly onRefusal: (address: string | undefined) => void;
}

/** From now on, for servers that are bound. */
export function limitConnections(servers: readonly Http2Server[], limit: ConnectionLimit): void {
  const open = new Map<string, number>();
  for (const server of servers) {
    server.maxConnections = limit.max;
    server.on('drop', (dropped) => limit.onRefusal(dropped?.remoteAddress));
    gate(server, 'connection', (socket: Socket) => {
      const address = socket.remoteAddress;
      // Gone already, as probes of a load balancer are: that is nobody's fault.
      if (address === undefined) {
        socket.destroy();
        return false;
      }
      const others = open.get(address) ?? 0;
      if (others >= limit.perAddressMax) {
        socket.destroy();
        limit.onRefusal(address);
        return false;
      }
      open.set(address, others + 1);
      socket.once('close', () => {
        const left = (open.get(address) ?? 1) - 1;
        if (left > 0) open.set(address, left);
        else open.delete(address);
      });
      return true;
    });
  }
}
