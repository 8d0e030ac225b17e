/** What grpc-js has to say, in the server's log: by itself it writes to the standard error, and clients decide what. */
import { setLogger } from '@grpc/grpc-js';
import type { ServerLogger } from './calls.js';

/**
 * With these words grpc-js quotes a header that it ignores, whole. It may be a token with a typing error, and as many lines as clients
 * like.
 */
const ignoredHeader = 'Failed to add metadata entry';

/** For a process that is a server: grpc-js has one logger for all. */
export function logTransport(log: ServerLogger): void {
  setLogger({
    error: (message: unknown) => {
      const text = String(message);
      if (!text.startsWith(ignoredHeader)) log.error({ transport: text }, 'the transport failed');
    },
    info: (message: unknown) => log.info({ transport: String(message) }, 'the transport says'),
    debug: (message: unknown) => log.info({ transport: String(message) }, 'the transport says'),
  });
}
