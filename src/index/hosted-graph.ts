/**
 * A graph as its thread uses it: everything that a search or a change does is done when the call returns, and the rest a little at a time in between.
 */
import type { Graph, GraphAnswer, GraphCounts, GraphEntries, GraphQuery } from './graph.js';
import type { GraphFile } from './checkpoint.js';

/** How a graph file of an encrypted directory is sealed. */
export interface FileSealing {
  /** Name of the directory's keyring; names its files in memory. */
  readonly directory: string;
  readonly key: Uint8Array;
}

export interface SaveTarget {
  /** The data directory. */
  readonly path: string;
  readonly name: string;
  readonly sealing: FileSealing | null;
}

export interface LoadedFile {
  readonly path: string;
  readonly readOnly: boolean;
  readonly name: string;
  readonly sha256: string;
  readonly sealing: FileSealing | null;
}

export interface HostedGraph extends Graph {
  readonly count: number;
  /** As `search`, at once. */
  searchNow(query: GraphQuery): GraphAnswer;
  /**
   * To be called after answers: gives the background as much time as searches have just lost by scanning a long queue. Without it
   * steady searching would starve the graph, and every search would scan an ever longer queue.
   */
  catchUp(): void;
  addNow(entries: GraphEntries): void;
  removeNow(labels: Uint32Array): void;
  countsNow(): GraphCounts;
  /**
   * Writes the graph to a file, verified and in place; null when there is no graph, or no room to seal one. Searches go on meanwhile.
   * @throws DISK_FULL or whatever the file system says; the folder is then as it was before
   */
  save(target: SaveTarget): Promise<GraphFile | null>;
  /** Before anything is added: takes everything from the source, and the graph from the file when one is given that can be used. */
  open(file: LoadedFile | null): Promise<HostedOpening>;
}

export interface HostedOpening {
  readonly openedFrom: 'checkpoint' | 'rebuild' | 'new';
  /** Why the file was not used. */
  readonly warning: string | null;
}
