/**
 * The first thing that every call meets, health checks and reflection included.
 *
 * Promises: a call without the permission it needs, or that call-permissions.ts does not know, is answered before its message is read and before any handler sees
 * it. What a handler learns of its caller comes from here and from nothing that the caller could have written.
 */
import { randomUUID } from 'node:crypto';
import {
  ServerInterceptingCall,
  type Metadata,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { anonymous, namesOf, type Caller, type Credentials, type Gatekeeper } from '../access/gatekeeper.js';
import { requirePermission } from '../access/grant.js';
import { asHarmonidError, HarmonidError } from '../errors.js';
import { statusOf } from '../wire/error-status.js';
import { callNeeds } from './call-permissions.js';

/** Who asks, and how the question is found again in logs and in the audit. */
export interface Visit {
  readonly caller: Caller;
  /** The client's `x-request-id`, or one of our own. */
  readonly requestId: string;
  /** Whether the client gave it: then it goes back with every answer, else only with refusals. */
  readonly isRequestIdGiven: boolean;
  /** Address and port. */
  readonly peer: string;
}

/** A call that was refused at the door. */
export interface Refusal {
  readonly method: string;
  readonly peer: string;
  /** Null when it is not known who asks. */
  readonly actor: string | null;
  readonly error: HarmonidError;
}

export interface GuardOptions {
  /** Null lets everybody do everything: for loopback addresses, and for whoever says so. */
  readonly gatekeeper: Gatekeeper | null;
  readonly onRefusal: (refusal: Refusal) => void;
}

export const requestIdKey = 'x-request-id';

const requestIdPattern = /^[\x21-\x7e]{1,128}$/;

export class Guard {
  readonly #options: GuardOptions;
  /** By the metadata of a call, the one object that reaches both the interceptor and the handler, and that a client cannot make. */
  readonly #visits = new WeakMap<Metadata, Visit>();

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  /** Who makes the call with these metadata. @throws INTERNAL when they did not pass here */
  visitOf(metadata: Metadata): Visit {
    const visit = this.#visits.get(metadata);
    if (!visit) throw new HarmonidError('INTERNAL', 'a call went past the guard');
    return visit;
  }

  /** One more item of an open stream. @throws OVERLOADED, UNAUTHENTICATED */
  countItem(visit: Visit): void {
    this.recheck(visit);
    this.#options.gatekeeper?.count(visit.caller);
  }

  /** Whether somebody who was let in would be let in now. @throws UNAUTHENTICATED */
  recheck({ caller }: Visit): void {
    this.#options.gatekeeper?.recheck(caller);
  }

  readonly interceptor: ServerInterceptor = ({ path }, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            let caller: Caller | null = null;
            try {
              caller = this.#callerOf(path, metadata, call);
              this.#judge(path, caller);
            } catch (error) {
              const known = asHarmonidError(error);
              this.#options.onRefusal({
                method: path,
                peer: call.getPeer(),
                actor: caller?.actor ?? null,
                error: known,
              });
              call.sendStatus(statusOf(known));
              return;
            }
            this.#visits.set(metadata, { caller, ...requestIdOf(metadata), peer: call.getPeer() });
            pass(metadata);
          },
        }),
    });

  #callerOf(path: string, metadata: Metadata, call: ServerInterceptingCallInterface): Caller {
    const { gatekeeper } = this.#options;
    if (!gatekeeper || callNeeds.get(path) === 'anyone') return anonymous;
    return gatekeeper.admit(credentialsOf(metadata, call));
  }

  #judge(path: string, caller: Caller): void {
    const need = callNeeds.get(path);
    if (need === undefined) throw new HarmonidError('PERMISSION_DENIED', `${path} is not known to the guard`);
    if (need !== 'anyone' && need !== 'known') requirePermission(caller.grant, need, path);
    this.#options.gatekeeper?.count(caller);
  }
}

function credentialsOf(metadata: Metadata, call: ServerInterceptingCallInterface): Credentials {
  const key = /^Bearer (.+)$/i.exec(textOf(metadata, 'authorization') ?? '')?.[1] ?? null;
  // Asked only where it counts: reading a certificate takes longer than looking up a key. grpc-js gives it when the authority has signed it.
  const certificate = key === null ? call.getAuthContext().sslPeerCertificate : undefined;
  return {
    key,
    certificate: certificate ? namesOf(certificate) : null,
    address: call.getConnectionInfo().remoteAddress ?? 'unknown',
  };
}

function requestIdOf(metadata: Metadata): Pick<Visit, 'requestId' | 'isRequestIdGiven'> {
  const given = textOf(metadata, requestIdKey);
  return given !== undefined && requestIdPattern.test(given)
    ? { requestId: given, isRequestIdGiven: true }
    : { requestId: randomUUID(), isRequestIdGiven: false };
}

function textOf(metadata: Metadata, name: string): string | undefined {
  return metadata.get(name)[0]?.toString();
}
