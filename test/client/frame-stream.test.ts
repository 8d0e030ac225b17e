/**
 * Method: cameras whose frames wait for what the test sees, against servers that are really closed and started again on their port. Every frame that was
 * taken is either answered or counted as dropped: that is the sum which is checked, beside who was seen.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import {
  connectDatabase,
  type Frame,
  type FrameAnswer,
  type RemoteDatabase,
} from '../../src/client/remote-database.js';
import type { HarmonidError } from '../../src/errors.js';
import { startServer, type Server } from '../../src/server/server.js';
import { axis, Gate, makeVectorGallery, overriding, withServer, type ServedOptions } from '../server/served.js';

interface Restarting {
  readonly remote: RemoteDatabase;
  readonly stop: () => Promise<void>;
  /** On the same port. */
  readonly start: () => Promise<void>;
}

/** A server that knows anna along axis 0, and can be stopped and started again. */
async function withRestarts(options: ServedOptions, work: (parts: Restarting) => Promise<void>): Promise<void> {
  await withServer(options, async ({ database, server, remote }) => {
    await makeVectorGallery(database);
    await database.enroll({ gallery: 'lobby', identity: 'anna', embeddings: [axis(0)] });
    let running: Server = server;
    try {
      await work({
        remote,
        stop: () => running.close({ drainMs: 5_000 }),
        start: async () => {
          running = await startServer({ database, address: server.address });
        },
      });
    } finally {
      await running.close({ drainMs: 0 });
    }
  });
}

const frame = (sequence: number): Frame => ({ sequence, gallery: 'lobby', embedding: axis(0) });

const whoIn = ({ identifications }: FrameAnswer): string | undefined => identifications?.[0]?.candidates[0]?.identity;

describe('a camera stream with reconnect', function () {
  this.timeout(30_000);

  it('goes on with the newest frame when the server comes back, and counts those between', () =>
    withRestarts({}, async ({ remote, stop, start }) => {
      const [answered, isBlind, isBack] = [new Gate(), new Gate(), new Gate()];
      async function* camera(): AsyncGenerator<Frame> {
        yield frame(1);
        await answered.pass();
        await stop();
        // The stream is cut by now, or is being cut: some of these go into nothing.
        for (let sequence = 2; sequence <= 40; sequence++) yield frame(sequence);
        await isBlind.pass();
        for (let sequence = 41; sequence <= 60; sequence++) yield frame(sequence);
        await start();
        await isBack.pass();
        yield frame(61);
      }
      const interruptions: HarmonidError[] = [];
      const answers: FrameAnswer[] = [];
      const stream = remote.identifyStream(camera(), {
        reconnect: true,
        onInterruption: (error) => {
          interruptions.push(error);
          isBlind.open();
        },
      });
      for await (const answer of stream) {
        answers.push(answer);
        if (answer.sequence === 1) answered.open();
        if (answer.sequence === 60) isBack.open();
      }
      assert.deepEqual(
        answers.map((answer) => [answer.sequence, answer.dropped, whoIn(answer)]),
        [
          [1, 0, 'anna'],
          [60, 58, 'anna'],
          [61, 58, 'anna'],
        ],
      );
      assert.ok(interruptions.length >= 1);
      assert.deepEqual(new Set(interruptions.map(({ code }) => code)), new Set(['UNAVAILABLE']));
    }));

  it('sends the last frame again when the stream was cut before its answer', async () => {
    const gate = new Gate();
    let asked = 0;
    const around: ServedOptions['around'] = (database) =>
      overriding(database, {
        identify: async (request) => {
          // The first one is never answered: its server is cut off.
          if (++asked === 1) await gate.pass();
          return database.identify(request);
        },
      });
    await withServer({ around }, async ({ database, server, remote }) => {
      await makeVectorGallery(database);
      const answers: number[] = [];
      const reading = (async () => {
        const stream = remote.identifyStream([frame(7)], { reconnect: true });
        for await (const { sequence, dropped } of stream) answers.push(sequence, dropped);
      })();
      await gate.arrivals(1);
      await server.close({ drainMs: 0 });
      const again = await startServer({ database, address: server.address });
      try {
        await reading;
        assert.deepEqual(answers, [7, 0]);
      } finally {
        gate.open();
        await again.close();
      }
    });
  });

  it('leaves others their turn while a source without pauses is passed over', () =>
    withRestarts({}, async ({ remote, stop, start }) => {
      let sequence = 0;
      let isOver = false;
      function* source(): Generator<Frame> {
        while (!isOver) yield frame(++sequence);
      }
      let stopped: Promise<void> | undefined;
      let last: FrameAnswer | undefined;
      const onInterruption = (): void => {
        // Needs turns of the event loop: a reader that never gives one would wait for ever.
        stopped = stopped?.then(start).then(() => void (isOver = true));
      };
      for await (const answer of remote.identifyStream(source(), { reconnect: true, onInterruption })) {
        stopped ??= stop();
        last = answer;
      }
      await stopped;
      assert.equal(last?.sequence, sequence);
    }));

  it('ends with what cannot pass, and with its signal while it waits', async () => {
    await withRestarts({}, async ({ remote, stop }) => {
      const controller = new AbortController();
      const waiting = async (): Promise<void> => {
        const options = { reconnect: true, signal: controller.signal, onInterruption: () => controller.abort() };
        for await (const { sequence } of remote.identifyStream([frame(1)], options)) assert.fail(`${sequence}`);
      };
      await stop();
      await assert.rejects(waiting(), { code: 'CANCELLED' });
    });
    await withServer({}, async ({ server }) => {
      const remote = connectDatabase({ address: server.address });
      const failing = async (): Promise<void> => {
        async function* camera(): AsyncGenerator<Frame> {
          yield { ...frame(1), image: 'a path' as unknown as Uint8Array } as unknown as Frame;
        }
        for await (const { sequence } of remote.identifyStream(camera(), { reconnect: true }))
          assert.fail(`${sequence}`);
      };
      await assert.rejects(failing(), { code: 'INVALID_ARGUMENT' });
      await remote.close();
    });
  });

  it('frees its source when the loop is left, and throws what the source throws', () =>
    withRestarts({}, async ({ remote }) => {
      const freed = new Gate();
      async function* camera(): AsyncGenerator<Frame> {
        try {
          for (let sequence = 1; ; sequence++) yield frame(sequence);
        } finally {
          void freed.pass();
        }
      }
      for await (const { sequence } of remote.identifyStream(camera(), { reconnect: true })) if (sequence > 0) break;
      await freed.arrivals(1);
      async function* broken(): AsyncGenerator<Frame> {
        yield frame(1);
        throw new RangeError('the cable is cut');
      }
      const answers: number[] = [];
      await assert.rejects(async () => {
        for await (const { sequence } of remote.identifyStream(broken(), { reconnect: true })) answers.push(sequence);
      }, new RangeError('the cable is cut'));
      assert.deepEqual(answers, [1]);
    }));
});
