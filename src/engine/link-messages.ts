/** What a linking thread is given, once. */
export interface LinkTask {
  readonly memory: WebAssembly.Memory;
  /** Its number as a reader. */
  readonly reader: number;
  /** Nodes that were placed, in the order in which they are linked. Shared. */
  readonly nodes: Uint32Array;
  /** The first so many of them came for others who went. */
  readonly replacements: number;
  /** How many of `nodes` were taken by a thread. Shared; one word. */
  readonly taken: Int32Array;
  /** Whether to stop. Shared; one word. */
  readonly stop: Int32Array;
}
