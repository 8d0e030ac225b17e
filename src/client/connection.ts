/**
 * Calls over one gRPC connection: promises and async iterables out, HarmonidErrors when they fail.
 *
 * Promises: an aborted signal ends its call on the server, too; a stream is read no faster than its consumer asks and written no faster
 * than the server takes; leaving a loop over answers cancels the call. A call is made once, or, where its caller says that it may be made
 * again (`repeatable`), until it is answered, its deadline is near or its tries are used up; a stream is never made again here.
 */
import { once } from 'node:events';
import { isIP } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import {
  Client,
  credentials as grpcCredentials,
  Metadata,
  status,
  type ChannelCredentials,
  type ClientDuplexStream,
  type ClientReadableStream,
} from '@grpc/grpc-js';
import type { CallOptions } from '../api.js';
import { abortError, asHarmonidError, HarmonidError, throwIfAborted } from '../errors.js';
import { errorOfStatus } from '../wire/error-status.js';
import { isPassing, retriesDefault, waitBeforeRetryMs } from './retry.js';

export interface ConnectionOptions {
  /** `host:port`. */
  readonly address: string;
  /** True trusts the authorities that Node trusts. Default false: no encryption. */
  readonly tls?: boolean | ClientTls | undefined;
  /** A key of `harmonid keys add`. Refused without encryption beyond loopback addresses. */
  readonly apiKey?: string | undefined;
  /** Sent with every call, e.g. `x-request-id` to find it in the server's log, or `traceparent`. Asked anew for each. */
  readonly headers?: (() => Readonly<Record<string, string>>) | undefined;
  /** Sends the key also where it can be read on the way. Default false. */
  readonly allowPlaintextKey?: boolean | undefined;
  /**
   * How long one call may take, milliseconds; streams, and steps of a rollout that go through a whole gallery, have no deadline.
   * Infinity: for ever. Default 60,000.
   */
  readonly deadlineMs?: number | undefined;
  /**
   * How often a call that may be made again is made again, within its deadline, after UNAVAILABLE and after OVERLOADED that says when to come again. Such are
   * the calls that change nothing, and enrolments with an idempotency key. 0: every failure is thrown at once. Default 3, which
   * bridges about a second.
   */
  readonly retries?: number | undefined;
  /** Largest answer that is taken, bytes. Default 32 MiB. */
  readonly messageBytesMax?: number | undefined;
}

/** PEM, as bytes or text. */
export interface ClientTls {
  /** Who signs the server's certificate. Default: the authorities that Node trusts. */
  readonly ca?: string | Uint8Array | undefined;
  /** This client's own certificate, with its key. Default: none is shown. */
  readonly certificate?: string | Uint8Array | undefined;
  readonly key?: string | Uint8Array | undefined;
  /** The name in the server's certificate, when it is not that of the address. */
  readonly serverName?: string | undefined;
}

/** What is needed of a generated method definition. */
export interface Method<Q, A> {
  readonly path: string;
  readonly requestSerialize: (request: Q) => Buffer;
  readonly responseDeserialize: (answer: Buffer) => A;
}

export class Connection {
  readonly #client: Client;
  readonly #address: string;
  readonly #deadlineMs: number;
  readonly #apiKey: string | undefined;
  readonly #headers: ConnectionOptions['headers'];
  readonly #retriesMax: number;
  /** Fires with CLOSED. */
  readonly #closing = new AbortController();

