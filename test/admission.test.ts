/**
 * Method: work that ends when the test says so, so that order and counts are facts. Pace is tried with work of a known duration and bounds that are far
 * from it: never a tight time.
 */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, it } from 'mocha';
import { Admission, defaultAdmissionLimits, type Admittance, type LaneLimits } from '../src/admission.js';

/** Works in the image lane; each piece of work has a name and goes on until it is ended. */
class Yard {
  readonly admission: Admission;
  /** Names in the order in which they began. */
  readonly began: string[] = [];
  readonly #ends = new Map<string, () => void>();

  constructor(image: LaneLimits) {
    this.admission = new Admission({ ...defaultAdmissionLimits, image });
  }

  come(name: string, how: Admittance = {}): Promise<string> {
    return this.admission.run('image', how, async () => {
      this.began.push(name);
      await new Promise<void>((resolve) => this.#ends.set(name, resolve));
      return name;
    });
  }

  /** Ends a piece of work and lets whoever follows begin. */
  async end(name: string): Promise<void> {
    this.#ends.get(name)?.();
    await pause(0);
  }
}

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
  );

describe('admission', () => {
  it('works on so many, lets so many wait in order, and refuses the next at once', async () => {
    const yard = new Yard({ runningMax: 2, waitingMax: 3 });
    const work = ['a', 'b', 'c', 'd', 'e'].map((name) => yard.come(name));
    assert.deepEqual(yard.began, ['a', 'b']);
    assert.equal(await codeOf(yard.come('f')), 'OVERLOADED');
    await yard.end('b');
    await yard.end('a');
    assert.deepEqual(yard.began, ['a', 'b', 'c', 'd']);
    for (const name of ['c', 'd', 'e']) await yard.end(name);
    assert.deepEqual(await Promise.all(work), ['a', 'b', 'c', 'd', 'e']);
    const [image] = yard.admission.stats();
    assert.deepEqual([image?.running, image?.waiting, image?.admitted, image?.refused], [0, 0, 5, 1]);
  });

  it('lets the living go before bulk, which still gets its turn', async () => {
    const yard = new Yard({ runningMax: 1, waitingMax: 100 });
    const work = [yard.come('first')];
    for (const i of [0, 1]) work.push(yard.come(`bulk-${i}`, { priority: 'bulk' }));
    for (let i = 0; i < 20; i++) work.push(yard.come(`live-${i}`));
    for (let i = 0; i < 23; i++) await yard.end(yard.began[i] ?? '');
    await Promise.all(work);
    // The tenth turn, and the twentieth.
    assert.deepEqual([yard.began.indexOf('bulk-0'), yard.began.indexOf('bulk-1')], [10, 20]);
    assert.deepEqual(
      yard.began.filter((name) => name.startsWith('live')),
      Array.from({ length: 20 }, (_, i) => `live-${i}`),
    );
  });

  it('gives bulk no more than half of a lane, so that a door finds room', async () => {
    const yard = new Yard({ runningMax: 4, waitingMax: 100 });
    const work = Array.from({ length: 6 }, (_, i) => yard.come(`bulk-${i}`, { priority: 'bulk' }));
    assert.deepEqual(yard.began, ['bulk-0', 'bulk-1']);
    work.push(yard.come('door'));
    assert.deepEqual(yard.began, ['bulk-0', 'bulk-1', 'door']);
    for (let i = 0; i < 7; i++) await yard.end(yard.began[i] ?? '');
    await Promise.all(work);
  });

  it('never begins what was given up while it waited', async () => {
    const yard = new Yard({ runningMax: 1, waitingMax: 10 });
    const abort = new AbortController();
    const first = yard.come('first');
    const given = codeOf(yard.come('given up', { signal: abort.signal }));
    const last = yard.come('last');
    abort.abort();
    assert.equal(await given, 'CANCELLED');
    await yard.end('first');
    await yard.end('last');
    assert.deepEqual([await first, await last], ['first', 'last']);
    assert.deepEqual(yard.began, ['first', 'last']);
    assert.equal(await codeOf(yard.come('too late', { signal: abort.signal })), 'CANCELLED');
  });

  it('passes on what the work throws, and has its place free again', async () => {
    const admission = new Admission({ ...defaultAdmissionLimits, image: { runningMax: 1, waitingMax: 0 } });
    for (let i = 0; i < 3; i++) {
      await assert.rejects(
        admission.run('image', {}, async () => {
          throw new Error(`broken ${i}`);
        }),
        { message: `broken ${i}` },
      );
    }
    assert.equal(await admission.run('image', {}, async () => 'well'), 'well');
  });

  it('refuses at once what would be too late at its pace, and says when to come again', async () => {
    const admission = new Admission({ ...defaultAdmissionLimits, image: { runningMax: 1, waitingMax: 1000 } });
    const work = (how: Admittance = {}): Promise<void> => admission.run('image', how, () => pause(20));
    // Ten, one after the other, 20 ms each or more.
    await Promise.all(Array.from({ length: 10 }, () => work()));
    const queue = Array.from({ length: 50 }, () => work());
    // Fifty of them take a second at the very least; the last but one moment is far off.
    const startedMs = performance.now();
    await assert.rejects(work({ deadlineAt: Date.now() + 300 }), (error) => {
      const { code, details } = error as { code: unknown; details: { lane: string; retryAfterMs: number } };
      assert.deepEqual([code, details.lane], ['OVERLOADED', 'image']);
      assert.ok(details.retryAfterMs >= 900, String(details.retryAfterMs));
      return true;
    });
    assert.ok(performance.now() - startedMs < 200, 'a refusal does not wait');
    // In good time, however slow this machine is.
    const patient = work({ deadlineAt: Date.now() + 3_600_000 });
    await Promise.all([...queue, patient]);
  });

  it('lets everybody into an idle lane, whatever the deadline: somebody has to try', async () => {
    const admission = new Admission();
    await admission.run('image', { deadlineAt: 0 }, async () => undefined);
  });

  it('refuses at once, though there is room, what those at work would make too late', async () => {
    const admission = new Admission({ ...defaultAdmissionLimits, image: { runningMax: 64, waitingMax: 0 } });
    // As in an embedder, everybody who is at work waits for the others: 20 ms each or more, one after the other.
    let queue = Promise.resolve();
    const work = (how: Admittance = {}): Promise<void> =>
      admission.run('image', how, () => (queue = queue.then(() => pause(20))));
    await Promise.all(Array.from({ length: 40 }, () => work()));
    const atWork = Array.from({ length: 20 }, () => work());
    // Done after 21 times 20 ms at the earliest.
    assert.equal(await codeOf(work({ deadlineAt: Date.now() + 200 })), 'OVERLOADED');
    await Promise.all([...atWork, work({ deadlineAt: Date.now() + 3_600_000 })]);
  });

  it('is not made to look quick by work that was given up', async () => {
    const admission = new Admission({ ...defaultAdmissionLimits, image: { runningMax: 1, waitingMax: 1000 } });
    const work = (how: Admittance = {}): Promise<void> => admission.run('image', how, () => pause(20));
    await Promise.all(Array.from({ length: 10 }, () => work()));
    // Begun and given up in no time, a hundred times, while others wait.
    const givenUp = Array.from({ length: 100 }, () => {
      const abort = new AbortController();
      return admission.run('image', { signal: abort.signal }, async () => abort.abort());
    });
    const queue = Array.from({ length: 20 }, () => work());
    await Promise.all(givenUp);
    assert.equal(await codeOf(work({ deadlineAt: Date.now() + 200 })), 'OVERLOADED');
    await Promise.all(queue);
  });

  it('gives bulk an eighth of a lane while people come', async () => {
    const yard = new Yard({ runningMax: 16, waitingMax: 100 });
    const work = [yard.come('door')];
    for (let i = 0; i < 6; i++) work.push(yard.come(`bulk-${i}`, { priority: 'bulk' }));
    assert.deepEqual(yard.began, ['door', 'bulk-0', 'bulk-1']);
    for (let i = 0; i < 7; i++) await yard.end(yard.began[i] ?? '');
    await Promise.all(work);
  });
});
