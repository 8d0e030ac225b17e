/**
 * Method: the three streams through a real socket. Bounds are held by counting what was taken from a source while the other side stands
 * still; the server stands still at a gate in front of the real database, the client by not reading.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import type { EnrollRequest, ImportResult } from '../../src/api.js';
import type { Frame, FrameAnswer, RemoteDatabase } from '../../src/client/remote-database.js';
import { HarmonidError } from '../../src/errors.js';
import { axis, Gate, makeVectorGallery, overriding, scattered, withServer } from './served.js';

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of source) all.push(each);
  return all;
}

/** Many calls on the same connection: whatever was written before them has been read by the server. */
async function settle(remote: RemoteDatabase): Promise<void> {
  for (let i = 0; i < 25; i++) await remote.listGalleries();
}

describe('Import', function () {
  this.timeout(30_000);

  it('gives 200 items with bad ones among them a result each', () =>
    withServer({}, async ({ database, remote }) => {
      const gallery = await makeVectorGallery(remote);
      const bad: Readonly<Record<number, Partial<EnrollRequest> & { code: string }>> = {
        3: { code: 'VECTOR_WRONG_LENGTH', embeddings: [{ ...axis(0), vector: [1] }] },
        17: { code: 'INVALID_IDENTIFIER', identity: '' },
        18: { code: 'INVALID_ARGUMENT', embeddings: [] },
        99: { code: 'GALLERY_NOT_FOUND', gallery: 'nowhere' },
        // Cannot even be sent.
        120: { code: 'INVALID_ARGUMENT', images: ['not bytes' as unknown as Uint8Array] },
        121: { code: 'INVALID_ARGUMENT', faces: 'many' as 'one' },
        199: { code: 'EMBEDDER_MISSING', embeddings: [], images: [Buffer.from('a photo')] },
      };
      const items = Array.from({ length: 200 }, (_, i): EnrollRequest => {
        const { code: _code, ...wrong } = bad[i] ?? { code: '' };
        return { gallery, identity: `p${i}`, embeddings: [scattered(i)], duplicates: 'ignore', ...wrong };
      });
      const results = await collect(remote.importAll(items));
      assert.deepEqual(
        results.map(({ index }) => index).toSorted((a, b) => a - b),
        items.map((_, i) => i),
      );
      for (const { index, identity, answer, error } of results) {
        const expected = bad[index];
        assert.equal(identity, items[index]?.identity);
        if (expected) assert.ok(error instanceof HarmonidError && error.code === expected.code, `${index}: ${error}`);
        else assert.equal(answer?.created, true, `${index}: ${error}`);
      }
      assert.equal((await database.getGallery({ gallery })).identityCount, 200 - Object.keys(bad).length);
    }));

  it('takes no more from its source than fits on the way while the server stands still', async () => {
    const gate = new Gate();
    await withServer(
      {
        importConcurrency: 4,
        around: (database) =>
          overriding(database, {
            importAll: (items, options) => {
              async function* held() {
                for await (const item of items) {
                  await gate.pass();
                  yield item;
                }
              }
              return database.importAll(held(), options);
            },
          }),
      },
      async ({ remote }) => {
        let taken = 0;
        function* items(): Generator<EnrollRequest> {
          // Large enough that flow control, not the number of messages, is what is filled.
          const image = new Uint8Array(100_000);
          for (; taken < 300; taken++) yield { identity: `p${taken}`, images: [image] };
        }
        const results = collect(remote.importAll(items()));
        await gate.arrivals(1);
        await settle(remote);
        // 16 messages each in the two stream buffers of grpc-js, and a few between.
        assert.ok(taken < 50, `${taken} of 300 were taken`);
        gate.open();
        assert.equal((await results).length, 300);
        assert.equal(taken, 300);
      },
    );
  });

  it('sends a result as soon as it is known, not with the next item', () =>
    withServer({}, async ({ remote }) => {
      const gallery = await makeVectorGallery(remote);
      const gate = new Gate();
      async function* items(): AsyncGenerator<EnrollRequest> {
        yield { gallery, identity: 'first', embeddings: [axis(0)] };
        await gate.pass();
        yield { gallery, identity: 'second', embeddings: [axis(1)] };
      }
      const seen: string[] = [];
      for await (const { identity } of remote.importAll(items())) {
        seen.push(identity);
        // The second item does not come before the first one's result.
        gate.open();
      }
      assert.deepEqual(seen, ['first', 'second']);
    }));

  it('a source that fails ends the import with its error, after the results of what had begun', () =>
    withServer({}, async ({ remote }) => {
      const gallery = await makeVectorGallery(remote);
      async function* items(): AsyncGenerator<EnrollRequest> {
        for (let i = 0; i < 5; i++) yield { gallery, identity: `p${i}`, embeddings: [axis(i)] };
        throw new RangeError('the folder is gone');
      }
      const results: ImportResult[] = [];
      await assert.rejects(async () => {
        for await (const result of remote.importAll(items())) results.push(result);
      }, new RangeError('the folder is gone'));
      assert.equal(results.filter(({ answer }) => answer).length, 5);
    }));

  it('leaving the loop ends the import and frees the source', () =>
    withServer({}, async ({ remote, logged }) => {
      const gallery = await makeVectorGallery(remote);
      let taken = 0;
      let freed = false;
      const freeing = new Gate();
      async function* items(): AsyncGenerator<EnrollRequest> {
        try {
          for (; ; taken++) yield { gallery, identity: `p${taken % 8}`, embeddings: [axis(taken)] };
        } finally {
          freed = true;
          void freeing.pass();
        }
      }
      for await (const { index } of remote.importAll(items())) if (index > 10) break;
      await freeing.arrivals(1);
      assert.equal(freed, true);
      await settle(remote);
      assert.deepEqual(logged, []);
    }));
});

