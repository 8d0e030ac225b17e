/** A thread that sends back what it gets: the price of asking a thread anything at all. */
import { parentPort } from 'node:worker_threads';

parentPort?.on('message', (message: unknown) => parentPort?.postMessage(message));
