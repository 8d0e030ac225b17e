/**
 * A graph as its thread uses it: everything that a search or a change does is done when the call returns, and the rest a little at a time in between.
 */
import type { GraphFile } from './checkpoint.js';
import type { Graph, GraphAnswer, GraphCounts, GraphEntries, GraphQuery } from './graph.js';

/** How a graph file of an encrypted directory is sealed. */
export interface FileSealing {
  /** Name of the directory's keyring; names its files in memory. */
  readonly directory: string;
  readonly key: Uint8Array;
}

export interface SaveTarget {
  /** The data directory. */
  readonly path: string;
  /** Of a fresh file. */
  readonly name: string;
  readonly sealing: FileSealing | null;
}

/** The file that the newest checkpoint names. */
export interface RecordedFile extends Pick<GraphFile, 'name' | 'sha256' | 'root'> {
  /** Number of the gallery's last change that is in it. */
  readonly sequence: number;
  readonly path: string;
  readonly readOnly: boolean;
  readonly sealing: FileSealing | null;
}

export interface HostedOpening {
  readonly openedFrom: 'checkpoint' | 'rebuild' | 'new';
  /** Why the file was not used. */
  readonly warning: string | null;
}

export interface HostedGraph extends Graph {
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
  /** Once, before anything else: takes everything from its source, and the graph from the file when that can be used. */
  open(file: RecordedFile | null): Promise<HostedOpening>;
  /**
   * Writes the graph to a fresh file, or what has changed to the one it has. What it returns is on the disk, and holds when a record names it. Null when there is no graph, or no room to
   * seal one. Searches go on meanwhile.
   * @throws DISK_FULL or whatever the file system says; the file that the record names is as it was
   */
  save(target: SaveTarget): Promise<GraphFile | null>;
  /** A record names what was saved last: nothing else of the file's content is needed any more. */
  kept(): Promise<void>;
}
