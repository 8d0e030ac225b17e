/**
 * Threads that do nothing but search the graphs' engines, seen from the main thread: they are started one by one when searches wait for each other.
 *
 * Each searches any of the engines that are shared, and reads exact vectors from the store by itself.
 */
import { Worker } from 'node:worker_threads';
import { HarmonidError } from '../errors.js';
import { Outbox } from '../threads/outbox.js';
import { ThreadCalls, type ThreadReply } from '../threads/thread-calls.js';
import { firstSearcher } from './engine-readers.js';
import type { GraphCalls, SearchMessage } from './graph-messages.js';
import type { SearchStats } from './records.js';
import { hasAll, type SharedEngine } from './shared-engine.js';

export interface SearchThreadsOptions {
  /** Threads, at most. */
  readonly most: number;
  /** Told once, when the first of them ends without being asked to. */
  readonly onDeath: (cause: unknown) => void;
  /** Told when one could not be started. There are no more of them then, and searches go on without. */
  readonly onFailure: (cause: unknown) => void;
}

type Search = GraphCalls['search'];

interface SearchThread {
  readonly worker: Worker;
  readonly calls: ThreadCalls;
  readonly post: (message: SearchMessage) => void;
  /** Searches that it has not answered. */
  load: number;
  /** Whether it answers by now. */
  isReady: boolean;
}

export class SearchThreads {
  readonly #options: SearchThreadsOptions;
  #most: number;
  readonly #threads: SearchThread[] = [];
  /** By graph. */
  readonly #shared = new Map<string, SharedEngine>();
  /** Changes that were posted since a graph was opened. */
  readonly #posted = new Map<string, number>();
  #isClosed = false;
  #searches = 0;

  constructor(options: SearchThreadsOptions) {
    this.#options = options;
    this.#most = options.most;
  }

  get stats(): Omit<SearchStats, 'ownSearches'> {
    return {
      running: this.#threads.filter(({ isReady }) => isReady).length,
      runningMax: this.#most,
      searches: this.#searches,
    };
  }

  opening(graph: string): void {
    this.#posted.set(graph, 0);
  }

  /** A change is posted to the graph. */
  changing(graph: string): void {
    this.#posted.set(graph, (this.#posted.get(graph) ?? 0) + 1);
  }

  share(graph: string, shared: SharedEngine | null): void {
    if (shared) this.#shared.set(graph, shared);
    else this.#shared.delete(graph);
    for (const { post } of this.#threads) post({ id: 0, kind: 'engine', request: { graph, shared } });
  }

  drop(graph: string): void {
    this.#posted.delete(graph);
    this.share(graph, null);
  }

  /**
   * The answer of a thread that has less to do than the graph's own; undefined when that one has to answer: there is no other, or it alone knows of all changes.
   * @param load searches that wait for the graph's thread
   */
  search(request: Search['request'], load: number): Promise<Search['answer']> | undefined {
    if (load === 0 || this.#isClosed) return undefined;
    const shared = this.#shared.get(request.graph);
    if (!shared || !hasAll(shared, this.#posted.get(request.graph) ?? 0)) return undefined;
    const ready = this.#threads.filter(({ isReady }) => isReady);
    const idlest = ready.reduce<SearchThread | undefined>(
      (best, one) => (best && best.load <= one.load ? best : one),
      undefined,
    );
    if (idlest && idlest.load < load) return this.#call(idlest, request);
    if (ready.length === this.#threads.length && ready.length < this.#most) this.#start();
    return undefined;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(
      this.#threads.map(async ({ worker, calls }) => {
        await calls.call({ kind: 'end', request: {} }).catch(() => undefined);
        await worker.terminate();
      }),
    );
  }

  /** Refuses what waits and whatever comes. */
  endWith(error: HarmonidError): void {
    this.#isClosed = true;
    for (const { calls } of this.#threads) calls.endWith(error);
  }

  async #call(thread: SearchThread, request: Search['request']): Promise<Search['answer']> {
    thread.load++;
    this.#searches++;
    try {
      return (await thread.calls.call({ kind: 'search', request })) as Search['answer'];
    } finally {
      thread.load--;
    }
  }

  #start(): void {
    const worker = new Worker(new URL('./search-worker.js', import.meta.url), {
      workerData: firstSearcher + this.#threads.length,
    });
    const outbox = new Outbox<SearchMessage>((messages) => worker.postMessage(messages));
    const post = (message: SearchMessage): void => outbox.put(message);
    // Both ends are compiled together, and nobody else has this channel.
    const calls = new ThreadCalls(worker, (message) => post(message as SearchMessage));
    const thread: SearchThread = { worker, calls, post, load: 0, isReady: false };
    const die = (cause: unknown): void => {
      const death = new HarmonidError('INTERNAL', 'a thread that searches has died; open the database again', {
        cause,
      });
      if (!calls.endWith(death) || this.#isClosed) return;
      if (thread.isReady) {
        this.#options.onDeath(cause);
      } else {
        // Nobody has asked it for anything.
        this.#threads.splice(this.#threads.indexOf(thread), 1);
        this.#most = this.#threads.length;
        this.#options.onFailure(cause);
      }
    };
    worker.on('error', die);
    worker.on('messageerror', die);
    worker.on('exit', (code) => die(new Error(`a thread that searches ended with code ${code}`)));
    worker.on('message', (replies: readonly ThreadReply[]) => replies.forEach((reply) => calls.take(reply)));
    this.#threads.push(thread);
    for (const [graph, shared] of this.#shared) post({ id: 0, kind: 'engine', request: { graph, shared } });
    calls.call({ kind: 'ready', request: {} }).then(
      () => (thread.isReady = true),
      () => undefined,
    );
  }
}