describe('IdentifyStream', () => {
  it('keeps only the newest of the frames that come while one is in work', async () => {
    const gate = new Gate();
    await withServer(
      {
        around: (database) =>
          overriding(database, {
            identify: async (request) => {
              await gate.pass();
              return database.identify(request);
            },
          }),
      },
      async ({ remote }) => {
        const gallery = await makeVectorGallery(remote);
        async function* camera(): AsyncGenerator<Frame> {
          yield { sequence: 1, gallery, embedding: axis(0) };
          await gate.arrivals(1);
          for (let sequence = 2; sequence <= 10; sequence++) yield { sequence, gallery, embedding: axis(0) };
          void settle(remote).then(() => gate.open());
        }
        const answers = await collect(remote.identifyStream(camera()));
        assert.deepEqual(
          answers.map(({ sequence, dropped }) => [sequence, dropped]),
          [
            [1, 8],
            [10, 8],
          ],
        );
      },
    );
  });

  it('answers bad frames and goes on', () =>
    withServer({}, async ({ remote, logged }) => {
      const gallery = await makeVectorGallery(remote);
      await remote.enroll({ gallery, identity: 'anna', embeddings: [axis(0)] });
      const frames: Frame[] = [
        { sequence: 7, gallery, embedding: { ...axis(0), vector: [1] } },
        { sequence: 8, gallery: 'nowhere', embedding: axis(0) },
        { sequence: 9, gallery, image: Buffer.from('no image') },
        { sequence: 10, gallery, embedding: axis(0), faces: 'all' },
        { sequence: 11, gallery, embedding: axis(0), k: 1 },
      ];
      const answers: FrameAnswer[] = [];
      // Each frame waits for the answer to the one before, so that none is dropped.
      const pace = frames.map(() => new Gate());
      async function* camera() {
        for (const [i, frame] of frames.entries()) {
          yield frame;
          await pace[i]?.pass();
        }
      }
      for await (const answer of remote.identifyStream(camera())) {
        pace[answers.length]?.open();
        answers.push(answer);
      }
      assert.deepEqual(
        answers.map(({ sequence, error }) => [sequence, error?.code]),
        [
          [7, 'VECTOR_WRONG_LENGTH'],
          [8, 'GALLERY_NOT_FOUND'],
          [9, 'EMBEDDER_MISSING'],
          [10, 'INVALID_ARGUMENT'],
          [11, undefined],
        ],
      );
      assert.equal(answers[4]?.identifications?.[0]?.candidates[0]?.identity, 'anna');
      assert.deepEqual(logged, []);
    }));

  it('serves twenty cameras at a time without a warning of the process', () =>
    withServer({}, async ({ remote }) => {
      const gallery = await makeVectorGallery(remote);
      const warnings: Error[] = [];
      const onWarning = (warning: Error): void => void warnings.push(warning);
      process.on('warning', onWarning);
      const gate = new Gate();
      async function* camera(): AsyncGenerator<Frame> {
        yield { sequence: 1, gallery, embedding: axis(0) };
        await gate.pass();
      }
      const streams = Array.from({ length: 20 }, () => collect(remote.identifyStream(camera())));
      await gate.arrivals(20);
      await settle(remote);
      gate.open();
      const answers = await Promise.all(streams);
      process.off('warning', onWarning);
      assert.deepEqual(
        answers.map((each) => each.length),
        streams.map(() => 1),
      );
      assert.deepEqual(warnings, []);
    }));

  it('ends with its signal', () =>
    withServer({}, async ({ remote }) => {
      const gallery = await makeVectorGallery(remote);
      const controller = new AbortController();
      async function* camera(): AsyncGenerator<Frame> {
        yield { sequence: 1, gallery, embedding: axis(0) };
        await new Promise(() => {});
      }
      await assert.rejects(
        async () => {
          for await (const { sequence } of remote.identifyStream(camera(), { signal: controller.signal })) {
            assert.equal(sequence, 1);
            controller.abort();
          }
        },
        { code: 'CANCELLED' },
      );
    }));
});

describe('ExportTemplates', function () {
  this.timeout(30_000);

  it('is produced no faster than it is read', async () => {
    const templateCount = 4000;
    let produced = 0;
    await withServer(
      {
        around: (database) =>
          overriding(database, {
            exportTemplates: async function* (request) {
              for await (const exported of database.exportTemplates(request)) {
                produced++;
                yield exported;
              }
            },
          }),
      },
      async ({ remote, database }) => {
        const gallery = await makeVectorGallery(remote);
        for (let person = 0; person < 4; person++) {
          const embeddings = Array.from({ length: templateCount / 4 }, (_, i) => scattered(person * 1000 + i));
          const attributes = { notes: 'x'.repeat(1000) };
          await database.enroll({ gallery, identity: `p${person}`, attributes, embeddings, duplicates: 'ignore' });
        }
        const templates = new Set<number>();
        for await (const { template } of remote.exportTemplates({ gallery })) {
          if (templates.size === 0) {
            await settle(remote);
            assert.ok(produced < templateCount / 4, `${produced} were produced while one was read`);
          }
          templates.add(template.template);
        }
        assert.equal(templates.size, templateCount);
        assert.equal(produced, templateCount);
      },
    );
  });

  it('of an unknown gallery is refused', () =>
    withServer({}, async ({ remote }) => {
      await assert.rejects(collect(remote.exportTemplates({ gallery: 'nowhere' })), { code: 'GALLERY_NOT_FOUND' });
    }));
});
