/**
 * Calls in flight, from their arrival to their one answer.
 *
 * Promises: every call gets an AbortSignal that fires when its client goes away, its deadline passes, or the server stops waiting;
 * every call is answered exactly once; every refusal goes through one funnel, which turns it into a status and writes what is
 * unexpected to the log, once and with its cause. Streams are written no faster than the client reads and read no faster than
 * the handler takes.
 */
import { once, setMaxListeners } from 'node:events';
import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type ServerDuplexStream,
  type ServerWritableStream,
  type StatusObject,
} from '@grpc/grpc-js';
import { requirePermission, type Permission } from '../access/grant.js';
import type { Database, Decision } from '../api.js';
import { abortError, asHarmonidError, HarmonidError, throwIfAborted, type ErrorCode } from '../errors.js';
import { statusOf } from '../wire/error-status.js';
import { busyStatus } from './busy-turn.js';
import type { Crowd } from './crowd.js';
import { requestIdKey, type Guard, type Visit } from './guard.js';
import type { CallTrace, Tracing } from './tracing.js';

/** What is needed of a logger; pino's has it. */
export interface ServerLogger {
  error(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  info(facts: object, message: string): void;
  debug(facts: object, message: string): void;
}

/** Who counts what comes and what becomes of it; `Metrics` does. */
export interface CallObserver {
  /** @returns what is told of the answer */
  called(path: string): (code: ErrorCode | 'OK') => void;
  tookItem(path: string): void;
  decided(kind: 'identify' | 'verify', decision: Decision): void;
}

/** Where calls come in. */
export interface Entrance {
  readonly guard: Guard;
  readonly crowd: Crowd;
  /** The database as the caller may see it. */
  readonly databaseFor: (visit: Visit) => Database;
  readonly observer?: CallObserver | undefined;
  readonly tracing?: Tracing | undefined;
}

/** What a handler is given beside its request. */
export interface CallContext {
  /** As the caller may see it: a handler knows no other. */
  readonly database: Database;
  /** For what a call needs beyond its method's permission. @throws PERMISSION_DENIED */
  readonly require: (permission: Permission, what: string) => void;
  /** Counts a decision that was made. */
  readonly decided: (kind: 'identify' | 'verify', decision: Decision) => void;
  /** Fires when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** When the client gives up, milliseconds since 1970; undefined when it never does. */
  readonly deadlineAt: number | undefined;
  /** Fires when the server begins to drain: streams without an end of their own should end. */
  readonly draining: AbortSignal;
  /** Before the next item of something that can wait: resolves later, the more people are in a hurry. Never rejects. */
  readonly giveWay: () => Promise<void>;
  /** An error that becomes part of an answer; the same funnel as for the call's own. */
  readonly report: (error: unknown) => HarmonidError;
}

/** What all kinds of calls have in grpc-js. */
interface CallSurface {
  readonly metadata: Metadata;
  getPath(): string;
  getDeadline(): Date | number;
  on(event: 'cancelled', listener: () => void): unknown;
}

type AnswerStream<Q, A> = ServerWritableStream<Q, A> | ServerDuplexStream<Q, A>;

export class Calls {
  readonly #entrance: Entrance;
  readonly #log: ServerLogger | undefined;
  readonly #inFlight = new Set<Call>();
  readonly #draining = new AbortController();