  /** @throws INVALID_ARGUMENT for a key that could be read on the way, and for certificates that are none */
  constructor(options: ConnectionOptions) {
    const { address, deadlineMs, messageBytesMax, apiKey, tls, retries } = options;
    refuseOpenKey(options);
    this.#address = address;
    this.#deadlineMs = deadlineMs ?? 60_000;
    this.#apiKey = apiKey;
    this.#headers = options.headers;
    this.#retriesMax = retries ?? retriesDefault;
    this.#client = new Client(address, credentialsOf(tls ?? false, address), {
      ...serverNameOf(tls ?? false, address),
      'grpc.max_receive_message_length': messageBytesMax ?? 32 * 1024 * 1024,
      // A server that came back is found within seconds.
      'grpc.initial_reconnect_backoff_ms': 200,
      'grpc.max_reconnect_backoff_ms': 5_000,
      // A connection that died without a word is noticed while calls wait on it.
      'grpc.keepalive_time_ms': 40_000,
      'grpc.keepalive_timeout_ms': 20_000,
      'grpc.enable_channelz': 0,
    });
  }

  /** For what may not be done twice: made once. */
  async unary<Q, A>(method: Method<Q, A>, request: Q, options: CallOptions): Promise<A> {
    return this.#call(method, request, options.signal, this.#endOf(options, this.#deadlineMs));
  }

  /** For what may be done twice as well as once: it changes nothing, or the server knows it again. */
  async repeatable<Q, A>(method: Method<Q, A>, request: Q, options: CallOptions): Promise<A> {
    const endsAt = this.#endOf(options, this.#deadlineMs);
    for (let failures = 1; ; failures++) {
      try {
        return await this.#call(method, request, options.signal, endsAt);
      } catch (error) {
        // NaN is none.
        if (!(failures <= this.#retriesMax) || !isPassing(error)) throw error;
        const waitMs = waitBeforeRetryMs(error, failures, Math.random);
        if (Date.now() + waitMs >= endsAt) throw error;
        await this.pause(waitMs, options.signal);
      }
    }
  }

  /** For what may take long and tells nothing on the way: there is no deadline. */
  async patient<Q, A>(method: Method<Q, A>, request: Q, options: CallOptions): Promise<A> {
    return this.#call(method, request, options.signal, this.#endOf(options, Infinity));
  }

  /** Waits between two tries. @throws CLOSED and what the signal says, as soon as they fire */
  async pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const ends = AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])]);
    try {
      await setTimeout(ms, undefined, { signal: ends });
    } catch {
      // The signals are all that can end the wait.
      throw abortError(ends);
    }
  }

  #endOf({ deadlineAt = Infinity }: CallOptions, deadlineMs: number): number {
    return Math.min(Date.now() + deadlineMs, deadlineAt);
  }

  async #call<Q, A>(method: Method<Q, A>, request: Q, signal: AbortSignal | undefined, endsAt: number): Promise<A> {
    this.#check(signal);
    const message = encode(method, request);
    const deadline = Number.isFinite(endsAt) ? { deadline: endsAt } : {};
    return new Promise<A>((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        method.path,
        asEncoded,
        method.responseDeserialize,
        message,
        this.#metadata(),
        deadline,
        (error, answer) => {
          signal?.removeEventListener('abort', cancel);
          if (error) reject(this.#errorOf(error, signal));
          else if (answer === undefined)
            reject(new HarmonidError('INTERNAL', `server ${this.#address} gave no answer`));
          else resolve(answer);
        },
      );
      const cancel = (): void => call.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  async *serverStream<Q, A>(method: Method<Q, A>, request: Q, { signal }: CallOptions): AsyncGenerator<A, void, void> {
    this.#check(signal);
    const message = encode(method, request);
    yield* this.#answers(
      this.#client.makeServerStreamRequest(
        method.path,
        asEncoded,
        method.responseDeserialize,
        message,
        this.#metadata(),
      ),
      signal,
    );
  }

  /** A source that throws ends the requests; what is still answered is handed on, then its error is thrown. */
  async *bidirectional<Q, A>(
    method: Method<Q, A>,
    requests: AsyncIterable<Q>,
    { signal }: CallOptions,
  ): AsyncGenerator<A, void, void> {
    this.#check(signal);
    const call = this.#client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      this.#metadata(),
    );
    const over = new AbortController();
    let sourceFailure: { readonly error: unknown } | undefined;
    // Never rejects; not waited for, since a source may be waiting for something that never comes.
    void feed(call, requests, over.signal, (error) => (sourceFailure = { error }));
    try {
      yield* this.#answers(call, signal);
      if (sourceFailure) throw sourceFailure.error;
    } finally {
      over.abort();
    }
  }

  close(): void {
    this.#closing.abort(new HarmonidError('CLOSED', `the connection to server ${this.#address} is closed`));
    this.#client.close();
  }

  async *#answers<A>(call: ClientReadableStream<A>, signal: AbortSignal | undefined): AsyncGenerator<A, void, void> {
    const cancel = (): void => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    // The iterator below throws it; without a listener of its own it would also be thrown at nobody.
    call.on('error', () => {});
    try {
      const answers: AsyncIterator<A, unknown> = call.iterator({ destroyOnReturn: false });
      for (;;) {
        const next = await answers.next();
        if (next.done) return;
        yield next.value;
      }
    } catch (error) {
      throw this.#errorOf(error, signal);
    } finally {
      signal?.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  #metadata(): Metadata {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(this.#headers?.() ?? {})) metadata.set(name, value);
    if (this.#apiKey !== undefined) metadata.set('authorization', `Bearer ${this.#apiKey}`);
    return metadata;
  }

  #check(signal: AbortSignal | undefined): void {
    throwIfAborted(this.#closing.signal);
    throwIfAborted(signal);
  }

  #errorOf(error: unknown, signal: AbortSignal | undefined): Error {
    if (!isFailedCall(error)) return asHarmonidError(error);
    if (signal?.aborted && error.code === status.CANCELLED) return abortError(signal);
    return errorOfStatus(error, this.#address);
  }
}

