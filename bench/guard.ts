/**
 * What guarding costs: Identify by vector of a server that anybody may call in plain text, of one with TLS and keys, and of one with an audit log, in turns; beside a bare
 * echo, and a gallery of ten people in which the search costs next to nothing, so that what gRPC costs and what the search costs are seen apart.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { formatAccessList } from '../src/access/access-list.js';
import { makeApiKey } from '../src/access/api-key.js';
import { roles } from '../src/access/grant.js';
import { addEntry } from '../src/access/key-changes.js';
import { connectDatabase, type RemoteDatabase } from '../src/client/remote-database.js';
import { formatIdentify } from '../src/client/format.js';
import { IdentityServiceService } from '../src/wire/harmonid/v1/identity.js';
import { makeAuthority, signCertificate } from '../test/support/certificates.js';
import { createVectorGallery, fillVectorGallery, space, vectorGallery } from './filled-galleries.js';
import { drawGallery } from './gallery-model.js';
import { interleave, ratioSpread, runLoad, spread, spreadText } from './measure.js';
import type { BenchOptions } from './options.js';
import { modelsPath } from './photos.js';
import type { Progress } from './progress.js';
import { rounded, type Row, type Workload } from './report.js';
import { startProcess, type ServerProcess } from './server-child.js';
import { echoPath, type ServerSettings } from './server-messages.js';

const atOnce = 16;
const fewPeople = 'few';
/** What TLS with keys, and the audit, may cost of the calls a second. */
const costTargets = { secured: 0.15, audited: 0.05 } as const;
/** Of a bare echo's calls a second, where the search costs nothing. */
const echoTarget = 0.5;

interface Measured {
  readonly name: string;
  readonly server: ServerProcess;
  readonly call: (position: number) => Promise<unknown>;
}

interface Run {
  readonly perSecond: number;
  readonly serverUs: number;
}

