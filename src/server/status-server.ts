/**
 * What machines that watch the server ask over HTTP: metrics for Prometheus, and how it is for orchestrators.
 *
 * It is open before the database is, and until the end: `/livez` says that the process turns; `/readyz` answers 200 only while calls are taken, and says in words
 * what it is doing otherwise: starting, or draining. A graph that is being built is told and takes nothing away, for answers are exact meanwhile. Nothing here
 * tells of people; it has no keys, so it listens on a loopback address unless it is told otherwise.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { HarmonidError } from '../errors.js';
import { formatAddress, listenError, parseAddress, whyNotListening } from './address.js';
import type { Metrics } from './metrics.js';

export type ServerState = 'starting' | 'serving' | 'draining';

export interface StatusServerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  readonly metrics: Metrics;
  /** Told to whoever asks why something took long, e.g. graphs that are built. */
  readonly busyWith: () => Promise<readonly string[]>;
}

export interface StatusServer {
  /** As bound. */
  readonly address: string;
  state: ServerState;
  close(): Promise<void>;
}

/** @throws ADDRESS_IN_USE, INVALID_ARGUMENT */
export async function openStatusServer({ address, metrics, busyWith }: StatusServerOptions): Promise<StatusServer> {
  const wanted = parseAddress(address);
  const reason = await whyNotListening(wanted);
  if (reason !== undefined) throw listenError(wanted, reason);
  const status = { state: 'starting' as ServerState };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    switch ((request.url ?? '').split('?')[0] ?? '') {
      case '/metrics':
        response.writeHead(200, { 'content-type': metrics.contentType }).end(await metrics.text());
        return;
      case '/livez':
        sendJson(response, 200, { state: status.state });
        return;
      case '/readyz':
        sendJson(response, status.state === 'serving' ? 200 : 503, {
          state: status.state,
          busyWith: status.state === 'serving' ? await busyWith() : [],
        });
        return;
      default:
        sendJson(response, 404, { paths: ['/metrics', '/livez', '/readyz'] });
    }
  };
  const server = createServer((request, response) => {
    void answer(request, response).catch((error: unknown) => {
      // A scrape while the database closes.
      sendJson(response, 503, { error: error instanceof Error ? error.message : String(error) });
    });
  });
  // Whoever asks has little to say.
  server.headersTimeout = 5_000;
  server.requestTimeout = 10_000;
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(wanted, error.message, error)));
    server.listen({ host: wanted.host, port: wanted.port }, resolve);
  });
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new HarmonidError('INTERNAL', 'the status server has no port');
  return {
    address: formatAddress({ host: wanted.host, port: bound.port }),
    get state() {
      return status.state;
    },
    set state(state) {
      status.state = state;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function sendJson(response: ServerResponse, code: number, body: object): void {
  if (response.headersSent) {
    response.end();
    return;
  }
  response
    .writeHead(code, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    .end(`${JSON.stringify(body)}\n`);
}
