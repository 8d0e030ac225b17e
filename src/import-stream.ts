/**
 * Import: a stream of enrolments (or templates) in, a result an item out.
 *
 * At most `concurrency` items are in work, and no further item is taken from the source before one of them is done, so that
 * memory stays bounded and a slow consumer slows the source. A result is handed on as soon as it is known, not when the next
 * item arrives. An item that is refused never stops the others; a source that throws ends the import with its error, after
 * the results of what had begun.
 */
import { setMaxListeners } from 'node:events';
import { asHarmonidError, throwIfAborted } from './errors.js';

export interface ImportOptions {
  /** Items in work at the same time, at least 1. */
  readonly concurrency: number;
  readonly signal?: AbortSignal | undefined;
}

/** Something that is to be somebody's. */
export interface ImportItem {
  readonly identity: string;
  readonly signal?: AbortSignal | undefined;
}

/** An item's answer, or why it has none. */
export type ItemResult<Answer> =
  | { readonly index: number; readonly identity: string; readonly answer: Answer; readonly error?: undefined }
  | { readonly index: number; readonly identity: string; readonly error: Error; readonly answer?: undefined };

type Arrival<Item> = { readonly item: IteratorResult<Item> } | { readonly failure: unknown };

export async function* importItems<Item extends ImportItem, Answer>(
  enroll: (item: Item) => Promise<Answer>,
  items: AsyncIterable<Item> | Iterable<Item>,
  options: ImportOptions,
): AsyncIterable<ItemResult<Answer>> {
  // Every item in work listens.
  if (options.signal) setMaxListeners(0, options.signal);
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const running = new Set<Promise<void>>();
  const finished: ItemResult<Answer>[] = [];
  let isAsked = false;
  let arrival: Arrival<Item> | undefined;
  let failed: { readonly failure: unknown } | undefined;
  let exhausted = false;
  let index = 0;
  /** Ends the wait below, whatever happened. One promise for all that may happen: racing hundreds of them costs more than the work. */
  let wake = (): void => undefined;

  const ask = async (): Promise<void> => {
    isAsked = true;
    try {
      arrival = { item: await source.next() };
    } catch (failure) {
      arrival = { failure };
    }
    isAsked = false;
    wake();
  };

  const begin = (item: Item): void => {
    const at = index++;
    const { identity } = item;
    const work = enroll({ ...item, signal: item.signal ?? options.signal })
      .then(
        (answer) => finished.push({ index: at, identity, answer }),
        (error: unknown) => finished.push({ index: at, identity, error: asHarmonidError(error) }),
      )
      .then(() => {
        running.delete(work);
        wake();
      });
    running.add(work);
  };

  try {
    for (;;) {
      throwIfAborted(options.signal);
      if (arrival) {
        if ('failure' in arrival) failed = arrival;
        else if (!arrival.item.done) begin(arrival.item.value);
        exhausted = 'failure' in arrival || arrival.item.done === true;
        arrival = undefined;
      }
      // Never rejects.
      if (!exhausted && !isAsked && running.size + finished.length < options.concurrency) void ask();
      const result = finished.shift();
      if (result) {
        yield result;
        continue;
      }
      if (exhausted && running.size === 0) {
        if (failed) throw failed.failure;
        return;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    // Nothing is left running behind the caller's back; the source may free what it holds.
    await Promise.allSettled(running);
    if (!exhausted) await source.return?.(undefined);
  }
}
