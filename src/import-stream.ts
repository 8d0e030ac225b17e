/**
 * Import: a stream of enrolments in, a result an item out.
 *
 * At most `concurrency` items are in work, and no further item is taken from the source before one of them is done, so that
 * memory stays bounded and a slow consumer slows the source. A result is handed on as soon as it is known, not when the next
 * item arrives. An item that is refused never stops the others; a source that throws ends the import with its error, after
 * what had begun is finished.
 */
import type { EnrollAnswer, EnrollRequest, ImportResult } from './api.js';
import { asHarmonidError, throwIfAborted } from './errors.js';

export interface ImportOptions {
  /** Items in work at the same time, at least 1. */
  readonly concurrency: number;
  readonly signal?: AbortSignal | undefined;
}

type Source = AsyncIterable<EnrollRequest> | Iterable<EnrollRequest>;
type Event =
  { readonly item: IteratorResult<EnrollRequest> } | { readonly work: Promise<Event>; readonly result: ImportResult };

export async function* importItems(
  enroll: (request: EnrollRequest) => Promise<EnrollAnswer>,
  items: Source,
  options: ImportOptions,
): AsyncIterable<ImportResult> {
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const running = new Set<Promise<Event>>();
  let arriving: Promise<Event> | undefined;
  let exhausted = false;
  let index = 0;

  const begin = (item: EnrollRequest): void => {
    const at = index++;
    const request = { ...item, signal: item.signal ?? options.signal };
    const work: Promise<Event> = enroll(request).then(
      (answer) => ({ work, result: { index: at, identity: item.identity, answer } }),
      (error: unknown) => ({ work, result: { index: at, identity: item.identity, error: asHarmonidError(error) } }),
    );
    running.add(work);
  };

  try {
    for (;;) {
      throwIfAborted(options.signal);
      if (!exhausted && !arriving && running.size < options.concurrency) {
        arriving = Promise.resolve(source.next()).then((item) => ({ item }));
      }
      const awaited = arriving ? [arriving, ...running] : [...running];
      if (awaited.length === 0) return;
      const event = await Promise.race(awaited);
      if ('item' in event) {
        arriving = undefined;
        if (event.item.done) exhausted = true;
        else begin(event.item.value);
      } else {
        running.delete(event.work);
        yield event.result;
      }
    }
  } finally {
    // Nothing is left running behind the caller's back; the source may free what it holds.
    await Promise.allSettled(running);
    if (!exhausted) await source.return?.(undefined);
  }
}
