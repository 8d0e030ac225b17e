/**
 * The thread in which the graphs of all galleries and their lanes live, seen from the main thread.
 *
 * Messages arrive in the order in which they were posted, so that a search sees every change posted before it. A worker that dies makes every
 * waiting call and every later one reject with INTERNAL; nothing hangs. Vectors cross as copies in one buffer, owner sets in shared memory.
 */
import { Worker } from 'node:worker_threads';
import { HarmonidError } from '../errors.js';
import { Outbox } from '../threads/outbox.js';
import { ThreadCalls } from '../threads/thread-calls.js';
import type { GraphCalls, GraphChange, GraphMessage, GraphReply, GraphWarning } from './graph-messages.js';

/** What needs no attention on the way. */
type Other = Exclude<keyof GraphCalls, 'open' | 'search' | 'drop'>;

export interface GraphThread {
  open(opening: GraphCalls['open']['request']): Promise<GraphCalls['open']['answer']>;
  search(request: GraphCalls['search']['request']): Promise<GraphCalls['search']['answer']>;
  /** Takes a graph out of memory; nothing may be asked of it after. */
  drop(graph: string): Promise<void>;
  call<K extends Other>(kind: K, request: GraphCalls[K]['request']): Promise<GraphCalls[K]['answer']>;
  /** Posts a committed write; it is applied before anything that is called after. */
  change(graph: string, change: GraphChange): void;
  close(): Promise<void>;
}

/** `onDeath` is told once, with the cause, when the worker ends without being asked to. */
export interface GraphThreadListener {
  readonly onDeath: (cause: unknown) => void;
  readonly onWarning: (warning: GraphWarning) => void;
  readonly onSharing?: ((sharing: NonNullable<GraphReply['sharing']>) => void) | undefined;
}

/** Of its objects that live shortly, MiB: V8 would let them grow to 48, which is more than all else in its heap, and opening a large graph makes them. */
const youngGenerationMiBMax = 12;

export function startGraphThread({ onDeath, onWarning, onSharing }: GraphThreadListener): GraphThread {
  const worker = new Worker(new URL('./graph-worker.js', import.meta.url), {
    resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMiBMax },
  });
  const outbox = new Outbox<GraphMessage>((messages, transfer) => worker.postMessage(messages, transfer));
  // Both ends are compiled together, and nobody else has this channel.
  const calls = new ThreadCalls(worker, (message) => outbox.put(message as GraphMessage));
  let closing: Promise<void> | null = null;
  /** Whether the worker has said that it is done: only then may it go. */
  let hasEnded = false;

  const die = (cause: unknown): void => {
    const death = new HarmonidError('INTERNAL', 'the graph thread has died; open the database again', { cause });
    if (calls.endWith(death)) onDeath(cause);
  };
  worker.on('error', die);
  worker.on('messageerror', die);
  worker.on('exit', (code) => {
    if (!hasEnded) die(new Error(`the graph thread ended with code ${code}`));
  });
  worker.on('message', (replies: readonly GraphReply[]) => {
    for (const reply of replies) {
      if (reply.warning) onWarning(reply.warning);
      else if (reply.sharing) onSharing?.(reply.sharing);
      else calls.take(reply);
    }
  });

  const call = <K extends keyof GraphCalls>(
    kind: K,
    request: GraphCalls[K]['request'],
  ): Promise<GraphCalls[K]['answer']> => calls.call({ kind, request }) as Promise<never>;

  return {
    call,
    open: (opening) => call('open', opening),
    search: (request) => call('search', request),
    drop: async (graph) => void (await call('drop', { graph })),
    change(graph, change) {
      if (calls.end) return;
      const { labels, owners, vectors } = change.added;
      const message = { id: 0, kind: 'change', request: { graph, change } } satisfies GraphMessage;
      outbox.put(message, [labels.buffer, owners.buffer, vectors.buffer, change.removed.buffer] as ArrayBuffer[]);
    },
    async close() {
      closing ??= (async () => {
        await call('end', {}).catch(() => undefined);
        hasEnded = true;
        await worker.terminate();
      })();
      await closing;
    },
  };
}
