/**
 * The embedding thread: takes encoded images from the main thread, runs the pipeline, sends faces back.
 *
 * onnxruntime's `run` keeps its JavaScript thread busy until the answer is there; this is the thread that it keeps busy.
 */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { asHarmonidError, assertInvariant } from '../errors.js';
import { freezeError } from '../threads/frozen-error.js';
import type { WorkerReply, WorkerRequest, WorkerSettings } from './embed-messages.js';
import { forgetDecodedImages } from './image.js';
import { standBehind } from '../threads/thread-priority.js';
import { Pipeline } from './pipeline.js';

assertInvariant(parentPort, 'embed-worker is the entry of a worker thread');
await serve(parentPort, workerData as WorkerSettings);

async function serve(port: MessagePort, settings: WorkerSettings): Promise<void> {
  const reply = (message: WorkerReply): void => port.postMessage(message);
  standBehind(10);
  forgetDecodedImages();
  let pipeline: Pipeline;
  try {
    pipeline = await Pipeline.open(settings);
  } catch (error) {
    reply({ kind: 'not-opened', error: freezeError(asHarmonidError(error)) });
    port.close();
    return;
  }

  const inWork = new Map<number, { readonly abort: AbortController; readonly done: Promise<void> }>();

  async function embed(request: Extract<WorkerRequest, { kind: 'embed' }>, signal: AbortSignal): Promise<void> {
    const { id, bytes, alignment, largestOnly } = request;
    try {
      const image = alignment
        ? await pipeline.embedAlignedCrop(bytes, alignment, { signal })
        : await pipeline.embedImage(bytes, { signal, largestOnly });
      reply({ kind: 'embedded', id, image, counts: pipeline.counts });
    } catch (error) {
      reply({ kind: 'refused', id, error: freezeError(asHarmonidError(error)), counts: pipeline.counts });
    } finally {
      inWork.delete(id);
    }
  }

  async function close(): Promise<void> {
    pipeline.refuseNew();
    await Promise.all([...inWork.values()].map(({ done }) => done));
    await pipeline.close();
    port.close();
  }

  port.on('message', (request: WorkerRequest) => {
    switch (request.kind) {
      case 'embed': {
        const abort = new AbortController();
        inWork.set(request.id, { abort, done: embed(request, abort.signal) });
        break;
      }
      case 'abort':
        inWork.get(request.id)?.abort.abort();
        break;
      case 'close':
        void close();
        break;
    }
  });
  reply({ kind: 'opened', chosen: pipeline.provider });
}
