/**
 * The threads of the graphs together: one in which they live and change, and others that search beside it.
 *
 * To whoever calls they are one: a search sees every change that was posted before it, and when one of them dies all calls reject with INTERNAL.
 */
import { HarmonidError } from '../errors.js';
import { startGraphThread, type GraphThread, type GraphThreadListener } from './graph-thread.js';
import type { SearchStats } from './records.js';
import { SearchThreads } from './search-threads.js';

export interface GraphThreads extends GraphThread {
  searchStats(): SearchStats;
}

export interface GraphThreadsOptions extends Pick<GraphThreadListener, 'onDeath' | 'onWarning'> {
  /** Threads that search beside that of the graphs, at most. */
  readonly searchThreads: number;
}

export function startGraphThreads({ searchThreads, onDeath, onWarning }: GraphThreadsOptions): GraphThreads {
  /** Searches that wait for the graphs' own thread. */
  let load = 0;
  let ownSearches = 0;
  let death: HarmonidError | null = null;
  const searchers = new SearchThreads({
    most: searchThreads,
    onFailure: (error) =>
      onWarning({
        graph: 'every gallery',
        message: 'a thread that searches could not be started; searches go on without it',
        facts: { error },
      }),
    onDeath(cause) {
      death ??= new HarmonidError('INTERNAL', 'a thread that searches has died; open the database again', { cause });
      searchers.endWith(death);
      onDeath(cause);
    },
  });
  const own = startGraphThread({
    onWarning,
    onSharing: ({ graph, shared }) => searchers.share(graph, shared),
    onDeath(cause) {
      searchers.endWith(new HarmonidError('INTERNAL', 'the graph thread has died; open the database again', { cause }));
      onDeath(cause);
    },
  });

  const refuseDead = (): void => {
    if (death) throw death;
  };
  return {
    async open(opening) {
      refuseDead();
      searchers.opening(opening.graph);
      return own.open(opening);
    },
    async search(request) {
      refuseDead();
      const answer = searchers.search(request, load);
      if (answer) return answer;
      load++;
      ownSearches++;
      try {
        return await own.search(request);
      } finally {
        load--;
      }
    },
    async drop(graph) {
      refuseDead();
      await own.drop(graph);
      searchers.drop(graph);
    },
    async call(kind, request) {
      refuseDead();
      return own.call(kind, request);
    },
    change(graph, change) {
      searchers.changing(graph);
      own.change(graph, change);
    },
    searchStats: () => ({ ...searchers.stats, ownSearches }),
    async close() {
      await searchers.close();
      await own.close();
    },
  };
}
