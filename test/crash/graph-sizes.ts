/** Graphs and checkpoints at a size that a short load reaches; the same for the server and for who reads after it. */
export const graphSizes = {
  /** Above so many templates a graph is searched. */
  exactMax: 64,
  /** Writes from one checkpoint to the next. */
  checkpointEvery: 50,
} as const;
