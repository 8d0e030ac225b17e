/**
 * Work that tells how far it is, as a generator: the newest progress is yielded, older ones are dropped; whoever leaves early ends it, and goes when it
 * has ended.
 */
export async function* progressOf<Progress, T>(
  work: (onProgress: (progress: Progress) => void, signal: AbortSignal) => Promise<T>,
): AsyncGenerator<Progress, T, void> {
  const left = new AbortController();
  let newest: Progress | undefined;
  let wake: () => void = () => undefined;
  let isDone = false;
  const working = work((progress) => {
    newest = progress;
    wake();
  }, left.signal).finally(() => {
    isDone = true;
    wake();
  });
  // Whoever leaves early is not told how it ended.
  const ended = working.catch(() => undefined);
  try {
    while (!isDone) {
      if (newest !== undefined) {
        const progress = newest;
        newest = undefined;
        yield progress;
        continue;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (isDone || newest !== undefined) resolve();
      });
    }
    return await working;
  } finally {
    if (!isDone) {
      left.abort();
      await ended;
    }
  }
}
