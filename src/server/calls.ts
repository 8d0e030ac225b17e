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
  type ServerDuplexStream,
  type ServerWritableStream,
  type StatusObject,
} from '@grpc/grpc-js';
import { abortError, asHarmonidError, HarmonidError, throwIfAborted } from '../errors.js';
import { statusOf } from '../wire/error-status.js';

/** What is needed of a logger; pino's has it. */
export interface ServerLogger {
  error(facts: object, message: string): void;
  info(facts: object, message: string): void;
}

/** What a handler is given beside its request. */
export interface CallContext {
  /** Fires when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Fires when the server begins to drain: streams without an end of their own should end. */
  readonly draining: AbortSignal;
  /** An error that becomes part of an answer; the same funnel as for the call's own. */
  readonly report: (error: unknown) => HarmonidError;
}

/** What all kinds of calls have in grpc-js. */
interface CallSurface {
  getPath(): string;
  getDeadline(): Date | number;
  on(event: 'cancelled', listener: () => void): unknown;
}

type AnswerStream<Q, A> = ServerWritableStream<Q, A> | ServerDuplexStream<Q, A>;

export class Calls {
  readonly #log: ServerLogger | undefined;
  readonly #inFlight = new Set<Call>();
  readonly #draining = new AbortController();

  constructor(log: ServerLogger | undefined) {
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

  unary<Q, A>(answer: (request: Q, context: CallContext) => Promise<A>): handleUnaryCall<Q, A> {
    return (grpcCall, callback) => {
      const call = this.#begin(grpcCall, callback);
      void call.run(async () => {
        const answered = await answer(grpcCall.request, call);
        call.finish(() => callback(null, answered));
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
      void call.run(() => send(answers(receive(grpcCall, call.signal), call), grpcCall, call));
    };
  }

  #begin(grpcCall: CallSurface, refuse: (refused: StatusObject) => void): Call {
    const call = new Call({
      method: grpcCall.getPath(),
      draining: this.draining,
      log: this.#log,
      refuse,
      end: () => this.#inFlight.delete(call),
    });
    this.#inFlight.add(call);
    // grpc-js emits this for a deadline, for a client that is gone, and after every answer.
    grpcCall.on('cancelled', () => call.lose(grpcCall.getDeadline()));
    call.loseAt(Number(grpcCall.getDeadline()));
    return call;
  }
}

interface CallParts {
  readonly method: string;
  readonly draining: AbortSignal;
  readonly log: ServerLogger | undefined;
  readonly refuse: (refused: StatusObject) => void;
  /** Called once, when the handler is done. */
  readonly end: () => void;
}

/** One call: answered once, by whoever comes first of its handler, its client and its server. */
class Call implements CallContext {
  readonly #parts: CallParts;
  readonly #controller = new AbortController();
  #answered = false;
  #deadlineTimer: NodeJS.Timeout | undefined;

  constructor(parts: CallParts) {
    this.#parts = parts;
    // Nor is one for every item of an import, or face of a photo, in work.
    setMaxListeners(0, this.#controller.signal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get draining(): AbortSignal {
    return this.#parts.draining;
  }

  readonly report = (error: unknown): HarmonidError => {
    const known = asHarmonidError(error);
    if (known.code === 'INTERNAL') {
      this.#parts.log?.error({ err: known.cause ?? known, method: this.#parts.method }, 'call failed unexpectedly');
    }
    return known;
  };

  /** Runs the handler and turns its failure into the answer. */
  async run(handler: () => Promise<void>): Promise<void> {
    try {
      await handler();
    } catch (error) {
      this.#refuse(this.report(error));
    } finally {
      clearTimeout(this.#deadlineTimer);
      this.#parts.end();
    }
  }

  /** Gives the answer, unless one was given. */
  finish(answer: () => void): void {
    if (this.#answered) return;
    this.#answered = true;
    answer();
  }

  /** Nobody waits any more; grpc-js has told the client what there is to tell. */
  lose(deadline: Date | number): void {
    if (this.#answered) return;
    this.#answered = true;
    const passed = Date.now() >= Number(deadline);
    this.#controller.abort(
      passed
        ? new HarmonidError('DEADLINE_EXCEEDED', 'the deadline passed before the answer was ready')
        : new HarmonidError('CANCELLED', 'the caller cancelled the request'),
    );
  }

  /** grpc-js tells of a deadline only when its answer has gone, which waits for clients that do not read. */
  loseAt(deadline: number): void {
    if (Number.isFinite(deadline)) {
      this.#deadlineTimer = setTimeout(() => this.lose(0), Math.max(0, deadline - Date.now()));
    }
  }

  /** The server does not wait any more. */
  abandon(error: HarmonidError): void {
    this.#refuse(error);
    this.#controller.abort(error);
  }

  #refuse(error: HarmonidError): void {
    this.finish(() => this.#parts.refuse(statusOf(error)));
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
  call.finish(() => grpcCall.end());
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
