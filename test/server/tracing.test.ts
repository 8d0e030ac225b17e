/** Method: a collector of ours takes what is sent over HTTP, and reads it by OTLP's own JSON; trace ids are given by the client of the test. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'mocha';
import { connectDatabase } from '../../src/client/remote-database.js';
import { openDatabase } from '../../src/database.js';
import { startServer } from '../../src/server/server.js';
import { Tracing } from '../../src/server/tracing.js';
import { inTemporaryFolder as withFolder } from '../index/folders.js';
import { axis, makeVectorGallery } from './served.js';

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code: number };
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string } }[];
}

interface OtlpBody {
  readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[] }[];
}

async function withCollector(work: (endpoint: string, spans: OtlpSpan[]) => Promise<void>): Promise<void> {
  const spans: OtlpSpan[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as OtlpBody;
      spans.push(...body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)));
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`, spans);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const attribute = (span: OtlpSpan, key: string): string | undefined =>
  span.attributes.find((one) => one.key === key)?.value.stringValue;

describe('traces', () => {
  it('are under the client’s span, with the stages of the work under the call, and name nobody', () =>
    withFolder((path) =>
      withCollector(async (endpoint, spans) => {
        const tracing = new Tracing({ endpoint });
        const database = await openDatabase({
          path,
          embedder: false,
          onStage: (stage, ms) => tracing.took(stage, ms),
        });
        const server = await startServer({ database, tracing });
        const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
        const headers = () => ({ traceparent: `00-${traceId}-00f067aa0ba902b7-01`, 'x-request-id': 'door-1' });
        const remote = connectDatabase({ address: server.address, headers });
        await makeVectorGallery(remote);
        await remote.enroll({ gallery: 'lobby', identity: 'somebody', embeddings: [axis(0)] });
        await Promise.all([0, 1, 2].map((i) => remote.identify({ gallery: 'lobby', embedding: axis(i) })));
        await assert.rejects(remote.verify({ gallery: 'lobby', identity: 'nobody', embedding: axis(0) }));
        await remote.close();
        await server.close();
        await database.close();
        await tracing.close();

        const calls = spans.filter(({ name }) => name.includes('/'));
        assert.deepEqual(calls.map(({ name }) => name.split('/')[1]).toSorted(), [
          'CreateGallery',
          'Enroll',
          'Identify',
          'Identify',
          'Identify',
          'Verify',
        ]);
        for (const call of calls) {
          assert.deepEqual([call.traceId, call.parentSpanId], [traceId, '00f067aa0ba902b7']);
          assert.equal(attribute(call, 'harmonid.request_id'), 'door-1');
        }
        const stagesOf = (method: string): (readonly string[])[] =>
          calls
            .filter(({ name }) => name.endsWith(`/${method}`))
            .map(({ spanId }) => spans.filter((span) => span.parentSpanId === spanId).map(({ name }) => name));
        assert.deepEqual(stagesOf('Identify'), [['search'], ['search'], ['search']]);
        assert.deepEqual(stagesOf('Enroll'), [['write']]);
        const verify = calls.find(({ name }) => name.endsWith('/Verify'));
        assert.deepEqual(
          [verify?.status.code, verify && attribute(verify, 'harmonid.code')],
          [2, 'IDENTITY_NOT_FOUND'],
        );
        assert.ok(!JSON.stringify(spans).includes('somebody'));
      }),
    ));

  it('cost no answer when the collector is gone', () =>
    withFolder(async (path) => {
      const tracing = new Tracing({ endpoint: 'http://127.0.0.1:9/v1/traces' });
      const database = await openDatabase({ path, embedder: false });
      const server = await startServer({ database, tracing });
      const remote = connectDatabase({ address: server.address });
      assert.deepEqual(await remote.listGalleries(), []);
      await remote.close();
      await server.close();
      await database.close();
      await tracing.close();
    }));
});