  constructor(entrance: Entrance, log: ServerLogger | undefined) {
    this.#entrance = entrance;
    this.#log = log;
    // One listener for every open stream is no leak.
    setMaxListeners(0, this.#draining.signal);
  }

  get draining(): AbortSignal {
    return this.#draining.signal;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Tells streams without an end of their own to end. */
  drain(): void {
    this.#draining.abort();
  }

  /** Answers everything that is still in flight with `error`. */
  refuseAll(error: HarmonidError): void {
    for (const call of this.#inFlight) call.abandon(error);
  }

  /** Ends the calls of those who may not stay. @param recheck throws why not */
  recheck(recheck: (visit: Visit) => void): void {
    for (const call of this.#inFlight) {
      try {
        recheck(call.visit);
      } catch (error) {
        call.abandon(asHarmonidError(error));
      }
    }
  }

  unary<Q, A>(answer: (request: Q, context: CallContext) => Promise<A>): handleUnaryCall<Q, A> {
    return (grpcCall, callback) => {
      const leftMs = Number(grpcCall.getDeadline()) - Date.now();
      if (this.#entrance.crowd.isTooLate('beginning', grpcCall.getPath(), leftMs)) {
        callback(busyStatus);
        return;
      }
      const call = this.#begin(grpcCall, callback);
      void call.run(async () => {
        const answered = await answer(grpcCall.request, call);
        call.finish(() => callback(null, answered, call.trailer));
      });
    };
  }

  serverStream<Q, A>(answers: (request: Q, context: CallContext) => AsyncIterable<A>): handleServerStreamingCall<Q, A> {
    return (grpcCall) => {
      const call = this.#begin(grpcCall, (refused) => refuseStream(grpcCall, refused));
      void call.run(() => send(answers(grpcCall.request, call), grpcCall, call));
    };
  }

  bidirectional<Q, A>(
    answers: (requests: AsyncIterable<Q>, context: CallContext) => AsyncIterable<A>,
  ): handleBidiStreamingCall<Q, A> {
    return (grpcCall) => {
      const call = this.#begin(grpcCall, (refused) => refuseStream(grpcCall, refused));
      const { guard, observer } = this.#entrance;
      const requests = counted(receive(grpcCall, call.signal), (isFirst) => {
        // The first one was counted with the call.
        if (!isFirst) guard.countItem(call.visit);
        observer?.tookItem(grpcCall.getPath());
      });
      void call.run(() => send(answers(requests, call), grpcCall, call));
    };
  }

  #begin(grpcCall: CallSurface, refuse: (refused: StatusObject) => void): Call {
    const visit = this.#entrance.guard.visitOf(grpcCall.metadata);
    const call = new Call({
      visit,
      database: this.#entrance.databaseFor(visit),
      giveWay: this.#entrance.crowd.giveWay,
      observer: this.#entrance.observer,
      trace: this.#entrance.tracing?.begin(grpcCall.getPath(), grpcCall.metadata, visit.requestId),
      deadline: grpcCall.getDeadline(),
      method: grpcCall.getPath(),
      draining: this.draining,
      log: this.#log,
      refuse,
      end: () => this.#inFlight.delete(call),
    });
    this.#inFlight.add(call);
    // grpc-js emits this for a deadline, for a client that is gone, and after every answer.
    grpcCall.on('cancelled', () => call.lose());
    call.loseAtDeadline();
    return call;
  }
}

interface CallParts {
  readonly visit: Visit;
  readonly database: Database;
  readonly observer: CallObserver | undefined;
  readonly trace: CallTrace | undefined;
  readonly method: string;
  readonly deadline: Date | number;
  readonly giveWay: () => Promise<void>;
  readonly draining: AbortSignal;
  readonly log: ServerLogger | undefined;
  readonly refuse: (refused: StatusObject) => void;
  /** Called once, when the handler is done. */
  readonly end: () => void;
}

/** What a timer of Node takes. */
const timerMsMax = 2 ** 31 - 1;

/** One call: answered once, by whoever comes first of its handler, its client and its server. */
class Call implements CallContext {
  readonly #parts: CallParts;
  readonly #startedMs = performance.now();
  readonly #answeredWith: ((code: ErrorCode | 'OK') => void) | undefined;
  readonly #controller = new AbortController();
  #answered = false;
  #deadlineTimer: NodeJS.Timeout | undefined;

  constructor(parts: CallParts) {
    this.#parts = parts;
    this.#answeredWith = parts.observer?.called(parts.method);
    // Nor is one for every item of an import, or face of a photo, in work.
    setMaxListeners(0, this.#controller.signal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get deadlineAt(): number | undefined {
    const at = Number(this.#parts.deadline);
    return Number.isFinite(at) ? at : undefined;
  }

  get visit(): Visit {
    return this.#parts.visit;
  }

  get database(): Database {
    return this.#parts.database;
  }

  /** How the client finds the call again in the logs. Undefined where it did not ask to: trailers cost. */
  get trailer(): Metadata | undefined {
    return this.#parts.visit.isRequestIdGiven ? this.#requestIdTrailer() : undefined;
  }

  #requestIdTrailer(): Metadata {
    const trailer = new Metadata();
    trailer.set(requestIdKey, this.#parts.visit.requestId);
    return trailer;
  }

  readonly require = (permission: Permission, what: string): void =>
    requirePermission(this.#parts.visit.caller.grant, permission, what);

  get draining(): AbortSignal {
    return this.#parts.draining;
  }

  get giveWay(): () => Promise<void> {
    return this.#parts.giveWay;
  }

  readonly report = (error: unknown): HarmonidError => {
    const known = asHarmonidError(error);
    if (known.code === 'INTERNAL') {
      const { method, visit } = this.#parts;
      this.#parts.log?.error(
        { err: known.cause ?? known, method, actor: visit.caller.actor, requestId: visit.requestId },
        'call failed unexpectedly',
      );
    }
    return known;
  };

  /** Runs the handler and turns its failure into the answer. */
  async run(handler: () => Promise<void>): Promise<void> {
    const { trace } = this.#parts;
    try {
      await (trace ? trace.run(handler) : handler());
    } catch (error) {
      this.#refuse(this.report(error));
    } finally {
      clearTimeout(this.#deadlineTimer);
      this.#parts.end();
    }
  }

  readonly decided = (kind: 'identify' | 'verify', decision: Decision): void =>
    this.#parts.observer?.decided(kind, decision);

  /** Gives the answer, unless one was given. */
  finish(answer: () => void, code: ErrorCode | 'OK' = 'OK'): void {
    if (this.#answered) return;
    this.#end(code);
    answer();
  }

  #end(code: ErrorCode | 'OK'): void {
    const { method, visit, log, trace } = this.#parts;
    this.#answered = true;
    this.#answeredWith?.(code);
    trace?.end(code);
    const ms = Math.round((performance.now() - this.#startedMs) * 10) / 10;
    log?.debug(
      { method, code, ms, actor: visit.caller.actor, peer: visit.peer, requestId: visit.requestId },
      'answered',
    );
  }

  /** Nobody waits any more; grpc-js has told the client what there is to tell. */
  lose(passed = Date.now() >= Number(this.#parts.deadline)): void {
    if (this.#answered) return;
    this.#end(passed ? 'DEADLINE_EXCEEDED' : 'CANCELLED');
    this.#controller.abort(
      passed
        ? new HarmonidError('DEADLINE_EXCEEDED', 'the deadline passed before the answer was ready')
        : new HarmonidError('CANCELLED', 'the caller cancelled the request'),
    );
  }

  /** grpc-js tells of a deadline only when its answer has gone, which waits for clients that do not read. */
  loseAtDeadline(): void {
    const { deadlineAt } = this;
    if (deadlineAt === undefined) return;
    this.#deadlineTimer = setTimeout(() => this.lose(true), Math.min(Math.max(0, deadlineAt - Date.now()), timerMsMax));
  }

  /** The server does not wait any more. */
  abandon(error: HarmonidError): void {
    this.#refuse(error);
    this.#controller.abort(error);
  }

  #refuse(error: HarmonidError): void {
    const refused = statusOf(error);
    refused.metadata.merge(this.#requestIdTrailer());
    this.finish(() => this.#parts.refuse(refused), error.code);
  }
}

/** Writes answers as fast as the client takes them. */
async function send<Q, A>(answers: AsyncIterable<A>, grpcCall: AnswerStream<Q, A>, call: Call): Promise<void> {
  for await (const answer of answers) {
    throwIfAborted(call.signal);
    if (grpcCall.write(answer)) continue;
    try {
      await once(grpcCall, 'drain', { signal: call.signal });
    } catch {
      // 'drain' and the signal are all that can end the wait.
      throw abortError(call.signal);
    }
  }
  call.finish(() => grpcCall.end(call.trailer));
}

/** Requests, each counted when it is taken. */
async function* counted<Q>(requests: AsyncIterable<Q>, count: (isFirst: boolean) => void): AsyncIterable<Q> {
  let isFirst = true;
  for await (const request of requests) {
    count(isFirst);
    isFirst = false;
    yield request;
  }
}

/**
 * The requests of a stream; reads on only when the next one is asked for. Not the stream's own iterator: that one destroys the stream
 * when a refusal passes through it, before the refusal has been sent.
 */
async function* receive<Q, A>(grpcCall: ServerDuplexStream<Q, A>, signal: AbortSignal): AsyncIterable<Q> {
  let wake: (() => void) | undefined;
  const onChange = (): void => wake?.();
  const changes = ['readable', 'end', 'close'] as const;
  for (const change of changes) grpcCall.on(change, onChange);
  try {
    for (;;) {
      // grpc-js destroys the stream of a call that is over.
      if (grpcCall.destroyed) throw abortError(signal);
      const request: Q | null = grpcCall.read();
      if (request !== null) {
        yield request;
        continue;
      }
      if (grpcCall.readableEnded) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    for (const change of changes) grpcCall.off(change, onChange);
  }
}

function refuseStream<Q, A>(grpcCall: AnswerStream<Q, A>, { code, details, metadata }: StatusObject): void {
  grpcCall.emit('error', Object.assign(new Error(details), { code, details, metadata }));
}
