/** Method: real photos over real HTTP; once as a process of its own, which is ended as an orchestrator would. Statuses are those of the README and of HTTP. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'mocha';
import { makeService } from '../../examples/fastify-service/service.js';
import type { Embedder } from '../../src/embedder/embedder.js';
import { HarmonidError } from '../../src/errors.js';
import { Gate, overriding } from '../server/served.js';
import { keptOpen, modelsPath, openTestEmbedder, temporaryFolder, withDatabase } from '../support/database.js';
import { repositoryPath } from '../support/paths.js';
import { alterations, emptyScene, groupPhoto, portrait } from '../support/photos.js';

interface Answered {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: Readonly<Record<string, unknown>>;
}

async function ask(
  method: string,
  url: string,
  photo?: Uint8Array,
  headers: Record<string, string> = {},
): Promise<Answered> {
  const answer = await fetch(url, {
    method,
    ...(photo && { body: photo, headers: { 'content-type': 'image/jpeg', ...headers } }),
  });
  return {
    status: answer.status,
    retryAfter: answer.headers.get('retry-after'),
    body: (await answer.json()) as Answered['body'],
  };
}

const codeOf = ({ status, body }: Answered): unknown[] => [status, body['code']];

describe('the Fastify service', function () {
  this.timeout(60_000);
  let embedder: Embedder;

  before(async () => {
    embedder = await openTestEmbedder();
  });
  after(() => embedder.close());

  it('enrols, knows and erases a person', () =>
    withDatabase({ embedder: keptOpen(embedder) }, async (database) => {
      const service = makeService({ database });
      const url = await service.listen({ host: '127.0.0.1', port: 0 });
      const photo = await portrait('green');
      const enrolled = await ask('POST', `${url}/people/alice/photos`, photo, { 'idempotency-key': 'alice-1' });
      assert.deepEqual([enrolled.status, enrolled.body['created']], [201, true]);
      const again = await ask('POST', `${url}/people/alice/photos`, photo, { 'idempotency-key': 'alice-1' });
      assert.equal(again.body['photo'], enrolled.body['photo']);
      const probe = await alterations.darkened(photo);
      const known = await ask('POST', `${url}/identify`, probe);
      const [best] = known.body['candidates'] as { identity: string }[];
      assert.deepEqual([known.status, known.body['decision'], best?.identity], [200, 'match', 'alice']);
      const stranger = await ask('POST', `${url}/identify`, await portrait('burgundy'));
      assert.equal(stranger.body['decision'], 'no-match');
      assert.equal((await ask('DELETE', `${url}/people/alice`)).body['existed'], true);
      assert.equal((await ask('DELETE', `${url}/people/alice`)).body['existed'], false);
      assert.equal((await ask('POST', `${url}/identify`, probe)).body['decision'], 'no-match');
      await service.close();
    }));

  it('gives every refusal its status and its code', () =>
    withDatabase({ embedder: keptOpen(embedder) }, async (database) => {
      const service = makeService({ database, photoBytesMax: 1_000_000 });
      const url = await service.listen({ host: '127.0.0.1', port: 0 });
      const enrol = (id: string, photo: Uint8Array): Promise<Answered> =>
        ask('POST', `${url}/people/${id}/photos`, photo);
      const photo = await portrait('green');
      assert.equal((await enrol('alice', photo)).status, 201);
      assert.deepEqual(codeOf(await enrol('bob', photo)), [409, 'DUPLICATE_FACE']);
      assert.deepEqual(codeOf(await enrol('bob', await emptyScene())), [422, 'NO_FACE']);
      assert.deepEqual(codeOf(await enrol('bob', groupPhoto(6))), [422, 'SEVERAL_FACES']);
      assert.deepEqual(codeOf(await enrol('bob', Buffer.from('no photo'))), [415, 'IMAGE_UNREADABLE']);
      assert.deepEqual(codeOf(await enrol('bob', new Uint8Array(1_000_001))), [413, 'IMAGE_TOO_LARGE']);
      assert.deepEqual(codeOf(await enrol('b'.repeat(129), photo)), [400, 'INVALID_IDENTIFIER']);
      assert.equal((await enrol(encodeURIComponent('早'.repeat(128)), photo)).status, 409);
      assert.deepEqual(codeOf(await ask('POST', `${url}/identify`)), [400, 'IMAGE_EMPTY']);
      assert.deepEqual(codeOf(await ask('POST', `${url}/identify`, photo, { 'content-type': 'text/plain' })), [
        415,
        'INVALID_ARGUMENT',
      ]);
      await service.close();
    }));

  it('says when to come again, and nothing of what is unexpected', () =>
    withDatabase({ embedder: false }, async (database) => {
      const failures = [
        new HarmonidError('OVERLOADED', 'busy', { details: { retryAfterMs: 1_200 } }),
        new TypeError('a secret of the implementation'),
      ];
      const identify = async (): Promise<never> => {
        throw failures.shift() ?? assert.fail('asked too often');
      };
      const service = makeService({ database: overriding(database, { identify }) });
      const url = await service.listen({ host: '127.0.0.1', port: 0 });
      const busy = await ask('POST', `${url}/identify`, Uint8Array.of(1));
      assert.deepEqual([...codeOf(busy), busy.retryAfter], [503, 'OVERLOADED', '2']);
      const failed = await ask('POST', `${url}/identify`, Uint8Array.of(1));
      assert.deepEqual([failed.status, failed.body], [500, { code: 'INTERNAL', message: 'internal error' }]);
      await service.close();
    }));

  it('answers what is in flight when it is closed, then closes the database', () =>
    withDatabase({ embedder: keptOpen(embedder) }, async (database) => {
      const gate = new Gate();
      const held = overriding(database, {
        identify: async (request) => {
          await gate.pass();
          return database.identify(request);
        },
      });
      const service = makeService({ database: held });
      const url = await service.listen({ host: '127.0.0.1', port: 0 });
      await ask('POST', `${url}/people/alice/photos`, await portrait('green'));
      const asked = ask('POST', `${url}/identify`, await portrait('green'));
      await gate.arrivals(1);
      const closed = service.close();
      gate.open();
      assert.equal((await asked).body['decision'], 'match');
      await closed;
      await assert.rejects(fetch(`${url}/identify`, { method: 'POST' }));
      await assert.rejects(database.listGalleries(), { code: 'CLOSED' });
    }));

  it('stops the work of a client that has gone', () =>
    withDatabase({ embedder: false }, async (database) => {
      const gate = new Gate();
      let stopped: Promise<unknown> | undefined;
      const identify: typeof database.identify = async ({ signal }) => {
        stopped = signal && once(signal, 'abort');
        await gate.pass();
        assert.fail('nobody opens the gate');
      };
      const service = makeService({ database: overriding(database, { identify }) });
      const url = await service.listen({ host: '127.0.0.1', port: 0 });
      const leaving = new AbortController();
      const headers = { 'content-type': 'image/jpeg' };
      const asked = fetch(`${url}/identify`, {
        method: 'POST',
        body: Uint8Array.of(1),
        headers,
        signal: leaving.signal,
      });
      await gate.arrivals(1);
      leaving.abort();
      await assert.rejects(asked, { name: 'AbortError' });
      assert.ok(stopped);
      await stopped;
      await service.close();
    }));

  it('as a process listens, answers, and ends with SIGTERM', async () => {
    const folder = temporaryFolder();
    const main = join(repositoryPath, 'dist', 'examples', 'fastify-service', 'main.js');
    mkdirSync(join(folder, 'data'));
    symlinkSync(modelsPath, join(folder, 'data', 'models'));
    const child = spawn(process.execPath, [main, join(folder, 'data'), '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    try {
      let url: string | undefined;
      for await (const line of createInterface({ input: child.stdout })) {
        url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
        if (url !== undefined) break;
      }
      assert.ok(url);
      assert.equal((await ask('POST', `${url}/people/alice/photos`, await portrait('green'))).status, 201);
      child.kill('SIGTERM');
      assert.deepEqual(await ended, [0, null]);
    } finally {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    }
  });
});
