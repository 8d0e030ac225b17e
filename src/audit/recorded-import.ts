/**
 * An import of which every item is on record.
 *
 * Promises: an item is handed on only when its entry `begun` is written; one whose entry cannot be written is not, and ends the import with AUDIT_UNAVAILABLE, after the results
 * of what had begun. Whatever was begun gets its outcome, also when the import is left early or cancelled: then no further item is taken from the source, and those in work end and
 * are recorded, before the import is over. So that they can be, the import itself is not cancelled: each item is.
 */
import { setMaxListeners } from 'node:events';
import { throwIfAborted } from '../errors.js';
import type { AuditFacts } from './audit-line.js';
import { codeOf, type Recorder, type Subject } from './recorder.js';

interface ImportItem {
  readonly identity: string;
  readonly signal?: AbortSignal | undefined;
}

interface ItemResult {
  /** Of the item, counted from 0 as they were handed on. */
  readonly index: number;
  readonly error?: Error | undefined;
}

export interface ImportParts<Item, Result> {
  readonly subject: Subject;
  readonly items: AsyncIterable<Item> | Iterable<Item>;
  readonly signal: AbortSignal | undefined;
  readonly subjectOf: (item: Item) => Subject;
  /** Gives a result an item, and ends when its items do. */
  readonly work: (items: AsyncIterable<Item>) => AsyncIterable<Result>;
  /** Asked once a result. */
  readonly factsOf: (result: Result) => AuditFacts;
  /** What the results sum up to. */
  readonly sum: () => AuditFacts;
}

export async function* recordedImport<Item extends ImportItem, Result extends ItemResult>(
  recorder: Recorder,
  parts: ImportParts<Item, Result>,
): AsyncGenerator<Result, void, void> {
  const { subject, signal, work, factsOf, sum } = parts;
  await recorder.begin(subject);
  const source = new RecordedSource(recorder, parts);
  const stop = (): void => source.stop();
  // Every item in work listens.
  if (signal) setMaxListeners(0, signal);
  signal?.addEventListener('abort', stop);
  let results: AsyncIterator<Result> | undefined;
  /** The next result, recorded; undefined when there is none any more. */
  const next = async (): Promise<Result | undefined> => {
    const { done, value } = (await results?.next()) ?? { done: true, value: undefined };
    if (done) return undefined;
    const { index, error } = value;
    await source.settle(index, error ? codeOf(error) : 'OK', factsOf(value));
    return value;
  };
  let outcome = 'CANCELLED';
  try {
    throwIfAborted(signal);
    results = work(source.items())[Symbol.asyncIterator]();
    for (let result = await next(); result; result = await next()) {
      throwIfAborted(signal);
      yield result;
    }
    throwIfAborted(signal);
    outcome = 'OK';
  } catch (error) {
    outcome = codeOf(error);
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    source.stop();
    try {
      while (await next());
    } catch {
      // The source's error, and whoever could be told has gone.
    }
    await source.settleRest(outcome);
    await recorder.settle(subject, outcome, sum());
  }
}

/** A class because what is begun and what is settled must agree. */
class RecordedSource<Item extends ImportItem> {
  readonly #recorder: Recorder;
  readonly #parts: Pick<ImportParts<Item, unknown>, 'items' | 'signal' | 'subjectOf'>;
  /** By number; as many as are in work. */
  readonly #begun = new Map<number, Subject>();
  #count = 0;
  #isStopped = false;
  /** Ends the wait for an item. One promise a wait: racing with one of the whole import would keep every item until its end. */
  #wake = (): void => undefined;

  constructor(recorder: Recorder, parts: Pick<ImportParts<Item, unknown>, 'items' | 'signal' | 'subjectOf'>) {
    this.#recorder = recorder;
    this.#parts = parts;
  }

  /** No further item is taken. */
  stop(): void {
    this.#isStopped = true;
    this.#wake();
  }

  async *items(): AsyncGenerator<Item, void, void> {
    const { items, signal, subjectOf } = this.#parts;
    const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
    let isAsked = false;
    let isEnded = false;
    try {
      while (!this.#isStopped) {
        isAsked = true;
        const next = await this.#orStopped(source);
        if (!next) return;
        isAsked = false;
        if (next.done) {
          isEnded = true;
          return;
        }
        const item = next.value;
        const subject = subjectOf(item);
        await this.#recorder.begin(subject);
        this.#begun.set(this.#count++, subject);
        if (this.#isStopped) return;
        yield { ...item, signal: item.signal ?? signal };
      }
    } catch (error) {
      // A source that throws has ended.
      isEnded ||= isAsked;
      throw error;
    } finally {
      const returned = isEnded ? undefined : Promise.resolve(source.return?.(undefined));
      // One that still owes an item may never give it.
      if (isAsked) void returned?.catch(() => undefined);
      else await returned;
    }
  }

  async settle(index: number, outcome: string, facts: AuditFacts): Promise<void> {
    const subject = this.#begun.get(index);
    this.#begun.delete(index);
    if (subject) await this.#recorder.settle(subject, outcome, facts);
  }

  /** What was begun and has no result. */
  async settleRest(outcome: string): Promise<void> {
    for (const index of this.#begun.keys()) await this.settle(index, outcome, {});
  }

  /** The next item; undefined when it is not waited for any more. */
  #orStopped(source: AsyncIterator<Item> | Iterator<Item>): Promise<IteratorResult<Item> | undefined> {
    return new Promise((resolve, reject) => {
      this.#wake = () => resolve(undefined);
      Promise.resolve(source.next()).then(resolve, reject);
    });
  }
}
