/**
 * How long a search and a write are held up while a checkpoint is written and while a graph is built anew, beside a quiet index.
 *
 * Searches and durable writes go on one after the other, from the main thread, some hundred a second of either; what counts is the
 * longest. Then they flood it, as many as the machine can do, with nothing else, with a checkpoint and with a rebuild under way: there
 * the queue makes the time, and the flood alone is what to compare with. A scheduler that gives the cores to others shows in the quiet phase, too.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { IdentityIndex } from '../src/index/identity-index.js';
import type { UnitVector } from '../src/vector.js';
import { percentile, runLoad } from './measure.js';
import { gallery, space, type Stalls } from './reopen-messages.js';
import { rounded, type Row } from './report.js';

const quietMs = 5_000;
/** Short, also while a graph is built: to the end of that it would enrol a second gallery. */
const floodMs = 3_000;
const floodLanes = 16;
/** Between two calls of a lane: doors, not a flood. */
const pauseMs = 5;
const ef = 128;
/** Share of the templates that is removed: beyond the one at which a graph is built anew. */
const removedShare = 0.22;
const erasedCount = 10;

export async function measureStalls(index: IdentityIndex, probes: readonly UnitVector[]): Promise<Stalls> {
  const calls = new Calls(index, probes);
  const enrolledCount = index.getGallery(gallery).identityCount;
  const quiet = await calls.during('quiet', () => pause(quietMs));
  const checkpoint = await calls.during('a checkpoint is written', () => index.checkpoint(gallery));
  const erase = await calls.during(`${erasedCount} identities are erased, one after the other`, () =>
    runLoad(erasedCount, 1, (i) => index.eraseIdentity(gallery, String(i))),
  );
  const flood = await calls.during('nothing else', () => pause(floodMs), floodLanes);
  await index.settle();
  const floodedCheckpoint = await calls.during('a checkpoint is written', () => index.checkpoint(gallery), floodLanes);
  await index.settle();
  const { templateCount } = index.getGallery(gallery);
  const removed = Math.ceil(templateCount * removedShare);
  const remove = await calls.during(`${removed} templates are removed, 16 at once`, () =>
    runLoad(removed, 16, (i) => {
      const drawn = erasedCount + i;
      // In a small gallery the flood has written more than was there.
      const identity = drawn < enrolledCount ? String(drawn) : `written-${drawn - enrolledCount}`;
      const [template] = index.getIdentity(gallery, identity).templates;
      return index.removeTemplate(gallery, identity, template?.template ?? 0);
    }),
  );
  const floodedRebuild = await calls.during('the graph is built anew', () => pause(floodMs), floodLanes);
  const rebuild = await calls.during('the graph is built anew', () => index.settle());
  return { steady: [quiet, checkpoint, erase, remove, rebuild], flooded: [flood, floodedCheckpoint, floodedRebuild] };
}

/** A class because it counts. */
class Calls {
  readonly #index: IdentityIndex;
  readonly #probes: readonly UnitVector[];
  #searchCount = 0;
  #writeCount = 0;

  constructor(index: IdentityIndex, probes: readonly UnitVector[]) {
    this.#index = index;
    this.#probes = probes;
  }

  /** Searches and writes until `work` is done: one of either at a time and pauses between, or so many lanes of either without. */
  async during(phase: string, work: () => Promise<unknown>, lanes = 1): Promise<Row> {
    let isDone = false;
    const repeat = async (call: () => Promise<unknown>): Promise<readonly number[]> => {
      const callMs: number[] = [];
      const lane = async (): Promise<void> => {
        do {
          const calledAt = performance.now();
          await call();
          callMs.push(performance.now() - calledAt);
          if (lanes === 1) await pause(pauseMs);
        } while (!isDone);
      };
      await Promise.all(Array.from({ length: lanes }, lane));
      return callMs;
    };
    const startedAt = performance.now();
    const worked = work().finally(() => (isDone = true));
    const [searchMs, writeMs] = await Promise.all([repeat(() => this.#search()), repeat(() => this.#write()), worked]);
    return {
      while: phase,
      seconds: rounded((performance.now() - startedAt) / 1000),
      searches: searchMs.length,
      searchP50Ms: rounded(percentile(searchMs, 0.5)),
      searchP99Ms: rounded(percentile(searchMs, 0.99)),
      searchLongestMs: rounded(percentile(searchMs, 1)),
      writes: writeMs.length,
      writeP50Ms: rounded(percentile(writeMs, 0.5)),
      writeP99Ms: rounded(percentile(writeMs, 0.99)),
      writeLongestMs: rounded(percentile(writeMs, 1)),
    };
  }

  #search(): Promise<unknown> {
    const probe = this.#probe(this.#searchCount++);
    return this.#index.search({ gallery, space, probe, k: 10, exact: false, ef });
  }

  #write(): Promise<unknown> {
    const count = this.#writeCount++;
    return this.#index.enroll({
      gallery,
      identity: `written-${count}`,
      templates: [{ vector: this.#probe(count), space, origin: 'native', quality: null, imageDigest: null }],
    });
  }

  #probe(count: number): UnitVector {
    return this.#probes[count % this.#probes.length] as UnitVector;
  }
}
