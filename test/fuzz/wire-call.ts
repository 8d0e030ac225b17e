/**
 * gRPC over a connection of node's own HTTP/2, by hand: whatever a well-behaved client library would not send can be sent.
 *
 * Promises: nothing is thrown for what the server or the connection does; how a call ended is told as a word.
 */
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { setTimeout as pause } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';

/** Long past any honest answer: a call that was sent completely and has none by then hangs. Milliseconds. */
export const hangMs = 60_000;

/** More time for those who ask for more: so much of what they send is a photo that takes a second, on two cores beside eight attackers. */
const bytesPerMs = 40;

/** How a call ended: harmonid's code or gRPC's status, an HTTP status, or what became of the stream. */
export interface CallEnd {
  readonly outcome: string;
  readonly details: string;
  readonly answerBytes: number;
}

export interface WireOptions {
  /** Bytes that the server may send before we read, a stream. Default 65,535. */
  readonly windowBytes?: number;
}

/** Of a status' message; some repeat a path of thousands of characters. */
const detailsMax = 300;

/** One connection. */
export class Wire {
  readonly session: ClientHttp2Session;

  constructor(port: number, { windowBytes = 65_535 }: WireOptions = {}) {
    this.session = connect(`http://127.0.0.1:${port}`, {
      settings: { initialWindowSize: windowBytes },
      // Megabytes. By default node resets streams of its own that hold more than ten.
      maxSessionMemory: 1000,
    });
    // What becomes of a connection shows in its streams.
    this.session.on('error', () => undefined);
  }

  /** False once the server wants no more calls on it, or is gone. */
  get isOpen(): boolean {
    return !this.session.closed && !this.session.destroyed;
  }

  open(path: string, headers: OutgoingHttpHeaders = {}): ClientHttp2Stream {
    const stream = this.session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: path,
      te: 'trailers',
      'content-type': 'application/grpc',
      ...headers,
    });
    stream.on('error', () => undefined);
    return stream;
  }

  /** Sends all of `body` and ends our side. */
  call(path: string, body: Uint8Array, headers: OutgoingHttpHeaders = {}): Promise<CallEnd> {
    const stream = this.open(path, headers);
    stream.end(body);
    return endOf(stream, body.length);
  }

  close(): void {
    this.session.destroy();
  }
}

/** A connection for `work`, gone afterwards whatever became of it. */
export async function withWire(
  port: number,
  work: (wire: Wire) => Promise<void>,
  options: WireOptions = {},
): Promise<void> {
  const wire = new Wire(port, options);
  try {
    await work(wire);
  } finally {
    wire.close();
  }
}

/** Reads to the end, and tells it. A call of `sentBytes` without an end is cancelled and told as `hang`. */
export async function endOf(stream: ClientHttp2Stream, sentBytes = 0): Promise<CallEnd> {
  const limitMs = hangMs + sentBytes / bytesPerMs;
  let last: Readonly<Record<string, unknown>> = {};
  let answerBytes = 0;
  // Answers without a message have everything in the first headers.
  stream.on('response', (headers) => (last = headers));
  stream.on('trailers', (headers) => (last = { ...last, ...headers }));
  stream.on('data', (chunk: Buffer) => (answerBytes += chunk.length));
  const over = new AbortController();
  // An error comes with its 'close', and says no more than the stream's reset code.
  const closed = new Promise<boolean>((resolve) => stream.once('close', () => resolve(true)));
  const late = pause(limitMs, false, { signal: over.signal }).catch(() => false);
  const isOver = await Promise.race([closed, late]);
  over.abort();
  if (!isOver) {
    stream.close(constants.NGHTTP2_CANCEL);
    return { outcome: 'hang', details: `no end after ${limitMs} ms`, answerBytes };
  }
  return { outcome: outcomeOf(last, stream.rstCode), details: detailsOf(last), answerBytes };
}

function outcomeOf(headers: Readonly<Record<string, unknown>>, resetCode: number): string {
  if (headers['grpc-status'] !== undefined) {
    const [code, number] = [headers['harmonid-code'], Number(headers['grpc-status'])];
    return typeof code === 'string' ? code : `gRPC ${status[number] ?? number}`;
  }
  const httpStatus = Number(headers[constants.HTTP2_HEADER_STATUS] ?? 200);
  if (httpStatus !== 200) return `HTTP ${httpStatus}`;
  return `reset ${resetCode}`;
}

function detailsOf(headers: Readonly<Record<string, unknown>>): string {
  const message = headers['grpc-message'];
  return typeof message === 'string' ? message.slice(0, detailsMax) : '';
}

/** A message as gRPC frames it; `flag` 1 says that it is compressed. */
export function framed(message: Uint8Array, flag = 0, claimedBytes = message.length): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt8(flag, 0);
  header.writeUInt32BE(claimedBytes, 1);
  return Buffer.concat([header, message]);
}
