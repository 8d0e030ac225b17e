/**
 * The thread in which adapters are fitted and run: ONNX Runtime keeps its JavaScript thread busy, and this is the thread that it keeps busy. It
 * stands behind all others of the process.
 *
 * An entry point. Its first message says what it is for: a fit, or adapters.
 */
import { parentPort } from 'node:worker_threads';
import { assertInvariant, asHarmonidError } from '../errors.js';
import { freezeError } from '../threads/frozen-error.js';
import { standBehind } from '../threads/thread-priority.js';
import { openAdapter, type Adapter } from './adapter.js';
import { openAlgebra } from './dense-algebra.js';
import { matrixOf } from './matrix.js';
import type { MigrateMessage, MigrateReply } from './migrate-messages.js';
import { fitRollout } from './rollout-fit.js';

assertInvariant(parentPort, 'the migrating worker runs in a thread');
const port = parentPort;
const reply = (message: MigrateReply): void => port.postMessage(message);
const adapters = new Map<string, { readonly adapter: Adapter; readonly dimensionsTo: number }>();
const aborts = new Map<number, AbortController>();

async function answer(message: Exclude<MigrateMessage, { kind: 'abort' }>): Promise<unknown> {
  switch (message.kind) {
    case 'fit': {
      const abort = new AbortController();
      aborts.set(message.id, abort);
      const onProgress = (progress: NonNullable<MigrateReply['progress']>): void => reply({ id: message.id, progress });
      return fitRollout(await openAlgebra(), message.request, onProgress, abort.signal);
    }
    case 'open': {
      const { sha256, network, dimensionsTo } = message.request;
      if (!adapters.has(sha256))
        adapters.set(sha256, { adapter: await openAdapter(network, dimensionsTo), dimensionsTo });
      return null;
    }
    case 'map': {
      const { sha256, rows, data } = message.request;
      const opened = adapters.get(sha256);
      assertInvariant(opened, 'an adapter is open before it is used');
      return (await opened.adapter.map(matrixOf(rows, data.length / rows, data))).data;
    }
  }
}

standBehind(15);
port.on('message', (message: MigrateMessage) => {
  const { id } = message;
  if (message.kind === 'abort') {
    aborts.get(id)?.abort();
    return;
  }
  answer(message).then(
    (value) => reply({ id, answer: value }),
    (error: unknown) => reply({ id, error: freezeError(asHarmonidError(error)) }),
  );
});
