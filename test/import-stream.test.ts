/** The import stream against what it promises: bounded work, results as they are known, refusals that stop nobody. */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { EnrollAnswer, EnrollRequest, ImportResult } from '../src/api.js';
import { HarmonidError } from '../src/errors.js';
import { importItems } from '../src/import-stream.js';

/** Enrolments that the test finishes by hand, in any order. */
class Desk {
  readonly waiting = new Map<string, { resolve: (answer: EnrollAnswer) => void; reject: (error: Error) => void }>();
  most = 0;

  readonly enroll = (request: EnrollRequest): Promise<EnrollAnswer> =>
    new Promise((resolve, reject) => {
      this.waiting.set(request.identity, { resolve, reject });
      this.most = Math.max(this.most, this.waiting.size);
    });

  finish(identity: string, error?: Error): void {
    const entry = this.waiting.get(identity);
    assert.ok(entry, `${identity} has not begun`);
    this.waiting.delete(identity);
    if (error) entry.reject(error);
    else entry.resolve({ identity } as EnrollAnswer);
  }
}

function item(identity: string): EnrollRequest {
  return { identity };
}

async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

describe('import stream', () => {
  it('takes no more from the source than may be in work', async () => {
    const desk = new Desk();
    let taken = 0;
    function* source(): Iterable<EnrollRequest> {
      for (const name of ['a', 'b', 'c', 'd', 'e']) {
        taken++;
        yield item(name);
      }
    }
    const results: ImportResult[] = [];
    const done = (async () => {
      for await (const result of importItems(desk.enroll, source(), { concurrency: 2 })) results.push(result);
    })();
    await turns();
    assert.equal(taken, 2);
    desk.finish('b');
    await turns();
    assert.equal(taken, 3);
    assert.deepEqual(
      results.map(({ identity, index }) => [identity, index]),
      [['b', 1]],
    );
    for (const name of ['a', 'c', 'd', 'e']) {
      desk.finish(name);
      await turns();
    }
    await done;
    assert.equal(desk.most, 2);
    assert.deepEqual(results.map(({ identity }) => identity).toSorted(), ['a', 'b', 'c', 'd', 'e']);
  });

  it('hands a result on while the source is silent', async () => {
    const desk = new Desk();
    let release: (() => void) | undefined;
    async function* source(): AsyncIterable<EnrollRequest> {
      yield item('a');
      await new Promise<void>((resolve) => (release = resolve));
    }
    const results = importItems(desk.enroll, source(), { concurrency: 4 })[Symbol.asyncIterator]();
    const first = results.next();
    await turns();
    desk.finish('a');
    assert.equal((await first).value?.identity, 'a');
    const end = results.next();
    await turns();
    release?.();
    assert.equal((await end).done, true);
  });

  it('a refused item is a result with its error, and the others go on', async () => {
    const enroll = async (request: EnrollRequest): Promise<EnrollAnswer> => {
      if (request.identity === 'b') throw new HarmonidError('NO_FACE', 'no face');
      return { identity: request.identity } as EnrollAnswer;
    };
    const results: ImportResult[] = [];
    for await (const result of importItems(enroll, ['a', 'b', 'c'].map(item), { concurrency: 1 })) results.push(result);
    assert.deepEqual(
      results.map(({ identity, error }) => [identity, error instanceof HarmonidError ? error.code : null]),
      [
        ['a', null],
        ['b', 'NO_FACE'],
        ['c', null],
      ],
    );
  });

  it('a source that throws ends the import with its error, after what had begun is finished', async () => {
    const desk = new Desk();
    function* source(): Iterable<EnrollRequest> {
      yield item('a');
      throw new Error('the disk with the photos is gone');
    }
    const done = (async () => {
      for await (const result of importItems(desk.enroll, source(), { concurrency: 2 })) void result;
    })();
    const outcome = done.then(
      () => 'ended',
      (error: Error) => error.message,
    );
    await turns();
    desk.finish('a');
    assert.equal(await outcome, 'the disk with the photos is gone');
  });

  it('warns nobody of the many that listen to one signal', async () => {
    const { signal } = new AbortController();
    const warnings: Error[] = [];
    const keep = (warning: Error): void => void warnings.push(warning);
    process.on('warning', keep);
    const listen = (request: EnrollRequest): Promise<EnrollAnswer> =>
      new Promise((resolve) => {
        request.signal?.addEventListener('abort', () => undefined);
        setImmediate(() => resolve({ identity: request.identity } as EnrollAnswer));
      });
    const items = Array.from({ length: 20 }, (_, i) => item(`${i}`));
    for await (const { error } of importItems(listen, items, { concurrency: 20, signal }))
      assert.equal(error, undefined);
    await turns();
    process.off('warning', keep);
    assert.deepEqual(warnings, []);
  });

  it('stops at an aborted signal', async () => {
    const controller = new AbortController();
    const enroll = async (request: EnrollRequest): Promise<EnrollAnswer> =>
      ({ identity: request.identity }) as EnrollAnswer;
    let closed = false;
    function* source(): Iterable<EnrollRequest> {
      try {
        for (let i = 0; ; i++) yield item(`p${i}`);
      } finally {
        closed = true;
      }
    }
    await assert.rejects(
      async () => {
        for await (const result of importItems(enroll, source(), { concurrency: 2, signal: controller.signal })) {
          if (result.index >= 3) controller.abort();
        }
      },
      (error: unknown) => error instanceof HarmonidError && error.code === 'CANCELLED',
    );
    assert.ok(closed, 'the source was not closed');
  });
});