export async function benchGuard(options: BenchOptions, progress: Progress): Promise<Workload> {
  const [templateCount = 0] = options.sizes;
  const { seed, calls, templatesPerIdentity, provider } = options;
  const rounds = Math.max(5, options.rounds);
  const path = await mkdtemp(join(tmpdir(), 'harmonid-bench-'));
  const model = drawGallery({ seed, templateCount, templatesPerIdentity, probeCount: calls });
  const few = drawGallery({ seed, templateCount: 10, templatesPerIdentity: 1, probeCount: 1 });
  const secrets = await writeSecrets(path);
  const base = { kind: 'harmonid', modelsPath, provider, vectorsOnly: true } as const;
  const settings = {
    plain: { ...base, path: join(path, 'plain') },
    secured: { ...base, path: join(path, 'secured'), tls: secrets.tls, accessFile: secrets.accessFile },
    audited: { ...base, path: join(path, 'audited'), auditFolder: join(path, 'audit') },
  } as const satisfies Record<string, ServerSettings>;
  try {
    await using echo = await startProcess({ kind: 'echo', path: '', modelsPath, provider });
    await using plain = await startProcess(settings.plain);
    await using secured = await startProcess(settings.secured);
    await using auditing = await startProcess(settings.audited);
    const open: RemoteDatabase[] = [];
    const connect = (server: ServerProcess, isSecured: boolean): RemoteDatabase => {
      const remote = connectDatabase({
        address: server.address,
        ...(isSecured && { tls: { ca: secrets.ca }, apiKey: secrets.key }),
      });
      open.push(remote);
      return remote;
    };
    const bare = new Client(echo.address, credentials.createInsecure());
    try {
      const [toPlain, toSecured, toAudited] = [connect(plain, false), connect(secured, true), connect(auditing, false)];
      for (const [name, database] of Object.entries({ plain: toPlain, secured: toSecured, audited: toAudited })) {
        progress(`enrolling ${templateCount} templates: ${name}`);
        await createVectorGallery(database, vectorGallery);
        await fillVectorGallery(database, vectorGallery, model);
      }
      await createVectorGallery(toPlain, fewPeople);
      await fillVectorGallery(toPlain, fewPeople, few);
      const identify =
        (database: RemoteDatabase, gallery: string) =>
        (position: number): Promise<unknown> => {
          const vector = model.probes[position % model.probes.length]?.vector ?? [];
          return database.identify({ gallery, embedding: { space, vector } });
        };
      const measured: readonly Measured[] = [
        { name: 'echo', server: echo, call: await echoOf(bare, model.probes[0]?.vector ?? []) },
        { name: 'Identify, 10 people', server: plain, call: identify(toPlain, fewPeople) },
        { name: 'Identify', server: plain, call: identify(toPlain, vectorGallery) },
        { name: 'Identify, TLS and key', server: secured, call: identify(toSecured, vectorGallery) },
        { name: 'Identify, audited', server: auditing, call: identify(toAudited, vectorGallery) },
      ];
      progress('identifying');
      for (const { call } of measured) await runLoad(calls, atOnce, call);
      const runs = await interleave(
        rounds,
        measured.map((one) => () => run(one, calls)),
      );
      return report(measured, runs, { templateCount, calls, rounds, seed });
    } finally {
      bare.close();
      for (const remote of open) await remote.close();
    }
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

async function run({ server, call }: Measured, calls: number): Promise<Run> {
  await server.watch();
  const { perSecond } = await runLoad(calls, atOnce, call);
  const { cpuSeconds } = await server.report();
  return { perSecond, serverUs: (cpuSeconds * 1e6) / calls };
}

function report(
  measured: readonly Measured[],
  runs: readonly (readonly Run[])[],
  { templateCount, calls, rounds, seed }: Readonly<Record<'templateCount' | 'calls' | 'rounds' | 'seed', number>>,
): Workload {
  const ratesOf = (at: number): readonly number[] => (runs[at] ?? []).map(({ perSecond }) => perSecond);
  const rows = measured.map(({ name }, at): Row => {
    const usOf = (runs[at] ?? []).map(({ serverUs }) => serverUs);
    return {
      server: name,
      callsPerSecond: rounded(spread(ratesOf(at)).median, 0),
      serverUsPerCall: rounded(spread(usOf).median, 0),
      ratioToEcho: at === 0 ? null : spreadText(ratioSpread(ratesOf(at), ratesOf(0)), 3),
      ratioToPlain: at <= 2 ? null : spreadText(ratioSpread(ratesOf(at), ratesOf(2)), 3),
    };
  });
  const costOf = (at: number): number => 1 - ratioSpread(ratesOf(at), ratesOf(2)).median;
  const verdict = (isMet: boolean, text: string): string => `${isMet ? 'met' : 'MISSED'} (${text})`;
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const toEcho = ratioSpread(ratesOf(1), ratesOf(0)).median;
  return {
    dataset: `${templateCount} synthetic templates (bench/gallery-model); ${calls} calls a measurement, ${atOnce} at once; ${rounds} rounds, seed ${seed}`,
    tables: { 'Identify by vector': rows },
    notes: [
      'ratio: calls a second in the same round, median (min-max)',
      'serverUsPerCall: time of all cores of the server process; the search is the difference between 10 people and all of them',
      `target: the search apart, at least ${echoTarget} of the echo: ${verdict(toEcho >= echoTarget, toEcho.toFixed(2))}`,
      `target: TLS and keys cost less than ${percent(costTargets.secured)}: ${verdict(costOf(3) < costTargets.secured, percent(costOf(3)))}`,
      `target: the audit costs less than ${percent(costTargets.audited)}: ${verdict(costOf(4) < costTargets.audited, percent(costOf(4)))}`,
    ],
  };
}

/** Messages of the size of a real Identify and its answer. */
async function echoOf(client: Client, vector: ArrayLike<number>): Promise<() => Promise<unknown>> {
  const { requestSerialize } = IdentityServiceService.identify;
  const request = Buffer.alloc(
    requestSerialize(formatIdentify({ gallery: vectorGallery, embedding: { space, vector } })).length,
  );
  request.writeUInt32LE(answerBytes);
  const keep = (bytes: Buffer): Buffer => bytes;
  return () =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(echoPath, keep, keep, request, (error, answer) =>
        error ? reject(error) : resolve(answer),
      );
    });
}

/** About what five candidates take. */
const answerBytes = 420;

interface Secrets {
  readonly ca: string;
  readonly tls: { readonly certificateFile: string; readonly keyFile: string };
  readonly accessFile: string;
  readonly key: string;
}

async function writeSecrets(path: string): Promise<Secrets> {
  const authority = await makeAuthority();
  const pem = await signCertificate(authority, { commonName: 'localhost' });
  const [certificateFile, keyFile, accessFile] = [
    join(path, 'tls.crt'),
    join(path, 'tls.key'),
    join(path, 'access.json'),
  ];
  await writeFile(certificateFile, pem.certificate);
  await writeFile(keyFile, pem.key);
  const { id, digest, text } = makeApiKey();
  const draft = {
    name: 'bench',
    permissions: roles.owner,
    galleries: ['*'],
    expiresAt: null,
    requestsPerSecondMax: null,
  };
  await writeFile(
    accessFile,
    formatAccessList(addEntry([], { ...draft, by: { kind: 'key', id, digest } }, new Date())),
  );
  return { ca: authority.certificate, tls: { certificateFile, keyFile }, accessFile, key: text };
}
