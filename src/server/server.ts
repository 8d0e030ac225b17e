/**
 * The gRPC server: a thin skin over any Database.
 *
 * Promises: it listens when `startServer` returns; it answers every call once; `close` loses no answer of a call that finishes within
 * the time it is given. It does not close the database and knows nothing of the process. Beyond this machine it listens encrypted and to known callers only,
 * unless it is told otherwise in so many words.
 */
import { Server as GrpcServer, type ServerCredentials } from '@grpc/grpc-js';
import { scoped } from '../access/scoped-database.js';
import { audited } from '../audit/audited-database.js';
import type { AuditSink } from '../audit/recorder.js';
import type { Database } from '../api.js';
import { HarmonidError } from '../errors.js';
import { AdminServiceService } from '../wire/harmonid/v1/admin.js';
import { IdentityServiceService } from '../wire/harmonid/v1/identity.js';
import { formatAddress, listenError, parseAddress, whyNotListening, type Address } from './address.js';
import { adminService } from './admin-service.js';
import { busyStatus } from './busy-turn.js';
import { Calls, type ServerLogger } from './calls.js';
import { limitConnections } from './connection-limit.js';
import { Crowd } from './crowd.js';
import { refuseEarly } from './early-refusal.js';
import { http2ServersOf } from './http2-servers.js';
import { identityService } from './identity-service.js';
import type { Metrics } from './metrics.js';
import { OwnEntries } from './own-entries.js';
import { openSecurity, type SecurityOptions } from './security.js';
import { addStandardServices } from './standard-services.js';
import type { Tracing } from './tracing.js';
import { nothingAfterStatus } from './transport-answers.js';

export interface ServerOptions extends SecurityOptions {
  readonly database: Database;
  /** `host:port`; port 0 takes a free one. Default `127.0.0.1:0`: whoever opens a server to the network says so. */
  readonly address?: string | undefined;
  /** pino's will do. Default: no log. */
  readonly logger?: ServerLogger | undefined;
  /** Counts what the server does. Default: nobody does. */
  readonly metrics?: Metrics | undefined;
  /** Records who did what. Closed by its owner, after the server. Default: nothing is recorded. */
  readonly audit?: AuditSink | undefined;
  /** Tells a collector of every call. Default: nobody is told. */
  readonly tracing?: Tracing | undefined;
  /** Largest message, both ways, bytes. Larger takes larger photos and batches, and more memory a call. Default 32 MiB. */
  readonly messageBytesMax?: number | undefined;
  /** Calls at the same time on one connection. Larger lets one client queue more. Default 1000. */
  readonly callsPerConnectionMax?: number | undefined;
  /** Connections from one address, which may be that of a proxy with many clients. Default 1000. */
  readonly connectionsPerAddressMax?: number | undefined;
  /** Connections in all. Default 4000. */
  readonly connectionsMax?: number | undefined;
  /**
   * A connection is asked so often whether its client is still there; one that does not answer for half as long is closed, and its work stopped. Shorter than what a
   * firewall on the way takes for idle. Default 40.
   */
  readonly keepaliveSeconds?: number | undefined;
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

/** @throws ADDRESS_IN_USE, INVALID_ARGUMENT, ACCESS_INVALID, AUDIT_UNAVAILABLE */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { database, logger, metrics, audit } = options;
  const address = parseAddress(options.address ?? '127.0.0.1:0');
  const messageBytesMax = options.messageBytesMax ?? messageBytesMaxDefault;
  const keepaliveMs = 1000 * (options.keepaliveSeconds ?? 40);
  const entries = new OwnEntries(audit);
  const security = await openSecurity(options, address, {
    logger,
    onRefusal: ({ error, ...facts }) => {
      metrics?.refusedAtDoor(error.code);
      entries.refused({ error, ...facts });
      logger?.warn({ ...facts, code: error.code, reason: error.message }, 'refused at the door');
    },
    onListChange: (list) => {
      entries.listChanged(list);
      calls.recheck((visit) => security.guard.recheck(visit));
    },
  });
  // Counted and not logged: there are thousands.
  const crowd = new Crowd(() => metrics?.refusedAsBusy());
  const calls = new Calls(
    {
      guard: security.guard,
      crowd,
      databaseFor: ({ caller, peer, requestId }) => {
        const own = scoped(database, caller.grant);
        return audit ? audited(own, audit, { actor: caller.actor, peer, requestId }) : own;
      },
      observer: metrics,
      tracing: options.tracing,
    },
    logger,
  );
  const grpc = new GrpcServer({
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_send_message_length': messageBytesMax,
    'grpc.max_concurrent_streams': options.callsPerConnectionMax ?? 1000,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveMs / 2,
    'grpc.enable_channelz': 0,
    interceptors: [nothingAfterStatus, security.guard.interceptor],
  });
  grpc.addService(IdentityServiceService, identityService(calls));
  grpc.addService(AdminServiceService, adminService(calls, messageBytesMax));
  addStandardServices(grpc, calls.draining);

  let port: number;
  let bound: string;
  try {
    port = await bind(grpc, address, security.credentials);
    bound = formatAddress({ host: address.host, port });
    const http2Servers = http2ServersOf(grpc);
    if (http2Servers.length === 0)
      logger?.warn({}, 'this grpc-js hides its HTTP/2: connections are not limited, calls that are too many cost more');
    limitConnections(http2Servers, {
      perAddressMax: options.connectionsPerAddressMax ?? 1000,
      max: options.connectionsMax ?? 4000,
      onRefusal: (peer) => {
        metrics?.refusedConnection();
        logger?.debug({ peer }, 'one connection too many');
      },
    });
    const isRefused = (path: string, leftMs: number): boolean => crowd.isTooLate('knocking', path, leftMs);
    refuseEarly(http2Servers, { isRefused, status: busyStatus });
    await entries.began(bound, security.list);
  } catch (error) {
    security.close();
    grpc.forceShutdown();
    throw error;
  }
  if (security.certificates) metrics?.watchCertificate(security.certificates);
  logger?.info(
    { address: bound, encrypted: options.tls !== undefined, keys: options.accessFile !== undefined },
    'listening',
  );
  const end = async (drainMs: number): Promise<void> => {
    await shutDown(grpc, calls, drainMs, logger);
    security.close();
    await entries.ended();
  };
  let closing: Promise<void> | undefined;
  return {
    address: bound,
    port,
    close: ({ drainMs = 10_000 } = {}) => (closing ??= end(drainMs)),
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
