/**
 * Method: real calls to a real server, then its figures as Prometheus would read them; what each should be is counted by hand. The text format is read by
 * the rule of its specification: one sample a line, name, labels, value.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'mocha';
import { connectDatabase } from '../../src/client/remote-database.js';
import { Metrics } from '../../src/server/metrics.js';
import { openStatusServer } from '../../src/server/status-server.js';
import { startServer } from '../../src/server/server.js';
import { makeAuthority, signCertificate } from '../support/certificates.js';
import { axis, makeVectorGallery, scattered, withServer } from './served.js';

type Samples = ReadonlyMap<string, number>;

async function samplesOf(metrics: Metrics): Promise<Samples> {
  const lines = (await metrics.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      const value = line.slice(at + 1);
      return [line.slice(0, at), value === '+Inf' ? Infinity : Number(value)];
    }),
  );
}

describe('metrics', () => {
  it('count calls by method and outcome, decisions, items and refusals', async () => {
    const metrics = new Metrics();
    await withServer({ metrics }, async ({ remote, database }) => {
      metrics.watch(database);
      await makeVectorGallery(remote);
      for (const i of [0, 1, 2]) await remote.enroll({ gallery: 'lobby', identity: `p${i}`, embeddings: [axis(i)] });
      await remote.identify({ gallery: 'lobby', embedding: axis(0) });
      await remote.identify({ gallery: 'lobby', embedding: axis(0) });
      await remote.identify({ gallery: 'lobby', embedding: axis(5) });
      await remote.verify({ gallery: 'lobby', identity: 'p1', embedding: axis(1) });
      await assert.rejects(remote.verify({ gallery: 'lobby', identity: 'nobody', embedding: axis(1) }));
      const items = [3, 4].map((i) => ({ gallery: 'lobby', identity: `p${i}`, embeddings: [axis(i)] }));
      for await (const _ of remote.importAll(items));
      const samples = await samplesOf(metrics);
      const expected: Record<string, number> = {
        'harmonid_calls_total{method="CreateGallery",code="OK"}': 1,
        'harmonid_calls_total{method="Enroll",code="OK"}': 3,
        'harmonid_calls_total{method="Identify",code="OK"}': 3,
        'harmonid_calls_total{method="Verify",code="OK"}': 1,
        'harmonid_calls_total{method="Verify",code="IDENTITY_NOT_FOUND"}': 1,
        'harmonid_calls_total{method="Import",code="OK"}': 1,
        'harmonid_call_seconds_count{method="Identify"}': 3,
        'harmonid_calls_in_flight{method="Identify"}': 0,
        'harmonid_stream_items_total{method="Import"}': 2,
        'harmonid_decisions_total{kind="identify",decision="match"}': 2,
        'harmonid_decisions_total{kind="identify",decision="no-match"}': 1,
        'harmonid_decisions_total{kind="verify",decision="match"}': 1,
        'harmonid_gallery_identities{gallery="lobby"}': 5,
        'harmonid_gallery_templates{gallery="lobby"}': 5,
        'harmonid_refused_at_door_total{code="UNAUTHENTICATED"}': 0,
      };
      for (const [name, value] of Object.entries(expected)) assert.equal(samples.get(name), value, name);
      assert.ok((samples.get('harmonid_store_bytes') ?? 0) > 0);
      const { search } = await database.stats();
      assert.equal(samples.get('harmonid_search_threads_running_max'), search?.runningMax);
      assert.equal(samples.get('harmonid_search_threads_searches'), 0);
      assert.ok((samples.get('harmonid_search_threads_own_searches') ?? 0) >= 3);
      assert.ok((samples.get('process_resident_memory_bytes') ?? 0) > 1e6);
      assert.ok(samples.has('nodejs_eventloop_lag_p99_seconds'));
    });
  });

  it('forget galleries that are gone', async () => {
    const metrics = new Metrics();
    await withServer({ metrics }, async ({ database }) => {
      metrics.watch(database);
      await makeVectorGallery(database);
      assert.equal((await samplesOf(metrics)).get('harmonid_gallery_templates{gallery="lobby"}'), 0);
      await database.deleteGallery({ gallery: 'lobby' });
      assert.equal((await samplesOf(metrics)).has('harmonid_gallery_templates{gallery="lobby"}'), false);
    });
  });

  it('tell of a gallery with a target whether it is calibrated, and how it has grown since', async () => {
    const metrics = new Metrics();
    await withServer({ metrics }, async ({ database }) => {
      metrics.watch(database);
      const gallery = await makeVectorGallery(database);
      const enroll = async (from: number, to: number): Promise<void> => {
        for (let i = from; i < to; i++)
          await database.enroll({ gallery, identity: `p${i}`, embeddings: [scattered(i + 1)], duplicates: 'ignore' });
      };
      const told = async (): Promise<readonly (number | undefined)[]> => {
        const samples = await samplesOf(metrics);
        const figures = ['gallery_calibrated', 'calibration_growth_ratio', 'calibration_age_seconds'];
        return figures.map((name) => samples.get(`harmonid_${name}{gallery="${gallery}"}`));
      };
      await enroll(0, 120);
      assert.deepEqual(await told(), [undefined, undefined, undefined]);
      await database.updateGallery({ gallery, fpirTarget: 0.1 });
      assert.deepEqual(await told(), [0, undefined, undefined]);
      const before = Date.now();
      assert.ok((await database.calibrate({ gallery })).calibration);
      await enroll(120, 132);
      const [calibrated, growth, ageSeconds = -1] = await told();
      assert.deepEqual([calibrated, growth], [1, 1.1]);
      assert.ok(ageSeconds >= 0 && ageSeconds <= (Date.now() - before) / 1000, `${ageSeconds}`);
      await database.updateGallery({ gallery, fpirTarget: null });
      assert.deepEqual((await told()).slice(0, 2), [undefined, 1.1]);
    });
  });

  it('tell when the certificate in use runs out, and nothing of one where there is none', async () => {
    const expiry = 'harmonid_tls_certificate_expiry_timestamp_seconds';
    const folder = await mkdtemp(join(tmpdir(), 'harmonid-metrics-'));
    const [certificateFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
    const notAfter = new Date(Date.UTC(new Date().getUTCFullYear() + 1, 6, 1, 12, 30, 15));
    const pem = await signCertificate(await makeAuthority(), { commonName: 'server', notAfter });
    await writeFile(certificateFile, pem.certificate);
    await writeFile(keyFile, pem.key);
    try {
      const [encrypted, plain] = [new Metrics(), new Metrics()];
      await withServer({ metrics: encrypted, tls: { certificateFile, keyFile } }, async () => {
        assert.equal((await samplesOf(encrypted)).get(expiry), notAfter.getTime() / 1000);
      });
      await withServer({ metrics: plain }, async () => {
        assert.equal((await samplesOf(plain)).has(expiry), false);
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('give every figure a help text and a unit that Prometheus knows', async () => {
    const text = await new Metrics().text();
    const names = [...text.matchAll(/^# HELP (harmonid_\w+) (.+)$/gm)].map(([, name = '', help = '']) => ({
      name,
      help,
    }));
    assert.ok(names.length >= 6, text);
    for (const { name, help } of names) {
      assert.match(name, /_(total|seconds|in_flight|bytes)$/);
      assert.ok(help.length > 10, name);
    }
  });
});

describe('the status server', () => {
  const ask = async (address: string, path: string, method = 'GET') => {
    const response = await fetch(`http://${address}${path}`, { method });
    return { code: response.status, body: await response.text(), type: response.headers.get('content-type') ?? '' };
  };

  it('tells starting, serving and draining, and is alive all the while', () =>
    withServer({}, async ({ database }) => {
      const status = await openStatusServer({ address: '127.0.0.1:0', metrics: new Metrics() });
      const tells = async (state: string, code: number): Promise<void> => {
        const ready = await ask(status.address, '/readyz');
        assert.deepEqual([ready.code, JSON.parse(ready.body)], [code, { state, busyWith: [] }]);
        assert.equal((await ask(status.address, '/livez')).code, 200);
      };
      try {
        await tells('starting', 503);
        status.serve(database);
        await tells('serving', 200);
        status.drain();
        await tells('draining', 503);
      } finally {
        await status.close();
      }
    }));

  it('gives metrics in the text format, and nothing else', async () => {
    const metrics = new Metrics();
    const status = await openStatusServer({ address: '127.0.0.1:0', metrics });
    try {
      const { code, body, type } = await ask(status.address, '/metrics?x=1');
      assert.deepEqual([code, type.startsWith('text/plain')], [200, true]);
      assert.match(body, /^harmonid_stage_seconds_count\{stage="search"\} 0$/m);
      assert.equal((await ask(status.address, '/')).code, 404);
      assert.equal((await ask(status.address, '/metrics', 'POST')).code, 405);
      await assert.rejects(openStatusServer({ address: status.address, metrics }), {
        code: 'ADDRESS_IN_USE',
      });
    } finally {
      await status.close();
    }
  });

  it('counts who is refused at the door', () =>
    withServer({}, async ({ database }) => {
      const folder = await mkdtemp(join(tmpdir(), 'harmonid-metrics-'));
      const accessFile = join(folder, 'access.json');
      await writeFile(accessFile, JSON.stringify({ format: 1, entries: [] }));
      const metrics = new Metrics();
      const server = await startServer({ database, metrics, accessFile });
      const remote = connectDatabase({ address: server.address });
      await assert.rejects(remote.listGalleries(), { code: 'UNAUTHENTICATED' });
      assert.equal((await samplesOf(metrics)).get('harmonid_refused_at_door_total{code="UNAUTHENTICATED"}'), 1);
      await remote.close();
      await server.close();
      await rm(folder, { recursive: true });
    }));
});
