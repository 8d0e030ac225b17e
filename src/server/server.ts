/**
 * The gRPC server: a thin skin over any Database.
 *
 * Promises: it listens when `startServer` returns; it answers every call once; `close` loses no answer of a call that finishes within
 * the time it is given. It does not close the database and knows nothing of the process.
 */
import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import type { Database } from '../api.js';
import { HarmonidError } from '../errors.js';
import { AdminServiceService } from '../wire/harmonid/v1/admin.js';
import { IdentityServiceService } from '../wire/harmonid/v1/identity.js';
import { formatAddress, listenError, parseAddress, whyNotListening, type Address } from './address.js';
import { adminService } from './admin-service.js';
import { Calls, type ServerLogger } from './calls.js';
import { identityService } from './identity-service.js';
import { addStandardServices } from './standard-services.js';
import { nothingAfterStatus } from './transport-answers.js';

export interface ServerOptions {
  readonly database: Database;
  /** `host:port`; port 0 takes a free one. Default `127.0.0.1:0`: whoever opens a server to the network says so. */
  readonly address?: string | undefined;
  /** pino's will do. Default: no log. */
  readonly logger?: ServerLogger | undefined;
  /** Largest message, both ways, bytes. Larger takes larger photos and batches, and more memory a call. Default 32 MiB. */
  readonly messageBytesMax?: number | undefined;
  /** Calls at the same time on one connection. Larger lets one client queue more. Default 1000. */
  readonly callsPerConnectionMax?: number | undefined;
  /** Default: no encryption. */
  readonly credentials?: ServerCredentials | undefined;
}

export interface CloseOptions {
  /** How long calls in flight may go on, milliseconds; what is left then is answered with UNAVAILABLE. Default 10,000. */
  readonly drainMs?: number | undefined;
}

export interface Server {
  /** `host:port` as bound. */
  readonly address: string;
  readonly port: number;
  /**
   * Health turns to NOT_SERVING, new calls are refused with UNAVAILABLE, calls in flight finish. Returns when no connection is left.
   * The first call decides; others wait for it.
   */
  close(options?: CloseOptions): Promise<void>;
}

export const messageBytesMaxDefault = 32 * 1024 * 1024;

/** How long refused calls have to get their answer out before connections are cut, milliseconds. */
const farewellMs = 1_000;

/** @throws ADDRESS_IN_USE, INVALID_ARGUMENT */
export async function startServer(options: ServerOptions): Promise<Server> {
  const address = parseAddress(options.address ?? '127.0.0.1:0');
  const messageBytesMax = options.messageBytesMax ?? messageBytesMaxDefault;
  const calls = new Calls(options.logger);
  const grpc = new GrpcServer({
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_send_message_length': messageBytesMax,
    'grpc.max_concurrent_streams': options.callsPerConnectionMax ?? 1000,
    // A client that vanished without a word is noticed within a minute, and its work stopped.
    'grpc.keepalive_time_ms': 40_000,
    'grpc.keepalive_timeout_ms': 20_000,
    'grpc.enable_channelz': 0,
    interceptors: [nothingAfterStatus],
  });
  grpc.addService(IdentityServiceService, identityService(options.database, calls));
  grpc.addService(AdminServiceService, adminService(options.database, calls, messageBytesMax));
  addStandardServices(grpc, calls.draining);

  const port = await bind(grpc, address, options.credentials ?? ServerCredentials.createInsecure());
  const bound = formatAddress({ host: address.host, port });
  options.logger?.info({ address: bound }, 'listening');
  let closing: Promise<void> | undefined;
  return {
    address: bound,
    port,
    close: ({ drainMs } = {}) => (closing ??= shutDown(grpc, calls, drainMs ?? 10_000, options.logger)),
  };
}

async function bind(grpc: GrpcServer, address: Address, credentials: ServerCredentials): Promise<number> {
  // Asked first, since grpc-js writes what fails to bind to the standard error itself.
  const reason = await whyNotListening(address);
  if (reason !== undefined) throw listenError(address, reason);
  try {
    return await new Promise<number>((resolve, reject) => {
      grpc.bindAsync(formatAddress(address), credentials, (error, port) => (error ? reject(error) : resolve(port)));
    });
  } catch (error) {
    // Taken in between.
    throw listenError(address, (await whyNotListening(address)) ?? String(error), error);
  }
}

async function shutDown(
  grpc: GrpcServer,
  calls: Calls,
  drainMs: number,
  logger: ServerLogger | undefined,
): Promise<void> {
  logger?.info({ inFlight: calls.inFlight, drainMs }, 'draining');
  calls.drain();
  // Closes the listening socket and tells every connection to send no more calls.
  const stopped = new Promise<void>((resolve) => {
    grpc.tryShutdown(() => resolve());
  });
  if (await endsWithin(stopped, drainMs)) return;
  logger?.info({ inFlight: calls.inFlight }, 'drain time is over: refusing what is left');
  calls.refuseAll(new HarmonidError('UNAVAILABLE', `the server stopped, ${drainMs} ms after it began to drain`));
  if (await endsWithin(stopped, farewellMs)) return;
  grpc.forceShutdown();
}

async function endsWithin(work: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const ended = await Promise.race([work.then(() => true), timeout]);
  clearTimeout(timer);
  return ended;
}
