/**
 * What a real server tells of itself once everything has happened to it: calls over TLS, a graph with sampled recall, a calibration, a checkpoint, a rollout with a fit.
 * Its text is read by the rule of its specification: one sample a line, name, labels, value.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from '../../src/api.js';
import { connectDatabase } from '../../src/client/remote-database.js';
import { Metrics } from '../../src/server/metrics.js';
import { startServer } from '../../src/server/server.js';
import { madePairs, samplesOf } from '../migrate/made-pairs.js';
import { makeAuthority, signCertificate } from '../support/certificates.js';
import { withDatabase } from '../support/database.js';

/** Of each sample's name: its labels, and the values that they had. */
export type Told = ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>;

function toldBy(text: string): Told {
  const told = new Map<string, Map<string, Set<string>>>();
  for (const line of text.split('\n')) {
    const match = /^(?<name>[a-z_]\w*)(?:\{(?<labels>.*)\})? \S+$/i.exec(line);
    if (!match?.groups) continue;
    const labels = told.get(match.groups['name'] ?? '') ?? new Map<string, Set<string>>();
    told.set(match.groups['name'] ?? '', labels);
    for (const [, label = '', value = ''] of (match.groups['labels'] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels.set(label, (labels.get(label) ?? new Set()).add(value));
    }
  }
  return told;
}

/** A gallery with a graph and a calibration, and one that moves, so that every figure there is has been told once. */
async function doEverything(database: Database, remote: Database): Promise<void> {
  const dimensions = 16;
  const samples = samplesOf(madePairs({ dimensions, dimensionsTo: dimensions }));
  const people = samples.flatMap(({ person = '', vectors }, row) =>
    vectors && row % 3 === 0 ? [{ identity: person, space: 'old:1', vector: vectors.from }] : [],
  );
  for (const gallery of ['lobby', 'garage']) {
    await remote.createGallery({ gallery, space: 'old:1', dimensions, threshold: 0.6 });
    const items = people.map(({ identity, ...embedding }) => ({ gallery, identity, embeddings: [embedding] }));
    for await (const _ of remote.importAll(items));
  }
  const [first] = people;
  assert.ok(first);
  const { identity, ...embedding } = first;
  await remote.enroll({ gallery: 'lobby', identity, embeddings: [embedding] });
  await remote.verify({ gallery: 'lobby', identity, embedding });
  await remote.identify({ gallery: 'lobby', embedding });
  const recallOf = async (): Promise<number | null> =>
    (await database.stats()).galleries.find(({ gallery }) => gallery === 'lobby')?.graph.recall ?? null;
  for (let i = 0; i < 10_000 && (await recallOf()) === null; i++)
    await remote.identify({ gallery: 'lobby', embedding, ef: 16 });
  await database.updateGallery({ gallery: 'lobby', fpirTarget: 0.01 });
  const { calibration, probeCount } = await database.calibrate({ gallery: 'lobby' });
  assert.ok(calibration, `${probeCount} people are too few`);
  await database.checkpoint();
  const gallery = 'garage';
  await database.rollouts.start({ gallery, target: { space: 'new:1', dimensions, threshold: 0.6 } });
  for await (const _ of database.rollouts.addPairs({ gallery }, samples));
  for await (const _ of database.rollouts.fit({ gallery, far: 1e-2, estimators: ['procrustes'] }));
}

export async function toldByRealServer(): Promise<Told> {
  const metrics = new Metrics();
  let text = '';
  await withDatabase({ embedder: false, exactMax: 40 }, async (database, path) => {
    const authority = await makeAuthority();
    const pem = await signCertificate(authority, { commonName: 'server' });
    const tls = { certificateFile: join(path, 'tls.crt'), keyFile: join(path, 'tls.key') };
    writeFileSync(tls.certificateFile, pem.certificate);
    writeFileSync(tls.keyFile, pem.key);
    metrics.watch(database);
    const server = await startServer({ database, metrics, tls });
    const remote = connectDatabase({ address: server.address, tls: { ca: authority.certificate } });
    try {
      await doEverything(database, remote);
      text = await metrics.text();
    } finally {
      await remote.close();
      await server.close();
    }
  });
  return toldBy(text);
}
