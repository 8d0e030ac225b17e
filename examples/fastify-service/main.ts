/**
 * The service as a process: `node dist/examples/fastify-service/main.js <data directory> <port>`.
 *
 * Listens on 127.0.0.1; what is in front of it has to say who may ask. SIGTERM and SIGINT end it: requests in flight are answered, the database is closed.
 */
import { openDatabase } from 'harmonid';
import { makeService } from './service.js';

const [, , path = './data', port = '8080'] = process.argv;

const service = makeService({ database: await openDatabase({ path }), logs: true });
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void service.close());
await service.listen({ host: '127.0.0.1', port: Number(port) });
