/**
 * The single writer of one gallery: operations are prepared, committed and shown to the graph in batches, one batch after the other.
 *
 * Promises: an operation is prepared (searched for duplicates, say) when every earlier one is either visible or certain not to
 * disturb it, so that of two enrolments of one face under two names one wins. The next batch begins as soon as this one is visible; its
 * flush is waited for outside, so that flushes are shared. An operation that is refused has written nothing; when the store fails, the whole batch has.
 */
import { HarmonidError, isHarmonidError } from '../errors.js';
import { squaredDistance } from '../vector.js';
import type { GalleryEdit } from './gallery-changes.js';

export interface Operation<T> {
  /** Runs before the transaction and gives `apply` what it needs. May be asynchronous; throwing refuses the operation. */
  readonly prepare?: (() => Promise<void>) | undefined;
  /** Runs inside the transaction: validates, then writes. */
  readonly apply: (edit: GalleryEdit) => T;
  /** Nothing shares a batch with it. */
  readonly alone?: boolean | undefined;
  /** It destroys a key before the transaction: only others that do share its batch, since whatever needs the key must be done. */
  readonly destroys?: boolean | undefined;
  /** It takes vectors away, so that an enrolment after it must wait until they are gone. */
  readonly removes?: boolean | undefined;
  /** New vectors of an identity; `checked` when they are compared with those of others. */
  readonly faces?:
    { readonly identity: string; readonly vectors: readonly Float32Array[]; readonly checked: boolean } | undefined;
  /** Refused when it has fired before the work begins. */
  readonly begin?: (() => void) | undefined;
}

/** How a batch is committed: resolves when it is visible to readers and to the graph. */
export type Commit = (apply: (edit: GalleryEdit) => void) => Promise<{ readonly durable: Promise<void> }>;

export interface WriteQueue {
  /** Resolves when the operation is durable (or visible, by the queue's setting). */
  run<T>(operation: Operation<T>): Promise<T>;
  /** Resolves when everything asked for so far is done. */
  drained(): Promise<void>;
}

export interface WriteQueueOptions {
  readonly commit: Commit;
  /** Faces nearer than this may be duplicates of each other. */
  readonly threshold: () => number;
  readonly durability: 'flushed' | 'committed';
}

export const batchOperationsMax = 64;
/** Vectors in one transaction: larger shares more, smaller keeps the event loop free. */
const batchVectorsMax = 256;
/** Comparisons of faces within a batch: about 2 ms. */
const batchComparisonsMax = 20_000;

interface Queued {
  readonly operation: Operation<unknown>;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };

export function openWriteQueue({ commit, threshold, durability }: WriteQueueOptions): WriteQueue {
  const queue: Queued[] = [];
  const acknowledging = new Set<Promise<unknown>>();
  let draining: Promise<void> | null = null;

  async function drain(): Promise<void> {
    // A turn later, so that calls of one turn share a batch.
    await Promise.resolve();
    while (queue.length > 0) await runBatch(takeBatch(queue, threshold()));
    // In the same turn as the last look at the queue: whoever comes later begins anew.
    draining = null;
  }

  async function runBatch(batch: readonly Queued[]): Promise<void> {
    const outcomes = new Map<Queued, Outcome>();
    await Promise.all(
      batch.map(async (queued) => {
        try {
          queued.operation.begin?.();
          await queued.operation.prepare?.();
        } catch (error) {
          outcomes.set(queued, { error });
        }
      }),
    );
    const prepared = batch.filter((queued) => !outcomes.has(queued));
    try {
      if (prepared.length > 0) {
        const { durable } = await commit((edit) => {
          for (const queued of prepared) outcomes.set(queued, applyOne(edit, queued.operation));
        });
        acknowledge(prepared, outcomes, durability === 'flushed' ? durable : Promise.resolve());
      }
    } catch (error) {
      for (const { reject } of prepared) reject(error);
    }
    for (const queued of batch) if (!prepared.includes(queued)) settle(queued, outcomes.get(queued));
  }

  function acknowledge(batch: readonly Queued[], outcomes: Map<Queued, Outcome>, durable: Promise<void>): void {
    const acknowledged = durable.then(
      () => batch.forEach((queued) => settle(queued, outcomes.get(queued))),
      (error: unknown) => batch.forEach(({ reject }) => reject(error)),
    );
    acknowledging.add(acknowledged);
    void acknowledged.finally(() => acknowledging.delete(acknowledged));
  }

  return {
    run<T>(operation: Operation<T>): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        queue.push({ operation, resolve, reject });
        draining ??= drain();
      });
    },
    async drained() {
      while (draining || acknowledging.size > 0) await Promise.all([draining, ...acknowledging]);
    },
  };
}

function settle({ resolve, reject }: Queued, outcome: Outcome | undefined): void {
  if (outcome && 'value' in outcome) resolve(outcome.value as never);
  else reject(outcome?.error ?? new HarmonidError('INTERNAL', 'an operation was committed without an outcome'));
}

/** Refusals stay with their operation; anything that fails after it has begun to write takes the transaction back. */
function applyOne(edit: GalleryEdit, { apply }: Operation<unknown>): Outcome {
  let wrote = false;
  const { writer } = edit;
  const watched: GalleryEdit['writer'] = {
    ...writer,
    put: (...put) => {
      wrote = true;
      writer.put(...put);
    },
    remove: (...remove) => {
      wrote = true;
      writer.remove(...remove);
    },
  };
  const own: GalleryEdit = { ...edit, writer: watched };
  try {
    const value = apply(own);
    edit.record = own.record;
    edit.erasedCount = own.erasedCount;
    return { value };
  } catch (error) {
    if (wrote || !isHarmonidError(error)) throw error;
    return { error };
  }
}

/** Takes the longest beginning of the queue whose operations cannot disturb each other; at least one. */
function takeBatch(queue: Queued[], threshold: number): readonly Queued[] {
  let taken = 0;
  let vectorCount = 0;
  let comparisons = 0;
  let removes = false;
  const faces: NonNullable<Operation<unknown>['faces']>[] = [];
  for (const { operation } of queue) {
    const mine = operation.faces;
    if (taken > 0) {
      if (taken === batchOperationsMax || operation.alone) break;
      if ((operation.destroys ?? false) !== (queue[0]?.operation.destroys ?? false)) break;
      if (vectorCount + (mine?.vectors.length ?? 0) > batchVectorsMax) break;
      if (mine?.checked) {
        comparisons += vectorCount * mine.vectors.length;
        if (removes || comparisons > batchComparisonsMax || faces.some((other) => isNear(mine, other, threshold)))
          break;
      }
    }
    taken++;
    if (operation.alone) break;
    if (operation.removes) removes = true;
    if (mine) {
      faces.push(mine);
      vectorCount += mine.vectors.length;
    }
  }
  return queue.splice(0, taken);
}

type Faces = NonNullable<Operation<unknown>['faces']>;

function isNear(a: Faces, b: Faces, threshold: number): boolean {
  if (a.identity === b.identity) return false;
  return a.vectors.some((one) =>
    b.vectors.some((other) => one.length !== other.length || squaredDistance(one, other) <= threshold),
  );
}
