/**
 * What machines that watch the server ask over HTTP: metrics for Prometheus, and how it is for orchestrators.
 *
 * It is open before the database is, and until the end: `/livez` says that the process turns; `/readyz` answers 200 only while calls are taken, and says in words
 * what it is doing otherwise: starting, or draining. A graph that is being built is told and takes nothing away, for answers are exact meanwhile. Nothing here
 * tells of people; it has no keys, so it listens on a loopback address unless it is told otherwise.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Database } from '../api.js';
import { HarmonidError } from '../errors.js';
import { formatAddress, listenError, parseAddress, whyNotListening } from './address.js';
import type { Metrics } from './metrics.js';

type ServerState = 'starting' | 'serving' | 'draining';

export interface StatusServerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  readonly metrics: Metrics;
}

export interface StatusServer {
  /** As bound. */
  readonly address: string;
  /** Calls are taken from now on. */
  serve(database: Database): void;
  /** Calls are taken no longer. */
  drain(): void;
  close(): Promise<void>;
}

/** @throws ADDRESS_IN_USE, INVALID_ARGUMENT */
export async function openStatusServer({ address, metrics }: StatusServerOptions): Promise<StatusServer> {
  const wanted = parseAddress(address);
  const reason = await whyNotListening(wanted);
  if (reason !== undefined) throw listenError(wanted, reason);
  let state: ServerState = 'starting';
  let served: Database | null = null;
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
        sendJson(response, 200, { state });
        return;
      case '/readyz':
        sendJson(response, state === 'serving' ? 200 : 503, { state, busyWith: served ? await workOf(served) : [] });
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
    serve: (database) => {
      served = database;
      state = 'serving';
    },
    drain: () => {
      served = null;
      state = 'draining';
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Why things may take longer than usual. */
async function workOf(database: Database): Promise<readonly string[]> {
  const { galleries } = await database.stats();
  return galleries.flatMap(({ gallery, graph: { rebuild, pendingCount } }) => {
    if (rebuild)
      return [`the graph of gallery "${gallery}" is built anew: ${rebuild.builtCount} of ${rebuild.wantedCount}`];
    return pendingCount > 0 ? [`${pendingCount} templates of gallery "${gallery}" are not in its graph yet`] : [];
  });
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
