/** Method: real servers and real sockets, from several loopback addresses; whether a connection lives is told by an answered health check. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { connect, type ClientHttp2Session } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, it } from 'mocha';
import { connectDatabase } from '../../src/client/remote-database.js';
import { Metrics } from '../../src/server/metrics.js';
import type { ServerOptions } from '../../src/server/server.js';
import { makeAuthority, signCertificate } from '../support/certificates.js';
import { withServer } from './served.js';

/** A connection from an address of this machine. */
class Connection {
  readonly #session: ClientHttp2Session;

  constructor(port: number, localAddress: string, ca: string | undefined) {
    const to = { host: '127.0.0.1', port, localAddress };
    const createConnection = (): ReturnType<typeof connectTcp> =>
      ca === undefined ? connectTcp(to) : connectTls({ ...to, ca, ALPNProtocols: ['h2'] });
    this.#session = connect(`${ca === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, { createConnection });
    this.#session.on('error', () => undefined);
  }

  /** Whether a call on it is answered. */
  lives(): Promise<boolean> {
    return new Promise((resolve) => {
      const stream = this.#session.request({
        ':method': 'POST',
        ':path': '/grpc.health.v1.Health/Check',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      // An empty message: of the server itself.
      stream.end(Buffer.alloc(5));
      let isAnswered = false;
      stream.on('response', () => (isAnswered = true));
      stream.on('error', () => undefined);
      stream.on('close', () => resolve(isAnswered));
      stream.resume();
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#session.destroyed) resolve();
      else this.#session.close(resolve);
    });
  }
}

interface Limited {
  readonly open: (localAddress?: string) => Connection;
  readonly refused: () => Promise<number>;
  readonly address: string;
}

async function withLimits(
  options: Pick<ServerOptions, 'connectionsMax' | 'connectionsPerAddressMax' | 'tls'>,
  ca: string | undefined,
  work: (limited: Limited) => Promise<void>,
): Promise<void> {
  const metrics = new Metrics();
  // A client of the test's own server connects at its first call only, which here is none.
  await withServer({ ...options, metrics }, async ({ server, logged }) => {
    const opened: Connection[] = [];
    try {
      await work({
        address: server.address,
        open: (localAddress = '127.0.0.1') => {
          const connection = new Connection(server.port, localAddress, ca);
          opened.push(connection);
          return connection;
        },
        refused: async () =>
          Number(/^harmonid_connections_refused_total (\d+)$/m.exec(await metrics.text())?.[1] ?? Number.NaN),
      });
    } finally {
      await Promise.all(opened.map((each) => each.close()));
    }
    assert.deepEqual(logged, []);
  });
}

async function checkPerAddress({ open, refused }: Limited): Promise<void> {
  const [first, second] = [open(), open()];
  assert.deepEqual([await first.lives(), await second.lives(), await refused()], [true, true, 0]);
  assert.equal(await open().lives(), false);
  assert.deepEqual([await first.lives(), await second.lives(), await refused()], [true, true, 1]);
  assert.equal(await open('127.0.0.2').lives(), true);
  await first.close();
  // The server hears of it a little later.
  let isLetIn = false;
  for (let tries = 0; tries < 100 && !isLetIn; tries++) {
    await pause(20);
    isLetIn = await open().lives();
  }
  assert.ok(isLetIn);
}

describe('the limit of connections', () => {
  it('closes one too many from an address, and lets others in, and the next when one has gone', () =>
    withLimits({ connectionsPerAddressMax: 2 }, undefined, checkPerAddress));

  it('does so before it is encrypted', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'harmonid-connections-'));
    try {
      const authority = await makeAuthority();
      const { certificate, key } = await signCertificate(authority, { commonName: 'server' });
      const [certificateFile, keyFile] = [join(folder, 'server.crt'), join(folder, 'server.key')];
      await Promise.all([writeFile(certificateFile, certificate), writeFile(keyFile, key)]);
      const options = { connectionsPerAddressMax: 2, tls: { certificateFile, keyFile } };
      await withLimits(options, authority.certificate, checkPerAddress);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('holds for all addresses together', () =>
    withLimits({ connectionsMax: 2 }, undefined, async ({ open, refused }) => {
      const [first, second] = [open(), open('127.0.0.2')];
      assert.deepEqual([await first.lives(), await second.lives()], [true, true]);
      assert.equal(await open('127.0.0.3').lives(), false);
      assert.equal(await refused(), 1);
    }));

  it('is UNAVAILABLE for our client, as whatever is likely to be over soon', () =>
    withLimits({ connectionsMax: 1 }, undefined, async ({ open, address }) => {
      assert.equal(await open().lives(), true);
      const client = connectDatabase({ address, retries: 0 });
      try {
        await assert.rejects(client.stats(), { code: 'UNAVAILABLE' });
      } finally {
        await client.close();
      }
    }));
});
