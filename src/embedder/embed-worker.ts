/**
 * An embedding thread: takes encoded images from the main thread, runs the pipeline, sends faces back.
 *
 * onnxruntime's `run` keeps its JavaScript thread busy until the answer is there; this is the thread that it keeps busy.
 */
import { parentPort, threadId, workerData, type MessagePort } from 'node:worker_threads';
import { asHarmonidError, assertInvariant } from '../errors.js';
import { freezeError } from '../threads/frozen-error.js';
import { SharedTurn } from '../threads/shared-turn.js';
import { standBehind } from '../threads/thread-priority.js';
import type { WorkerReply, WorkerRequest, WorkerStart } from './embed-messages.js';
import { forgetDecodedImages } from './image.js';
import { chooseProvider } from './onnx-session.js';
import { Pipeline, type PipelineOptions } from './pipeline.js';

assertInvariant(parentPort, 'embed-worker is the entry of a worker thread');
serve(parentPort, workerData as WorkerStart);

function serve(port: MessagePort, start: WorkerStart): void {
  const reply = (message: WorkerReply): void => port.postMessage(message);
  standBehind(10);
  forgetDecodedImages();
  const deviceTurn = new SharedTurn(start.deviceTurn, threadId);
  let pipeline: Pipeline | null = null;
  const inWork = new Map<number, { readonly abort: AbortController; readonly done: Promise<void> }>();

  /** Answers what comes before the first image. */
  async function prepare(answer: () => Promise<WorkerReply>): Promise<void> {
    try {
      reply(await answer());
    } catch (error) {
      reply({ kind: 'not-opened', error: freezeError(asHarmonidError(error)) });
    }
  }

  async function open(options: PipelineOptions): Promise<WorkerReply> {
    pipeline = await Pipeline.open(options, deviceTurn);
    return { kind: 'opened' };
  }

  async function embed(request: Extract<WorkerRequest, { kind: 'embed' }>, signal: AbortSignal): Promise<void> {
    assertInvariant(pipeline, 'images come after the sessions are open');
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
    pipeline?.refuseNew();
    await Promise.all([...inWork.values()].map(({ done }) => done));
    await pipeline?.close();
    port.close();
  }

  port.on('message', (request: WorkerRequest) => {
    switch (request.kind) {
      case 'choose':
        void prepare(async () => ({ kind: 'chosen', chosen: await chooseProvider(request.provider, deviceTurn) }));
        break;
      case 'open':
        void prepare(() => open(request.options));
        break;
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
}
