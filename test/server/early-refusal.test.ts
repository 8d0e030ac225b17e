/** Method: a bare grpc-js server with one echoing method, asked by grpc-js and by node:http2, so that what is on the wire can be seen. */
import assert from 'node:assert/strict';
import { connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { once } from 'node:events';
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServiceError,
} from '@grpc/grpc-js';
import { after, before, beforeEach, describe, it } from 'mocha';
import { busyStatus } from '../../src/server/busy-turn.js';
import { refuseEarly } from '../../src/server/early-refusal.js';
import { http2ServersOf } from '../../src/server/http2-servers.js';
import { errorOfStatus } from '../../src/wire/error-status.js';

const path = '/test.Echo/Ask';
const asIs = (bytes: Buffer): Buffer => bytes;

describe('an early refusal', () => {
  let isRefusing = false;
  let intercepted = 0;
  let leftMs: number[] = [];
  const server = new Server({
    interceptors: [
      (_method, call) => {
        intercepted++;
        return new ServerInterceptingCall(call);
      },
    ],
  });
  let address: string;
  let client: Client;

  before(async () => {
    const serialization = {
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    };
    server.addService(
      { ask: { path, requestStream: false, responseStream: false, ...serialization } },
      { ask: (call: { request: Buffer }, answer: (error: null, value: Buffer) => void) => answer(null, call.request) },
    );
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    const isRefused = (asked: string, left: number): boolean => {
      assert.equal(asked, path);
      leftMs.push(left);
      return isRefusing;
    };
    const http2Servers = http2ServersOf(server);
    // The release of grpc-js that is installed lets us.
    assert.equal(http2Servers.length, 1);
    refuseEarly(http2Servers, { isRefused, status: busyStatus });
    address = `127.0.0.1:${port}`;
    client = new Client(address, credentials.createInsecure());
  });

  beforeEach(() => {
    [isRefusing, intercepted, leftMs] = [false, 0, []];
  });

  after(() => {
    client.close();
    server.forceShutdown();
  });

  const ask = (deadline = Infinity): Promise<string> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, asIs, asIs, Buffer.from('hello'), { deadline }, (error, answer) =>
        error ? reject(error) : resolve(String(answer)),
      );
    });

  it('leaves a call that is taken to grpc-js, and knows how much time it has left', async () => {
    assert.equal(await ask(), 'hello');
    assert.equal(await ask(Date.now() + 60_000), 'hello');
    assert.equal(intercepted, 2);
    const [never, soon = 0] = leftMs;
    assert.equal(never, Infinity);
    assert.ok(soon > 1_000 && soon <= 60_000, String(soon));
  });

  it('is told as any other, with the hint when to try again, and grpc-js never sees the call', async () => {
    isRefusing = true;
    await assert.rejects(ask(), (error: ServiceError) => {
      const told = errorOfStatus(error, address);
      assert.deepEqual([told.code, told.details['retryAfterMs']], ['OVERLOADED', 1000]);
      assert.deepEqual(error.metadata.get('grpc-retry-pushback-ms'), ['1000']);
      return true;
    });
    assert.equal(intercepted, 0);
    // The connection is as good as before.
    isRefusing = false;
    assert.equal(await ask(), 'hello');
  });

  it('waits for nothing of a client that has not sent its message', async () => {
    isRefusing = true;
    const session = connect(`http://${address}`);
    try {
      const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' });
      const response = once(stream, 'response') as Promise<[IncomingHttpHeaders, number]>;
      const closed = once(stream, 'close');
      stream.resume();
      const [headers, flags] = await response;
      await closed;
      assert.equal(headers['grpc-status'], '8');
      assert.notEqual(flags & constants.NGHTTP2_FLAG_END_STREAM, 0);
      assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
    } finally {
      session.close();
    }
  });
});
