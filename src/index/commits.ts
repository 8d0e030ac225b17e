/**
 * The commits of one LMDB environment, one after the other: which writes share one, and what a failed one means.
 *
 * Promises: a write resolves when its commit is flushed, and rejects when it is not, whichever call failed; every waiter of a commit is told.
 * Writes asked for while a commit is under way share the next. At most one commit is in lmdb-js's hands: when one fails it is known
 * whether LMDB still takes transactions before another begins, because lmdb-js's writer would hold its lock for ever and settle nothing.
 * A commit that failed before its meta page has changed nothing, and the next may succeed. After a failed meta page everything is refused.
 */
import { HarmonidError, isHarmonidError } from '../errors.js';
import { diskError } from '../files/disk-errors.js';

/** What is used of lmdb-js's root database. */
export interface CommitEnvironment {
  childTransaction<T>(change: () => T): Promise<T>;
  transactionSync<T>(change: () => T): T;
  /** Stands for the commit under way. */
  readonly committed: PromiseLike<unknown>;
  resetReadTxn(): void;
  useReadTransaction(): { done(): void };
}

export interface Commits {
  /** Resolves with what `change` returned when it is flushed; an error of `change` is passed on and takes back only its own puts. */
  run<T>(change: () => T): Promise<T>;
  /** The same in this turn. */
  runNow<T>(change: () => T): T;
  /** @throws UNAVAILABLE when a commit has failed beyond repair */
  refuseBroken(): void;
  /** Resolves when everything asked for so far has settled. */
  ended(): Promise<void>;
}

/** Puts one write into a commit and settles its promise when the commit has succeeded or failed; never rejects. */
type Join = (group: Group) => Promise<void>;

interface Group {
  /** Until LMDB's transaction begins, which is when the first write runs. */
  isOpen: boolean;
  readonly members: Promise<void>[];
  /** When the newest of its writes had run: what follows is the commit alone. */
  changedMs: number;
  /** Whether it is told that the commit has succeeded. */
  isTold: boolean;
}

export interface CommitsOptions {
  /** The data directory, for messages. */
  readonly path: string;
  /** Told after every commit of `run` how long it took to be written and flushed, milliseconds; not of one that failed. */
  readonly onCommit?: ((ms: number) => void) | undefined;
}

export function openCommits(environment: CommitEnvironment, { path, onCommit }: CommitsOptions): Commits {
  const waiting: Join[] = [];
  let group: Group | undefined;
  let draining: Promise<void> | undefined;
  let broken: HarmonidError | undefined;

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const mine: Group = { isOpen: true, members: [], changedMs: 0, isTold: false };
      group = mine;
      for (const join of waiting.splice(0)) mine.members.push(join(mine));
      // Nobody settles before the group is closed, so that all members are there when the first has.
      await mine.members[0];
      await Promise.all(mine.members);
    }
    // In the same turn as the last look: whoever comes later begins anew.
    group = undefined;
    draining = undefined;
  }

  async function commitIn<T>(joined: Group, change: () => T): Promise<T> {
    refuseBroken();
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
    try {
      await environment.childTransaction(() => {
        joined.isOpen = false;
        // lmdb-js holds another promise for the commit, which would end the process when it fails and nobody has looked at it.
        environment.committed.then(ignore, ignore);
        try {
          outcome = { value: change() };
        } catch (error) {
          outcome = { error };
          throw error;
        } finally {
          joined.changedMs = performance.now();
        }
      });
    } catch (error) {
      const cause = await commitCause(error);
      if (cause) throw failureOf(cause.error);
      throw outcome && 'error' in outcome ? refusalOf(outcome.error, path) : error;
    }
    if (!joined.isTold) onCommit?.(performance.now() - joined.changedMs);
    joined.isTold = true;
    if (outcome && 'value' in outcome) return outcome.value;
    throw new HarmonidError('INTERNAL', 'a transaction was committed without running');
  }

  /** What a failed commit is told as; notices when it was the last. */
  function failureOf(cause: unknown): unknown {
    broken ??= refusesReaders(environment) ? brokenError(path, cause) : undefined;
    return broken ?? diskError(cause, path);
  }

  function refuseBroken(): void {
    if (broken) throw broken;
  }

  return {
    run<T>(change: () => T): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        const join: Join = (joined) => commitIn(joined, change).then(resolve, reject);
        if (group?.isOpen) group.members.push(join(group));
        else waiting.push(join);
        draining ??= drain();
      });
    },
    runNow<T>(change: () => T): T {
      refuseBroken();
      let thrown: { readonly error: unknown } | undefined;
      try {
        return environment.transactionSync(() => {
          try {
            return change();
          } catch (error) {
            thrown = { error };
            throw error;
          }
        });
      } catch (error) {
        throw thrown ? refusalOf(thrown.error, path) : failureOf(error);
      }
    },
    refuseBroken,
    async ended() {
      while (draining) await draining;
    },
  };
}

function ignore(): void {
  // The write's own promise tells.
}

/** An error of the write itself: ours as it is, LMDB's in our words. */
function refusalOf(error: unknown, path: string): unknown {
  return isHarmonidError(error) ? error : diskError(error, path);
}

function brokenError(path: string, cause: unknown): HarmonidError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new HarmonidError(
    'UNAVAILABLE',
    `the data directory ${path} could not be brought to a known state on its disk (${text}): it is not known whether the last write is there, ` +
      'and nothing is read or written any more until another process opens it',
    { details: { path }, cause },
  );
}

/** LMDB refuses every transaction, a reader's too, after a meta page could not be written. */
function refusesReaders(environment: CommitEnvironment): boolean {
  try {
    environment.resetReadTxn();
    environment.useReadTransaction().done();
    return false;
  } catch (error) {
    return error instanceof Error && error.message.includes('MDB_PANIC');
  }
}

/** lmdb-js rejects every write of a failed commit with a general error whose `commitError` tells the cause a little later. */
async function commitCause(error: unknown): Promise<{ readonly error: unknown } | undefined> {
  if (!(error instanceof Error) || !('commitError' in error)) return undefined;
  try {
    await error.commitError;
    return { error };
  } catch (cause) {
    return { error: cause };
  }
}
