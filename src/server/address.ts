/** `host:port`, parsed once; and why an address could not be listened on. */
import { createServer } from 'node:net';
import { HarmonidError } from '../errors.js';

export interface Address {
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
}

/** @throws INVALID_ARGUMENT */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) {
    throw new HarmonidError(
      'INVALID_ARGUMENT',
      `address is "${text}", host:port is wanted, e.g. 127.0.0.1:7700 or [::1]:7700`,
      { details: { argument: 'address' } },
    );
  }
  return { host, port };
}

/** Whether only this machine can reach it. */
export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Why nothing can listen there now, told by the system itself: grpc-js tells it in words only. Undefined when it can. */
export function whyNotListening({ host, port }: Address): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });
}

/** `reason` is the system's, e.g. EADDRINUSE. */
export function listenError(address: Address, reason: string, cause?: unknown): HarmonidError {
  const at = formatAddress(address);
  if (reason === 'EADDRINUSE') {
    return new HarmonidError('ADDRESS_IN_USE', `address ${at} is in use by another process`, {
      details: { address: at },
      cause,
    });
  }
  return new HarmonidError('INVALID_ARGUMENT', `cannot listen on ${at}: ${reason}`, {
    details: { argument: 'address', address: at, reason },
    cause,
  });
}