function credentialsOf(tls: boolean | ClientTls, address: string): ChannelCredentials {
  if (tls === false) return grpcCredentials.createInsecure();
  const { ca, certificate, key, serverName } = tls === true ? {} : tls;
  const ip = ipOf(address);
  // By which name the certificate is judged; see `serverNameOf`.
  const judging =
    ip !== null && serverName === undefined
      ? { checkServerIdentity: (_: string, shown: PeerCertificate) => checkServerIdentity(ip, shown) }
      : undefined;
  try {
    return grpcCredentials.createSsl(bytesOf(ca), bytesOf(key), bytesOf(certificate), judging);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new HarmonidError('INVALID_ARGUMENT', `the certificates for TLS cannot be used: ${reason}`, { cause: error });
  }
}

/** TLS tells the server by which name it is called; an address is no name (RFC 6066), and Node warns when it is told as one. */
function serverNameOf(tls: boolean | ClientTls, address: string): Record<string, string> {
  if (tls === false) return {};
  const { serverName } = tls === true ? {} : tls;
  if (serverName !== undefined)
    return { 'grpc.ssl_target_name_override': serverName, 'grpc.default_authority': serverName };
  return ipOf(address) === null ? {} : { 'grpc.ssl_target_name_override': 'harmonid.invalid' };
}

/** Null for a name. */
function ipOf(address: string): string | null {
  const host = address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return isIP(host) === 0 ? null : host;
}

function bytesOf(pem: string | Uint8Array | undefined): Buffer | null {
  return pem === undefined ? null : Buffer.from(pem);
}

function refuseOpenKey({ address, tls, apiKey, allowPlaintextKey }: ConnectionOptions): void {
  if (apiKey === undefined || (tls !== undefined && tls !== false) || allowPlaintextKey === true) return;
  if (/^(localhost|127(\.\d{1,3}){3}|\[::1\]):\d+$/.test(address)) return;
  throw new HarmonidError(
    'INVALID_ARGUMENT',
    `a key would go to ${address} unencrypted, where it can be read on the way; connect with TLS`,
    { details: { argument: 'apiKey', address } },
  );
}

/** Writes requests as fast as the server takes them, then ends the client's side. */
async function feed<Q, A>(
  call: ClientDuplexStream<Q, A>,
  requests: AsyncIterable<Q>,
  over: AbortSignal,
  onFailure: (error: unknown) => void,
): Promise<void> {
  try {
    for await (const request of requests) {
      if (over.aborted) return;
      if (!call.write(request)) await once(call, 'drain', { signal: over });
    }
  } catch (error) {
    // Once the call is over nobody asks how the source fares.
    if (!over.aborted) onFailure(error);
  } finally {
    call.end();
  }
}

/** @throws INVALID_ARGUMENT for what the wire cannot carry, e.g. a fraction where a whole number is wanted */
function encode<Q, A>(method: Method<Q, A>, request: Q): Buffer {
  try {
    return method.requestSerialize(request);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new HarmonidError('INVALID_ARGUMENT', `the request cannot be sent: ${reason}`, { cause: error });
  }
}

function asEncoded(message: Buffer): Buffer {
  return message;
}

interface FailedCall extends Error {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

function isFailedCall(error: unknown): error is FailedCall {
  return error instanceof Error && 'metadata' in error && error.metadata instanceof Metadata;
}
